"""Whether the tables of a run belong to a benchmark and agree with each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mrbench.errors import ResultError
from mrbench.measures.ties import Floats, Ints
from mrbench.retrieve.pool import TaskPool, find
from mrbench.retrieve.run import CUTOFF

Scores = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, slots=True)
class Rows:
    """A table of a run as arrays, sorted by query and then by falling score.

    Attributes:
        name: Which table, for errors.
        query: Index of each row's query in the pool.
        key: One number per (query, candidate); for ``gains`` just the query.
        score: Score of each row.
        table: The sorted table.
    """

    name: str
    query: Ints
    key: Ints
    score: Scores
    table: pa.Table

    def column(self, name: str) -> Ints:
        """Return a column of counts."""
        return self.table[name].to_numpy().astype(np.int64)  # type: ignore[no-any-return]


def read_rows(name: str, table: pa.Table, pool: TaskPool) -> Rows:
    """Translate ids to positions.

    Raises:
        ResultError: The run lacks a query, or has one that was not asked, or a candidate that is not in the pool, or
            one twice, or a score that is not a number.
    """
    where = f"{pool.task}, {name}"
    at = pc.index_in(table["query-id"], pa.array(pool.query_ids.tolist(), pa.string()))
    if at.null_count:
        stranger = table["query-id"].filter(pc.is_null(at))[0].as_py()
        raise ResultError("the run has a query that was not asked", where=where, got=stranger)
    query = at.to_numpy().astype(np.int64)
    missing = np.setdiff1d(np.arange(len(pool.query_ids)), query)
    if len(missing):
        raise ResultError(
            f"the run lacks {len(missing)} of {len(pool.query_ids)} queries",
            where=f"{where}, {pool.query_ids[missing[0]]}",
            hint="evaluate again; scores are never averaged over what is left",
        )
    score = table["score"].to_numpy()
    if not np.isfinite(score).all():
        raise ResultError("a score is not a number", where=f"{where}, {pool.query_ids[query[~np.isfinite(score)][0]]}")
    key = query
    if "corpus-id" in table.column_names:
        known = pc.index_in(table["corpus-id"], pa.array(pool.candidate_ids.tolist(), pa.string()))
        if known.null_count:
            stranger = table["corpus-id"].filter(pc.is_null(known))[0].as_py()
            raise ResultError("the run has a candidate that is not in the pool", where=where, got=stranger)
        key = query * len(pool.candidate_ids) + known.to_numpy().astype(np.int64)
        if len(np.unique(key)) < len(key):
            raise ResultError("the run has a candidate twice", where=where)
    order = np.lexsort((-score, query))
    return Rows(name, query[order], key[order], score[order], table.take(order))


def check_run(run: dict[str, Rows], pool: TaskPool, depth: int) -> None:
    """Compare what the tables say of the same thing.

    ``top`` is the witness: the scores, ranks, tie groups and gains of the other tables must follow from it, as far
    as it reaches.

    Raises:
        ResultError: They contradict each other, or a ladder is not the benchmark's.
    """
    _check_ladders(run["ladder"], pool)
    top, relevant, gains = run["top"], run["relevant"], run["gains"]
    length = min(depth, len(pool.candidate_ids))
    complete = np.bincount(top.query, minlength=len(pool.query_ids)) == length
    _agree(complete[top.query], top, pool, accepted=f"{length} candidates per query")
    place = np.arange(len(top.query)) % length
    _agree(top.column("rank") == place + 1, top, pool, accepted="ranks by falling score")
    greater, equal = _tie_groups(top.query, top.score, length)
    order = np.argsort(top.key)
    for rows in (run["ladder"], relevant):
        found = find(top.key[order], rows.key)
        at = order[found]
        _agree((found < 0) | (top.score[at] == rows.score), rows, pool, accepted="the scores of the run")
        lowest = top.score[rows.query * length + length - 1]
        _agree((found >= 0) | (rows.score <= lowest), rows, pool, accepted="scores below those of the run")
        above, beside = rows.column("greater"), rows.column("equal")
        same = (above == greater[at]) & (
            (beside == equal[at]) | ((beside > equal[at]) & (greater[at] + equal[at] == length))
        )
        deep = (above >= 0) & (beside >= 1) & (above + beside > length) & (above + beside <= len(pool.candidate_ids))
        _agree(np.where(found < 0, deep, same), rows, pool, accepted="the ranks of the run")
    _check_gains(gains, top, pool, length)


def check_places(run: dict[str, Rows], score: Floats, above: Ints, beside: Ints, pool: TaskPool) -> None:
    """Compare the place of each query's own positive with the ladder, and with where the relevant candidates stand.

    Args:
        run: The ranked tables.
        score: Score of each query's positive, shape ``(num_queries,)``.
        above: Candidates that score higher, among those that are not relevant.
        beside: The same for candidates of the same score.
        pool: The task.

    Raises:
        ResultError: They contradict each other.
    """
    ladder, relevant = run["ladder"], run["relevant"]
    wanted = np.arange(len(pool.query_ids)) * len(pool.candidate_ids) + pool.positives
    rows = []
    for table in (ladder, relevant):
        order = np.argsort(table.key)
        rows.append(order[find(table.key[order], wanted)])
    own = relevant.score[rows[1]]
    higher = np.bincount(relevant.query, weights=relevant.score > own[relevant.query]).astype(np.int64)
    same = np.bincount(relevant.query, weights=relevant.score == own[relevant.query]).astype(np.int64)
    for right in (
        (ladder.score[rows[0]] == own) & (own == score),
        ladder.column("greater")[rows[0]] == relevant.column("greater")[rows[1]],
        relevant.column("greater")[rows[1]] - higher == above,
        relevant.column("equal")[rows[1]] - same == beside,
    ):
        if not right.all():
            query = pool.query_ids[int(np.argmin(right))]
            raise ResultError(
                "the run contradicts itself", where=f"{pool.task}, queries, {query}", accepted="the ranks of the run"
            )


def _check_ladders(ladder: Rows, pool: TaskPool) -> None:
    number = len(pool.candidate_ids)
    wanted = np.concatenate([query * number + members for query, (_, members) in enumerate(pool.ladders)])
    for keys, what in (
        (np.setdiff1d(wanted, ladder.key), "the run lacks a member of a ladder"),
        (np.setdiff1d(ladder.key, wanted), "the run has a candidate that is not in the ladder"),
    ):
        if len(keys):
            query, candidate = pool.query_ids[keys[0] // number], pool.candidate_ids[keys[0] % number]
            raise ResultError(what, where=f"{pool.task}, ladder, {query}", got=str(candidate), hint="evaluate again")


def _check_gains(gains: Rows, top: Rows, pool: TaskPool, length: int) -> None:
    greater, equal, gain = (gains.column(name) for name in ("greater", "equal", "gain"))
    after = greater + equal
    starts = np.append(True, gains.query[1:] != gains.query[:-1])
    ends = np.append(starts[1:], True)
    expected = np.where(starts, 0, np.append(0, after[:-1]))
    _agree(greater == expected, gains, pool, accepted="groups without gaps")
    full = min(CUTOFF, len(pool.candidate_ids))
    _agree(~ends | (after >= full), gains, pool, accepted=f"groups that fill {full} places")
    grades = pool.grades_of(top.query, top.key % len(pool.candidate_ids))
    summed = np.concatenate([[0], np.cumsum(grades)])
    begun, inside = greater < length, after <= length  # how far ``top`` bears witness
    start = gains.query * length + np.where(begun, greater, 0)
    stop = np.where(inside, gains.query * length + after, start)
    _agree(~inside | (summed[stop] - summed[start] == gain), gains, pool, accepted="the grades of the run")
    _agree(~begun | (top.score[start] == gains.score), gains, pool, accepted="the scores of the run")


def _tie_groups(query: Ints, score: Scores, length: int) -> tuple[Ints, Ints]:
    """Return for each row how many rows of its query score higher, and how many the same."""
    new = np.append(True, (query[1:] != query[:-1]) | (score[1:] != score[:-1]))
    group = np.cumsum(new) - 1
    first = np.flatnonzero(new)
    return (first % length)[group], np.bincount(group)[group]


def _agree(agrees: np.ndarray[Any, np.dtype[np.bool_]], rows: Rows, pool: TaskPool, *, accepted: str) -> None:
    if not agrees.all():
        query = pool.query_ids[rows.query[int(np.argmin(agrees))]]
        raise ResultError("the run contradicts itself", where=f"{pool.task}, {rows.name}, {query}", accepted=accepted)
