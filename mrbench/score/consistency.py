"""Checks that the tables of a run belong to a benchmark and agree with each other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mrbench.arrays import Bools, Floats, Ints, Scores, ranges, row_ends
from mrbench.errors import ResultError
from mrbench.pools.ids import find
from mrbench.pools.pool import TaskPool


@dataclass(frozen=True)
class Rows:
    """A table of a run as arrays, sorted by query and then by falling score.

    Attributes:
        name: Name of the table, for errors.
        query: Index of each row's query in the pool.
        key: One number for each pair of query and candidate; in ``gains`` the query.
        score: Score of each row.
        counts: The columns of counts.
    """

    name: str
    query: Ints
    key: Ints
    score: Scores
    counts: dict[str, Ints]

    @cached_property
    def _sorted(self) -> tuple[Ints, Ints]:
        order = np.argsort(self.key)
        return self.key[order], order

    @property
    def unique(self) -> bool:
        """Whether no two rows have the same key."""
        keys, _ = self._sorted
        return not (keys[1:] == keys[:-1]).any()

    def row_of(self, keys: Ints) -> Ints:
        """Return the row of each key, -1 where there is none."""
        known, order = self._sorted
        at = find(known, keys)
        return np.where(at < 0, -1, order[at])


def read_rows(name: str, table: pa.Table, pool: TaskPool) -> Rows:
    """Return a table of a run with positions in place of ids, sorted.

    Raises:
        ResultError: The run lacks a query; has an unknown query or candidate, or a candidate twice; or a score is not
            a number.
    """
    where = f"{pool.task}, {name}"
    query = _positions(table, "query-id", pool, where, "the run has a query that was not asked")
    some = {"ladder": pool.ladder.query, "overlay": query}  # other tables have a row for every query
    expected = some.get(name, np.arange(len(pool.query_ids)))
    missing = np.setdiff1d(expected, query)
    if len(missing):
        raise ResultError(
            f"the run lacks {len(missing)} of {len(pool.query_ids)} queries",
            where=f"{where}, {pool.query_ids[missing[0]]}",
            accepted="all of them: scores are never averaged over what is left",
        )
    score = table["score"].to_numpy()
    if not np.isfinite(score).all():
        name = pool.query_ids[query[~np.isfinite(score)][0]]
        raise ResultError("a score is not a number", where=f"{where}, {name}")
    key = query
    if "corpus-id" in table.column_names:
        known = _positions(table, "corpus-id", pool, where, "the run has a candidate that is not in the pool")
        key = query * len(pool.candidate_ids) + known
    counts = {
        c.name: table[c.name].to_numpy().astype(np.int64, copy=False) for c in table.schema if c.type == pa.int64()
    }
    after, before = slice(1, None), slice(None, -1)
    risen = (query[after] > query[before]) | (query[after] == query[before]) & (score[after] <= score[before])
    if not risen.all():
        order = np.lexsort((-score, query))
        query, key, score = query[order], key[order], score[order]
        counts = {column: values[order] for column, values in counts.items()}
    rows = Rows(name, query, key, score, counts)
    if "corpus-id" in table.column_names and not rows.unique:
        raise ResultError("the run has a candidate twice", where=where)
    return rows


def _positions(table: pa.Table, column: str, pool: TaskPool, where: str, strange: str) -> Ints:
    """Return the position of the query or candidate that each row names."""
    named = table[column].unify_dictionaries().combine_chunks()
    at: Ints = named.indices.to_numpy().astype(np.int64)
    if named.dictionary.equals(pool.names[column]):
        return at
    at = pc.index_in(named.dictionary, pool.names[column]).fill_null(-1).to_numpy().astype(np.int64)[at]
    if (at < 0).any():
        raise ResultError(strange, where=where, got=named[int(np.argmin(at))].as_py())
    return at


def check_run(run: dict[str, Rows], pool: TaskPool, depth: int) -> None:
    """Check that the tables of a run agree with each other.

    The scores, ranks, tie groups and gains of the other tables must agree with ``top``, as deep as ``top`` goes.

    Raises:
        ResultError: They contradict each other, or a ladder is not the benchmark's.
    """
    _check_ladders(run["ladder"], pool)
    top, relevant, gains = run["top"], run["relevant"], run["gains"]
    lengths = np.minimum(depth, pool.sizes)
    complete = np.bincount(top.query, minlength=len(pool.query_ids)) == lengths
    _agree(complete[top.query], top, pool, accepted=f"{depth} candidates per query, or as many as there are")
    starts = row_ends(lengths)
    rank = np.arange(len(top.query)) - starts[top.query] + 1
    _agree(top.counts["rank"] == rank, top, pool, accepted="ranks by falling score")
    groups = _tie_groups(top.query, top.score)
    for rows in (run["ladder"], relevant, *([run["overlay"]] if "overlay" in run else [])):
        length, start = lengths[rows.query], starts[rows.query]
        at = top.row_of(rows.key)
        _agree((at < 0) | (top.score[at] == rows.score), rows, pool, accepted="the scores of the run")
        lowest = top.score[start + length - 1]
        _agree((at >= 0) | (rows.score <= lowest), rows, pool, accepted="scores below those of the run")
        above, tied = rows.counts["greater"], rows.counts["equal"]
        group = np.searchsorted(groups, at, side="right")
        greater, equal = groups[group - 1] - start, groups[group] - groups[group - 1]
        same = (above == greater) & ((tied == equal) | ((tied > equal) & (greater + equal == length)))
        deep = (above >= 0) & (tied >= 1) & (above + tied > length) & (above + tied <= pool.sizes[rows.query])
        _agree(np.where(at < 0, deep, same), rows, pool, accepted="the ranks of the run")
    _check_gains(gains, top, pool, lengths)


def check_positive_ranks(run: dict[str, Rows], score: Floats, above: Ints, tied: Ints, pool: TaskPool) -> None:
    """Check the rank of each query's own positive against the ladder and the ranks of the relevant candidates.

    Args:
        run: The ranked tables.
        score: Score of each query's positive, shape ``(num_queries,)``.
        above: Number of candidates that score higher, among those that are not relevant.
        tied: Number of candidates with the same score, among those that are not relevant.
        pool: The task.

    Raises:
        ResultError: They contradict each other.
    """
    ladder, relevant = run["ladder"], run["relevant"]
    wanted = np.arange(len(pool.query_ids)) * len(pool.candidate_ids) + pool.positives
    row = relevant.row_of(wanted)
    own = relevant.score[row]
    higher = np.bincount(relevant.query, weights=relevant.score > own[relevant.query]).astype(np.int64)
    same = np.bincount(relevant.query, weights=relevant.score == own[relevant.query]).astype(np.int64)
    for right in (
        own == score,
        _as_in_ladder(ladder, wanted, own, relevant.counts["greater"][row]),
        relevant.counts["greater"][row] - higher == above,
        relevant.counts["equal"][row] - same == tied,
    ):
        if not right.all():
            query = pool.query_ids[int(np.argmin(right))]
            raise ResultError(
                "the run contradicts itself",
                where=f"{pool.task}, queries, {query}",
                accepted="the ranks of the run",
            )


def _as_in_ladder(ladder: Rows, wanted: Ints, score: Scores, greater: Ints) -> Bools:
    """Return for each query whether its ladder agrees on the positive, or does not contain it."""
    if not len(ladder.key):
        return np.ones(len(wanted), dtype=np.bool_)
    row = ladder.row_of(wanted)
    same: Bools = (row < 0) | ((ladder.score[row] == score) & (ladder.counts["greater"][row] == greater))
    return same


def _check_ladders(ladder: Rows, pool: TaskPool) -> None:
    number = len(pool.candidate_ids)
    wanted = pool.ladder.query * number + pool.ladder.position
    for keys, what in (
        (np.setdiff1d(wanted, ladder.key), "the run lacks a member of a ladder"),
        (np.setdiff1d(ladder.key, wanted), "the run has a candidate that is not in the ladder"),
    ):
        if len(keys):
            query, candidate = pool.query_ids[keys[0] // number], pool.candidate_ids[keys[0] % number]
            raise ResultError(what, where=f"{pool.task}, ladder, {query}", got=str(candidate))


def _check_gains(gains: Rows, top: Rows, pool: TaskPool, lengths: Ints) -> None:
    greater, equal, gain, judged = (gains.counts[name] for name in ("greater", "equal", "gain", "judged"))
    after, size, length = greater + equal, pool.sizes[gains.query], lengths[gains.query]
    starts = np.append(True, gains.query[1:] != gains.query[:-1])
    ends = np.append(starts[1:], True)
    expected = np.where(starts, 0, np.append(0, after[:-1]))
    sound = (greater == expected) & (equal >= 1) & (after <= size)
    _agree(sound, gains, pool, accepted="groups without gaps")
    full = np.minimum(pool.cutoff, size)
    _agree(~ends | (after >= full), gains, pool, accepted=f"groups that fill {pool.cutoff} places, or all")
    begun, inside = greater < length, after <= length  # groups that begin, and that end, within ``top``
    reach = np.minimum(lengths, int(after[inside].max(initial=0)))
    starts = row_ends(reach)
    row = ranges(row_ends(lengths)[:-1], reach)
    query, position = top.query[row], top.key[row] % len(pool.candidate_ids)
    start = starts[gains.query] + np.where(inside, greater, 0)
    stop = starts[gains.query] + np.where(inside, after, 0)
    for stated, worth in (
        (gain, pool.judgements.gains_of(query, position)),
        (judged, pool.judgements.judged_of(query, position)),
    ):
        summed = row_ends(worth.astype(np.int64))
        _agree(~inside | (summed[stop] - summed[start] == stated), gains, pool, accepted="the gains of the run")
    first = row_ends(lengths)[gains.query] + np.where(begun, greater, 0)
    _agree(~begun | (top.score[first] == gains.score), gains, pool, accepted="the scores of the run")
    last = np.where(begun, first + np.minimum(after, length) - greater - 1, 0)
    tied = top.score[last] == gains.score
    following = np.minimum(last + 1, len(top.score) - 1)
    alone = (after >= length) | (top.score[following] < gains.score)
    _agree(~begun | (tied & alone), gains, pool, accepted="groups of candidates with one score")


def _tie_groups(query: Ints, score: Scores) -> Ints:
    """Return the first row of each group of tied rows, and the number of rows."""
    new = (query[1:] != query[:-1]) | (score[1:] != score[:-1])
    return np.concatenate([[0], np.flatnonzero(new) + 1, [len(query)]])


def _agree(agrees: np.ndarray[Any, np.dtype[np.bool_]], rows: Rows, pool: TaskPool, *, accepted: str) -> None:
    if not agrees.all():
        query = pool.query_ids[rows.query[int(np.argmin(agrees))]]
        where = f"{pool.task}, {rows.name}, {query}"
        raise ResultError("the run contradicts itself", where=where, accepted=accepted)
