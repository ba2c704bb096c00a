"""The pool of a task as integer arrays: who asks, who answers, and what each candidate is worth to each query."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mrbench.arrays import Ints
from mrbench.benchmark import Benchmark
from mrbench.errors import BenchmarkError, InputError
from mrbench.pools import grades
from mrbench.pools.grades import NONE, Codes

PoolName = Literal["task", "union"]
POOLS: tuple[PoolName, ...] = ("task", "union")
_ID = re.compile(r"[^\s/\\\x00]+")  # an id is a field of a TREC run, which white space separates
_NOTHING = "no query or no candidate to score"


@dataclass(frozen=True)
class Variants:
    """The variants of a task's queries in file order, arrays of shape ``(num_variants,)``.

    Attributes:
        query: Index of the query in the pool.
        kind: ``degrained``, ``flipped`` or ``paraphrased``.
        grain: The grain type that was dropped or flipped; empty for a paraphrase.
        number: 0, 1, ... among variants of one query, kind and grain.
        target: Position of the candidate that the variant asks for.
        row: Row in the benchmark's table.
    """

    query: Ints
    kind: np.ndarray[Any, np.dtype[np.str_]]
    grain: np.ndarray[Any, np.dtype[np.str_]]
    number: Ints
    target: Ints
    row: Ints


@dataclass(frozen=True)
class TaskPool:
    """One task of one split: the queries asked, and the candidates they are asked of, sorted by id.

    A grain is a code: the index of its value in a list over all records; -1 where a record has no grain of the type.

    Attributes:
        modalities: The modalities of the candidates, in the order in which their embeddings are stacked.
        query_ids: Shape ``(num_queries,)``, in file order.
        query_grains: Codes, shape ``(num_queries, num_types)``.
        candidate_ids: Shape ``(num_candidates,)``, sorted.
        candidate_grains: Codes, shape ``(num_types, num_candidates)``; all -1 for candidates of another modality
            than the task's, which are worth nothing to its queries.
        row: Row of each candidate in the stacked embeddings, shape ``(num_candidates,)``.
        modality: Index of each candidate's modality in ``modalities``, the same shape.
        own_modality: Index of the modality that the task asks for.
        grain_types: The names of the types, sorted.
        ladders: For each query the positions of its positive and of all members of its ladder.
        variants: The queries in other forms.
        clusters: For each query what it is about, as the value of a grain that the benchmark names; its id where there
            is none. Queries that share it share art, and are not independent.
    """

    task: str
    modalities: tuple[str, ...]
    query_ids: np.ndarray[Any, np.dtype[np.str_]]
    query_grains: Codes
    candidate_ids: np.ndarray[Any, np.dtype[np.str_]]
    candidate_grains: Codes
    row: Ints
    modality: Ints
    own_modality: int
    grain_types: tuple[str, ...]
    ladders: tuple[tuple[int, Ints], ...]
    variants: Variants
    clusters: np.ndarray[Any, np.dtype[np.str_]]

    @property
    def positives(self) -> Ints:
        """Position of each query's own positive, shape ``(num_queries,)``."""
        return np.array([positive for positive, _ in self.ladders], dtype=np.int64)

    def grades(self, query: int) -> np.ndarray[Any, np.dtype[np.int16]]:
        """Return how many of a query's grains each candidate keeps, shape ``(num_candidates,)``."""
        return grades.grades(self.query_grains[query], self.candidate_grains)

    def grades_of(self, query: Ints, position: Ints) -> Ints:
        """Return how many of its query's grains the candidate of each pair keeps, shape ``(num_pairs,)``."""
        return grades.grades_of(self.query_grains, self.candidate_grains, query, position)

    def number_of_grains(self, query: int) -> int:
        """Return how many grains a query has: the grade of a relevant candidate."""
        return int((self.query_grains[query] != NONE).sum())

    @cached_property
    def names(self) -> dict[str, pa.Array]:
        """The ids as Arrow has them, by the column of a run that refers to them."""
        return {
            "query-id": pa.array(self.query_ids.tolist(), pa.string()),
            "corpus-id": pa.array(self.candidate_ids.tolist(), pa.string()),
        }

    @cached_property
    def relevant(self) -> tuple[Ints, Ints]:
        """Query and position of every candidate that keeps all grains of a query, by query and position.

        Each of shape ``(num_relevant,)``.
        """
        return grades.relevant(self.query_grains, self.candidate_grains)

    @cached_property
    def grade_counts(self) -> Ints:
        """How many candidates have each grade of each query, shape ``(num_queries, num_types + 1)``."""
        return grades.counts(self.query_grains, self.candidate_grains)

    @cached_property
    def pairs(self) -> tuple[Ints, Ints, Ints]:
        """Query, grain type and position of every ladder member that differs from its positive in one grain only.

        Each of shape ``(num_pairs,)``, sorted by query.

        Raises:
            BenchmarkError: A query lacks such a candidate for one of its grains.
        """
        return _pairs(self)


