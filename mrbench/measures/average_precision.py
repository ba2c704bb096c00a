"""Average precision; its mean is mAP."""

from __future__ import annotations

import numpy as np

from mrbench.arrays import Floats
from mrbench.measures.ties import TieGroups


def average_precision(groups: TieGroups) -> Floats:
    """Return the expected mean, over a query's relevant candidates, of the precision at their ranks, by query.

    Over the full depth. Place ``j`` of a group of ``n`` tied, ``r`` of them relevant, below ``a`` others of which
    ``R`` are relevant, adds ``r / n * (R + 1 + (j - 1) (r - 1) / (n - 1)) / (a + j)``. With
    ``h = 1 / (a + 1) + ... + 1 / (a + n)`` the group adds
    ``r / n * ((R + 1) h + (r - 1) / (n - 1) * (n - (a + 1) h))``.

    Args:
        groups: Where the relevant candidates stand.

    Returns:
        Shape ``(num_queries,)``, above 0 to 1, higher is better.

    Source: McSherry & Najork, ECIR 2008; the sum over places by harmonic numbers is ours.

    >>> second_and_third = TieGroups(np.array([0, 0]), np.array([1, 2]), np.array([1, 1]), np.array([1, 1]), 1)
    >>> average_precision(second_and_third).round(4)
    array([0.5833])
    """
    above, size, relevant = groups.above, groups.size, groups.relevant
    running = np.cumsum(relevant) - relevant
    first = np.unique(groups.query, return_index=True)[1]
    relevant_above = running - running[first][groups.query]
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, int((above + size).max(initial=0)) + 1))])
    tied = harmonic[above + size] - harmonic[above]
    h = np.where(size == 1, 1.0 / (above + 1), tied)
    spread = (relevant - 1) / np.maximum(size - 1, 1) * (size - (above + 1) * h)
    return groups.sum(relevant / size * ((relevant_above + 1) * h + spread)) / groups.total()
