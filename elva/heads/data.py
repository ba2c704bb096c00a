"""What heads are trained on: the features of a split, and for each task who asks, what answers, and its ladders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from mrbench.arrays import Bools, Embeddings, Ints, Rows, row_ends
from mrbench.benchmark import Benchmark
from mrbench.encode import EmbeddingStore, ModelSource
from mrbench.errors import InputError
from mrbench.models.protocol import EmbeddingModel
from mrbench.pools import TaskPool, load_pool, pool_modalities
from mrbench.pools.judgements import FromGrains, Judgements
from mrbench.records import Modality

PARTS: tuple[Modality, ...] = ("image", "text", "image,text")
"""What a head is for. Items of two parts have the last, or the sum of the first two where there is no such head."""


@dataclass(frozen=True)
class Lists:
    """Some candidates of each query, as arrays by query.

    Attributes:
        position: The candidates, shape ``(num_members,)``.
        ends: Where the candidates of query ``n`` begin and end: ``ends[n]`` and ``ends[n + 1]``.
    """

    position: Ints
    ends: Ints

    @classmethod
    def of(cls, query: Ints, position: Ints, num_queries: int) -> Lists:
        """Return lists from pairs, sorted by query."""
        order = np.argsort(query, kind="stable")
        return cls(position[order], row_ends(np.bincount(query, minlength=num_queries)))

    @property
    def query(self) -> Ints:
        """The query of every member, shape ``(num_members,)``."""
        return np.repeat(np.arange(len(self.ends) - 1), np.diff(self.ends))

    def draw(self, queries: Ints, number: int, rng: np.random.Generator) -> Ints:
        """Return random members of each query's list, with repeats, ``(len(queries), number)``; -1 for empty lists."""
        sizes = self.ends[queries + 1] - self.ends[queries]
        at = (rng.random((len(queries), number)) * sizes[:, None]).astype(np.int64) + self.ends[queries][:, None]
        if not len(self.position):
            return np.full(at.shape, -1)
        return np.where(sizes[:, None] > 0, self.position[np.minimum(at, len(self.position) - 1)], -1)


@dataclass(frozen=True)
class TrainTask:
    """A task: its queries and candidates as rows of feature tables, and what is known of each pair.

    Attributes:
        name: Name of the task.
        queries: Rows of the queries in the table of each of :data:`PARTS`, -1 for none; ``(num_queries, 3)``.
        candidates: The same of the candidates, ``(num_candidates, 3)``.
        query_rows: Index of each query in the pool.
        candidate_rows: Position of each candidate in the pool.
        relevant: The relevant candidates of each query.
        ladder: Its known negatives.
        pairs: Query, grain type and position of every negative that differs in one grain alone.
        pool: The pool: judgements, grains.
    """

    name: str
    queries: Ints
    candidates: Ints
    query_rows: Ints
    candidate_rows: Ints
    relevant: Lists
    ladder: Lists
    pairs: tuple[Ints, Ints, Ints]
    pool: TaskPool

    @property
    def judgements(self) -> Judgements:
        """What candidates are worth."""
        return self.pool.judgements

    def kept_of(self, query: Ints, position: Ints) -> tuple[Ints, Ints]:
        """Return how many grains each pair keeps and how many were asked; -1 where not known."""
        return self.judgements.kept_of(self.query_rows[query], self.candidate_rows[position])

    def relevant_to(self, queries: Ints, candidates: Ints) -> Bools:
        """Return which candidates answer which queries, shape ``(len(queries), len(candidates))``."""
        wanted = queries[:, None] * len(self.candidates) + candidates
        at = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        found: Bools = self._keys[at] == wanted
        return found

    @cached_property
    def _keys(self) -> Ints:
        return self.relevant.query * len(self.candidates) + self.relevant.position

    def alike(self, queries: Ints) -> Bools:
        """Return whose grains hold all of whose: what answers the second answers the first, judged or not.

        Returns:
            Shape ``(len(queries), len(queries))``: first and second. All false in a closed world, where judgements say
            so already, and for queries without a known grain.
        """
        codes = self.pool.query_grains[self.query_rows[queries]]
        if isinstance(self.judgements, FromGrains) or not codes.size:
            return np.zeros((len(queries), len(queries)), dtype=np.bool_)
        held = [(column[:, None] < 0) | (column[:, None] == column) for column in codes.T]
        found: Bools = np.logical_and.reduce(held) & (codes >= 0).any(axis=1, keepdims=True)
        return found

    def some(self, queries: Bools, candidates: Bools) -> TrainTask:
        """Return the task with some of its queries, those that keep a relevant candidate, and some candidates."""
        new = np.where(candidates, np.cumsum(candidates) - 1, -1)
        answered = np.bincount(self.relevant.query[candidates[self.relevant.position]], minlength=len(queries)) > 0
        queries = queries & answered
        row = np.where(queries, np.cumsum(queries) - 1, -1)

        def kept(query: Ints, position: Ints) -> Bools:
            return queries[query] & candidates[position]

        lists = []
        for held in (self.relevant, self.ladder):
            some = kept(held.query, held.position)
            lists.append(Lists.of(row[held.query[some]], new[held.position[some]], int(queries.sum())))
        query, kind, position = self.pairs
        some = kept(query, position)
        return replace(
            self,
            queries=self.queries[queries],
            candidates=self.candidates[candidates],
            query_rows=self.query_rows[queries],
            candidate_rows=self.candidate_rows[candidates],
            relevant=lists[0],
            ladder=lists[1],
            pairs=(row[query[some]], kind[some], new[position[some]]),
        )