def load_pool(
    benchmark: Benchmark, task: str, split: str, *, pool: str = "task", limit: int | None = None, seed: int = 0
) -> TaskPool:
    """Read a task's queries and candidates, without their texts and images.

    Args:
        benchmark: The benchmark.
        task: One of its tasks.
        split: One of its splits.
        pool: ``task``: candidates of the task's modality; ``union``: of all modalities.
        limit: Number of queries to keep: those whose ids, hashed with the seed, come first. None keeps all.
        seed: Seed of that sample.

    Raises:
        InputError: Unknown task, split or pool.
        BenchmarkError: No query or no candidate, an id that is not unique or holds white space or a path separator,
            two grains of one type, a ladder that is missing, lacks a candidate for a grain or names one which is not in
            the corpus, or judgements that are not those that the grains ask for.
    """
    modalities = pool_modalities(benchmark, task, split, pool)
    own = benchmark.task(task).candidate_modality
    corpora = [benchmark.corpus(modality, split).table(["id", "grains"]) for modality in modalities]
    candidate_ids = np.concatenate([_ids(corpus["id"], f"{split} corpus") for corpus in corpora])
    queries = benchmark.queries(task, split).table(["id", "grains"])
    query_ids = _ids(queries["id"], f"{split} queries of {task}")
    if not len(query_ids) or not all(map(len, corpora)):
        raise BenchmarkError(_NOTHING, where=f"{benchmark.folder}, {split}, {task}", hint="mrbench validate DIR")
    grain_types, (query_grains, own_grains) = _codes(
        [queries["grains"], corpora[modalities.index(own)]["grains"]], f"{split}, {task}"
    )
    start = sum(len(corpus) for corpus in corpora[: modalities.index(own)])
    grains = np.full((len(grain_types), len(candidate_ids)), NONE, dtype=np.int32)
    grains[:, start : start + own_grains.shape[1]] = own_grains
    order = np.argsort(candidate_ids, kind="stable")
    _check_unique(candidate_ids[order], f"{split} corpus")
    _check_unique(np.sort(query_ids), f"{split} queries of {task}")
    chosen = sample(query_ids, limit, seed)
    found = TaskPool(
        task=task,
        modalities=modalities,
        query_ids=query_ids[chosen],
        query_grains=query_grains.T[chosen],
        candidate_ids=candidate_ids[order],
        candidate_grains=grains[:, order],
        row=order,
        modality=np.repeat(np.arange(len(corpora)), [len(corpus) for corpus in corpora])[order],
        own_modality=modalities.index(own),
        grain_types=grain_types,
        ladders=_ladders(benchmark, task, split, query_ids[chosen], candidate_ids[order]),
        variants=_variants(benchmark, task, split, query_ids[chosen], candidate_ids[order]),
        clusters=_clusters(benchmark, queries["grains"], query_ids)[chosen],
    )
    _check_judgements(benchmark, split, found)
    return found


def pool_modalities(benchmark: Benchmark, task: str, split: str, pool: str) -> tuple[str, ...]:
    """Return the modalities of a task's candidates.

    Raises:
        InputError: Unknown task, split or pool.
        BenchmarkError: The split has no query or no candidate of the task.
    """
    if pool not in POOLS:
        raise InputError("unknown pool", got=pool, accepted=", ".join(POOLS))
    own = benchmark.task(task).candidate_modality
    if split not in benchmark.splits:
        raise InputError("unknown split", where=benchmark.folder, got=split, accepted=", ".join(benchmark.splits))
    counts = benchmark.manifest.counts[split]
    if not counts["queries"].get(task) or not counts["corpus"].get(own):
        raise BenchmarkError(_NOTHING, where=f"{benchmark.folder}, {split}, {task}")
    return (own,) if pool == "task" else tuple(sorted(name for name, number in counts["corpus"].items() if number))


