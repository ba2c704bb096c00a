"""Photos like the picture of a composed query without what its text asks for, and photos that fit its text alone.

Without the first the picture alone would do: of the members of a ladder the positive would be the one most like it.
Without the second the text alone would do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mrbench.build.captions.asks import with_columns
from mrbench.build.captions.exchanges import Exchange
from mrbench.build.captions.ladders import LEAST
from mrbench.build.captions.losses import Side, holds, is_sure
from mrbench.build.captions.photos import Photo
from mrbench.build.captions.sentence import Sentence
from mrbench.grains import Grain
from mrbench.judge import KEPT, UNKNOWN, VIOLATED, Verdict
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
    def implied(self) -> frozenset[str]:
        """Types that go with a changed thing: "to hold a ball" with the ball."""
        things = [grain for grain in self.wanted if grain.kind in ("entity", "scene")]
        grains = self.exchange.loss.ask.grains
        return frozenset(grain.type for grain in grains if any(holds(grain, thing) for thing in things))

    @property
    def wanted(self) -> tuple[Grain, ...]:
        """The grains of the caption that the text changes."""
        return tuple(part.wanted.grain for part in self.exchange.parts)

    @property
    def changed(self) -> frozenset[str]:
        """The types that the text changes."""
        return frozenset(grain.type for grain in self.wanted)


@dataclass(frozen=True, slots=True)
class Halves:
    """Negatives of a composed query of which one half of it alone cannot tell that they are wrong.

    Attributes:
        like_picture: They lose what the text asks for, and keep the rest; the most like the picture first.
        like_text: They keep what the text asks for, and lose other grains; the nearest to the words first.
    """

    like_picture: list[Judgement]
    like_text: list[Judgement]


def halves(composed: Sequence[Composed], planner: Planner) -> Iterator[Halves]:
    """Yield for each query photos like its picture without what its text asks for, and photos that fit its text.

    A photo like the picture keeps what the picture shows in the place of each changed grain, and another grain of the
    picture. It contradicts each changed grain, one of them surely, and nothing else but what goes with a changed thing.
    Its grade is known where nothing is unknown. A photo that fits the text keeps each changed grain, and contradicts
    two others or more.

    Args:
        composed: Queries to be.
        planner: Has the photos of the split and the judge.
    """
    for start in range(0, len(composed), _CHUNK):
        part = composed[start : start + _CHUNK]
        shown = _against(part, [(one.shown, one.exchange.text) for one in part], planner)
        asked = _against(part, [(one.wanted, one.exchange.loss.ask.caption.text) for one in part], planner)
        for one, like, fit in zip(part, shown, asked, strict=True):
            near = [
                (-picture.answers.count(KEPT), _judgement(one, photo, tuple(sorted(one.changed)), wanted, planner))
                for photo, wanted, picture in like
                if _is_near(one, wanted, picture, planner.side(photo.texts))
            ]
            far = [
                _judgement(one, photo, tuple(sorted(wanted.types(VIOLATED))), None, planner)
                for photo, wanted, _ in fit
                if one.changed <= set(wanted.types(KEPT)) and len(wanted.types(VIOLATED)) >= LEAST
            ]
            near.sort(key=lambda pair: (pair[0], pair[1].candidate_id))
            yield Halves([judgement for _, judgement in near], far)


def _against(
    composed: Sequence[Composed], said: Sequence[tuple[Sequence[Grain], str]], planner: Planner
) -> Iterator[list[tuple[Photo, Verdict, Verdict]]]:
    """Yield for each query the photos nearest to some grains, with verdicts on its caption and on another text."""
    found = planner.shortlists([grains for grains, _ in said])
    tried = [
        [photo for photo in some if photo.name not in _own(one)] for one, some in zip(composed, found, strict=True)
    ]
    pairs = [
        pair
        for one, (_, text), photos in zip(composed, said, tried, strict=True)
        for photo in photos
        for pair in ((one.exchange.loss.ask.caption.text, photo.shown), (text, photo.shown))
    ]
    verdicts = iter(planner.judge.judge(pairs))
    for one, photos in zip(composed, tried, strict=True):
        ask = one.exchange.loss.ask
        yield [(p, ask.about(with_columns(next(verdicts), ask.columns, p.columns)), next(verdicts)) for p in photos]


def _own(one: Composed) -> set[str]:
    photos = one.exchange.loss.photo, one.exchange.loss.ask.photo
    return {name for photo in photos for name in (photo.name, *photo.twins)}


def _is_near(one: Composed, wanted: Verdict, shown: Verdict, side: Side) -> bool:
    violated = set(wanted.types(VIOLATED))
    if not one.changed <= violated <= one.changed | one.implied:
        return False
    values = {(part.shown.grain.kind, part.shown.grain.value) for part in one.exchange.parts}
    kept = {(g.kind, g.value) for g, answer in zip(shown.grains, shown.answers, strict=True) if answer == KEPT}
    if not values <= kept or len(kept) == len(values):
        return False
    return any(is_sure(grain, wanted, side) for grain in wanted.grains if grain.type in one.changed)


def _judgement(
    one: Composed, photo: Photo, lost: tuple[str, ...], verdict: Verdict | None, planner: Planner
) -> Judgement:
    """Return a judgement of a negative; its grade is known where a verdict leaves nothing unknown."""
    ask = one.exchange.loss.ask
    grade = ask.asked - len(lost) if verdict is not None and UNKNOWN not in verdict.answers else None
    return Judgement(ask.caption.id, photo.name, 0, grade, lost, ask.asked, planner.origin)