@dataclass(frozen=True)
class Split:
    """The features of a split and its tasks.

    Attributes:
        tables: Unit vectors by part, shape ``(num_items, encoder's dimension)``.
        tasks: Its tasks that have a query.
        skipped: Tasks that the encoders cannot take, with the reason.
    """

    tables: Mapping[Modality, Embeddings]
    tasks: tuple[TrainTask, ...]
    skipped: Mapping[str, str]


Encoders = Mapping[Modality, EmbeddingModel]
"""Who embeds which part. An item of two parts is embedded whole where ``image,text`` is there, else by its parts."""


def read_split(benchmark: Benchmark, split: str, encoders: Encoders, cache: Path | None = None) -> Split:
    """Embed a split and read its tasks.

    Args:
        benchmark: The benchmark.
        split: The split.
        encoders: Who embeds what.
        cache: Folder of embeddings.

    Raises:
        InputError: The encoders can take no task of it.
        BenchmarkError: The benchmark is malformed.
    """
    reader = _Reader(benchmark, split, encoders, cache)
    skipped: dict[str, str] = {}
    tasks = []
    for name in benchmark.task_names:
        if not benchmark.count("queries", name, split):
            continue
        asked, answered = benchmark.task(name).query_modality, pool_modalities(benchmark, name, split, "task")
        lacking = [*(() if reader.takes(asked) else (asked,)), *(side for side in answered if side not in encoders)]
        if lacking:
            skipped[name] = f"the encoders take no {lacking[0].replace(',', '+')}"
        else:
            tasks.append(reader.task(load_pool(benchmark, name, split)))
    if not tasks:
        raise InputError(
            f"no task of the {split} split can be trained on",
            where=benchmark.folder,
            got="; ".join(f"{name}: {reason}" for name, reason in skipped.items()) or "no query",
            accepted="tasks of " + ", ".join(sorted({part.replace(",", "+") for part in encoders})),
        )
    return Split(reader.tables(), tuple(tasks), skipped)


class _Reader:
    """Embeds what tasks need, each corpus once."""

    def __init__(self, benchmark: Benchmark, split: str, encoders: Encoders, cache: Path | None) -> None:
        self._benchmark, self._split, self._encoders = benchmark, split, encoders
        models = {id(model): model for model in encoders.values()}
        self._sources = {
            key: ModelSource(model, benchmark, split, EmbeddingStore(model, cache)) for key, model in models.items()
        }
        self._tables: dict[Modality, list[Embeddings]] = {part: [] for part in PARTS}
        self._corpora: dict[str, Ints] = {}

    def takes(self, modality: Modality) -> bool:
        return modality in self._encoders or (modality == "image,text" and {"image", "text"} <= set(self._encoders))

    def task(self, pool: TaskPool) -> TrainTask:
        stacked = np.concatenate([self._corpus(name, pool) for name in pool.corpora])
        number = len(pool.query_ids)
        query, position = pool.relevant
        relevant = Lists.of(query, position, number)
        key = query * len(pool.candidate_ids) + position
        negative = ~np.isin(pool.ladder.query * len(pool.candidate_ids) + pool.ladder.position, key)
        ladder = Lists.of(pool.ladder.query[negative], pool.ladder.position[negative], number)
        pairs = (pool.pairs.query, pool.pairs.kind, pool.pairs.position)
        rows = np.arange(number), np.arange(len(pool.candidate_ids))
        return TrainTask(pool.task, self._queries(pool), stacked[pool.row], *rows, relevant, ladder, pairs, pool)

    def _queries(self, pool: TaskPool) -> Ints:
        asked = pool.definition.query_modality
        if asked in self._encoders:
            return self._add(asked, self._source(asked).queries(pool))
        parts = [self._add(part, self._source(part).parts(pool)[part]) for part in ("image", "text")]
        return np.maximum(*parts)  # each has -1 where the other has a row

    def tables(self) -> dict[Modality, Embeddings]:
        return {part: np.concatenate(found) for part, found in self._tables.items() if found}

    def _source(self, part: Modality) -> ModelSource:
        return self._sources[id(self._encoders[part])]

    def _corpus(self, name: str, pool: TaskPool) -> Ints:
        rows = pool.corpus_rows.get(name)
        if rows is not None:
            return self._embedded(name, rows)
        if name not in self._corpora:
            self._corpora[name] = self._embedded(name, None)
        return self._corpora[name]

    def _embedded(self, name: str, rows: Ints | None) -> Ints:
        modality = self._benchmark.corpora[name]
        return self._add(modality, self._source(modality).corpus(name, rows))

    def _add(self, part: Modality, vectors: Rows) -> Ints:
        """Add vectors to the table of a part, and return their rows in it."""
        assert isinstance(vectors, np.ndarray)  # noqa: S101 - encoders have one vector an item, see load_encoder
        rows = np.full((len(vectors), len(PARTS)), -1, dtype=np.int64)
        rows[:, PARTS.index(part)] = np.arange(len(vectors)) + sum(map(len, self._tables[part]))
        self._tables[part].append(vectors)
        return rows
