"""How sure a ranking is: intervals of scores and ranks, and which models cannot be told apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mrbench.results import TaskResult

RESAMPLES = 10_000


@dataclass(frozen=True, slots=True)
class Certainty:
    """What is known of one model's place.

    Attributes:
        interval: 95 % interval of the overall score.
        ranks: 95 % interval of the rank; None for controls.
        group: Letters: models that share one cannot be told apart; empty for controls.
    """

    interval: tuple[float, float]
    ranks: tuple[int, int] | None
    group: str


def certainty(
    models: Sequence[dict[str, TaskResult]],
    tasks: Sequence[str],
    controls: Sequence[bool],
    measure: str,
    *,
    lower_is_better: bool = False,
    leader: int = 0,
) -> list[Certainty] | None:
    """Compare models that were scored on all tasks of one benchmark.

    Queries are drawn again in clusters, over all tasks at once. Pairs of models are compared with a randomisation test
    over the same clusters, corrected after Holm; controls take no part in it.

    Args:
        models: The parts of each model by task.
        tasks: The tasks.
        controls: Whether a model is a control.
        measure: The measure of the ranking, a mean over queries.
        lower_is_better: Whether low values are good.
        leader: The model whose result says which queries are drawn together.

    Returns:
        One entry per model, or None where the results hold no values by query.
    """
    import numpy as np

    from mrbench import statistics

    if not models or any(measure not in parts[task].per_query for parts in models for task in tasks):
        return None
    clusters = [name for task in tasks for name in models[leader][task].clusters]
    codes = statistics.cluster_codes(clusters)
    if codes.max() < 1:
        return None
    sizes = [len(models[0][task].clusters) for task in tasks]
    task_of = np.repeat(np.arange(len(tasks)), sizes)
    values = np.array([[value for task in tasks for value in parts[task].per_query[measure]] for parts in models])
    number = int(codes.max()) + 1
    # Sums by cluster: how many queries of each task, then the values of each model on each task.
    columns = np.zeros((number, len(models) + 1, len(tasks)))
    for task in range(len(tasks)):
        some = task_of == task
        columns[:, 0, task] = np.bincount(codes[some], minlength=number)
        for model, row in enumerate(values, start=1):
            columns[:, model, task] = np.bincount(codes[some], weights=row[some], minlength=number)

    def overall(sums: Any) -> Any:
        by_task = sums.reshape(len(sums), len(models) + 1, len(tasks))
        drawn = np.where(by_task[:, :1] > 0, by_task[:, :1], np.nan)  # a task of which no query was drawn has no mean
        return np.nanmean(by_task[:, 1:] / drawn, axis=2)

    better = -1.0 if lower_is_better else 1.0
    drawn = statistics.bootstrap(columns.reshape(number, -1), np.arange(number), overall, resamples=RESAMPLES)
    intervals = [statistics.bootstrap_interval(column, number) for column in drawn.T]
    ranked = np.flatnonzero(~np.array(controls, dtype=bool))
    weighted = values / np.repeat(sizes, sizes)  # so that the sum over queries is the sum of the tasks' means
    ranks, groups = {}, {}
    if len(ranked):
        p_values = statistics.holm(statistics.paired_p_values(weighted[ranked], codes, resamples=RESAMPLES))
        letters = statistics.tie_groups(better * weighted[ranked].sum(axis=1), p_values)
        ranks = dict(zip(ranked.tolist(), statistics.rank_intervals(better * drawn[:, ranked]), strict=True))
        groups = dict(zip(ranked.tolist(), letters, strict=True))
    return [Certainty(interval, ranks.get(i), groups.get(i, "")) for i, interval in enumerate(intervals)]
