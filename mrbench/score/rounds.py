"""Hit rate so far, for tasks that are the rounds of a dialogue."""

from __future__ import annotations

import numpy as np

from mrbench.measures import hit_rate_so_far, parse_name
from mrbench.results import TaskResult


def add_round_scores(results: dict[str, TaskResult]) -> None:
    """Add ``hit_rate_so_far@k`` to the tasks ``round0``, ``round1``, ... if they have the same queries.

    It stops at the first round that is missing, not scored, or has other queries. The main measure decides k.
    """
    rounds: list[TaskResult] = []
    while (result := results.get(f"round{len(rounds)}")) is not None and _goes_on(rounds, result):
        rounds.append(result)
    if not rounds:
        return
    name = str(rounds[0].task["main"])
    so_far = hit_rate_so_far(np.array([result.per_query[name] for result in rounds]))
    for result, values in zip(rounds, so_far, strict=True):
        result.scores[f"hit_rate_so_far@{parse_name(name)[1]}"] = float(values.mean())


def _goes_on(rounds: list[TaskResult], result: TaskResult) -> bool:
    """Return whether a result is the next round: of the same queries, with the same measure."""
    main = str(result.task.get("main", ""))
    if parse_name(main)[0] != "hit_rate" or main not in result.per_query:
        return False
    return not rounds or (result.clusters == rounds[0].clusters and main == rounds[0].task["main"])
