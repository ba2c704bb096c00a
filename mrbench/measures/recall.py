"""Recall at k."""

from __future__ import annotations

import numpy as np

from mrbench.arrays import Floats
from mrbench.measures.ties import TieGroups, check_cutoff


def recall(groups: TieGroups, k: int) -> Floats:
    """Return the expected share of a query's relevant candidates that are among the first k, by query.

    A group of ``n`` tied below ``a`` others gives each of its members the probability ``min(max(k - a, 0), n) / n``.
    A query with more than k relevant candidates cannot reach 1.

    Args:
        groups: Where the relevant candidates stand.
        k: Number of places, 1 or more.

    Returns:
        Shape ``(num_queries,)``, 0 to 1, higher is better.

    Source: McSherry & Najork, ECIR 2008.

    >>> half_in = TieGroups(np.array([0, 0]), np.array([0, 7]), np.array([1, 1]), np.array([1, 1]), 1)
    >>> recall(half_in, 5)
    array([0.5])
    """
    check_cutoff(k)
    inside = np.clip(k - groups.above, 0, groups.size) / groups.size
    return groups.sum(inside * groups.relevant) / groups.total()
