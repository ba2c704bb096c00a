"""All scenes, the scenes of a split, and the ladder of scenes around a target."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from mrbench.build.scenes.vocabulary import BACKGROUND, ENTITY, FRAMES, SECOND, VALUES, Scene
from mrbench.build.splits import Shares
from mrbench.records import Grain

_TRIES = 40
_TELLING = frozenset({ENTITY, SECOND, BACKGROUND})  # types with many values
_UNEVEN = 0.5  # a value may occur in targets more often than its share by this factor
T = TypeVar("T")


def grains_of(scene: Scene) -> tuple[Grain, ...]:
    """Return the grains of a scene, without spans."""
    return tuple(Grain(kind, value) for kind, value in scene.items())


def number_of_scenes() -> int:
    """Return the number of scenes that the vocabularies make, over all splits."""
    return sum(math.prod(len(VALUES[kind]) for kind in frame) for frame in FRAMES)


def combinations(frame: tuple[str, ...], key: str) -> Iterator[Scene]:
    """Yield every scene of a frame exactly once, in an order that the key decides, in constant memory.

    The scenes are numbered in mixed radix; ``i -> step * i + offset`` modulo their number is a permutation when
    ``step`` and the number have no common divisor.

    >>> scenes = [tuple(scene.values()) for scene in combinations(("count", "size"), "key")]
    >>> len(scenes), len(set(scenes))
    (8, 8)
    """
    total = math.prod(len(VALUES[kind]) for kind in frame)
    rng = random.Random(f"scenes:{key}:{'|'.join(frame)}")
    step, offset = rng.randrange(1, total), rng.randrange(total)
    while math.gcd(step, total) != 1:
        step = rng.randrange(1, total)
    for index in range(total):
        number = (step * index + offset) % total
        scene = {}
        for kind in frame:
            number, digit = divmod(number, len(VALUES[kind]))
            scene[kind] = VALUES[kind][digit]
        yield scene


def _mixed(
    sources: Mapping[tuple[str, ...], Iterator[T]], weights: Mapping[tuple[str, ...], float], key: str
) -> Iterator[T]:
    rng = random.Random(f"scenes:{key}")
    left = list(sources)
    while left:
        frame = rng.choices(left, [weights[frame] for frame in left])[0]
        try:
            yield next(sources[frame])
        except StopIteration:
            left.remove(frame)


@dataclass(frozen=True, slots=True)
class Ladder:
    """A target and scenes of the same grain types that differ from it.

    Attributes:
        one_off: By grain type, the scene that differs in this grain alone.
        further: Scenes that differ in two, three, ... and all grains.
    """

    target: Scene
    one_off: Mapping[str, Scene]
    further: tuple[Scene, ...]

    @property
    def scenes(self) -> tuple[Scene, ...]:
        """The target, then the others from near to far."""
        return (self.target, *self.one_off.values(), *self.further)


class SplitScenes:
    """The scenes of one split, as streams."""

    def __init__(self, split: str, shares: Shares, seed: int) -> None:
        self._split, self._shares, self._seed = split, shares, seed
        self._shown: Counter[tuple[str, str]] = Counter()

    def has(self, scene: Scene) -> bool:
        """Return whether the scene's hash puts it into this split."""
        return self._shares.split_of(grains_of(scene)) == self._split

    def stream(self, purpose: str, weights: Mapping[tuple[str, ...], float]) -> Iterator[Scene]:
        """Yield scenes of this split without repeats, frames mixed by weight, until all are used up."""
        key = self._key(purpose)
        return _mixed({frame: filter(self.has, combinations(frame, key)) for frame in weights}, weights, key)

    def ladders(self, purpose: str, weights: Mapping[tuple[str, ...], float]) -> Iterator[Ladder]:
        """Yield ladders of different targets, frames mixed by weight; targets lacking a neighbour are left out."""
        key = self._key(purpose)
        used: Counter[str] = Counter()
        return _mixed({frame: self._ladders(frame, key, used) for frame in weights}, weights, key)

    def _key(self, purpose: str) -> str:
        return f"{self._seed}:{self._split}:{purpose}"

    def rebalanced(self, ladder: Ladder, asked: Mapping[tuple[str, str], int]) -> Ladder:
        """Return the ladder with new one-off neighbours, drawn by how often targets have their values.

        Otherwise the value of a target would be more common in the pool than its neighbour's, and could be guessed.
        """
        rng = random.Random(f"scenes:{self._seed}:{self._split}:rebalance:{list(ladder.target.items())}")
        one_off = {}
        for kind, old in ladder.one_off.items():
            others = [value for value in VALUES[kind] if value != ladder.target[kind]]
            drawn = {value: rng.random() ** (1 / (asked.get((kind, value), 0) + 0.05)) for value in others}
            changed = (ladder.target | {kind: value} for value in sorted(others, key=drawn.__getitem__, reverse=True))
            one_off[kind] = next(filter(self.has, changed), old)
        return Ladder(ladder.target, one_off, ladder.further)

    def around(self, scene: Scene, number: int, rng: random.Random) -> Iterator[Scene]:
        """Yield at most ``number`` scenes of this split that differ from a scene in one grain."""
        near = [{kind: value} for kind in scene for value in VALUES[kind] if value != scene[kind]]
        rng.shuffle(near)
        return islice(filter(self.has, (scene | change for change in near)), number)

    def _ladders(self, frame: tuple[str, ...], key: str, used: Counter[str]) -> Iterator[Ladder]:
        shown = self._shown
        for target in filter(self.has, combinations(frame, key)):
            # A value that targets have more often than others could be guessed from the pool alone.
            total = {kind: sum(shown[kind, value] for value in VALUES[kind]) for kind in target}
            if any(shown[kind, value] > total[kind] / len(VALUES[kind]) + _UNEVEN for kind, value in target.items()):
                continue
            ladder = self._ladder(target, used, random.Random(f"scenes:{key}:{list(target.items())}"))
            if ladder is not None:
                used.update(kind for kind in target if ladder.further[0][kind] != target[kind])
                shown.update(target.items())
                yield ladder

    def _ladder(self, target: Scene, used: Counter[str], rng: random.Random) -> Ladder | None:
        one_off = {}
        for kind in sorted(target, key=lambda kind: len(VALUES[kind])):  # what fails most often first
            neighbour = self._differing(target, [kind], rng)
            if neighbour is None:
                return None
            one_off[kind] = neighbour
        further = []
        for number in range(2, len(target) + 1):
            # Two grains off: the pair of types used least so far, since composed queries change these.
            rank = {kind: (used[kind] if number == 2 else 0, rng.random()) for kind in target}
            kinds = sorted(target, key=rank.__getitem__)
            if number == 2 and kinds[0] in _TELLING:  # two such values would tell a scene without its picture
                kinds[1:] = sorted(kinds[1:], key=_TELLING.__contains__)
            neighbour = self._differing(target, kinds[:number], rng)
            if neighbour is None:
                return None
            further.append(neighbour)
        return Ladder(target, {kind: one_off[kind] for kind in target}, tuple(further))

    def _differing(self, scene: Scene, kinds: list[str], rng: random.Random) -> Scene | None:
        """Return a scene of this split that differs from ``scene`` in exactly these grain types, or None."""
        others = {kind: [value for value in VALUES[kind] if value != scene[kind]] for kind in kinds}
        if len(kinds) == 1:
            choices = [{kinds[0]: value} for value in rng.sample(others[kinds[0]], len(others[kinds[0]]))]
        else:
            choices = [{kind: rng.choice(others[kind]) for kind in kinds} for _ in range(_TRIES)]
        return next((changed for choice in choices if self.has(changed := scene | choice)), None)
