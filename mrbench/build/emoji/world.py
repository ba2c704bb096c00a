"""The grain combinations of a split, and the graded negatives of each."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

from PIL import Image

from mrbench.build import art
from mrbench.build.emoji.grains import Item, Key, objects, people
from mrbench.build.emoji.looks import lookalikes
from mrbench.build.splits import Shares
from mrbench.workers import Workers

_UNASKED = 0.05  # weight of a value that no query has


@dataclass(frozen=True, slots=True)
class Drawing:
    """The description of an emoji's picture that is not drawn yet.

    Attributes:
        again: Whether to draw it a little smaller and off the centre, as another picture of the same.
    """

    artist: str
    emoji: str
    size: int
    again: bool = False


def draw(drawing: Drawing) -> Image.Image:
    """Return the picture of an emoji on white with a small margin."""
    margin = drawing.size // 14
    if not drawing.again:
        return art.on_white(art.render(drawing.artist, drawing.emoji, drawing.size - 2 * margin), drawing.size, margin)
    return art.on_white(art.render(drawing.artist, drawing.emoji, drawing.size - 5 * margin), drawing.size, 2 * margin)


@dataclass(frozen=True)
class World:
    """The grain combinations of one split, or of all.

    Attributes:
        described: Every combination that a sentence can state.
        drawn: Those that the corpus shows (Twemoji), look-alikes left out.
        shown: Those that a query may show (OpenMoji), look-alikes left out.
        things: Pictures of no people.
    """

    described: dict[Key, Item]
    drawn: dict[Key, Item]
    shown: dict[Key, Item]
    things: dict[Key, Item]

    def part(self, split: str, shares: Shares) -> World:
        """Return the combinations of one split."""

        def mine(items: dict[Key, Item]) -> dict[Key, Item]:
            return {key: item for key, item in items.items() if shares.split_of(item.grains) == split}

        return World(mine(self.described), mine(self.drawn), mine(self.shown), mine(self.things))


def make_world(distractors: bool, workers: Workers = 1) -> World:
    """Return all combinations, after parsing all emojis and comparing all drawings."""
    everyone = people()
    clear = {}
    for artist in art.ARTISTS:
        alike = lookalikes(artist, everyone, workers)
        clear[artist] = {item.key: item for position, item in enumerate(everyone) if position not in alike}
    things = {item.key: item for item in objects()} if distractors else {}
    return World({item.key: item for item in everyone}, clear["twemoji"], clear["openmoji"], things)


class Pool:
    """The candidates of one modality, indexed by their grains.

    Attributes:
        asked: Number of queries with each grain. Neighbours of a positive are drawn by it, so that the frequency of a
            value in the pool does not reveal which one a query asks for.
    """

    def __init__(self, items: Mapping[Key, Item], things: Mapping[Key, Item]) -> None:
        self.items = dict(items)
        self.everything = [*items.values(), *things.values()]
        self._by_types: dict[tuple[str, ...], list[Item]] = defaultdict(list)
        self._keeping: Counter[Key] = Counter()
        self._differences: dict[Key, list[tuple[Item, frozenset[str]]]] = {}
        self._grains = [frozenset(item.key) for item in self.everything]
        self.asked: Counter[tuple[str, str]] = Counter()
        for item in items.values():
            self._by_types[_types(item)].append(item)
            self._keeping.update(part for n in range(1, len(item.key) + 1) for part in combinations(item.key, n))

    def keeping(self, key: Key) -> int:
        """Return the number of candidates that keep all grains of a combination, including its own."""
        return self._keeping[key]

    def changed(self, item: Item, types: Iterable[str]) -> list[Item]:
        """Return the candidates with the item's grain types that differ from it in exactly the given ones."""
        wanted = frozenset(types)
        return [other for other, difference in self._compared(item) if difference == wanted]

    def _compared(self, item: Item) -> list[tuple[Item, frozenset[str]]]:
        """Return the candidates with the item's grain types, each with the types in which it differs."""
        if item.key not in self._differences:
            same = self._by_types[_types(item)]
            self._differences[item.key] = [(other, _difference(item, other)) for other in same]
        return self._differences[item.key]

    def ladder(self, item: Item, rng: random.Random, randoms: int, first: Item | None = None) -> list[Item] | None:
        """Return the graded negatives of an item; None if some grain has no candidate that differs in it alone.

        Args:
            first: A candidate to prefer at its grade: the picture of a composed query.
        """
        near = {kind: self.changed(item, {kind}) for kind in _types(item)}
        if not all(near.values()):
            return None
        chosen = []
        for kind, rung in near.items():
            # A value of many candidates is in many ladders, so it gets less weight in each.
            values = [(kind, other.values[kind]) for other in rung]
            weights = [(self.asked[value] + _UNASKED) / self._keeping[(value,)] for value in values]
            (drawn,) = rng.choices(rung, weights)
            chosen.append(first if first in rung else drawn)
        rungs = [[o for o, d in self._compared(item) if len(d) == off] for off in range(2, len(item.key) + 1)]
        chosen += [first if first in rung else rng.choice(rung) for rung in rungs if rung]
        taken = {item.key, *(other.key for other in chosen)}
        # A picture with one grain more or less is no fair random negative: people may see the same in it.
        grains, least = frozenset(item.key), len(item.key) - 1
        far = [
            other
            for other, its in zip(self.everything, self._grains, strict=True)
            if len(its & grains) < least and other.key not in taken
        ]
        return chosen + rng.sample(far, min(randoms, len(far)))


def _types(item: Item) -> tuple[str, ...]:
    return tuple(kind for kind, _ in item.key)


def _difference(item: Item, other: Item) -> frozenset[str]:
    return frozenset(kind for (kind, a), (_, b) in zip(item.key, other.key, strict=True) if a != b)
