"""How sure a rank is, and which models cannot be told apart."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def rank_intervals(values: Array, *, level: float = 0.95) -> list[tuple[int, int]]:
    """Return the interval of each model's rank over resamples of the same queries.

    Args:
        values: Scores, higher is better, shape ``(resamples, num_models)``. Models of one score share the best rank.
        level: 0 to 1.

    >>> rank_intervals(np.array([[0.9, 0.1, 0.5]] * 10))
    [(1, 1), (3, 3), (2, 2)]
    """
    ranks = 1 + (values[:, None, :] > values[:, :, None]).sum(axis=2)
    low, high = np.quantile(ranks, [(1 - level) / 2, (1 + level) / 2], axis=0, method="closest_observation")
    return [(int(a), int(b)) for a, b in zip(low, high, strict=True)]


def tie_groups(scores: Array, p_values: dict[tuple[int, int], float], *, level: float = 0.05) -> list[str]:
    """Return letters for each model: two that share a letter cannot be told apart.

    Models are taken by falling score. A letter spans a run of models of which no two differ; a run that lies within
    another gets no letter of its own.

    Args:
        scores: One per model, higher is better, shape ``(num_models,)``.
        p_values: For every pair of models ``(smaller index, larger index)``, corrected for their number.
        level: Two models differ where the p-value is below.

    >>> tie_groups(np.array([0.9, 0.8, 0.1]), {(0, 1): 0.3, (0, 2): 0.001, (1, 2): 0.01})
    ['a', 'a', 'b']
    >>> tie_groups(np.array([0.9, 0.8, 0.7]), {(0, 1): 0.3, (0, 2): 0.01, (1, 2): 0.2})
    ['a', 'ab', 'b']
    """
    order = np.argsort(-scores, kind="stable").tolist()

    def differ(one: int, other: int) -> bool:
        return p_values[min(one, other), max(one, other)] < level

    letters, end, name = [""] * len(order), 0, 0
    for start in range(len(order)):
        stop = start + 1
        while stop < len(order) and not any(differ(order[stop], order[at]) for at in range(start, stop)):
            stop += 1
        if stop > end:
            for at in range(start, stop):
                letters[order[at]] += _letter(name)
            end, name = stop, name + 1
    return letters


def _letter(number: int) -> str:
    return chr(ord("a") + number) if number < 26 else f"({number + 1})"
