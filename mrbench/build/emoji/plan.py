"""Plans a split of the emoji suite: its queries, ladders and candidates."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mrbench.build.emoji import text
from mrbench.build.emoji.grains import TYPES, Item, Key, key_of
from mrbench.build.emoji.world import Drawing, Pool, World
from mrbench.build.suite import PlannedCandidate, PlannedQuery, PlannedVariant, SplitPlan, record_id
from mrbench.files import canonical_json

if TYPE_CHECKING:
    from mrbench.build.emoji import EmojiConfig

INSTRUCTIONS = {
    "t2i": "Find the picture that shows what the text says.",
    "i2t": "Find the sentence that describes the picture.",
    "i2i": "Find the picture by another artist that shows the same.",
    "it2i": "Find the picture by another artist that shows the same as this one, changed as the text says.",
}


_FITTING = 12  # fewest pictures that fit the text of a composed query


class Planner:
    """Plans one split.

    Args:
        everything: All combinations; the neutral art of degrained queries may come from any split.
        world: The combinations of this split.
    """

    def __init__(self, everything: World, world: World, config: EmojiConfig, split: str, seed: int) -> None:
        self._everything, self._world, self._config = everything, world, config
        self._split, self._seed = split, seed
        self._pictures = Pool(world.drawn, world.things)
        self._sentences = Pool(world.described, world.things)
        self._flipped: Counter[tuple[str, str]] = Counter()

    def plan(self, wanted: int) -> SplitPlan:
        """Return all queries of every task in their order of preference, and all further candidates."""
        things = list(self._world.things.values())
        tasks = {"t2i": self._t2i, "i2t": self._i2t, "i2i": self._i2i}
        queries: dict[str, Sequence[PlannedQuery]] = {
            task: self._ordered(task, make, wanted) for task, make in tasks.items()
        }
        return SplitPlan(
            split=self._split,
            queries={**queries, "it2i": self._twice(self._composed, wanted)},
            wanted=wanted,
            fill={
                "image": [
                    self._picture(item) for item in self._shuffled("image", [*self._world.drawn.values(), *things])
                ],
                "text": [
                    self._sentence(item, self._rng("phrasing", _name(item)).randrange(text.STYLES))
                    for item in self._shuffled("text", [*self._world.described.values(), *things])
                ],
            },
            pool=self._config.pool if self._split == "test" else None,
        )

    def _rng(self, *parts: object) -> random.Random:
        return random.Random(canonical_json([self._seed, self._split, *map(str, parts)]))

    def _shuffled(self, name: str, items: Iterable[Item]) -> list[Item]:
        shuffled = sorted(items, key=lambda item: item.key)
        self._rng("order", name).shuffle(shuffled)
        return shuffled

    def _ordered(self, task: str, make: Callable[[Item], PlannedQuery | None], wanted: int) -> list[PlannedQuery]:
        targets = self._shuffled(task, (item for item in self._world.drawn.values() if len(item.key) >= 2))

        def plan() -> list[PlannedQuery]:
            return list(_balanced([query for item in targets if (query := make(item)) is not None], wanted))

        return self._twice(plan, wanted)

    def _twice(self, plan: Callable[[], list[PlannedQuery]], wanted: int) -> list[PlannedQuery]:
        """Plan twice and return the second plan, whose neighbours follow how often the first asks for each grain."""
        for pool in (self._pictures, self._sentences):
            pool.asked.clear()
        first = plan()[:wanted]
        for pool in (self._pictures, self._sentences):
            pool.asked.update((grain.type, grain.value) for query in first for grain in query.grains)
        self._flipped.clear()
        return plan()

    # Candidates

    def _picture(self, item: Item) -> PlannedCandidate:
        drawing = Drawing("twemoji", item.emoji, self._config.size)
        return PlannedCandidate(record_id("emoji", "image", _name(item)), item.grains, picture=drawing)

    def _sentence(self, item: Item, style: int) -> PlannedCandidate:
        words, grains = text.candidate_sentence(item.values, item.kind, style)
        return PlannedCandidate(record_id("emoji", "text", _name(item), style), grains, text=words)

    def _shown(self, item: Item) -> Drawing:
        return Drawing("openmoji", item.emoji, self._config.size)

    # Tasks

    def _t2i(self, item: Item) -> PlannedQuery | None:
        if self._pictures.keeping(item.key) > self._config.max_positives:
            return None
        query_id = record_id("emoji", "t2i", self._split, _name(item))
        rng = self._rng("t2i", query_id)
        negatives = self._pictures.ladder(item, rng, self._config.random_negatives)
        if negatives is None:
            return None
        style = rng.randrange(text.STYLES)
        words, grains = text.query_sentence(item.values, item.kind, style)
        variants = [
            PlannedVariant("degrained", kind, text=text.query_sentence(_without(item, kind), item.kind, style)[0])
            for kind in item.values
        ]
        variants += [
            PlannedVariant("flipped", kind, text.query_sentence(o.values, o.kind, style)[0], positive=self._picture(o))
            for kind, o in _one_offs(item, negatives).items()
        ]
        others = [(style + step) % text.STYLES for step in (1, 2)]
        variants += [
            PlannedVariant("paraphrased", text=text.query_sentence(item.values, item.kind, other)[0], number=number)
            for number, other in enumerate(others)
        ]
        return PlannedQuery(
            id=query_id,
            task="t2i",
            instruction=INSTRUCTIONS["t2i"],
            grains=grains,
            positive=self._picture(item),
            negatives=tuple(map(self._picture, negatives)),
            text=words,
            variants=tuple(variants),
        )

    def _i2t(self, item: Item) -> PlannedQuery | None:
        rng = self._rng("i2t", _name(item))
        style = rng.randrange(text.STYLES)
        return self._depicted("i2t", item, self._sentences, lambda item: self._sentence(item, style), rng)

    def _i2i(self, item: Item) -> PlannedQuery | None:
        return self._depicted("i2i", item, self._pictures, self._picture, self._rng("i2i", _name(item)))

    def _depicted(
        self, task: str, item: Item, pool: Pool, candidate: Callable[[Item], PlannedCandidate], rng: random.Random
    ) -> PlannedQuery | None:
        """Return a query that is a picture alone, or None. No candidate may keep all its grains and add others."""
        if item.key not in self._world.shown or pool.keeping(item.key) != 1:
            return None
        negatives = pool.ladder(item, rng, self._config.random_negatives)
        if negatives is None:
            return None
        neutral = {kind: self._neutral(item, kind) for kind in item.values}
        variants = [PlannedVariant("degrained", kind, picture=art) for kind, art in neutral.items() if art is not None]
        variants += self._drawn_variants(task, item, _one_offs(item, negatives), candidate)
        return PlannedQuery(
            id=record_id("emoji", task, self._split, _name(item)),
            task=task,
            instruction=INSTRUCTIONS[task],
            grains=item.grains,
            positive=candidate(item),
            negatives=tuple(map(candidate, negatives)),
            picture=self._shown(item),
            image_grains=item.grains,
            variants=tuple(variants),
        )

    def _drawn_variants(
        self, task: str, item: Item, one_offs: Mapping[str, Item], candidate: Callable[[Item], PlannedCandidate]
    ) -> Iterator[PlannedVariant]:
        """Yield a query with one grain flipped, of the type flipped least so far, and the same picture drawn again."""
        if self._split == "train":
            return
        clear = [kind for kind, other in one_offs.items() if other.key in self._world.shown]
        if clear:
            kind = min(clear, key=lambda kind: (self._flipped[task, kind], TYPES.index(kind)))
            self._flipped[task, kind] += 1
            other = one_offs[kind]
            yield PlannedVariant("flipped", kind, picture=self._shown(other), positive=candidate(other))
        yield PlannedVariant("paraphrased", picture=self._again(item))

    def _again(self, item: Item) -> Drawing:
        return replace(self._shown(item), again=True)

    def _neutral(self, item: Item, kind: str) -> Drawing | None:
        """Return the same picture without a gender, or in the default yellow; None if there is none."""
        without = self._everything.described.get(key_of(_without(item, kind)))
        return self._shown(without) if without is not None and kind in ("gender", "skin tone") else None

    # (image, text) -> image

    def _composed(self) -> list[PlannedQuery]:
        """Return composed queries, in turn for each grain type that the text can change, the rarest first."""
        waiting = {kind: self._shuffled(f"it2i {kind}", self._changeable(kind)) for kind in TYPES}
        count: Counter[str] = Counter()
        used: set[Key] = set()
        queries = []
        while any(waiting.values()):
            kind = min((kind for kind in TYPES if waiting[kind]), key=lambda kind: (count[kind], TYPES.index(kind)))
            item = waiting[kind].pop()
            if item.key in used:
                continue
            rng = self._rng("it2i", _name(item))
            changed = self._changes(item, kind, rng)
            query = self._it2i(item, changed, rng) if changed else None
            if query is not None:
                used.add(item.key)
                count.update(changed)
                queries.append(query)
        return queries

    def _changeable(self, kind: str) -> Iterator[Item]:
        for item in self._world.drawn.values():
            if kind in item.values and len(item.key) >= 2 and self._pictures.keeping(item.key) == 1:
                yield item

    def _references(self, item: Item, types: Iterable[str]) -> list[Item]:
        return [
            other
            for other in self._pictures.changed(item, types)
            if other.kind == item.kind and other.key in self._world.shown
        ]

    def _changes(self, item: Item, kind: str, rng: random.Random) -> tuple[str, ...]:
        """Return the types to change: this one, in half of the queries with another if a reference fits both.

        The text must fit many pictures; otherwise it would suffice to find the answer.
        """

        def fits(*kinds: str) -> bool:
            said = key_of({other: item.values[other] for other in kinds})
            return self._pictures.keeping(said) >= _FITTING and bool(self._references(item, kinds))

        others = [other for other in item.values if other != kind and fits(kind, other)]
        if others and rng.random() < 0.5:
            other = rng.choice(others)
            return tuple(t for t in item.values if t in (kind, other))
        return (kind,) if fits(kind) else ()

    def _it2i(self, item: Item, changed: tuple[str, ...], rng: random.Random) -> PlannedQuery | None:
        reference = rng.choice(self._references(item, changed))
        negatives = self._pictures.ladder(item, rng, self._config.random_negatives, first=reference)
        if negatives is None:
            return None
        style = rng.randrange(text.STYLES)
        changes = {kind: item.values[kind] for kind in changed}
        words, grains = text.change_sentence(changes, item.values, item.kind, style)
        return PlannedQuery(
            id=record_id("emoji", "it2i", self._split, _name(item), _name(reference)),
            task="it2i",
            instruction=INSTRUCTIONS["it2i"],
            grains=grains,
            positive=self._picture(item),
            negatives=tuple(map(self._picture, negatives)),
            text=words,
            picture=self._shown(reference),
            image_grains=reference.grains,
            variants=(
                *self._unchanged(item, reference, changes, words, style),
                *self._rewritten(item, reference, changes, style, _one_offs(item, negatives)),
            ),
        )

    def _rewritten(
        self, item: Item, reference: Item, changes: dict[str, str], style: int, one_offs: Mapping[str, Item]
    ) -> Iterator[PlannedVariant]:
        """Yield variants: another value of the change, the change in other words, and the picture drawn again."""
        picture = self._shown(reference)
        for kind in changes:
            other = one_offs[kind]
            if other.values[kind] != reference.values[kind]:
                flipped = {**changes, kind: other.values[kind]}
                words = text.change_sentence(flipped, other.values, other.kind, style)[0]
                yield PlannedVariant("flipped", kind, words, picture, self._picture(other))
        own = text.change_sentence(changes, item.values, item.kind, style)[0]
        ways = (text.change_sentence(changes, item.values, item.kind, n)[0] for n in range(text.STYLES))
        if (words := next((words for words in ways if words != own), "")) != "":
            yield PlannedVariant("paraphrased", "", words, picture)
        if self._split != "train":
            yield PlannedVariant("paraphrased", "", own, self._again(reference), number=1)

    def _unchanged(
        self, item: Item, reference: Item, changes: dict[str, str], words: str, style: int
    ) -> Iterator[PlannedVariant]:
        for kind in item.values:
            if kind in changes:
                fewer = {other: value for other, value in changes.items() if other != kind}
                shorter = text.change_sentence(fewer, item.values, item.kind, style)[0]
                yield PlannedVariant("degrained", kind, text=shorter, picture=self._shown(reference))
            elif (neutral := self._neutral(reference, kind)) is not None:
                yield PlannedVariant("degrained", kind, text=words, picture=neutral)


def _name(item: Item) -> str:
    return canonical_json(item.key)


def _without(item: Item, kind: str) -> dict[str, str]:
    return {other: value for other, value in item.values.items() if other != kind}


def _balanced(queries: Sequence[PlannedQuery], wanted: int) -> Iterator[PlannedQuery]:
    """Yield the queries in an order that gives every grain type its share of the wanted number, if there are enough.

    The rarest type goes first until each has its share. The rest keeps its order, so that activities stay varied.
    """
    rest = list(queries)
    types = {query.id: {grain.type for grain in query.grains} for query in queries}
    count = Counter(dict.fromkeys(TYPES, 0))
    while rest:
        left = {kind for query in rest for kind in types[query.id]}
        rare = [kind for kind in TYPES if kind in left and count[kind] < wanted // len(TYPES)]
        kind = min(rare, key=count.__getitem__, default=None)
        query = next(query for query in rest if kind is None or kind in types[query.id])
        rest.remove(query)
        count.update(types[query.id])
        yield query


def _one_offs(item: Item, negatives: Sequence[Item]) -> dict[str, Item]:
    """Return for each grain type the first negative that differs in this grain alone."""
    found: dict[str, Item] = {}
    for other in negatives:
        if [kind for kind, _ in other.key] == [kind for kind, _ in item.key]:
            differing = [kind for kind in item.values if other.values[kind] != item.values[kind]]
            if len(differing) == 1:
                found.setdefault(differing[0], other)
    return found