def sample(ids: np.ndarray[Any, np.dtype[np.str_]], limit: int | None, seed: int) -> Ints:
    """Return the positions of ``limit`` ids, ascending: those with the smallest SHA-256 of ``"seed:id"``.

    The first n of a larger sample are the sample of n, and the order of the ids in the file does not matter.

    Raises:
        InputError: The limit is below 1.

    >>> len(sample(np.array(["a", "b", "c"]), 2, seed=0))
    2
    """
    if limit is not None and limit < 1:
        raise InputError("malformed limit", got=limit, accepted="1 or more, or none")
    if limit is None or limit >= len(ids):
        return np.arange(len(ids))
    keys = [hashlib.sha256(f"{seed}:{name}".encode()).digest() for name in ids]
    return np.array(sorted(sorted(range(len(ids)), key=keys.__getitem__)[:limit]))


def find(sorted_ids: np.ndarray[Any, Any], wanted: np.ndarray[Any, Any]) -> Ints:
    """Return the position of each id, -1 where it is not there.

    >>> find(np.array(["a", "c"]), np.array(["c", "b"]))
    array([ 1, -1])
    """
    at = np.minimum(np.searchsorted(sorted_ids, wanted), len(sorted_ids) - 1)
    return np.where(sorted_ids[at] == wanted, at, -1).astype(np.int64)


def _ids(column: pa.ChunkedArray, where: str) -> np.ndarray[Any, np.dtype[np.str_]]:
    ids = column.to_pylist()
    for name in ids:
        if not _ID.fullmatch(name):
            raise BenchmarkError(
                "an id cannot be written to a run", where=where, got=name, accepted="no white space, no slash"
            )
    return np.array(ids, dtype=np.str_)


def _check_unique(sorted_ids: np.ndarray[Any, Any], where: str) -> None:
    same = sorted_ids[1:] == sorted_ids[:-1]
    if same.any():
        raise BenchmarkError("duplicate id", where=where, got=str(sorted_ids[1:][same][0]))


def _codes(columns: list[pa.ChunkedArray], where: str) -> tuple[tuple[str, ...], list[Codes]]:
    """Return the names of the grain types, and for each column the codes, shape ``(num_types, num_records)``."""
    lists = [column.combine_chunks() for column in columns]
    types = [pc.struct_field(grains.flatten(), "type") for grains in lists]
    values = [pc.struct_field(grains.flatten(), "value") for grains in lists]
    names = sorted(pc.unique(pa.chunked_array(types)).to_pylist())
    known = pc.unique(pa.chunked_array(values))
    coded = []
    for grains, kind, value in zip(lists, types, values, strict=True):
        codes = np.full((len(names), len(grains)), NONE, dtype=np.int32)
        record = np.repeat(np.arange(len(grains)), pc.list_value_length(grains).to_numpy(zero_copy_only=False))
        kind_index = pc.index_in(kind, pa.array(names, pa.string())).to_numpy(zero_copy_only=False)
        codes[kind_index, record] = pc.index_in(value, known).to_numpy(zero_copy_only=False)
        if np.count_nonzero(codes != NONE) < len(record):
            twice = np.bincount(record * len(names) + kind_index).argmax()
            raise BenchmarkError(
                "two grains of one type", where=f"{where}, row {twice // len(names)}", got=names[twice % len(names)]
            )
        coded.append(codes)
    return tuple(names), coded


def _ladders(
    benchmark: Benchmark, task: str, split: str, query_ids: np.ndarray[Any, Any], candidate_ids: np.ndarray[Any, Any]
) -> tuple[tuple[int, Ints], ...]:
    table = benchmark.ladders(task, split).table(["query-id", "positive-id", "corpus-ids"])
    lists = table["corpus-ids"].combine_chunks()
    members = np.array(lists.flatten().to_pylist(), dtype=np.str_)
    ends = np.cumsum(pc.list_value_length(lists).to_numpy(zero_copy_only=False))
    starts = np.concatenate([[0], ends[:-1]])
    of_query = {name: number for number, name in enumerate(table["query-id"].to_pylist())}
    if len(of_query) < len(table):
        raise BenchmarkError("a query has two ladders", where=f"{split}, {task}", hint="mrbench validate DIR")
    positives = find(candidate_ids, np.array(table["positive-id"].to_pylist(), dtype=np.str_))
    positions = find(candidate_ids, members)
    found = []
    for name in query_ids.tolist():
        number = of_query.get(name)
        if number is None:
            raise BenchmarkError("a query has no ladder", where=f"{task} {name}", hint="mrbench validate DIR")
        ladder = positions[starts[number] : ends[number]]
        if positives[number] < 0 or (ladder < 0).any() or positives[number] not in ladder:
            raise BenchmarkError(
                "a ladder names a candidate that is not there", where=f"{task} {name}", hint="mrbench validate DIR"
            )
        if len(np.unique(ladder)) < len(ladder):
            raise BenchmarkError(
                "a ladder names a candidate twice", where=f"{task} {name}", hint="mrbench validate DIR"
            )
        found.append((int(positives[number]), ladder))
    return tuple(found)


