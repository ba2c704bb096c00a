"""The ranking of each task by itself, so that a model is ranked wherever it has a score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mrbench.leaderboard.certainty import certainty
from mrbench.leaderboard.data import Place, Row, TaskHead
from mrbench.leaderboard.tasks import lower_is_better
from mrbench.measures import find_measure
from mrbench.results import TaskResult


def places(
    rows: Sequence[Row], parts: Sequence[Mapping[str, TaskResult]], heads: Sequence[TaskHead]
) -> list[tuple[Place, ...]]:
    """Return for each row its place on each task.

    Args:
        rows: The models.
        parts: The scored tasks of each.
        heads: The tasks.
    """
    by_task = [_on(number, head, rows, parts) for number, head in enumerate(heads)]
    return [tuple(found.get(row, Place()) for found in by_task) for row in range(len(rows))]


def _on(
    number: int, head: TaskHead, rows: Sequence[Row], parts: Sequence[Mapping[str, TaskResult]]
) -> dict[int, Place]:
    scores = {i: cell.score for i, row in enumerate(rows) if (cell := row.tasks[number]).score is not None}
    lower = lower_is_better(head.main)
    ordered = sorted((s for i, s in scores.items() if not rows[i].control), reverse=not lower)
    ranks = {i: None if rows[i].control else 1 + ordered.index(score) for i, score in scores.items()}
    known = find_measure(head.main)
    sure = None
    if known is None or known.over_queries == "mean":
        taken = [{head.name: parts[i][head.name]} for i in scores]
        controls = [rows[i].control for i in scores]
        sure = certainty(taken, [head.name], controls, head.main, lower_is_better=lower)
    if sure is None:
        return {i: Place(rank) for i, rank in ranks.items()}
    return {
        i: Place(rank, found.ranks, found.group, found.interval)
        for (i, rank), found in zip(ranks.items(), sure, strict=True)
    }
