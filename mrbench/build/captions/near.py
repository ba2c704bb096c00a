"""Photos like the picture of a composed query that do not have what its text asks for.

Without them the picture alone would do: of the members of a ladder the positive would be the one most like it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mrbench.build.captions.asks import with_columns
from mrbench.build.captions.exchanges import Exchange
from mrbench.build.captions.losses import Side, holds, is_sure
from mrbench.build.captions.sentence import Sentence
from mrbench.grains import Grain
from mrbench.judge import KEPT, VIOLATED, Verdict
from mrbench.records import Judgement

if TYPE_CHECKING:
    from mrbench.build.captions.plan import Planner

_CHUNK = 32


@dataclass(frozen=True, slots=True)
class Composed:
    """A composed query to be.

    Attributes:
        exchange: The caption that the query asks for, and the one that fits its picture.
        sentence: What is to change, in words.
        shown: The grains of the caption that fits the picture.
    """

    exchange: Exchange
    sentence: Sentence
    shown: tuple[Grain, ...]

    @property
    def implied(self) -> dict[str, int]:
        """Types that go with a changed thing ("to hold a ball" with the ball), and which change it is."""
        parts = [part.wanted.grain for part in self.exchange.parts]
        return {
            grain.type: number
            for number, thing in enumerate(parts)
            if thing.kind in ("entity", "scene")
            for grain in self.exchange.loss.ask.grains
            if holds(grain, thing)
        }

    @property
    def stated(self) -> frozenset[str]:
        """The types that the text states, with those that go with them."""
        return frozenset([*(part.wanted.grain.type for part in self.exchange.parts), *self.implied])


def near_pictures(composed: Sequence[Composed], planner: Planner) -> Iterator[list[Judgement]]:
    """Yield for each query the photos that are like its picture and lose what its text asks for, the most like first.

    Such a photo keeps what the picture shows in the place of each changed grain, and another grain of the picture. It
    contradicts each changed grain, one of them surely, and no other grain of the query. Its grade is known where it
    keeps all others.

    Args:
        composed: Queries to be.
        planner: Has the photos of the split and the judge.
    """
    for start in range(0, len(composed), _CHUNK):
        part = composed[start : start + _CHUNK]
        tried = [
            [photo for photo in found if photo.name not in _own(one)]
            for one, found in zip(part, planner.shortlists([one.shown for one in part]), strict=True)
        ]
        pairs = [
            pair
            for one, found in zip(part, tried, strict=True)
            for photo in found
            for pair in ((one.exchange.loss.ask.caption.text, photo.shown), (one.exchange.text, photo.shown))
        ]
        verdicts = iter(planner.judge.judge(pairs))
        for one, found in zip(part, tried, strict=True):
            near = []
            for photo in found:
                wanted = with_columns(next(verdicts), one.exchange.loss.ask.columns, photo.columns)
                shown = next(verdicts)
                if _is_near(one, wanted, shown, planner.side(photo.texts)):
                    near.append((-shown.answers.count(KEPT), _judgement(one, photo.name, wanted, planner)))
            yield [judgement for _, judgement in sorted(near, key=lambda pair: (pair[0], pair[1].candidate_id))]


def _own(one: Composed) -> set[str]:
    photos = one.exchange.loss.photo, one.exchange.loss.ask.photo
    return {name for photo in photos for name in (photo.name, *photo.twins)}


def _is_near(one: Composed, wanted: Verdict, shown: Verdict, side: Side) -> bool:
    violated = set(wanted.types(VIOLATED))
    changed = {part.wanted.grain.type for part in one.exchange.parts}
    if not changed <= violated <= one.stated:
        return False
    values = {(part.shown.grain.kind, part.shown.grain.value) for part in one.exchange.parts}
    kept = {(g.kind, g.value) for g, answer in zip(shown.grains, shown.answers, strict=True) if answer == KEPT}
    if not values <= kept or len(kept) == len(values):
        return False
    return any(is_sure(grain, wanted, side) for grain in wanted.grains if grain.type in changed)


def _judgement(one: Composed, name: str, wanted: Verdict, planner: Planner) -> Judgement:
    ask = one.exchange.loss.ask
    about = ask.about(wanted) if not ask.columns else wanted
    lost = tuple(sorted(about.types(VIOLATED)))
    known = len(about.types(KEPT)) + len(lost) == ask.asked
    return Judgement(ask.caption.id, name, 0, ask.asked - len(lost) if known else None, lost, ask.asked, planner.origin)
