"""Intervals of ranks, and groups of models that cannot be told apart."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def rank_intervals(values: Array, *, level: float = 0.95) -> list[tuple[int, int]]:
    """Return the interval of each model's rank over resamples of the same queries.

    Args:
        values: Scores, higher is better, shape ``(resamples, num_models)``. Equal models share the best rank.
        level: 0 to 1.

    >>> rank_intervals(np.array([[0.9, 0.1, 0.5]] * 10))
    [(1, 1), (3, 3), (2, 2)]
    """
    values = np.round(values, 12)  # equal scores must stay equal despite rounding of sums
    ranks = 1 + (values[:, None, :] > values[:, :, None]).sum(axis=2)
    low, high = np.quantile(ranks, [(1 - level) / 2, (1 + level) / 2], axis=0, method="closest_observation")
    return [(int(a), int(b)) for a, b in zip(low, high, strict=True)]


def tie_groups(scores: Array, p_values: dict[tuple[int, int], float], *, level: float = 0.05) -> list[str]:
    """Return letters for each model. Two models share a letter exactly when they cannot be told apart.

    Each letter stands for a maximal set of models of which no two differ. Letters are ordered by the best model of
    their set.

    Source: Piepho, An algorithm for a letter-based representation of all-pairwise comparisons, Journal of
    Computational and Graphical Statistics 2004 (insert and absorb).

    Args:
        scores: One per model, higher is better, shape ``(num_models,)``.
        p_values: For every pair of models ``(smaller index, larger index)``, corrected for their number.
        level: Two models differ if their p-value is below this level.

    >>> tie_groups(np.array([0.9, 0.8, 0.1]), {(0, 1): 0.3, (0, 2): 0.001, (1, 2): 0.01})
    ['a', 'a', 'b']
    >>> tie_groups(np.array([0.9, 0.8, 0.7]), {(0, 1): 0.3, (0, 2): 0.01, (1, 2): 0.2})
    ['a', 'ab', 'b']
    """
    sets = {frozenset(range(len(scores)))}
    for pair in (frozenset(pair) for pair, p in p_values.items() if p < level):
        split = {group - {model} for group in sets if pair <= group for model in pair}
        kept = {group for group in sets if not pair <= group}
        sets = kept | {group for group in split if not any(group < other for other in kept | split)}
    rank_of = {model: rank for rank, model in enumerate(np.argsort(-scores, kind="stable").tolist())}
    in_order = sorted(sets, key=lambda group: sorted(rank_of[model] for model in group))
    return [
        "".join(_letter(number) for number, group in enumerate(in_order) if model in group)
        for model in range(len(scores))
    ]


def _letter(number: int) -> str:
    return chr(ord("a") + number) if number < 26 else f"({number + 1})"
