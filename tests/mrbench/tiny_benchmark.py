"""A benchmark of 36 candidates per modality, and models whose sight is known, to test what lies between the two."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image

from mrbench.benchmark import Benchmark, encode_png, write_benchmark
from mrbench.models.protocol import Item
from mrbench.records import MODALITIES, Candidate, Grain, Ladder, Query, Variant, judge

VALUES = {
    "count": ("one", "two", "three"),
    "entity": ("cat", "dog", "owl", "fox"),
    "place": ("sea", "hill", "road"),
}
TYPES = tuple(VALUES)
COMBINATIONS = list(product(*VALUES.values()))
QUERIES = {"t2i": 8, "i2t": 6, "i2i": 6, "it2i": 6}


def picture(values: Sequence[str], hand: int) -> Image.Image:
    """A picture whose three stripes tell its grains by brightness, white for none; another hand draws another size."""
    image = Image.new("RGB", (9, 6 + hand), "white")
    for stripe, (kind, value) in enumerate(zip(TYPES, values, strict=True)):
        if not value:
            continue
        level = 60 * VALUES[kind].index(value) + 10 + hand
        image.paste((level, level, level), (3 * stripe, 0, 3 * stripe + 3, 6 + hand))
    return image


def seen(image: Image.Image) -> dict[str, str]:
    levels = {kind: image.getpixel((3 * stripe, 0))[0] for stripe, kind in enumerate(TYPES)}
    return {kind: VALUES[kind][level // 60] for kind, level in levels.items() if level < 255}


def read(text: str) -> dict[str, str]:
    return {kind: value for kind, values in VALUES.items() for value in values if value in text.split()}


class Oracle:
    """Knows every grain, but for those it is told to be blind to: a sum of one-hot vectors."""

    revision, device, dtype = "1", "cpu", "float32"
    modalities = frozenset(MODALITIES)
    dimension = 1 + sum(map(len, VALUES.values()))

    def __init__(self, name: str = "oracle", *, blind_to: Sequence[str] = (), modalities=MODALITIES) -> None:
        self.name, self.blind_to, self.modalities = name, blind_to, frozenset(modalities)
        self.instructions: list[str] = []
        self.items = 0

    def embed_queries(self, items: Sequence[Item], instruction: str) -> np.ndarray:
        self.instructions.append(instruction)
        return self.embed_candidates(items)

    def embed_candidates(self, items: Sequence[Item]) -> np.ndarray:
        self.items += len(items)
        return np.array([self._embed(item) for item in items], dtype=np.float32)

    def _embed(self, item: Item) -> list[float]:
        grains = seen(item.image) if item.image is not None else {}
        grains |= read(item.text) if item.text is not None else {}
        return [0.5] + [
            float(kind not in self.blind_to and grains.get(kind) == value)
            for kind, values in VALUES.items()
            for value in values
        ]


class Constant(Oracle):
    """One vector for everything."""

    def _embed(self, item: Item) -> list[float]:
        return [1.0] * self.dimension


class Guess(Oracle):
    """A vector that the content decides, without sense."""

    def _embed(self, item: Item) -> list[float]:
        content = (item.text or "").encode() + (b"" if item.image is None else item.image.tobytes())
        seed = int.from_bytes(hashlib.sha256(content).digest()[:8], "big")
        return np.random.default_rng(seed).standard_normal(self.dimension).tolist()


def grains(values: Sequence[str]) -> tuple[Grain, ...]:
    return tuple(Grain(kind, value) for kind, value in zip(TYPES, values, strict=True))


def record_id(*parts: object, salt: str = "") -> str:
    return hashlib.sha256(repr((salt, *parts)).encode()).hexdigest()[:16]


def candidate(modality: str, values: Sequence[str], salt: str = "") -> Candidate:
    image = encode_png(picture(values, 0)) if modality == "image" else None
    text = None if image else f"{' '.join(values)} ."
    return Candidate(record_id(modality, values, salt=salt), grains(values), text, image)


def queries(task: str) -> list[Query]:
    """Queries of a task; every second text query leaves out the place."""
    found = []
    for number in range(QUERIES[task]):
        values = COMBINATIONS[(number * 7 + len(task)) % len(COMBINATIONS)]
        asked, text, image, shown = grains(values), None, None, ()
        if task == "t2i":
            asked = asked[: 3 - number % 2]
            text = "show " + " ".join(grain.value for grain in asked)
        else:
            first = VALUES["count"][(VALUES["count"].index(values[0]) + 1) % 3]
            drawn = (first, *values[1:]) if task == "it2i" else values
            image, shown = encode_png(picture(drawn, 1)), grains(drawn)
            text = f"now {values[0]}" if task == "it2i" else None
        instruction = f"find {task} {number % 2}"
        found.append(Query(record_id(task, number), task, instruction, asked, text, image, shown))
    return found


def ladder(query: Query, pool: dict[tuple[str, ...], Candidate]) -> Ladder:
    """The positive, one that differs in each grain of the query, and two that differ in all."""
    asked = {grain.type: grain.value for grain in query.grains}
    positive = next(
        values for values in COMBINATIONS if all(asked.get(t, v) == v for t, v in zip(TYPES, values, strict=True))
    )
    following = [
        VALUES[kind][(VALUES[kind].index(v) + 1) % len(VALUES[kind])] for kind, v in zip(TYPES, positive, strict=True)
    ]
    members = [positive, tuple(following)]
    members += [(*positive[:at], following[at], *positive[at + 1 :]) for at, kind in enumerate(TYPES) if kind in asked]
    ids = sorted(pool[values].id for values in members)
    return Ladder(query.id, pool[positive].id, tuple(ids))


def variants(query: Query, steps: Ladder, pool: dict[tuple[str, ...], Candidate]) -> list[Variant]:
    """Without each grain, with another value of it, and in other words: grains are changed where they are told."""
    values_of = {c.id: values for values, c in pool.items()}
    positive = values_of[steps.positive_id]
    shown = {grain.type: grain.value for grain in query.image_grains}
    said = [grain.type for grain in query.grains if query.text is not None and grain.value in query.text.split()]

    def told(values: dict[str, str], opening: str = "", hand: int = 1) -> tuple:
        text = None if query.text is None else " ".join([opening, *(values[kind] for kind in said if values[kind])])
        drawn = [values[kind] if kind not in said else shown.get(kind, "") for kind in TYPES]
        return text, encode_png(picture(drawn, hand)) if query.image else None

    own = dict(zip(TYPES, positive, strict=True))
    opening = "" if query.text is None else query.text.split()[0]
    found = []
    for grain in query.grains:
        following = next(
            i
            for i in steps.candidate_ids
            if [k for k, a, b in zip(TYPES, positive, values_of[i], strict=True) if a != b] == [grain.type]
        )
        other = dict(zip(TYPES, values_of[following], strict=True))[grain.type]
        found.append(
            Variant(query.id, "degrained", grain.type, steps.positive_id, *told({**own, grain.type: ""}, opening))
        )
        found.append(Variant(query.id, "flipped", grain.type, following, *told({**own, grain.type: other}, opening)))
    words = ("please", "give")
    found += [
        Variant(query.id, "paraphrased", "", steps.positive_id, *told(own, words[n], 2 + n), number=n) for n in (0, 1)
    ]
    return found


def write_tiny(
    folder: Path,
    *,
    salt: str = "",
    reverse: bool = False,
    tasks: Sequence[str] = tuple(QUERIES),
    kinds: Sequence[str] = ("degrained", "flipped", "paraphrased"),
) -> Benchmark:
    """Write the benchmark. The salt changes the ids of candidates, ``reverse`` their order; neither may matter.

    ``kinds`` are the kinds of variants that it has.
    """
    with write_benchmark(folder) as writer:
        pools = {m: {v: candidate(m, v, salt) for v in COMBINATIONS} for m in ("image", "text")}
        for pool in pools.values():
            writer.add_candidates("test", list(pool.values())[:: -1 if reverse else 1])
        for task in tasks:
            pool = pools["text" if task == "i2t" else "image"]
            asked = queries(task)
            writer.add_queries("test", asked)
            for query in asked:
                steps = ladder(query, pool)
                writer.add_ladders("test", task, [steps])
                writer.add_variants("test", task, [v for v in variants(query, steps, pool) if v.kind in kinds])
                judged = [judge(query, c) for c in pool.values()]
                writer.add_judgements(
                    "test", task, [j for j in judged if j.relevance or j.candidate_id in steps.candidate_ids]
                )
        writer.finish(
            name="tiny",
            title="Tiny",
            builder={"name": "tiny", "version": "1", "config": {}, "cluster_grain": "entity"},
            seed=0,
            tools={},
            sources=(),
            licence="CC0-1.0",
            split_rule={},
            description="Tiny.",
        )
    return Benchmark(folder)
