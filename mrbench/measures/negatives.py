"""Negatives of the ladder among the results, by the number of grains that they lose."""

from __future__ import annotations

from typing import Any

import numpy as np

from mrbench.measures.consequence import hit_of_positive
from mrbench.measures.grain_distance import ByGrain, mean_by_grain
from mrbench.measures.ties import Floats, Ints

Lost = np.ndarray[Any, Any]


def above_positive(lost: Lost, score: Floats, positive: Floats) -> ByGrain:
    """Return the share of a ladder's negatives that score above its positive, by grains lost: 0 to 1, lower is better.

    A tie is one half. Chance is 1/2.

    Args:
        lost: Number of the query's grains that each negative loses, as text, shape ``(num_negatives,)``.
        score: Its score.
        positive: Score of the positive of its query.

    >>> above_positive(np.array(["1", "2"]), np.array([0.5, 0.1]), np.array([0.4, 0.4]))
    {'1': (1.0, 1), '2': (0.0, 1)}
    """
    return mean_by_grain(lost, np.sign(score - positive) / 2 + 0.5)


def among_first(lost: Lost, greater: Ints, equal: Ints, k: int) -> ByGrain:
    """Return the share of a ladder's negatives among the first k of the pool, by grains lost: 0 to 1, lower is better.

    Expected value over the orders of the tied. A perfect model has the room that its relevant candidates leave filled
    by negatives, so the number tells most at 1.

    Args:
        lost: Number of the query's grains that each negative loses, as text, shape ``(num_negatives,)``.
        greater: Number of candidates of the pool that score higher.
        equal: Number that score the same, itself included.
        k: Number of places.
    """
    return mean_by_grain(lost, hit_of_positive(greater, equal - 1, k))
