"""Normalised discounted cumulative gain at k, with linear or exponential gain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mrbench.arrays import Floats, Ints
from mrbench.errors import ResultError
from mrbench.measures.ties import check_cutoff

Gain = Literal["linear", "exponential"]
_HIGHEST = 50
"""Highest relevance with exponential gain: doubles hold 2**50 - 1 exactly."""


def gain_of(relevance: Ints, gain: Gain = "linear") -> Floats:
    """Return the gain of each relevance, as float64 of the same shape.

    ``linear``: the relevance itself, as in trec_eval and MTEB. ``exponential``: ``2^relevance - 1``, which weighs the
    highest grades more. On relevance of 0 and 1 both are the same.

    Args:
        relevance: 0 or more, any shape; integers.
        gain: Which of the two.

    Raises:
        ResultError: Another gain, a negative relevance, or one above 50 with exponential gain.

    Source: Järvelin & Kekäläinen, TOIS 2002 (linear); Burges et al., Learning to Rank using Gradient Descent, ICML 2005
    (exponential).

    >>> gain_of(np.array([0, 1, 3])), gain_of(np.array([0, 1, 3]), "exponential")
    (array([0., 1., 3.]), array([0., 1., 7.]))
    """
    if gain not in ("linear", "exponential"):
        raise ResultError("unknown gain", got=gain, accepted="linear or exponential")
    if relevance.size and relevance.min() < 0:
        raise ResultError("a relevance is negative", got=int(relevance.min()), accepted="0 or more")
    if gain == "linear":
        return relevance.astype(np.float64)
    if relevance.size and relevance.max() > _HIGHEST:
        raise ResultError(
            "a relevance is too high for exponential gain", got=int(relevance.max()), accepted=f"0 to {_HIGHEST}"
        )
    exponential: Floats = np.exp2(relevance.astype(np.float64)) - 1.0
    return exponential


@dataclass(frozen=True, slots=True)
class GainGroups:
    """The groups of tied candidates that reach into the first k places, as flat arrays of shape ``(num_groups,)``.

    Groups without gain may be left out: they add nothing.

    Attributes:
        query: Index of the query, 0 to ``num_queries - 1``.
        above: Number of candidates that score strictly higher than the group.
        size: Number of candidates in the group.
        gain: Sum of their gains (:func:`gain_of` of the relevance; linear gain: sum of the relevance).
        num_queries: Number of queries.
    """

    query: Ints
    above: Ints
    size: Ints
    gain: Ints | Floats
    num_queries: int

    @classmethod
    def from_listed(cls, query: Ints, above: Ints, equal: Ints, gain: Ints | Floats, num_queries: int) -> GainGroups:
        """Group candidates by query and ``above``, and sum their gains.

        Args:
            query: Query of each candidate with a gain, shape ``(num_listed,)``, in any order; a query may have none.
            above: How many candidates of the pool score strictly higher.
            equal: How many candidates of the pool have the same score, itself included.
            gain: Its gain, 0 or more; 1 for each to count candidates, as :func:`mrbench.measures.judged_share` does.
            num_queries: Number of queries.

        Raises:
            ResultError: A query is out of range, two of one group disagree on its size, or more are listed than it has.

        >>> zero = np.zeros(2, int)
        >>> GainGroups.from_listed(zero, zero, zero + 3, np.array([2, 1]), 1).gain
        array([3.])
        """
        if len(query) and (query.min() < 0 or query.max() >= num_queries):
            raise ResultError("a query is out of range", got=int(query.max()), accepted=f"0 to {num_queries - 1}")
        span = int(above.max(initial=0)) + 1
        keys, first, group, number = np.unique(
            query * span + above, return_index=True, return_inverse=True, return_counts=True
        )
        size = equal[first]
        if (size[group] != equal).any():
            raise ResultError("tied candidates disagree on the size of their group")
        if (number > size).any():
            raise ResultError("more candidates are listed than the group has", got=int(number[number > size][0]))
        summed = np.bincount(group, weights=gain, minlength=len(keys)).astype(np.float64)
        return cls(keys // span, keys % span, size, summed, num_queries)


def ndcg(groups: GainGroups, ideal: Floats, k: int) -> Floats:
    """Return the expected DCG at k divided by the ideal one, by query.

    The gain is the one that the groups and the ideal were made with (:func:`gain_of`): linear, as in trec_eval and
    MTEB, in the measure named ``ndcg@k``; exponential in ``ndcg_exp@k``. Groups and ideal must agree on it.

    Args:
        groups: All groups that reach into the first k places and have a gain.
        ideal: :func:`ideal_dcg` or :func:`ideal_dcg_listed` over the whole pool, shape ``(num_queries,)``, above 0.
        k: Number of first results, 1 or more.

    Returns:
        Shape ``(num_queries,)``, 0 to 1, higher is better.

    Raises:
        ResultError: A query's pool has no candidate with a grade above 0, so that the measure is not defined.
            (trec_eval gives 0.)

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
    discounts = summed[np.minimum(groups.above + groups.size, k)] - summed[np.minimum(groups.above, k)]
    expected = groups.gain / groups.size * discounts
    return np.bincount(groups.query, weights=expected, minlength=groups.num_queries).astype(np.float64)


