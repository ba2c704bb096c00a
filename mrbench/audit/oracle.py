"""An embedding made of the known grains: what a perfect model would do, or one that is blind to chosen grain types."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from mrbench.arrays import Embeddings, Ints
from mrbench.benchmark import Benchmark
from mrbench.pools import TaskPool
from mrbench.pools.cut_texts import CutTexts
from mrbench.records import Grain

Rows = np.ndarray[Any, np.dtype[np.float32]]


class GrainSpace:
    """One dimension for every value of every grain type, and two more to give every record the same length.

    Args:
        records: Grains of every record that will be embedded.

    >>> space = GrainSpace([(Grain("count", "one"),), (Grain("count", "two"), Grain("entity", "cat"))])
    >>> space.grains([(Grain("entity", "cat"),)])
    array([[0., 0., 1.]], dtype=float32)
    """

    def __init__(self, records: Iterable[Sequence[Grain]]) -> None:
        pairs = sorted({(grain.type, grain.value) for grains in records for grain in grains})
        self._column = {pair: number for number, pair in enumerate(pairs)}
        self.types = np.array([kind for kind, _ in pairs])

    def __len__(self) -> int:
        return len(self._column)

    def grains(self, records: Sequence[Sequence[Grain]]) -> Rows:
        """Return 1 where a record has the grain, shape ``(len(records), len(self))``."""
        rows = np.zeros((len(records), len(self._column)), dtype=np.float32)
        for row, grains in zip(rows, records, strict=True):
            row[[self._column[grain.type, grain.value] for grain in grains]] = 1
        return rows


class OracleSource:
    """Embeds records by their known grains: the cosine grows with the number of grains kept, and with nothing else.

    A query is the sum of its grains. A candidate is the sum of its grains and a filler that no query has, so that all
    candidates have one length and showing more costs nothing. Types that the oracle is blind to are left out. Noise
    is normal, drawn from a hash of what is embedded.

    Args:
        benchmark: The benchmark.
        split: The split.
        blind_to: Grain types that it does not see.
        noise: Length of the noise, in units of one grain, 0 or more.
        seed: Seed of the noise.
    """

    def __init__(
        self, benchmark: Benchmark, split: str, *, blind_to: Sequence[str] = (), noise: float = 0.0, seed: int = 0
    ) -> None:
        self._benchmark, self._split = benchmark, split
        self._blind, self._noise, self._seed = frozenset(blind_to), noise, seed
        modalities = [name for name, number in benchmark.manifest.counts[split]["corpus"].items() if number]
        self._corpora = {name: _read(benchmark.corpus(name, split)) for name in modalities}
        tasks = [task for task in benchmark.task_names if benchmark.manifest.counts[split]["queries"].get(task)]
        self._queries = {task: _read(benchmark.queries(task, split)) for task in tasks}
        shown = {task: _read_shown(benchmark, task, split) for task in tasks}
        self._shown = {task: grains for task, grains in shown.items() if grains}
        known = [*self._corpora.values(), *self._queries.values(), *self._shown.values()]
        self.space = GrainSpace(grains for part in known for grains in part.values())
        self._most = max(len(grains) for part in self._corpora.values() for grains in part.values())

    def corpus(self, modality: str, rows: Ints | None = None) -> Embeddings:
        """Embed the candidates of one modality, or those in some rows of it, ascending."""
        records = self._corpora[modality]
        if rows is not None:
            names = list(records)
            records = {names[row]: records[names[row]] for row in rows.tolist()}
        seen = self._seen(list(records.values()))
        filler = np.sqrt(np.maximum(self._most - (seen**2).sum(axis=1, keepdims=True), 0))
        return self._unit(seen, filler, 0, [f"candidate {name}" for name in records])

    def queries(self, pool: TaskPool) -> Embeddings:
        """Embed the queries of a task."""
        ids = pool.query_ids.tolist()
        return self._asked([self._queries[pool.task][name] for name in ids], [f"query {name}" for name in ids])

    def cut_texts(self, pool: TaskPool) -> CutTexts | None:
        """Return None: an oracle reads no text."""
        return None

    def variants(self, pool: TaskPool) -> Embeddings:
        """Embed the variants: without the grain, with the value of the candidate they ask for, or unchanged."""
        ids, variants = pool.query_ids.tolist(), pool.variants
        records, keys = [], []
        candidates = self._corpora[self._benchmark.task(pool.task).candidate_modality]
        targets = pool.candidate_ids[variants.target].tolist()
        for query, kind, grain, number, target in zip(
            variants.query, variants.kind, variants.grain, variants.number, targets, strict=True
        ):
            own = self._queries[pool.task][ids[query]]
            if kind == "degrained":
                own = tuple(g for g in own if g.type != grain)
            elif kind == "flipped":
                other = {g.type: g for g in candidates[target]}
                own = tuple(other[g.type] if g.type == grain else g for g in own)
            records.append(own)
            keys.append(f"variant {ids[query]} {kind} {grain} {number}")
        return self._asked(records, keys)

    def parts(self, pool: TaskPool) -> dict[str, Embeddings]:
        """Embed of composed queries what the picture shows and what the text states."""
        if pool.task not in self._shown:
            return {}
        ids = pool.query_ids.tolist()
        image = [self._shown[pool.task][name] for name in ids]
        text = [tuple(g for g in self._queries[pool.task][name] if g.start is not None) for name in ids]
        return {
            "image": self._asked(image, [f"image {name}" for name in ids]),
            "text": self._asked(text, [f"text {name}" for name in ids]),
        }

    def setting(self, pool: TaskPool) -> dict[str, str]:
        """Return nothing: grains are embedded in one way only."""
        return {}

    def halves(self, pool: TaskPool) -> tuple[Rows, Rows, Rows]:
        """Return the grains of the pool's candidates, and of composed queries what they show and what they state.

        Returns:
            1 where a record has the grain: ``(num_candidates, num_grains)``, and twice ``(num_queries, num_grains)``.
        """
        ids = pool.query_ids.tolist()
        candidates = {**self._corpora["image"]}
        return (
            self.space.grains([candidates[name] for name in pool.candidate_ids.tolist()]),
            self.space.grains([self._shown[pool.task][name] for name in ids]),
            self.space.grains([[g for g in self._queries[pool.task][name] if g.start is not None] for name in ids]),
        )

    def _seen(self, records: Sequence[Sequence[Grain]]) -> Rows:
        return self.space.grains([[g for g in grains if g.type not in self._blind] for grains in records])

    def _asked(self, records: Sequence[Sequence[Grain]], keys: Sequence[str]) -> Embeddings:
        rows = self._seen(records)
        return self._unit(rows, np.ones((len(rows), 1)), 1, keys)

    def _unit(self, rows: Rows, filler: Any, at: int, keys: Sequence[str]) -> Embeddings:
        vectors = np.zeros((len(rows), len(self.space) + 2))
        vectors[:, : len(self.space)] = rows
        vectors[:, len(self.space) + at : len(self.space) + at + 1] = filler
        if self._noise:
            for row, key in zip(vectors, keys, strict=True):  # no row where a suite has no variants
                row += _normal(f"{self._seed} {key}", len(row)) * (self._noise / np.sqrt(len(row)))
        unit: Embeddings = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        return unit


def _normal(key: str, number: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    return np.random.default_rng(seed).standard_normal(number)


def _read(records: Any) -> dict[str, tuple[Grain, ...]]:
    table = records.table(["id", "grains"])
    return dict(zip(table["id"].to_pylist(), map(_grains, table["grains"].to_pylist()), strict=True))


def _read_shown(benchmark: Benchmark, task: str, split: str) -> dict[str, tuple[Grain, ...]]:
    if benchmark.task(task).query_modality != "image,text":
        return {}
    table = benchmark.queries(task, split).table(["id", "image_grains"])
    return dict(zip(table["id"].to_pylist(), map(_grains, table["image_grains"].to_pylist()), strict=True))


def _grains(rows: list[dict[str, Any]]) -> tuple[Grain, ...]:
    return tuple(Grain(row["type"], row["value"], row["start"], row["end"]) for row in rows)
