"""Hit rate at k."""

from __future__ import annotations

import numpy as np

from mrbench.arrays import Floats
from mrbench.measures.ties import TieGroups, check_cutoff


def hit_rate(groups: TieGroups, k: int) -> Floats:
    """Return the probability that any relevant candidate is among the first k, by query.

    Also named success@k. UniIR, MMEB and much work on image retrieval print it as "Recall@k", which it is only where
    every query has one relevant candidate; for the share of the relevant see :func:`mrbench.measures.recall`.

    With ``a`` candidates above the best group of ``n`` tied, ``r`` of them relevant, and ``m = min(k - a, n)`` places:
    ``1 - C(n - r, m) / C(n, m)``, and 0 where ``m <= 0``. No lower group counts: its places begin after the whole of
    this one. Without ties 1 or 0.

    Args:
        groups: The tie groups of the relevant candidates.
        k: Number of first results, 1 or more.

    Returns:
        Shape ``(num_queries,)``, 0 to 1, higher is better.

    Source: McSherry & Najork, Computing Information Retrieval Performance Measures Efficiently in the Presence of
    Tied Scores, ECIR 2008 (expected value over the orders of the tied); the product form of the hypergeometric
    probability is ours.

    >>> one_of_four_tied = TieGroups(np.array([0]), np.array([0]), np.array([4]), np.array([1]), 1)
    >>> hit_rate(one_of_four_tied, 1)
    array([0.25])
    """
    check_cutoff(k)
    above, size, relevant = groups.best()
    missed = np.ones(groups.num_queries)
    for draw in range(int(np.clip(k - above, 0, size).max(initial=0))):
        drawn = (draw < k - above) & (draw < size)
        missed *= np.where(drawn, np.maximum(size - relevant - draw, 0) / np.maximum(size - draw, 1), 1.0)
    return 1.0 - missed
