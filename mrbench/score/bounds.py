"""Checks of numbers of a run that do not follow from its ranking, but cannot be anything beside it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mrbench.arrays import Bools
from mrbench.errors import EVALUATE_AGAIN, ResultError
from mrbench.pools.pool import TaskPool
from mrbench.score.consistency import Rows
from mrbench.score.run_rows import PositiveRanks, RunRows

_LISTED = ("top", "ladder", "relevant")
_ROUNDED = 1e-3  # unit vectors are of length 1 within this


def check_moments(run: Mapping[str, Rows], queries: PositiveRanks, pool: TaskPool) -> None:
    """Check that the mean and the deviation of each query's scores are possible beside the scores that the run lists.

    Candidates that it does not list score no higher than the last of ``top``. Where there are none, both follow.

    Args:
        run: The tables ``top``, ``ladder`` and ``relevant``.
        queries: The table to check.
        pool: The task.

    Raises:
        ResultError: No scores of the other candidates give this mean, or this deviation.
    """
    top, number = run["top"], len(pool.query_ids)
    held = np.bincount(top.query, minlength=number)
    last = np.cumsum(held) - 1
    lowest, highest = (top.score.astype(np.float64)[at] for at in (last, last + 1 - held))
    _, at = np.unique(np.concatenate([run[name].key for name in _LISTED]), return_index=True)
    query, scores = (np.concatenate([getattr(run[name], part) for name in _LISTED])[at] for part in ("query", "score"))
    scores = scores.astype(np.float64)
    beyond = pool.sizes - np.bincount(query, minlength=number)
    total = np.bincount(query, weights=scores, minlength=number)
    mean, deviation = queries.column("mean"), queries.column("deviation")
    allowed = _ROUNDED * np.maximum(1.0, np.maximum(np.abs(lowest), np.abs(highest)))
    most = (total + beyond * lowest) / pool.sizes
    _possible((mean <= most + allowed) & ((beyond > 0) | (mean >= most - allowed)), "queries", "mean", queries, pool)
    away = np.bincount(query, weights=(scores - mean[query]) ** 2, minlength=number)
    rest = (pool.sizes * mean - total) / np.maximum(beyond, 1) - mean  # of the others' mean to the mean
    least = np.sqrt((away + beyond * rest**2) / pool.sizes)
    right = (deviation >= least - allowed) & ((beyond > 0) | (deviation <= least + allowed))
    _possible(right, "queries", "deviation", queries, pool)


def check_variants(run_rows: RunRows, pool: TaskPool, *, one_vector: bool) -> None:
    """Check the scores and ranks of variants against each other and against those of their queries.

    Args:
        run_rows: The tables to check.
        pool: The task.
        one_vector: Whether items have one vector each, so that a score moves no further than the query.

    Raises:
        ResultError: A score is further from the query's than the distance allows; or a candidate that is not relevant
            scores higher than the positive, or the same, and is not counted.
    """
    rows, asked = run_rows.variants, pool.variants
    own, target = rows.score, rows.column("target")
    if one_vector:
        furthest = np.sqrt(2 * rows.column("distance"))
        moved = np.abs(own - run_rows.queries.score[asked.query])
        _possible(moved <= furthest * (1 + _ROUNDED) + _ROUNDED, "variants", "score", rows, pool)
    number = len(pool.candidate_ids)
    query, position = pool.relevant
    other = ~np.isin(asked.query * number + asked.target, query * number + position)
    other &= asked.target != pool.positives[asked.query]
    if pool.excluded is not None:
        left_out = pool.excluded.query * number + pool.excluded.position
        other &= ~np.isin(asked.query * number + asked.target, left_out)
    if pool.lists is not None:
        other &= np.isin(asked.query * number + asked.target, pool.lists.query * number + pool.lists.position)
    _possible(~other | (target <= own) | (rows.above >= 1), "variants", "above", rows, pool)
    _possible(~other | (target != own) | (rows.tied >= 1), "variants", "tied", rows, pool)


def _possible(right: Bools, table: str, column: str, rows: PositiveRanks, pool: TaskPool) -> None:
    if not right.all():
        row = rows.table.slice(int(np.argmin(right)), 1).to_pylist()[0]
        names = (row[name] for name in ("query-id", "kind", "grain") if row.get(name))
        raise ResultError(
            f"{column} contradicts the scores of the run",
            where=", ".join((f"{pool.task}.{table}.parquet", *names)),
            got=row[column],
            hint=EVALUATE_AGAIN,
        )
