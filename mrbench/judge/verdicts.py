"""What a judge says of a grain, and what every judge is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mrbench.grains import Grain

KEPT, VIOLATED, UNKNOWN = "kept", "violated", "unknown"


def read_together(answers: Iterable[str]) -> str:
    """Return the verdict over several captions of one photo.

    A grain is kept where a caption supports it; violated where none does and one contradicts it; else unknown.

    >>> read_together(["unknown", "violated", "kept"]), read_together(["unknown", "violated"]), read_together([])
    ('kept', 'violated', 'unknown')
    """
    verdict = UNKNOWN
    for answer in answers:
        if answer == KEPT:
            return KEPT
        if answer == VIOLATED:
            verdict = VIOLATED
    return verdict


def opposite(answer: str) -> str:
    """Return the verdict on a denial, given that on what it denies: kept and violated change places.

    >>> opposite("kept"), opposite("violated"), opposite("unknown")
    ('violated', 'kept', 'unknown')
    """
    return {KEPT: VIOLATED, VIOLATED: KEPT}.get(answer, answer)


def all_of(answers: Iterable[str]) -> str:
    """Return the verdict on a grain that stands in several slots: violated where one is, kept where all are."""
    found = set(answers)
    return VIOLATED if VIOLATED in found else KEPT if found == {KEPT} else UNKNOWN


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one candidate does to the grains of one query.

    Attributes:
        grains: The grains of the query.
        answers: ``kept``, ``violated`` or ``unknown`` for each of them.
        support: For each of them how much the candidate supports it, from 0 to 1, where the judge tells.
        votes: For each of them how many texts of the candidate keep it, and how many contradict it, where the judge
            reads text by text.
    """

    grains: tuple[Grain, ...]
    answers: tuple[str, ...]
    support: tuple[float, ...] | None = None
    votes: tuple[tuple[int, int], ...] | None = None

    def types(self, answer: str) -> list[str]:
        """Return the types of the grains with this answer, in the order of the query."""
        return [grain.type for grain, found in zip(self.grains, self.answers, strict=True) if found == answer]

    @property
    def grade(self) -> int:
        """How many grains are kept."""
        return self.answers.count(KEPT)

    def to_json(self) -> dict[str, Any]:
        """Return a line of ``mrbench grade``."""
        fields: dict[str, Any] = {answer: self.types(answer) for answer in (KEPT, VIOLATED, UNKNOWN)}
        fields |= {"grade": self.grade, "asked": len(self.grains)}
        if self.support is not None:
            fields["support"] = round(sum(self.support), 4)
        return fields


class Judge(Protocol):
    """Says for each grain of a query whether a candidate keeps it, violates it, or leaves it open.

    Attributes:
        name: How a user names it, for example ``rules``.
        versions: Everything that its verdicts depend on, by name.
        sees_photos: Whether it looks at the photo of a candidate that has one, beside its texts.
    """

    name: str
    versions: dict[str, str]
    sees_photos: bool

    def judge(self, pairs: Sequence[tuple[str, Sequence[str]]]) -> list[Verdict]:
        """Judge queries against candidates.

        Args:
            pairs: A query and all texts of its candidate, which are read together;
                :class:`mrbench.judge.pictured.Pictured` where the candidate has a photo too.

        Returns:
            A verdict for each pair, in order.
        """
