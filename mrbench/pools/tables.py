"""Reads the grains, lists, ladders and variants of a task as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mrbench.arrays import Ints, row_ends
from mrbench.benchmark import Benchmark, Records
from mrbench.errors import BenchmarkError
from mrbench.pools.grades import NONE, Codes
from mrbench.pools.ids import Names, find
from mrbench.pools.pool import Pairs, Variants


def grain_codes(
    columns: list[pa.ChunkedArray], where: str, more_types: tuple[str, ...] = ()
) -> tuple[tuple[str, ...], list[Codes]]:
    """Return the names of the grain types, sorted, and for each column the codes, ``(num_types, num_records)``.

    Args:
        columns: Lists of grains.
        where: Name of the records for error messages.
        more_types: Further types, which no record has.

    Raises:
        BenchmarkError: A record has two grains of one type.
    """
    lists = [column.combine_chunks() for column in columns]
    types = [pc.struct_field(grains.flatten(), "type") for grains in lists]
    values = [pc.struct_field(grains.flatten(), "value") for grains in lists]
    names = sorted({*pc.unique(pa.chunked_array(types, pa.string())).to_pylist(), *more_types})
    known = pc.unique(pa.chunked_array(values, pa.string()))
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


def read_lists(
    table: pa.Table, column: str, what: str, where: str, query_ids: Names, candidate_ids: Names
) -> tuple[Ints, Ints, Ints, Ints]:
    """Return the rows of a table of lists of candidates, in the order of the queries.

    Args:
        table: ``query-id`` and a column of lists of candidate ids.
        column: That column.
        what: Name of a list for error messages.
        where: Name of the table for error messages.
        query_ids: The queries wanted.
        candidate_ids: The pool, sorted.

    Returns:
        The row of each query's list, -1 if it has none; then, for the members of all lists, sorted by query: query,
        position (-1 if it is not in the pool), and row of the list.

    Raises:
        BenchmarkError: A query has two lists, or a list names a candidate twice.
    """
    lists = table[column].combine_chunks()
    ends = row_ends(pc.list_value_length(lists).to_numpy(zero_copy_only=False))
    of_query = {name: number for number, name in enumerate(table["query-id"].to_pylist())}
    if len(of_query) < len(table):
        raise BenchmarkError(f"a query has two {what}s", where=where)
    rows = np.array([of_query.get(name, -1) for name in query_ids.tolist()], dtype=np.int64)
    some = np.flatnonzero(rows >= 0)
    counts = ends[rows[some] + 1] - ends[rows[some]]
    query = np.repeat(some, counts)
    at = np.repeat(ends[rows[some]] - row_ends(counts)[:-1], counts) + np.arange(int(counts.sum()))
    members = np.array(lists.flatten().take(pa.array(at)).to_pylist(), dtype=np.str_)
    position = find(candidate_ids, members)
    keys = np.sort(np.unique(members, return_inverse=True)[1] + query * (len(members) + 1))
    if (keys[1:] == keys[:-1]).any():
        twice = int(keys[1:][keys[1:] == keys[:-1]][0] // (len(members) + 1))
        raise BenchmarkError(f"a {what} names a candidate twice", where=f"{where}, {query_ids[twice]}")
    return rows, query, position, at


def read_ladders(
    ladders: Records[Any], task: str, query_ids: Names, candidate_ids: Names, *, every: bool
) -> tuple[Ints, Pairs]:
    """Return the position of each query's positive, -1 if it has no ladder, and the members of all ladders.

    Args:
        ladders: The ladders of the task.
        task: Its name, for errors.
        query_ids: The queries wanted.
        candidate_ids: The pool, sorted.
        every: Whether every query must have a ladder.

    Raises:
        BenchmarkError: A query has no ladder or two; a ladder names a candidate twice, or one that is not in the pool,
            or lacks its positive.
    """
    if not every and not len(ladders):
        return np.full(len(query_ids), -1, dtype=np.int64), Pairs.none()
    table = ladders.table(["query-id", "positive-id", "corpus-ids"])
    rows, query, position, _ = read_lists(table, "corpus-ids", "ladder", f"ladders of {task}", query_ids, candidate_ids)
    if every and (rows < 0).any():
        lacking = query_ids[int(np.argmin(rows))]
        raise BenchmarkError("a query has no ladder", where=f"{task} {lacking}")
    stated = find(candidate_ids, np.array(table["positive-id"].to_pylist(), dtype=np.str_))
    positives = np.where(rows >= 0, stated[rows] if len(stated) else -1, -1)
    own = np.zeros(len(query_ids), dtype=np.bool_)
    own[query[position == positives[query]]] = True
    wrong = np.zeros(len(query_ids), dtype=np.bool_)
    wrong[query[position < 0]] = True
    wrong |= (rows >= 0) & ((positives < 0) | ~own)
    if wrong.any():
        lacking = query_ids[int(np.argmax(wrong))]
        raise BenchmarkError("a ladder names an unknown candidate", where=f"{task} {lacking}")
    return positives, Pairs(query, position)


def read_variants(benchmark: Benchmark, task: str, split: str, query_ids: Names, candidate_ids: Names) -> Variants:
    """Return the variants of some queries.

    Raises:
        BenchmarkError: A variant asks for a candidate that is not in the pool, or occurs twice.
    """
    records = benchmark.variants(task, split)
    if not len(records):
        return Variants.none()
    columns = records.table(["query-id", "kind", "grain", "number", "positive-id"])
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
            "a variant asks for an unknown candidate",
            where=f"{task} {ids[row[lost]]}",
            got=str(positive[row[lost]]),
        )
    number = np.array(columns["number"].to_pylist(), dtype=np.int64)
    keys = zip(at[row].tolist(), kind[row].tolist(), grain[row].tolist(), number[row].tolist(), strict=True)
    if len(set(keys)) < len(row):
        raise BenchmarkError("a variant occurs twice", where=f"{split}, {task}")
    return Variants(order[at[row]], kind[row], grain[row], number[row], target, row)
