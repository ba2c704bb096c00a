"""Scores with an overlay of further judgements, beside the scores without it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from mrbench import statistics
from mrbench.arrays import Ints
from mrbench.errors import ResultError
from mrbench.measures import in_order
from mrbench.pools import TaskPool
from mrbench.pools.overlay import OverlaidPool, Overlay, OverlayPairs, lay_over
from mrbench.results import TaskResult
from mrbench.runs.run import Run, TaskRun
from mrbench.score.consistency import Rows, check_run, read_rows
from mrbench.score.scoring import RANKED, chance_levels, rank_scores, summarise

KNOWN = ("relevant", "overlay", "ladder")
"""Tables of a run that have the score of a pair and its rank in the whole pool."""


def add_overlay(
    results: Mapping[str, TaskResult], run: Run, pools: Mapping[str, TaskPool], overlay: Overlay | None = None
) -> dict[str, TaskResult]:
    """Add to the results of each task its scores with an overlay.

    Args:
        results: Scores without it, by task.
        run: The run.
        pools: The pools of the run's tasks.
        overlay: The overlay; None takes the one of the run, if it has one.

    Returns:
        The results; :attr:`mrbench.results.TaskResult.overlay` is set where a row of the overlay concerns the task.

    Raises:
        ResultError: The run lacks the scores of some of the overlay's pairs, or contradicts itself.
        BenchmarkError: Two rows of the overlay contradict each other, or no query has a relevant candidate left.
        InputError: The judgements of a task are complete.
    """
    said = run.overlay if overlay is None else describe(overlay)
    overlaid = dict(results)
    for name, part in run.tasks.items():
        if name not in pools:
            continue
        pool = pools[name]
        if overlay is not None:
            pairs = overlay.on(pool)
        elif part.overlay is not None:
            pairs = _stored(part, pool)
        else:
            continue
        if len(pairs.query):
            scored = _score(part, pool, pairs, run.depth, results[name])
            overlaid[name] = replace(results[name], overlay={**said, **scored})
    return overlaid


def describe(overlay: Overlay) -> dict[str, Any]:
    """Return the facts of an overlay for runs and results: name, digest and number of rows."""
    return {"name": overlay.name, "sha256": overlay.sha256, "rows": len(overlay.query)}


def _stored(part: TaskRun, pool: TaskPool) -> OverlayPairs:
    """Return the overlay's pairs that the run keeps."""
    rows = read_rows("overlay", part.overlay, pool)
    order = np.argsort(rows.key)
    query, position = np.divmod(rows.key[order], len(pool.candidate_ids))
    return OverlayPairs(query, position, rows.counts["relevance"][order])


def _score(part: TaskRun, pool: TaskPool, pairs: OverlayPairs, depth: int, result: TaskResult) -> dict[str, Any]:
    rows = {name: read_rows(name, getattr(part, name), pool) for name in RANKED}
    if part.overlay is not None:
        rows["overlay"] = read_rows("overlay", part.overlay, pool)
        check_run(rows, pool, depth)
    over = lay_over(pool, pairs)
    laid = {"relevant": _relevant(rows, over), "gains": _gains(rows, over)}
    clusters = statistics.cluster_codes(over.pool.clusters.tolist())
    values = rank_scores(laid, over.pool)
    scores, intervals = summarise(values, clusters)
    beneath = rank_scores(rows, pool)
    touched = np.unique(pairs.query)
    spoken = over.index[touched]
    both = spoken >= 0  # queries without a relevant candidate have no score to compare with
    with_it, without = (
        (
            summarise({name: column[of] for name, column in part_of.items()}, np.arange(int(both.sum())))[0]
            for part_of, of in ((values, spoken[both]), (beneath, touched[both]))
        )
        if both.any()
        else ({}, {})
    )
    return {
        "pairs": len(pairs.query),
        "changed": len(over.changed),
        "queries": len(over.queries),
        "without_relevant": len(pool.query_ids) - len(over.queries),
        "scores": {name: scores[name] for name in in_order(scores)},
        "intervals": intervals,
        "chance": chance_levels(scores, over.pool),
        "judged_queries": {
            "queries": int(both.sum()),
            "with": {name: with_it[name] for name in in_order(with_it)},
            "without": {name: without[name] for name in in_order(without)},
        },
    }


def _relevant(rows: Mapping[str, Rows], over: OverlaidPool) -> Rows:
    """Return the scores and ranks of all relevant candidates under the overlay, with the new numbers of queries.

    Raises:
        ResultError: The run lacks some of them.
    """
    size = len(over.beneath.candidate_ids)
    query, position = over.pool.relevant
    values = _look_up(rows, over.queries[query] * size + position, over)
    order = np.lexsort((-values["score"], query))
    counts = {name: values[name][order] for name in ("greater", "equal")}
    return Rows("relevant", query[order], (query * size + position)[order], values["score"][order], counts)


def _gains(rows: Mapping[str, Rows], over: OverlaidPool) -> Rows:
    """Return the groups of tied candidates among the first results, with the overlay's judgements counted."""
    gains, size = rows["gains"], len(over.beneath.candidate_ids)
    new = over.newly_judged
    query = over.pairs.query[new]
    above = _look_up(rows, query * size + over.pairs.position[new], over)["greater"]
    groups = gains.query * (size + 1) + gains.counts["greater"]
    order = np.argsort(groups)
    wanted = query * (size + 1) + above
    at = order[np.minimum(np.searchsorted(groups[order], wanted), len(order) - 1)]
    judged = gains.counts["judged"].copy()
    np.add.at(judged, at[groups[at] == wanted], 1)
    kept = over.index[gains.query] >= 0
    index = over.index[gains.query][kept]
    counts = {name: column[kept] for name, column in {**gains.counts, "judged": judged}.items()}
    return Rows("gains", index, index, gains.score[kept], counts)


def _look_up(rows: Mapping[str, Rows], keys: Ints, over: OverlaidPool) -> dict[str, Any]:
    """Return score and counts of pairs by their keys, from any table of the run that has them.

    Raises:
        ResultError: No table has some of them.
    """
    columns: dict[str, Any] = {
        "score": np.zeros(len(keys), dtype=np.float32),
        "greater": np.zeros(len(keys), dtype=np.int64),
        "equal": np.zeros(len(keys), dtype=np.int64),
    }
    missing = np.ones(len(keys), dtype=np.bool_)
    for name in KNOWN:
        if name not in rows or not len(rows[name].key):
            continue
        at = rows[name].row_of(keys)
        some = missing & (at >= 0)
        columns["score"][some] = rows[name].score[at[some]]
        for column in ("greater", "equal"):
            columns[column][some] = rows[name].counts[column][at[some]]
        missing &= ~some
    if missing.any():
        query, position = divmod(int(keys[int(np.argmax(missing))]), len(over.beneath.candidate_ids))
        pool = over.beneath
        raise ResultError(
            f"the run lacks the scores of {int(missing.sum())} pairs of the overlay",
            where=f"{pool.task}, {pool.query_ids[query]} {pool.candidate_ids[position]}",
        )
    return columns
