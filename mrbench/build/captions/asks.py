"""A query to be: what it asks for, and what the user's own columns say of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mrbench.build.captions.ladders import LEAST
from mrbench.build.captions.photos import Caption, Photo
from mrbench.grains import Grain as TextGrain
from mrbench.judge import KEPT, UNKNOWN, VIOLATED, Verdict
from mrbench.records import Grain, Query

_INSTRUCTIONS = {
    "t2i": "Find the photo that this caption describes.",
    "i2t": "Find a caption that describes this photo.",
}


@dataclass(frozen=True, slots=True)
class Ask:
    """A query to be.

    Attributes:
        photo: Its photo.
        caption: The caption that it is, or that it is graded against.
        grains: What it asks for: the caption's grains but for those that another caption of the photo contradicts.
        backed: Types of the grains that another caption of the photo says too; all where it has no other caption.
        columns: What the user's own columns say of the photo and the caption says too; the grains that the judge found
            in the same words are not asked for.
    """

    photo: Photo
    caption: Caption
    grains: tuple[TextGrain, ...]
    backed: frozenset[str]
    columns: tuple[Grain, ...] = ()

    @property
    def said(self) -> int:
        """How many of the grains another caption says too."""
        return sum(grain.type in self.backed for grain in self.grains)

    def better_than(self, other: Ask | None) -> bool:
        """Return True where the photo's other captions say more of its grains, or it has more; ids decide ties."""
        return other is None or self._rank < other._rank

    @property
    def _rank(self) -> tuple[int, int, str]:
        return -self.said, -len(self.grains), self.caption.id

    @property
    def types(self) -> frozenset[str]:
        """Types of the grains that are asked for."""
        return frozenset([*(grain.type for grain in self.grains), *(grain.type for grain in self.columns)])

    @property
    def asked(self) -> int:
        """Number of grains that are asked for."""
        return len(self.grains) + len(self.columns)

    def about(self, verdict: Verdict) -> Verdict:
        """Return a verdict on the caption narrowed to the grains that are asked for."""
        kept = [n for n, grain in enumerate(verdict.grains) if grain.type in self.types]
        return Verdict(tuple(verdict.grains[n] for n in kept), tuple(verdict.answers[n] for n in kept))


def text_query(ask: Ask) -> Query:
    """Return the query of a caption that asks for a photo."""
    grains = (*stated(ask.grains), *ask.columns)
    return Query(ask.caption.id, "t2i", _INSTRUCTIONS["t2i"], grains, text=ask.caption.text, cluster=ask.photo.name)


def photo_query(ask: Ask) -> Query:
    """Return the query of a photo that asks for a caption."""
    grains = tuple(Grain(g.type, g.value) for g in ask.grains)
    photo = ask.photo
    return Query(photo.name, "i2t", _INSTRUCTIONS["i2t"], grains, image=photo.image, cluster=photo.name)


def asking_columns(ask: Ask) -> Ask:
    """Return a query that asks for what the photo's columns and its caption both say."""
    found = []
    for column in ask.photo.columns:
        place = re.search(rf"(?<!\w){re.escape(column.value)}(?!\w)", ask.caption.text, re.IGNORECASE)
        if place:
            found.append(replace(column, start=place.start(), end=place.end()))
    kept = tuple(grain for grain in ask.grains if not _replaced(grain, found))
    return replace(ask, grains=kept, columns=tuple(found)) if len(kept) + len(found) >= LEAST else ask


def _replaced(grain: TextGrain, columns: Sequence[Grain]) -> bool:
    """Return True where a column says what a grain says: of the same name, or in the same words."""
    return any(
        grain.type == column.type or (grain.start, grain.end) == (column.start, column.end) for column in columns
    )


def with_columns(verdict: Verdict, asked: Sequence[Grain], shown: Sequence[Grain]) -> Verdict:
    """Return a verdict with what the columns of a photo say: another value violates, an empty cell leaves open.

    Args:
        verdict: On the captions.
        asked: Grains of the query that come from columns.
        shown: What the candidate's columns say.
    """
    if not asked:
        return verdict
    values = {grain.type: grain.value for grain in shown}
    votes = verdict.votes or ((0, 0),) * len(verdict.grains)
    rows = [r for r in zip(verdict.grains, verdict.answers, votes, strict=True) if not _replaced(r[0], asked)]
    for grain in asked:
        said = values.get(grain.type)
        answer = UNKNOWN if said is None else KEPT if said == grain.value else VIOLATED
        made = TextGrain(grain.type, grain.value, grain.start or 0, grain.end or 0, grain.type, ())
        rows.append((made, answer, (int(answer == KEPT), int(answer == VIOLATED))))
    grains, answers, counted = zip(*rows, strict=True)
    return Verdict(grains, answers, votes=None if verdict.votes is None else counted)


def stated(grains: Sequence[TextGrain]) -> tuple[Grain, ...]:
    """Return the grains that a text states, as a benchmark holds them."""
    return tuple(Grain(g.type, g.value, g.start, g.end) for g in grains)
