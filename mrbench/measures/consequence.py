"""The effect of a grain on the results: ranks without it, with another value of it, and in other words."""

from __future__ import annotations

from typing import Any

import numpy as np

from mrbench.arrays import Floats, Ints
from mrbench.errors import ResultError
from mrbench.measures.grain_distance import ByGrain, mean_by_grain
from mrbench.measures.ties import check_cutoff

Names = np.ndarray[Any, Any]


def rank_change(grain: Names, rank: Floats, rank_without: Floats) -> ByGrain:
    """Return the mean of ``log2(rank without the grain / rank with it)`` by grain type; higher: the grain mattered.

    The rank is that of the query's positive among the candidates that are not relevant: ``1 + above + tied / 2``. The
    value is any real number: 0 if nothing changes, 1 if the rank doubles, negative if the query does better without
    the grain.

    Args:
        grain: The type that was dropped, shape ``(num_probes,)``.
        rank: Rank for the whole query, 1 or more.
        rank_without: Rank for the query without the grain.

    >>> rank_change(np.array(["count"]), np.array([1.0]), np.array([4.0]))
    {'count': (2.0, 1)}
    """
    return mean_by_grain(grain, np.log2(rank_without / rank))


def unchanged_rate(grain: Names, rank: Floats, rank_without: Floats) -> ByGrain:
    """Return the share of probes that leave the rank of the positive exactly as it was, by grain type.

    0 to 1, lower is better. Ranks are those of :func:`rank_change`. A positive that stays at rank 1 is unchanged.
    """
    return mean_by_grain(grain, (rank == rank_without).astype(np.float64))


def p_mrr(grain: Names, rank: Floats, rank_flipped: Floats) -> ByGrain:
    """Return the mean p-MRR by grain type: how far the old positive falls when the query asks for another value.

    With reciprocal ranks ``a`` for the query and ``b`` for the flipped query: ``a / b - 1`` where the candidate rises
    (``b > a``), ``1 - b / a`` where it falls. -1 to 1, higher is better; 0 for a model that ignores the grain.

    Source: FollowIR, arXiv 2403.15246, equation 1 (sign: falling is right, as the candidate is no longer relevant).

    >>> p_mrr(np.array(["count"]), np.array([1.0]), np.array([4.0]))
    {'count': (0.75, 1)}
    """
    old, new = 1 / rank, 1 / rank_flipped
    return mean_by_grain(grain, np.where(new > old, old / new - 1, 1 - new / old))


def grain_coverage(grain: Names, kept: Floats) -> ByGrain:
    """Return the mean share of the first k results that keep a grain of the query, by grain type: 0 to 1.

    Higher is better. Candidates that are tied around rank k count with their probability to be among the first k.

    Args:
        grain: A type that a query asks for, shape ``(num_query_grains,)``.
        kept: Share of its first k results that keep it.
    """
    return mean_by_grain(grain, kept)


def hit_of_positive(above: Ints, tied: Ints, k: int) -> Floats:
    """Return the probability that the positive is among the first k, without the other relevant candidates.

    Expected value over the orders of the tied: ``min(1, max(0, (k - above) / (1 + tied)))``. Shape as the arguments.

    >>> hit_of_positive(np.array([0, 4, 9]), np.array([0, 1, 0]), 5)
    array([1. , 0.5, 0. ])
    """
    check_cutoff(k)
    chance: Floats = np.clip((k - above) / (1 + tied), 0.0, 1.0)
    return chance


def phrasing_flips(query: Ints, hit: Floats, hit_reworded: Floats) -> Floats:
    """Return for each query the largest difference between the hits of its phrasings: 0 to 1, lower is better.

    The mean over queries is the share whose success depends on the wording.

    Args:
        query: Query of each paraphrase, shape ``(num_paraphrases,)``.
        hit: Hit of the query itself, shape ``(num_queries,)``.
        hit_reworded: Hit of each paraphrase.

    Raises:
        ResultError: A query has no paraphrase.

    >>> phrasing_flips(np.array([0, 0]), np.array([1.0]), np.array([1.0, 0.0]))
    array([1.])
    """
    low, high = _extremes(query, hit, hit_reworded)
    return high - low


def worst_phrasing(query: Ints, hit: Floats, hit_reworded: Floats) -> Floats:
    """Return each query's lowest hit over its phrasings: 0 to 1, higher is better. See :func:`phrasing_flips`."""
    return _extremes(query, hit, hit_reworded)[0]


def hit_rate_slope(grains: Ints, hit: Floats) -> float:
    """Return the least squares slope of the hit over the number of grains of a query: change per further grain.

    Any real number; near 0 is better: a model that uses all grains does not get worse with their number.

    Args:
        grains: Number of grains of each query, shape ``(num_queries,)``.
        hit: Its hit, 0 to 1.

    Raises:
        ResultError: All queries have the same number of grains.

    >>> hit_rate_slope(np.array([2, 2, 3, 3]), np.array([1.0, 1.0, 1.0, 0.0]))
    -0.5
    """
    if len(np.unique(grains)) < 2:
        raise ResultError("all queries have the same number of grains", got=int(grains[0]) if len(grains) else 0)
    centred = grains - grains.mean()
    return float((centred * hit).sum() / (centred**2).sum())


def confusion(has: Names, lost: Names, types: tuple[str, ...]) -> dict[str, ByGrain]:
    """Return for pairs of types the share of queries with the first type whose top result loses the second.

    Args:
        has: Whether a query asks for a type, shape ``(num_queries, num_types)``.
        lost: Share of its first results (all that tie for the first place) that lose it, the same shape.
        types: Names of the types.

    Returns:
        ``{type asked: {type lost: (0 to 1, number of queries that ask for both)}}``; no cell where no query does.

    >>> confusion(np.array([[1, 1], [1, 0]]), np.array([[0.0, 1.0], [1.0, 0.0]]), ("a", "b"))
    {'a': {'a': (0.5, 2), 'b': (1.0, 1)}, 'b': {'a': (0.0, 1), 'b': (1.0, 1)}}
    """
    asks = has.astype(np.float64)
    number, lose = asks.T @ asks, asks.T @ (asks * lost)
    return {
        asked: {
            other: (float(lose[row, column] / number[row, column]), int(number[row, column]))
            for column, other in enumerate(types)
            if number[row, column]
        }
        for row, asked in enumerate(types)
        if number[row, row]
    }


def _extremes(query: Ints, hit: Floats, hit_reworded: Floats) -> tuple[Floats, Floats]:
    if not np.isin(np.arange(len(hit)), query).all():
        raise ResultError("a query has no paraphrase")
    low, high = hit.copy(), hit.copy()
    np.minimum.at(low, query, hit_reworded)
    np.maximum.at(high, query, hit_reworded)
    return low, high