def ideal_dcg(counts: np.ndarray[Any, Any], k: int, gain: Gain = "linear") -> Floats:
    """Return the DCG at k of the best order of the whole pool, by query; 0 where nothing is relevant.

    Args:
        counts: How many candidates of the pool have each relevance, shape ``(num_queries, highest relevance + 1)``.
        k: Number of first results, 1 or more.
        gain: Gain of a relevance, see :func:`gain_of`.

    Returns:
        Shape ``(num_queries,)``.

    Raises:
        ResultError: The cutoff is below 1, or the gain is not known.

    >>> ideal_dcg(np.array([[5, 0, 1]]), 10), ideal_dcg(np.array([[5, 0, 1]]), 10, "exponential")
    (array([2.]), array([3.]))
    """
    check_cutoff(k)
    summed = np.concatenate([[0.0], np.cumsum(_discounts(k))])
    best_first = counts[:, ::-1]
    end = np.minimum(np.cumsum(best_first, axis=1), k)
    start = np.concatenate([np.zeros((len(counts), 1), dtype=end.dtype), end[:, :-1]], axis=1)
    gains = gain_of(np.arange(counts.shape[1]), gain)[::-1]
    best: Floats = ((summed[end] - summed[start]) * gains).sum(axis=1)
    return best


def ideal_dcg_listed(query: Ints, relevance: Ints, num_queries: int, k: int, gain: Gain = "linear") -> Floats:
    """Return the DCG at k of the best order of listed judgements, by query; 0 where nothing is relevant.

    As :func:`ideal_dcg`, in memory that does not grow with the highest relevance.

    Args:
        query: Query of each judged candidate, shape ``(num_judgements,)``, in any order.
        relevance: Its relevance, 0 or more. What is not listed counts as 0.
        num_queries: Number of queries.
        k: Number of first results, 1 or more.
        gain: Gain of a relevance, see :func:`gain_of`.

    Returns:
        Shape ``(num_queries,)``.

    Raises:
        ResultError: The cutoff is below 1, the gain is not known, or a relevance is out of range.

    >>> ideal_dcg_listed(np.array([1, 1, 1]), np.array([0, 1, 1]), 2, 1)
    array([0., 1.])
    """
    check_cutoff(k)
    gains = gain_of(relevance, gain)
    order = np.lexsort((-gains, query))
    query, gains = query[order], gains[order]
    number = np.bincount(query, minlength=num_queries)
    rank = np.arange(len(query)) - np.repeat(np.cumsum(number) - number, number)
    inside = rank < k
    weights = gains[inside] / np.log2(rank[inside] + 2)
    return np.bincount(query[inside], weights=weights, minlength=num_queries).astype(np.float64)


def _discounts(k: int) -> Floats:
    discounts: Floats = 1.0 / np.log2(np.arange(2, k + 2, dtype=np.float64))
    return discounts
