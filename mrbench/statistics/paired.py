"""Tests whether models differ on the same queries: a randomisation test over clusters, and Holm's correction."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from mrbench.errors import ResultError

Array = np.ndarray[Any, Any]
_BLOCK = 1000


def paired_p_values(
    scores: Array, clusters: Array, *, resamples: int = 10_000, seed: int = 0
) -> dict[tuple[int, int], float]:
    """Return for every pair of models the two-sided p-value of the hypothesis that their mean scores are equal.

    If both models are equally good, the difference of each cluster could as well have the other sign. So signs are
    drawn at random, the same for all pairs: ``p = (1 + number of resamples with a difference at least as large) /
    (1 + resamples)``.

    Source: the paired randomisation test, Smucker, Allan & Carterette, CIKM 2007, over clusters.

    Args:
        scores: Shape ``(num_models, num_queries)``, the same queries for all.
        clusters: Cluster of each query, 0 to ``num_clusters - 1``.
        resamples: Number of resamples.
        seed: Seed of the signs.

    Returns:
        ``{(model, other model): p}`` with the first index smaller.

    Raises:
        ResultError: A score is missing or not a number.
    """
    if not scores.size or not np.isfinite(scores).all() or scores.shape[1] != len(clusters):
        raise ResultError("a test needs the scores of all models on all queries", got=scores.shape)
    pairs = list(combinations(range(len(scores)), 2))
    if not pairs:
        return {}
    number = int(clusters.max()) + 1
    sums = np.stack([np.bincount(clusters, weights=row, minlength=number) for row in scores], axis=1)
    one, other = np.array(pairs).T
    total = sums.sum(axis=0)
    observed = np.abs(total[one] - total[other]) - 1e-9  # equal up to rounding counts as large
    rng = np.random.default_rng(seed)
    larger = np.zeros(len(pairs))
    for start in range(0, resamples, _BLOCK):
        signs = rng.integers(0, 2, size=(min(_BLOCK, resamples - start), number)) * 2.0 - 1.0
        drawn = signs @ sums  # by model: the difference of a pair is that of its two columns
        larger += (np.abs(drawn[:, one] - drawn[:, other]) >= observed).sum(axis=0)
    return {pair: float(p) for pair, p in zip(pairs, (1 + larger) / (1 + resamples), strict=True)}


def holm(p_values: dict[tuple[int, int], float]) -> dict[tuple[int, int], float]:
    """Return p-values corrected for their number: with a limit of 0.05, any false difference has a chance below 5 %.

    Source: Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 1979.

    >>> holm({(0, 1): 0.01, (0, 2): 0.04, (1, 2): 0.03})
    {(0, 1): 0.03, (0, 2): 0.06, (1, 2): 0.06}
    """
    corrected: dict[tuple[int, int], float] = {}
    highest = 0.0
    for rank, pair in enumerate(sorted(p_values, key=lambda pair: p_values[pair])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[pair]))
        corrected[pair] = highest
    return {pair: corrected[pair] for pair in p_values}
