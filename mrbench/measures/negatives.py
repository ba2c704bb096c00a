"""Negatives of the ladder among the results, by the number of grains that they lose."""

from __future__ import annotations

from typing import Any

import numpy as np

from mrbench.arrays import Floats, Ints
from mrbench.errors import ResultError
from mrbench.measures.consequence import hit_of_positive
from mrbench.measures.grain_distance import ByGrain, mean_by_grain

Lost = np.ndarray[Any, Any]


def above_positive(lost: Lost, score: Floats, positive: Floats) -> ByGrain:
    """Return the share of a ladder's negatives that score above its positive, by grains lost: 0 to 1, lower is better.

    A tie counts half. Chance is 1/2.

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

    It is an expected value over the orders of tied candidates. A perfect model ranks negatives right below the relevant
    candidates, so the value says most at k = 1.

    Args:
        lost: Number of the query's grains that each negative loses, as text, shape ``(num_negatives,)``.
        greater: Number of candidates of the pool that score higher.
        equal: Number that score the same, itself included.
        k: Number of places.
    """
    return mean_by_grain(lost, hit_of_positive(greater, equal - 1, k))


def any_among_first(query: Ints, greater: Ints, equal: Ints, k: int, num_queries: int) -> Floats:
    """Return whether any of a query's negatives is among the first k of the pool: 0 or 1, lower is better.

    If negatives are tied around rank k, it is the highest probability of any of them.

    Args:
        query: Query of each negative, shape ``(num_negatives,)``; one-off negatives show what misleads a user.
        greater: Number of candidates of the pool that score higher.
        equal: Number that score the same, itself included.
        k: Number of places.
        num_queries: Number of queries.

    Returns:
        Shape ``(num_queries,)``.

    Raises:
        ResultError: A query has no negative.

    Source: PinPoint, arXiv 2603.04598, counts hard negatives in the first results.

    >>> any_among_first(np.array([0, 0, 1]), np.array([0, 30, 12]), np.array([1, 1, 1]), 10, 2)
    array([1., 0.])
    """
    number = np.bincount(query, minlength=num_queries)
    if (number == 0).any():
        raise ResultError("a query has no negative", where=f"query {int(np.argmin(number))}")
    highest = np.zeros(num_queries)
    np.maximum.at(highest, query, hit_of_positive(greater, equal - 1, k))
    return highest
