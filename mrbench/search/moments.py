"""Mean and standard deviation of each query's scores over the pool, without computing the scores."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any

import numpy as np

from mrbench.arrays import Embeddings, Floats, Ints, Scores
from mrbench.workers import ordered_map

ROWS = 1024  # candidates in one product
SPANS = 64  # partial sums; their number and order depend only on the size of the pool


def moments(
    queries: Embeddings, candidates: Embeddings, pool: Executor, weights: Ints | None = None
) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of the products of each query with all candidates.

    The mean is the product of the query with the mean candidate. The variance is ``q C q`` with the candidates'
    covariance ``C``. With fewer queries than dimensions, it is summed from the products with the centred candidates
    instead. Either way takes at most twice the operations of all scores. Sums are in float64, in an order that depends
    only on the number of candidates.

    Args:
        queries: Shape ``(num_queries, dimension)``.
        candidates: Shape ``(num_candidates, dimension)``; may be memory-mapped.
        pool: Threads to use.
        weights: Copies of each candidate in the pool; None takes 1 for each.

    Returns:
        Two arrays of shape ``(num_queries,)``, rounded to float32, since the digits below differ between libraries.
    """
    number = len(candidates) if weights is None else int(weights.sum())
    wide = queries.astype(np.float64)
    few = len(queries) < queries.shape[1]
    span = -(-len(candidates) // (SPANS * ROWS)) * ROWS

    def total(work: Callable[[Floats], Floats], centre: Floats | float) -> Any:
        parts = ordered_map(
            partial(_sum, candidates=candidates, weights=weights, centre=centre, work=work, span=span),
            range(0, len(candidates), span),
            pool,
            chunk=1,
            in_flight=4,
        )
        result = next(parts)
        for part in parts:
            result += part
        return result / number

    centre = total(lambda rows: rows.sum(axis=0), 0.0) if weights is None else _weighted_mean(candidates, weights)
    if few:
        square = total(lambda rows: ((rows @ wide.T) ** 2).sum(axis=0), centre)
    else:
        square = np.einsum("ij,ij->i", wide @ total(lambda rows: rows.T @ rows, centre), wide)
    mean, deviation = wide @ centre, np.sqrt(np.maximum(square, 0.0))
    return mean.astype(np.float32).astype(np.float64), deviation.astype(np.float32).astype(np.float64)


def list_moments(scores: Scores, counts: Ints, weights: Ints | None = None) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of the scores of each query.

    Args:
        scores: Those of the first query, then of the second, and so on, shape ``(num_scores,)``.
        counts: Number of scores of each query, shape ``(num_queries,)``.
        weights: Number of times that each score counts, 1 or more; None takes 1 for each.

    Returns:
        Two arrays of shape ``(num_queries,)``, rounded to float32; NaN for a query without scores. If all scores of a
        query are equal, the results are that score and exactly 0.

    >>> list_moments(np.float32([0.25, 0.75, 0.5]), np.array([2, 1]))
    (array([0.5, 0.5]), array([0.25, 0.  ]))
    """
    number, some = len(counts), np.flatnonzero(counts)
    query = np.repeat(np.arange(number), counts)
    weight = np.ones(len(scores)) if weights is None else weights.astype(np.float64)
    shift = np.zeros(number)
    shift[some] = scores[(np.cumsum(counts) - counts)[some]]
    away = scores - shift[query]
    with np.errstate(invalid="ignore"):
        total = np.bincount(query, weight, minlength=number)
        mean = np.bincount(query, weight * away, minlength=number) / total
        square = np.bincount(query, weight * (away - mean[query]) ** 2, minlength=number) / total
    mean, deviation = shift + mean, np.sqrt(square)
    return mean.astype(np.float32).astype(np.float64), deviation.astype(np.float32).astype(np.float64)


def _sum(
    start: int,
    *,
    candidates: Embeddings,
    weights: Ints | None,
    centre: Floats | float,
    work: Callable[[Floats], Floats],
    span: int,
) -> Floats:
    result: Any = 0.0
    for row in range(start, min(start + span, len(candidates)), ROWS):
        rows = candidates[row : row + ROWS].astype(np.float64)
        rows -= centre
        if weights is not None:
            rows *= np.sqrt(weights[row : row + len(rows), None])
        result = result + work(rows)
    return np.asarray(result)


def _weighted_mean(candidates: Embeddings, weights: Ints) -> Floats:
    result = np.zeros(candidates.shape[1])
    for row in range(0, len(candidates), ROWS):
        part = candidates[row : row + ROWS].astype(np.float64)
        result += weights[row : row + len(part)].astype(np.float64) @ part
    mean: Floats = result / weights.sum()
    return mean
