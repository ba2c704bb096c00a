"""Reciprocal rank; its mean is MRR."""

from __future__ import annotations

import numpy as np

from mrbench.arrays import Floats
from mrbench.measures.ties import TieGroups


def reciprocal_rank(groups: TieGroups) -> Floats:
    """Return the expected value of 1 / rank of the first relevant candidate, over the full depth, by query.

    With ``a`` candidates above the best group of ``n`` tied, ``r`` of them relevant:
    ``sum over j = 1 .. n - r + 1 of P(first at j) / (a + j)``, where the first relevant is later than ``j`` with
    probability ``C(n - r, j) / C(n, j)``. Without ties ``1 / (a + 1)``.

    Args:
        groups: Where the relevant candidates stand.

    Returns:
        Shape ``(num_queries,)``, above 0 to 1, higher is better.

    Source: McSherry & Najork, ECIR 2008.

    >>> one_of_two_tied = TieGroups(np.array([0]), np.array([0]), np.array([2]), np.array([1]), 1)
    >>> reciprocal_rank(one_of_two_tied)
    array([0.75])
    """
    distinct, inverse = np.unique(np.stack(groups.best(), axis=1), axis=0, return_inverse=True)
    values = np.array([_expected(*map(int, group)) for group in distinct])
    return values[inverse.reshape(-1)].astype(np.float64)


def _expected(above: int, size: int, relevant: int) -> float:
    drawn = np.arange(size - relevant)
    later = np.concatenate([[1.0], np.cumprod((size - relevant - drawn) / (size - drawn)), [0.0]])
    return float((-np.diff(later) / (above + 1 + np.arange(size - relevant + 1))).sum())
