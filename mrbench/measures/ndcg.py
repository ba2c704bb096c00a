"""Normalised discounted cumulative gain at k, over grades."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mrbench.arrays import Floats, Ints
from mrbench.errors import ResultError
from mrbench.measures.ties import check_cutoff


@dataclass(frozen=True, slots=True)
class GainGroups:
    """The groups of tied candidates that reach into the first k places, as flat arrays of shape ``(num_groups,)``.

    Attributes:
        query: Index of the query, 0 to ``num_queries - 1``.
        above: Number of candidates that score strictly higher than the group.
        size: Number of candidates in the group.
        gain: Sum of their grades.
        num_queries: Number of queries.
    """

    query: Ints
    above: Ints
    size: Ints
    gain: Ints
    num_queries: int


def ndcg(groups: GainGroups, ideal: Floats, k: int) -> Floats:
    """Return the expected DCG at k divided by the ideal one, by query.

    The gain of a candidate is its grade (linear, as trec_eval and MTEB have it; not ``2^grade - 1``).

    Args:
        groups: The groups that reach into the first k places; together they fill them, or are the whole pool.
        ideal: :func:`ideal_dcg` over the whole pool, shape ``(num_queries,)``, above 0.
        k: Number of places, 1 or more.

    Returns:
        Shape ``(num_queries,)``, 0 to 1, higher is better.

    Raises:
        ResultError: A query's pool has no candidate with a grade above 0, so that the measure is not defined.

    >>> swapped = GainGroups(np.array([0, 0]), np.array([0, 1]), np.array([1, 1]), np.array([0, 1]), 1)
    >>> ndcg(swapped, np.array([1.0]), 10).round(4)
    array([0.6309])
    """
    if not (ideal > 0).all():
        raise ResultError("no candidate of the pool has a grade above 0", where=f"query {int(np.argmin(ideal))}")
    return dcg(groups, k) / ideal


def dcg(groups: GainGroups, k: int) -> Floats:
    """Return the expected sum over places ``j = 1 .. k`` of ``gain / log2(j + 1)``, by query.

    Each place of a group holds the group's mean gain in expectation.

    Source: Järvelin & Kekäläinen, TOIS 2002; ties after McSherry & Najork, ECIR 2008.

    Returns:
        Shape ``(num_queries,)``, 0 or more, higher is better.
    """
    check_cutoff(k)
    summed = np.concatenate([[0.0], np.cumsum(_discounts(k))])
    places = summed[np.minimum(groups.above + groups.size, k)] - summed[np.minimum(groups.above, k)]
    expected = groups.gain / groups.size * places
    return np.bincount(groups.query, weights=expected, minlength=groups.num_queries).astype(np.float64)


def ideal_dcg(counts: np.ndarray[Any, Any], k: int) -> Floats:
    """Return the DCG at k of the best order of the whole pool, by query.

    Args:
        counts: How many candidates of the pool have each grade, shape ``(num_queries, highest grade + 1)``.
        k: Number of places, 1 or more.

    Returns:
        Shape ``(num_queries,)``.

    >>> ideal_dcg(np.array([[5, 0, 1]]), 10)
    array([2.])
    """
    check_cutoff(k)
    summed = np.concatenate([[0.0], np.cumsum(_discounts(k))])
    best_first = counts[:, ::-1]
    end = np.minimum(np.cumsum(best_first, axis=1), k)
    start = np.concatenate([np.zeros((len(counts), 1), dtype=end.dtype), end[:, :-1]], axis=1)
    grades = np.arange(counts.shape[1])[::-1]
    best: Floats = ((summed[end] - summed[start]) * grades).sum(axis=1)
    return best


def _discounts(k: int) -> Floats:
    discounts: Floats = 1.0 / np.log2(np.arange(2, k + 2, dtype=np.float64))
    return discounts
