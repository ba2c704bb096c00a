"""Reads the judgements, lists and exclusions of a task whose judgements are partial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mrbench.arrays import Bools, Ints
from mrbench.benchmark import Benchmark
from mrbench.errors import BenchmarkError, NothingToScoreError
from mrbench.pools.ids import Names, find
from mrbench.pools.judgements import UNKNOWN, Listed
from mrbench.pools.pool import Pairs
from mrbench.records import Task
from mrbench.words import counted

_MOST_TYPES = 62  # bits of a mask


@dataclass(frozen=True)
class ListedPool:
    """Judgements, lists and exclusions of a pool, for the queries that have a relevant candidate in it.

    Attributes:
        queries: Row of each query in the benchmark's table, ascending.
        lists: Candidates that each query is searched among, or None.
        excluded: Candidates that some queries are not searched among, or None.
        first_relevant: Position of each query's first relevant candidate in file order.
        violated_types: Names of all grain types that some judgement calls violated, sorted.
        columns: The arrays of :class:`Listed` except ``violates``.
        violated: Row of the judgement, and name, of every violated type.
    """

    queries: Ints
    lists: Pairs | None
    excluded: Pairs | None
    first_relevant: Ints
    violated_types: tuple[str, ...]
    columns: Mapping[str, Any]
    violated: tuple[Ints, Names]

    def judgements(self, grain_types: tuple[str, ...]) -> Listed:
        """Return the judgements, with violated types as bits in the order of ``grain_types``.

        Raises:
            BenchmarkError: There are more types than a mask has bits.
        """
        if len(grain_types) > _MOST_TYPES:
            raise BenchmarkError("too many grain types", got=len(grain_types), accepted=f"{_MOST_TYPES} at most")
        row, name = self.violated
        mask = np.zeros(len(self.columns["query"]), dtype=np.int64)
        bit = {kind: 1 << number for number, kind in enumerate(grain_types)}
        np.bitwise_or.at(mask, row, np.array([bit[kind] for kind in name.tolist()], dtype=np.int64))
        return Listed(**self.columns, violates=mask)


def read_listed(
    benchmark: Benchmark, task: Task, split: str, query_ids: Names, candidate_ids: Names, chosen: Ints
) -> ListedPool:
    """Read judgements, lists and exclusions.

    Args:
        benchmark: The benchmark.
        task: A task with partial judgements.
        split: One of the benchmark's splits.
        query_ids: Ids of all queries of the table, in file order.
        candidate_ids: Ids of the pool, sorted.
        chosen: Rows of the queries wanted, ascending.

    Raises:
        BenchmarkError: A judgement, list or exclusion names an unknown query or candidate; two judgements of a pair
            differ; a relevance is negative; or a query lacks its list.
        NothingToScoreError: There is no judgement, or no query has a relevant candidate.
    """
    where = f"{split}, {task.name}"
    judged = _read_judgements(benchmark, task, split, query_ids, candidate_ids)
    lists, excluded = (
        _read_pairs(benchmark, task, split, kind, query_ids, candidate_ids) for kind in ("lists", "exclusions")
    )
    number = len(candidate_ids)
    inside = np.ones(len(judged.query), dtype=np.bool_)
    if task.pool == "lists":
        if lists is None or (np.bincount(lists.query, minlength=len(query_ids))[chosen] == 0).any():
            raise BenchmarkError("a query has no list of candidates", where=where, accepted="a list of each query")
        inside &= np.isin(judged.query * number + judged.position, lists.query * number + lists.position)
    else:
        lists = None
    if excluded is not None:
        gone = np.isin(judged.query * number + judged.position, excluded.query * number + excluded.position)
        inside &= ~gone
        if lists is not None:
            left = ~np.isin(lists.query * number + lists.position, excluded.query * number + excluded.position)
            lists, excluded = Pairs(lists.query[left], lists.position[left]), None
    relevant = inside & (judged.relevance > 0)
    has = np.zeros(len(query_ids), dtype=np.bool_)
    has[judged.query[relevant]] = True
    kept = chosen[has[chosen]]
    if not len(kept):
        raise NothingToScoreError("no query has a relevant candidate in the pool", where=where)
    index = np.full(len(query_ids), -1, dtype=np.int64)
    index[kept] = np.arange(len(kept))
    return _narrowed(judged, inside, index, kept, _of(lists, index), _of(excluded, index), number)


@dataclass(frozen=True)
class _Judged:
    """All judgements of a task, in file order."""

    query: Ints
    position: Ints
    relevance: Ints
    grade: Ints
    asked: Ints
    violated: tuple[Ints, Names]
    origins: dict[str, int]


def _narrowed(
    judged: _Judged, inside: Bools, index: Ints, kept: Ints, lists: Pairs | None, excluded: Pairs | None, number: int
) -> ListedPool:
    """Return the judgements of the queries kept, by query and position."""
    query = index[judged.query]
    some = np.flatnonzero(inside & (query >= 0))
    first = np.full(len(kept), -1, dtype=np.int64)
    relevant = some[judged.relevance[some] > 0][::-1]
    first[query[relevant]] = judged.position[relevant]  # the last assignment wins: that of the first in the file
    order = some[np.lexsort((judged.position[some], query[some]))]
    new = np.full(len(judged.query), -1, dtype=np.int64)
    new[order] = np.arange(len(order))
    row, name = judged.violated
    said = new[row] >= 0
    sizes = np.full(len(kept), number, dtype=np.int64)
    if lists is not None:
        sizes = np.bincount(lists.query, minlength=len(kept))
    elif excluded is not None:
        sizes -= np.bincount(excluded.query, minlength=len(kept))
    columns = {
        "query": query[order],
        "position": judged.position[order],
        "relevance": judged.relevance[order],
        "grade": judged.grade[order],
        "asked": judged.asked[order],
        "num_queries": len(kept),
        "sizes": sizes,
        "num_candidates": number,
        "origins": judged.origins,
    }
    types = tuple(sorted(set(name[said].tolist())))
    return ListedPool(kept, lists, excluded, first, types, columns, (new[row][said], name[said]))


def _of(pairs: Pairs | None, index: Ints) -> Pairs | None:
    """Return the pairs of the queries that are kept, under their new numbers."""
    if pairs is None:
        return None
    query = index[pairs.query]
    some = query >= 0
    return Pairs(query[some], pairs.position[some]) if some.any() else None


def _read_judgements(benchmark: Benchmark, task: Task, split: str, query_ids: Names, candidate_ids: Names) -> _Judged:
    records = benchmark.judgements(task.name, split)
    where = f"{split}, judgements of {task.name}"
    if not len(records):
        raise NothingToScoreError("a task has no judgement", where=f"{split}, {task.name}")
    table = records.table(["query-id", "corpus-id", "score", "grade", "asked", "violates", "origin"])
    table = _in_pool(benchmark, split, table, candidate_ids)
    query = _known(table["query-id"], query_ids, where, "query")
    position = _known(table["corpus-id"], candidate_ids, where, "candidate")
    relevance = table["score"].to_numpy().astype(np.int64)
    if (relevance < 0).any():
        row = int(np.argmax(relevance < 0))
        at = f"{where}, {query_ids[query[row]]} {candidate_ids[position[row]]}"
        raise BenchmarkError("a relevance is negative", where=at, got=int(relevance[row]), accepted="0 or more")
    grade, asked = (
        pc.fill_null(table[name].cast(pa.int64()), UNKNOWN).to_numpy().astype(np.int64) for name in ("grade", "asked")
    )
    keys = query * len(candidate_ids) + position
    unique, first, back = np.unique(keys, return_index=True, return_inverse=True)
    differs = relevance != relevance[first][back]
    if differs.any():
        row = int(np.argmax(differs))
        raise BenchmarkError(
            "two judgements of one pair differ",
            where=f"{where}, {query_ids[query[row]]} {candidate_ids[position[row]]}",
            got=[int(relevance[first][back][row]), int(relevance[row])],
            accepted="one judgement of each pair",
        )
    rows = np.sort(first) if len(unique) < len(keys) else np.arange(len(keys))
    lists = table["violates"].combine_chunks().fill_null([]).take(pa.array(rows))
    of = np.repeat(np.arange(len(rows)), pc.list_value_length(lists).to_numpy(zero_copy_only=False))
    names = np.array(lists.flatten().to_pylist(), dtype=np.str_)
    origins = {row["values"]: row["counts"] for row in table["origin"].value_counts().to_pylist()}
    return _Judged(query[rows], position[rows], relevance[rows], grade[rows], asked[rows], (of, names), origins)


def _read_pairs(
    benchmark: Benchmark, task: Task, split: str, kind: str, query_ids: Names, candidate_ids: Names
) -> Pairs | None:
    """Return the lists or the exclusions of a task, by query; None where there are none."""
    records = benchmark.lists(task.name, split) if kind == "lists" else benchmark.exclusions(task.name, split)
    if not len(records):
        return None
    table = records.table(["query-id", "corpus-ids"])
    where = f"{split}, {kind} of {task.name}"
    rows = _known(table["query-id"], query_ids, where, "query")
    lists = table["corpus-ids"].combine_chunks()
    query = np.repeat(rows, pc.list_value_length(lists).to_numpy(zero_copy_only=False))
    if kind == "lists":
        position = _known(lists.flatten(), candidate_ids, where, "candidate")
    else:  # exclusions of candidates that are not in the pool have no effect
        position = find(candidate_ids, np.array(lists.flatten().to_pylist(), dtype=np.str_))
        query, position = query[position >= 0], position[position >= 0]
    number = len(candidate_ids)
    return Pairs(*np.divmod(np.unique(query * number + position), number))


def _in_pool(benchmark: Benchmark, split: str, table: pa.Table, candidate_ids: Names) -> pa.Table:
    """Return a table of judgements without candidates of corpora that are not in the pool."""
    names = pc.unique(table["corpus-id"])
    missing = names.filter(pa.array(find(candidate_ids, np.array(names.to_pylist(), dtype=np.str_)) < 0))
    if not len(missing):
        return table
    corpora = (
        benchmark.corpus(name, split).ids for name in benchmark.corpora if benchmark.count("corpus", name, split)
    )
    elsewhere = [missing.filter(pc.is_in(missing, value_set=ids)) for ids in corpora]
    return table.filter(pc.invert(pc.is_in(table["corpus-id"], value_set=pa.concat_arrays(elsewhere))))


def _known(column: Any, ids: Names, where: str, what: str) -> Ints:
    """Return the row of each id in ``ids``.

    Raises:
        BenchmarkError: Some are unknown; the message counts them.
    """
    order = np.argsort(ids, kind="stable")
    wanted = np.array(column.to_pylist(), dtype=np.str_)
    at = find(ids[order], wanted)
    if (at < 0).any():
        lost = np.unique(wanted[at < 0])
        raise BenchmarkError(
            f"{counted(len(lost), f'id of a {what} is', f'ids of a {what} are')} not there",
            where=where,
            got=str(lost[0]),
            accepted=f"ids of the {'queries' if what == 'query' else 'pool'}",
        )
    return order[at].astype(np.int64)
