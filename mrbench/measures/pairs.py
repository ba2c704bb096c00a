"""Pair accuracy by grain type, and all-grains accuracy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mrbench.errors import ResultError
from mrbench.measures.ties import Floats, Ints


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of a positive and a candidate that differs from it in one grain only, arrays of shape ``(num_pairs,)``.

    Attributes:
        query: Index of the query, 0 to ``num_queries - 1``.
        grain: The type of that grain.
        right: Whether the positive scores strictly above the other: a tie is not right.
        num_queries: Number of queries.
    """

    query: Ints
    grain: np.ndarray[Any, Any]
    right: np.ndarray[Any, np.dtype[np.bool_]]
    num_queries: int


def pair_accuracy(pairs: Pairs) -> dict[str, tuple[float, int]]:
    """Return, by grain type, the share of pairs that are right and the number of pairs.

    P[score(positive) > score(candidate that differs only in this grain)]. A tie fails, because a model that gives both
    one score has not told them apart: chance is 1/2 for a model that guesses, and 0 for one that does not see.

    Returns:
        ``{grain type: (0 to 1, higher is better; number of pairs)}``, sorted by type.

    Raises:
        ResultError: There is no pair.

    >>> pairs = Pairs(np.array([0, 1]), np.array(["count", "count"]), np.array([True, False]), 2)
    >>> pair_accuracy(pairs)
    {'count': (0.5, 2)}
    """
    if not len(pairs.query):
        raise ResultError("no pair to score", accepted="a ladder for every query")
    found = {}
    for grain in np.unique(pairs.grain):
        right = pairs.right[pairs.grain == grain]
        found[str(grain)] = (float(right.mean()), len(right))
    return found


def all_grains_accuracy(pairs: Pairs) -> Floats:
    """Return 1 for each query whose pairs are all right and 0 for the others, shape ``(num_queries,)``.

    Raises:
        ResultError: A query has no pair.

    >>> pairs = Pairs(np.array([0, 0]), np.array(["count", "size"]), np.array([True, False]), 1)
    >>> all_grains_accuracy(pairs)
    array([0.])
    """
    number = np.bincount(pairs.query, minlength=pairs.num_queries)
    if (number == 0).any():
        raise ResultError("a query has no pair", where=f"query {int(np.argmin(number))}")
    wrong = np.bincount(pairs.query, weights=~pairs.right, minlength=pairs.num_queries)
    right: Floats = (wrong == 0).astype(np.float64)
    return right
