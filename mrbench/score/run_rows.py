"""The tables of a run with one row for each query, variant or part, brought into the order of the pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mrbench.arrays import Floats, Ints
from mrbench.errors import ResultError
from mrbench.pools.ids import find
from mrbench.pools.pool import TaskPool
from mrbench.pools.unrelated import has_unrelated
from mrbench.records import PARTS
from mrbench.runs.run import QUERY_VECTORS, TaskRun

_SEPARATOR = "\x1f"


@dataclass(frozen=True, slots=True)
class PositiveRanks:
    """Scores and ranks of positives, in the order of the pool's queries or variants.

    Attributes:
        score: Score of the query's own positive.
        above: Number of candidates that score higher, among those that are not relevant to the query.
        tied: Number of candidates with the same score, among those that are not relevant to the query.
        table: All columns of the table.
    """

    score: Floats
    above: Ints
    tied: Ints
    table: pa.Table

    def column(self, name: str) -> Floats:
        """Return another column of numbers."""
        return self.table[name].to_numpy().astype(np.float64)  # type: ignore[no-any-return]

    @property
    def rank(self) -> Floats:
        """Expected rank of the positive among the candidates that are not relevant, 1 is best."""
        ranks: Floats = 1.0 + self.above + self.tied / 2
        return ranks


@dataclass(frozen=True, slots=True)
class RunRows:
    """The tables ``queries``, ``variants``, ``parts`` and ``first`` of a run.

    Attributes:
        queries: One row per query of the pool.
        variants: One row per variant of the pool.
        parts: One row per query, by part of composed queries.
        first: For every grain of every query, sorted by query and type, the share of the first results that keep it,
            and the share of the results at rank 1 that lose it; empty if the grains of candidates are unknown.
    """

    queries: PositiveRanks
    variants: PositiveRanks
    parts: dict[str, PositiveRanks]
    first: tuple[Floats, Floats]


def align(run: TaskRun, pool: TaskPool, expected: Sequence[str] = ()) -> RunRows:
    """Return the rows in the order of the pool.

    Args:
        run: The run of the task.
        pool: The task.
        expected: Parts of composed queries that the run must have.

    Raises:
        ResultError: A row is missing, unknown, or occurs twice; or a number is out of range.
    """
    ids, variants = pool.query_ids, pool.variants
    named = [ids[variants.query], variants.kind, variants.grain, variants.number.astype(str)]
    queries = _aligned(run.queries, ["query-id"], [ids], pool, "queries")
    most = np.finfo(np.float32).max if QUERY_VECTORS in run.setting else 1.001
    for name, low, high in (("mean", -most, most), ("deviation", 0.0, most), ("wrong", 0.0, 1.000001)):
        values = queries.column(name)
        _expect((values >= low) & (values <= high), queries.table, pool, "queries", name)
    far, strangers = queries.column("unrelated"), has_unrelated(pool)
    _expect(
        np.where(strangers, (far >= 0) & (far <= 2.001), np.isnan(far)), queries.table, pool, "queries", "unrelated"
    )
    parts: dict[str, PositiveRanks] = {}
    for part in PARTS:
        rows = run.parts.filter(pc.equal(run.parts["part"], part))
        if len(rows) or part in expected:
            parts[part] = _aligned(rows, ["query-id"], [ids], pool, f"parts, {part}")
    if sum(len(part.table) for part in parts.values()) != len(run.parts):
        raise ResultError("unknown part of a query", where=f"{pool.task}, parts", accepted=", ".join(PARTS))
    run_rows = _aligned(run.variants, ["query-id", "kind", "grain", "number"], named, pool, "variants")
    distance = run_rows.column("distance")
    _expect((distance >= 0) & (distance <= 2.001), run_rows.table, pool, "variants", "distance")
    target = run_rows.column("target")
    _expect((target >= -most) & (target <= most), run_rows.table, pool, "variants", "target")
    for name, ranks in parts.items():
        _expect(np.abs(ranks.score) <= most, ranks.table, pool, f"parts, {name}", "score")
    known = (pool.query_grains >= 0) & pool.judgements.complete
    query, kind = np.nonzero(known)
    grains = [ids[query], np.array(pool.grain_types)[kind]]
    first = _in_order(run.first, ["query-id", "grain"], grains, f"{pool.task}, first")
    kept, lost = (first[name].to_numpy().astype(np.float64) for name in ("kept", "lost"))
    for name, values in (("kept", kept), ("lost", lost)):
        _expect((values >= 0) & (values <= 1.000001), first, pool, "first", name)
    return RunRows(queries, run_rows, parts, (kept, lost))


def _aligned(table: pa.Table, names: list[str], expected: list[Any], pool: TaskPool, what: str) -> PositiveRanks:
    rows = _in_order(table, names, expected, f"{pool.task}, {what}")
    score, above, tied = (rows[name].to_numpy() for name in ("score", "above", "tied"))
    _expect(np.isfinite(score), rows, pool, what, "score")
    size = len(pool.candidate_ids)
    _expect((above >= 0) & (tied >= 0) & (above + tied < size), rows, pool, what, "above, tied")
    return PositiveRanks(score.astype(np.float64), above.astype(np.int64), tied.astype(np.int64), rows)


def _in_order(table: pa.Table, names: list[str], expected: list[Any], where: str) -> pa.Table:
    ids = _joined([np.array(table[name].cast(pa.string()).to_pylist(), dtype=np.str_) for name in names])
    wanted = _joined(expected)
    order = np.argsort(ids)
    twice = ids[order][1:][ids[order][1:] == ids[order][:-1]]
    if len(twice):
        raise ResultError("the run has a row twice", where=where, got=_said(twice[0]))
    if len(ids):
        strangers = ids[find(np.sort(wanted), ids) < 0] if len(wanted) else ids
        if len(strangers):
            raise ResultError("the run has an unknown row", where=where, got=_said(strangers[0]))
    at = find(ids[order], wanted) if len(ids) else np.full(len(wanted), -1)
    if (at < 0).any():
        raise ResultError(
            f"the run lacks {int((at < 0).sum())} of {len(wanted)} rows",
            where=f"{where}, {_said(wanted[int(np.argmin(at))])}",
            accepted="all of them: scores are never averaged over what is left",
        )
    return table.take(pa.array(order[at], pa.int64()))


def _joined(columns: list[Any]) -> np.ndarray[Any, np.dtype[np.str_]]:
    return np.array([_SEPARATOR.join(row) for row in zip(*(c.tolist() for c in columns), strict=True)], dtype=np.str_)


def _said(key: str) -> str:
    return " ".join(str(key).split(_SEPARATOR))


def _expect(right: np.ndarray[Any, Any], table: pa.Table, pool: TaskPool, what: str, column: str) -> None:
    if not right.all():
        row = table.slice(int(np.argmin(right)), 1).to_pylist()[0]
        names = column.split(", ")
        raise ResultError(
            f"{column} is out of range",
            where=f"{pool.task}, {what}, {row['query-id']}",
            got=[row[n] for n in names],
        )
