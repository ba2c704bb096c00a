"""Plans one split: its queries, their ladders, and the fill of its pool."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

from mrbench.build.scenes.config import ScenesConfig
from mrbench.build.scenes.ladders import Ladder, SplitScenes, grains_of
from mrbench.build.scenes.picture import Picture
from mrbench.build.scenes.text import CANDIDATE_PHRASINGS, QUERY_PHRASINGS, candidate_text, change_text, query_text
from mrbench.build.scenes.vocabulary import BACKGROUND, FILL_WEIGHTS, FRAMES, QUERY_WEIGHTS, RELATION, SIZE, Scene
from mrbench.build.suite import PlannedCandidate, PlannedQuery, PlannedVariant, SplitPlan, record_id
from mrbench.files import canonical_json
from mrbench.records import TASKS, Grain

INSTRUCTIONS = {
    "t2i": "Find the picture of the described scene.",
    "i2t": "Find the description of the scene in the picture.",
    "i2i": "Find the same scene by another artist: the same things, number, size, place and background.",
    "it2i": "Find the scene of the picture, by another artist, with the change that the text asks for.",
}
_SMALL = 4  # a query picture with fewer grains would clash with too many candidates that show more
_PLAIN = (BACKGROUND, SIZE)  # grains with neutral art: a white page, a medium size
_ONE_CHANGE = 0.36  # share of composed queries that change one grain; the others change two
_DECOYS = 16  # neighbours of a composed query's picture in the pool, equally good without the text
_SHOWN = (BACKGROUND, SIZE, RELATION)  # grains that a picture can flip without contradicting the query's text


class SplitPlanner:
    """Plans one split; all tasks ask for the same scenes, so that their scores can be compared."""

    def __init__(self, split: str, config: ScenesConfig, seed: int) -> None:
        self._split, self._config, self._seed = split, config, seed
        self._scenes = SplitScenes(split, config.shares, seed)
        self._changed: Counter[str] = Counter()
        self._flipped: Counter[tuple[str, str]] = Counter()
        self._decoys: list[Scene] = []

    def plan(self) -> SplitPlan:
        """Return the plan; its fill is a stream."""
        wanted = self._config.queries_of(self._split)
        weights = dict(zip(FRAMES, QUERY_WEIGHTS, strict=True))
        few = {frame: weight for frame, weight in weights.items() if len(frame) < _SMALL}
        many = {frame: weight for frame, weight in weights.items() if len(frame) >= _SMALL}
        wanted_few = round(wanted * sum(few.values()) / sum(weights.values()))
        large = list(islice(self._scenes.ladders("targets", many), wanted + wanted // 5 + 8))
        small = list(islice(self._scenes.ladders("small targets", few), 2 * wanted_few))
        asked = Counter(pair for ladder in (*large[:wanted], *small[:wanted_few]) for pair in ladder.target.items())
        large, small = ([self._scenes.rebalanced(ladder, asked) for ladder in part] for part in (large, small))
        strangers = [ladder.target for ladder in large[: wanted + 2 * self._config.random_negatives]]
        queries: dict[str, Sequence[PlannedQuery]] = {
            task: [self._query(task, ladder, strangers) for ladder in large] for task in TASKS
        }
        short = [self._query("t2i", ladder, strangers) for ladder in small]
        quota = _Quota([*short, *queries["t2i"]], self._config.max_positives)
        pictures = {c.id: c for q in (*short, *queries["t2i"], *queries["it2i"]) for c in q.ladder}
        for candidate in pictures.values():
            quota.count(candidate)
        short = [query for query in short if quota.keeps(query)][:wanted_few]
        queries["t2i"] = [*short, *(query for query in queries["t2i"] if quota.keeps(query))]
        decoys = {_key(scene): scene for scene in self._decoys}
        strewn = (scene for scene in self._fill("image") if _key(scene) not in decoys)
        fill: dict[str, Iterable[PlannedCandidate]] = {
            "image": filter(quota.admit, map(self._picture, chain(decoys.values(), strewn))),
            "text": map(self._description, self._fill("text")),
        }
        return SplitPlan(self._split, queries, wanted, fill, self._config.pool_of(self._split))

    def _fill(self, modality: str) -> Iterator[Scene]:
        return self._scenes.stream(f"{modality} fill", dict(zip(FRAMES, FILL_WEIGHTS, strict=True)))

    def _query(self, task: str, ladder: Ladder, strangers: list[Scene]) -> PlannedQuery:
        rng = self._rng(task, ladder.target)
        member = self._description if TASKS[task].candidate_modality == "text" else self._picture
        members = [member(scene) for scene in (*ladder.scenes, *self._random(ladder, strangers, rng))]
        make = {"t2i": self._text_parts, "it2i": self._changed_parts}.get(task, self._image_parts)
        return PlannedQuery(
            id=record_id("scenes", self._seed, task, _key(ladder.target)),
            task=task,
            instruction=INSTRUCTIONS[task],
            positive=members[0],
            negatives=tuple(members[1:]),
            **make(task, ladder, rng),
        )

    def _random(self, ladder: Ladder, strangers: list[Scene], rng: random.Random) -> list[Scene]:
        """Return targets of other queries that do not keep all grains of this one."""
        near = {_key(scene) for scene in ladder.scenes}
        asked = ladder.target.items()
        wanted = self._config.random_negatives
        drawn = rng.sample(strangers, min(len(strangers), 2 * wanted + 10))  # more than wanted, since some do not fit
        return [scene for scene in drawn if _key(scene) not in near and not asked <= scene.items()][:wanted]

    def _text_parts(self, task: str, ladder: Ladder, rng: random.Random) -> dict[str, Any]:
        phrasing = rng.randrange(QUERY_PHRASINGS)
        text, grains = query_text(ladder.target, phrasing)
        variants = [
            PlannedVariant("degrained", kind, query_text(ladder.target, phrasing, kind)[0]) for kind in ladder.target
        ]
        variants += [
            PlannedVariant("flipped", kind, query_text(other, phrasing)[0], positive=self._picture(other))
            for kind, other in ladder.one_off.items()
        ]
        # Each paraphrase has another opening, and one has focus and landmark in the other order.
        again = [query_text(ladder.target, (phrasing + step) % QUERY_PHRASINGS)[0] for step in (3, 2)]
        variants += [PlannedVariant("paraphrased", text=words, number=n) for n, words in enumerate(again)]
        return {"text": text, "grains": grains, "variants": tuple(variants)}

    def _image_parts(self, task: str, ladder: Ladder, rng: random.Random) -> dict[str, Any]:
        grains = grains_of(ladder.target)
        variants = [
            PlannedVariant("degrained", kind, picture=self._drawn(task, ladder.target, kind))
            for kind in _PLAIN
            if kind in ladder.target
        ]
        if self._split != "train":
            kind = self._next_flip(task, ladder.target, rng)
            other = ladder.one_off[kind]
            member = self._description if TASKS[task].candidate_modality == "text" else self._picture
            variants.append(PlannedVariant("flipped", kind, picture=self._drawn(task, other), positive=member(other)))
            variants.append(PlannedVariant("paraphrased", picture=self._drawn(task, ladder.target, again=True)))
        return {
            "picture": self._drawn(task, ladder.target),
            "grains": grains,
            "image_grains": grains,
            "variants": tuple(variants),
        }

    def _next_flip(self, task: str, kinds: Iterable[str], rng: random.Random) -> str:
        """Return the grain type flipped least so far. Flipping every grain would need too many pictures."""
        kind = min(kinds, key=lambda kind: (self._flipped[task, kind], rng.random()))
        self._flipped[task, kind] += 1
        return kind

    def _changed_parts(self, task: str, ladder: Ladder, rng: random.Random) -> dict[str, Any]:
        """Return the parts of a composed query: the picture of a ladder scene one or two grains off, and the change."""
        target = ladder.target
        one = min(target, key=lambda kind: (self._changed[kind], rng.random()))
        reference = ladder.further[0]
        if rng.random() < _ONE_CHANGE:
            reference = ladder.one_off[one]
            self._decoys += self._scenes.around(reference, _DECOYS, rng)
        stated = tuple(kind for kind in target if target[kind] != reference[kind])
        self._changed.update(stated)
        wording = rng.random()

        def said(kinds: Iterable[str], scene: Scene = target, way: str = "") -> tuple[str, tuple[Grain, ...]]:
            return change_text(scene, reference, tuple(kinds), random.Random(f"scenes:{wording}{way}"))

        text, grains = said(stated)
        picture = self._drawn(task, reference)
        variants = [
            PlannedVariant("degrained", kind, said(other for other in stated if other != kind)[0], picture)
            if kind in stated
            else PlannedVariant("degrained", kind, text, self._drawn(task, reference, kind))
            for kind in target
            if kind in stated or kind in _PLAIN
        ]
        variants += [
            PlannedVariant("flipped", kind, said(stated, other)[0], picture, self._picture(other))
            for kind, other in ladder.one_off.items()
            if kind in stated and other[kind] != reference[kind]
        ]
        ways = (said(stated, way=f":{number}")[0] for number in range(20))
        if (words := next((words for words in ways if words != text), None)) is not None:
            variants.append(PlannedVariant("paraphrased", text=words, picture=picture))
        if self._split != "train":
            variants.append(PlannedVariant("paraphrased", "", text, self._drawn(task, reference, again=True), number=1))
            shown = [kind for kind in _SHOWN if kind in target and kind not in stated]
            if shown:
                kind = self._next_flip(task, shown, rng)
                other = ladder.one_off[kind]
                drawn = self._drawn(task, reference | {kind: other[kind]})
                variants.append(PlannedVariant("flipped", kind, text, drawn, self._picture(other)))
        return {
            "text": text,
            "grains": grains,
            "picture": picture,
            "image_grains": grains_of(reference),
            "variants": tuple(variants),
        }

    def _drawn(self, task: str, scene: Scene, without: str | None = None, *, again: bool = False) -> Picture:
        shown = tuple((kind, value) for kind, value in scene.items() if kind != without)
        key = f"{self._seed}:{task}:{_key(scene)}" + (":again" if again else "")
        return Picture(shown, "openmoji", key, self._config.size)

    def _picture(self, scene: Scene) -> PlannedCandidate:
        key = _key(scene)
        picture = Picture(tuple(scene.items()), "twemoji", f"{self._seed}:candidate:{key}", self._config.size)
        return PlannedCandidate(record_id("scenes", self._seed, "image", key), grains_of(scene), picture=picture)

    def _description(self, scene: Scene) -> PlannedCandidate:
        text, grains = candidate_text(scene, self._rng("candidate", scene).randrange(CANDIDATE_PHRASINGS))
        return PlannedCandidate(record_id("scenes", self._seed, "text", _key(scene)), grains, text)

    def _rng(self, purpose: str, scene: Scene) -> random.Random:
        return random.Random(f"scenes:{self._seed}:{purpose}:{_key(scene)}")


class _Quota:
    """Limits the number of candidates that are relevant to a text query."""

    def __init__(self, queries: Iterable[PlannedQuery], maximum: int) -> None:
        self._maximum = maximum
        self._relevant: dict[tuple[str, ...], Counter[tuple[str, ...]]] = {}
        for query in queries:
            values = {grain.type: grain.value for grain in query.grains}
            self._relevant.setdefault(tuple(values), Counter())[tuple(values.values())] = 0

    def _asking(self, candidate: PlannedCandidate) -> list[tuple[Counter[tuple[str, ...]], tuple[str, ...]]]:
        shown = {grain.type: grain.value for grain in candidate.grains}
        found = []
        for kinds, counts in self._relevant.items():
            values = tuple(shown.get(kind, "") for kind in kinds)
            if values in counts:
                found.append((counts, values))
        return found

    def count(self, candidate: PlannedCandidate) -> None:
        """Count a candidate that is in the pool in any case."""
        for counts, values in self._asking(candidate):
            counts[values] += 1

    def keeps(self, query: PlannedQuery) -> bool:
        """Return whether the query has no more relevant candidates than allowed."""
        values = {grain.type: grain.value for grain in query.grains}
        return self._relevant[tuple(values)][tuple(values.values())] <= self._maximum

    def admit(self, candidate: PlannedCandidate) -> bool:
        """Count a candidate and return True, unless it would give a query too many relevant candidates."""
        asking = self._asking(candidate)
        if any(counts[values] >= self._maximum for counts, values in asking):
            return False
        for counts, values in asking:
            counts[values] += 1
        return True


def _key(scene: Scene) -> str:
    return canonical_json(list(scene.items()))
