"""Tasks that are rounds of one dialogue: adds what has been found up to each round."""

from __future__ import annotations

import numpy as np

from mrbench.measures import hit_rate_so_far, parse_name
from mrbench.results import TaskResult


def add_round_scores(results: dict[str, TaskResult]) -> None:
    """Add ``hit_rate_so_far@k`` to tasks named ``round0``, ``round1``, ... that ask the same queries.

    It is added up to the first round that is missing, not scored or of other queries; k is that of the main measure.
    """
    rounds: list[TaskResult] = []
    while (result := results.get(f"round{len(rounds)}")) is not None and _goes_on(rounds, result):
        rounds.append(result)
    if not rounds:
        return
    name = str(rounds[0].task["main"])
    found = hit_rate_so_far(np.array([result.per_query[name] for result in rounds]))
    for result, values in zip(rounds, found, strict=True):
        result.scores[f"hit_rate_so_far@{parse_name(name)[1]}"] = float(values.mean())


def _goes_on(rounds: list[TaskResult], result: TaskResult) -> bool:
    """Return whether a result is one more round of the same queries under the same measure."""
    main = str(result.task.get("main", ""))
    if parse_name(main)[0] != "hit_rate" or main not in result.per_query:
        return False
    return not rounds or (result.clusters == rounds[0].clusters and main == rounds[0].task["main"])
