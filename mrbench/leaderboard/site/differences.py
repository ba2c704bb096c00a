"""Differences between every two models of a board, for the page that compares them."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from mrbench import statistics
from mrbench.leaderboard.site.view import BoardView
from mrbench.measures import find_measure

RESAMPLES = 2000


def differences(view: BoardView) -> dict[str, Any]:
    """Return for each task the difference of every two models with its 95 % interval and p-value.

    The interval is that of a bootstrap over clusters of queries, the p-value that of a paired randomisation test over
    the same clusters, not corrected for the number of pairs.

    Returns:
        ``{"resamples", "tasks": [{"models": [row], "scores": [score], "pairs": [[difference, low, high, p]]}],
        "grains": [...]}``; pairs in the order of :func:`itertools.combinations`, empty where results hold no values by
        query. ``grains`` has for each task the pair accuracies by row: ``[score, low, high, count]`` or None.
    """
    tasks = [_task(view, number) for number in range(len(view.board.tasks))]
    return {"resamples": RESAMPLES, "tasks": tasks, "grains": _grains(view)}


def _task(view: BoardView, number: int) -> dict[str, Any]:
    head = view.board.tasks[number]
    rows = [i for i, row in enumerate(view.board.rows) if row.tasks[number].score is not None]
    scores = [view.board.rows[i].tasks[number].score for i in rows]
    parts = [view.results[i].tasks[head.name] for i in rows]
    known = find_measure(head.main)
    made: dict[str, Any] = {"models": rows, "scores": scores, "pairs": []}
    if len(rows) < 2 or (known is not None and known.over_queries != "mean"):
        return made
    if any(head.main not in part.per_query for part in parts):
        return made
    codes = statistics.cluster_codes(list(parts[0].clusters))
    if codes.max() < 1:
        return made
    values = np.array([part.per_query[head.main] for part in parts])
    drawn = statistics.bootstrap_means(values, np.ones_like(values), codes, resamples=RESAMPLES)
    p_values = statistics.paired_p_values(values, codes, resamples=RESAMPLES)
    clusters = int(codes.max()) + 1
    means = values.mean(axis=1)
    for one, other in combinations(range(len(rows)), 2):
        low, high = statistics.bootstrap_interval(drawn[:, one] - drawn[:, other], clusters)
        cells = (means[one] - means[other], low, high, p_values[one, other])
        made["pairs"].append([round(float(cell), 5) for cell in cells])
    return made


def _grains(view: BoardView) -> list[dict[str, Any]]:
    found = []
    for panel in view.board.panels:
        lines = {
            line.row: [
                None if cell.score is None else [round(cell.score, 4), *(cell.interval or (None, None)), cell.count]
                for cell in line.cells
            ]
            for line in panel.lines
        }
        found.append({"title": panel.title, "lines": lines})
    return found
