"""Rank of the first relevant candidate, and its reciprocal, whose mean is MRR."""

from __future__ import annotations

import numpy as np

from mrbench.arrays import Floats
from mrbench.measures.ties import TieGroups, check_cutoff


def reciprocal_rank(groups: TieGroups, k: int | None = None) -> Floats:
    """Return the expected value of 1 / rank of the first relevant candidate, by query; 0 where it is beyond k.

    With ``a`` candidates above the best group of ``n`` tied, ``r`` of them relevant:
    ``sum over j = 1 .. min(n - r + 1, k - a) of P(first at j) / (a + j)``, where the first relevant is later than ``j``
    with probability ``C(n - r, j) / C(n, j)``. Without ties ``1 / (a + 1)``.

    Args:
        groups: The tie groups of the relevant candidates.
        k: Number of first results, 1 or more; None: all.

    Returns:
        Shape ``(num_queries,)``, 0 to 1 (above 0 without a cutoff), higher is better.

    Raises:
        ResultError: The cutoff is below 1.

    Source: trec_eval, ``recip_rank``; MTEB and MS MARCO for the cutoff; ties: McSherry & Najork, ECIR 2008.

    >>> one_of_two_tied = TieGroups(np.array([0]), np.array([0]), np.array([2]), np.array([1]), 1)
    >>> reciprocal_rank(one_of_two_tied), reciprocal_rank(one_of_two_tied, 1)
    (array([0.75]), array([0.5]))
    """
    if k is not None:
        check_cutoff(k)
    distinct, inverse = np.unique(np.stack(groups.best(), axis=1), axis=0, return_inverse=True)
    values = np.array([_expected(int(above), int(size), int(relevant), k) for above, size, relevant in distinct])
    return values[inverse.reshape(-1)].astype(np.float64)


def first_rank(groups: TieGroups) -> Floats:
    """Return the expected rank of the first relevant candidate, by query.

    ``a + (n + 1) / (r + 1)`` with ``a`` candidates above the best group of ``n`` tied, ``r`` of them relevant: the mean
    of the smallest of ``r`` places drawn from ``n``. Without ties ``a + 1``. Papers on image and text print its mean
    over queries as MeanR, and its median (:func:`mrbench.measures.median`) as MedR.

    Args:
        groups: The tie groups of the relevant candidates.

    Returns:
        Shape ``(num_queries,)``, 1 to the size of the pool, lower is better.

    Source: Karpathy & Fei-Fei, arXiv 1412.2306 (Med r: rank of the closest ground truth); ties are ours.

    >>> one_of_three_tied = TieGroups(np.array([0]), np.array([4]), np.array([3]), np.array([1]), 1)
    >>> first_rank(one_of_three_tied)
    array([6.])
    """
    above, size, relevant = groups.best()
    rank: Floats = above + (size + 1) / (relevant + 1)
    return rank


def _expected(above: int, size: int, relevant: int, k: int | None) -> float:
    drawn = np.arange(size - relevant)
    later = np.concatenate([[1.0], np.cumprod((size - relevant - drawn) / (size - drawn)), [0.0]])
    terms = -np.diff(later) / (above + 1 + np.arange(size - relevant + 1))
    return float(terms[: None if k is None else max(k - above, 0)].sum())