def _variants(
    benchmark: Benchmark, task: str, split: str, query_ids: np.ndarray[Any, Any], candidate_ids: np.ndarray[Any, Any]
) -> Variants:
    records = benchmark.variants(task, split)
    names = ["query-id", "kind", "grain", "number", "positive-id"]
    columns = records.table(names) if len(records) else pa.table({name: pa.array([], pa.string()) for name in names})
    ids, kind, grain, positive = (
        np.array(columns[name].to_pylist(), dtype=np.str_) for name in ("query-id", "kind", "grain", "positive-id")
    )
    order = np.argsort(query_ids)
    at = find(query_ids[order], ids)
    row = np.flatnonzero(at >= 0)
    target = find(candidate_ids, positive[row])
    if (target < 0).any():
        lost = int(np.argmin(target))
        raise BenchmarkError(
            "a variant asks for a candidate that is not there",
            where=f"{task} {ids[row[lost]]}",
            got=str(positive[row[lost]]),
            hint="mrbench validate DIR",
        )
    number = np.array(columns["number"].to_pylist(), dtype=np.int64)
    if len(
        set(zip(at[row].tolist(), kind[row].tolist(), grain[row].tolist(), number[row].tolist(), strict=True))
    ) < len(row):
        raise BenchmarkError("a variant is there twice", where=f"{split}, {task}", hint="mrbench validate DIR")
    return Variants(order[at[row]], kind[row], grain[row], number[row], target, row)


def _clusters(
    benchmark: Benchmark, grains: pa.ChunkedArray, query_ids: np.ndarray[Any, Any]
) -> np.ndarray[Any, np.dtype[np.str_]]:
    """Return the value of the grain that the builder names as what ties queries together, else the query's own id."""
    kind = benchmark.manifest.builder.get("cluster_grain")
    values = [next((g["value"] for g in row if g["type"] == kind), None) for row in grains.to_pylist()]
    return np.array([value or name for value, name in zip(values, query_ids.tolist(), strict=True)], dtype=np.str_)


def _check_judgements(benchmark: Benchmark, split: str, pool: TaskPool) -> None:
    """Compare the relevant candidates that the benchmark states with those that its grains ask for."""
    table = benchmark.judgements(pool.task, split).table(["query-id", "corpus-id", "score"])
    table = table.filter(pc.greater(table["score"], 0))
    order = np.argsort(pool.query_ids)
    at = find(pool.query_ids[order], np.array(table["query-id"].to_pylist(), dtype=np.str_))
    asked = at >= 0
    candidates = np.array(table["corpus-id"].filter(pa.array(asked)).to_pylist(), dtype=np.str_)
    number = len(pool.candidate_ids) + 1  # one more for a candidate that is not there
    stated = order[at[asked]] * number + find(pool.candidate_ids, candidates) % number
    query, position = pool.relevant
    wrong = np.setxor1d(stated, query * number + position)
    positive = np.arange(len(pool.query_ids)) * number + pool.positives
    wrong = np.concatenate([wrong, np.setdiff1d(positive, query * number + position)])
    if len(wrong):
        raise BenchmarkError(
            "the judgements are not those that the grains ask for",
            where=f"{pool.task} {pool.query_ids[wrong[0] // number]}",
            hint="mrbench validate DIR",
        )
    _ = pool.pairs  # kept, and every ladder is looked at


def _pairs(pool: TaskPool) -> tuple[Ints, Ints, Ints]:
    rows: list[tuple[int, int, int]] = []
    for query, (positive, members) in enumerate(pool.ladders):
        asked = pool.query_grains[query] != NONE
        grains = pool.candidate_grains[:, members]
        differs = grains != pool.candidate_grains[:, [positive]]
        kinds = differs.argmax(axis=0)
        single = (differs.sum(axis=0) == 1) & asked[kinds] & (grains[kinds, np.arange(len(members))] != NONE)
        missing = set(np.flatnonzero(asked).tolist()) - set(kinds[single].tolist())
        if missing:
            raise BenchmarkError(
                f"a ladder has no candidate that differs only in {pool.grain_types[min(missing)]}",
                where=f"{pool.task} {pool.query_ids[query]}",
                hint="mrbench validate DIR",
            )
        rows += [(query, int(kind), int(at)) for kind, at in zip(kinds[single], members[single], strict=True)]
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return table[:, 0], table[:, 1], table[:, 2]
