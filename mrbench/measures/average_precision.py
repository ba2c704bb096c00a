"""Average precision over the full depth, at k in its two conventions, and at R. The means are named mAP."""

from __future__ import annotations

import numpy as np

from mrbench.arrays import Floats, Ints
from mrbench.measures.ties import TieGroups, check_cutoff


def average_precision(groups: TieGroups, k: int | None = None) -> Floats:
    """Return the expected sum of the precision at the ranks of the relevant, over their number, by query.

    ``sum over relevant ranks j <= k of P@j / |relevant|``: a query with more than k relevant candidates cannot reach 1.
    For the other convention see :func:`capped_average_precision`.

    Place ``j`` of a group of ``n`` tied, ``r`` of them relevant, below ``a`` others of which ``R`` are relevant, adds
    ``r / n * (R + 1 + (j - 1) (r - 1) / (n - 1)) / (a + j)``. With ``m`` of its places among the first k and
    ``h = 1 / (a + 1) + ... + 1 / (a + m)`` the group adds
    ``r / n * ((R + 1) h + (r - 1) / (n - 1) * (m - (a + 1) h))``.

    Args:
        groups: The tie groups of the relevant candidates.
        k: Number of first results, 1 or more; None: all.

    Returns:
        Shape ``(num_queries,)``, 0 to 1, higher is better.

    Raises:
        ResultError: The cutoff is below 1.

    Source: trec_eval, ``map`` and ``map_cut_k``; ties: McSherry & Najork, ECIR 2008; the sum over places by harmonic
    numbers is ours.

    >>> second_and_third = TieGroups(np.array([0, 0]), np.array([1, 2]), np.array([1, 1]), np.array([1, 1]), 1)
    >>> average_precision(second_and_third).round(4), average_precision(second_and_third, 2)
    (array([0.5833]), array([0.25]))
    """
    if k is None:
        return _summed_precision(groups, groups.size) / groups.total()
    check_cutoff(k)
    return _summed_precision(groups, groups.inside(k)) / groups.total()


def capped_average_precision(groups: TieGroups, k: int) -> Floats:
    """Return the expected sum of the precision at the ranks of the relevant up to k, over the most there can be.

    ``sum over relevant ranks j <= k of P@j / min(k, |relevant|)``, by query: a perfect order reaches 1 at every k.
    Equal to :func:`average_precision` at k where a query has no more than k relevant candidates. Ties as there.

    Args:
        groups: The tie groups of the relevant candidates.
        k: Number of first results, 1 or more.

    Returns:
        Shape ``(num_queries,)``, 0 to 1, higher is better.

    Raises:
        ResultError: The cutoff is below 1.

    Source: CIRCO's mAP@K, arXiv 2303.15247; also the usual "AP@k" of recommendation.

    >>> first_of_three = TieGroups(np.array([0, 0]), np.array([0, 8]), np.array([1, 2]), np.array([1, 2]), 1)
    >>> capped_average_precision(first_of_three, 2), average_precision(first_of_three, 2).round(4)
    (array([0.5]), array([0.3333]))
    """
    check_cutoff(k)
    return _summed_precision(groups, groups.inside(k)) / np.minimum(groups.total(), k)


def average_precision_at_r(groups: TieGroups) -> Floats:
    """Return the expected mean, over the first R places, of the precision where they are relevant, by query.

    ``sum over relevant ranks j <= R of P@j / R`` with R the number of relevant candidates: average precision cut at R.
    Ties as in :func:`average_precision`.

    Args:
        groups: The tie groups of the relevant candidates.

    Returns:
        Shape ``(num_queries,)``, 0 to 1, higher is better.

    Source: Musgrave et al., A Metric Learning Reality Check, arXiv 2003.08505 (MAP@R); ECCV Caption, arXiv 2204.03359
    (mAP@R).

    >>> first_and_third = TieGroups(np.array([0, 0]), np.array([0, 2]), np.array([1, 1]), np.array([1, 1]), 1)
    >>> average_precision_at_r(first_and_third)
    array([0.5])
    """
    total = groups.total()
    return _summed_precision(groups, groups.inside(total.astype(np.int64))) / total


def _summed_precision(groups: TieGroups, inside: Ints) -> Floats:
    """Return the expected sum of the precision at relevant ranks, over the first ``inside`` places of each group."""
    above, size, relevant = groups.above, groups.size, groups.relevant
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, int((above + size).max(initial=0)) + 1))])
    h = np.where(inside == 1, 1.0 / (above + 1), harmonic[above + inside] - harmonic[above])
    spread = (relevant - 1) / np.maximum(size - 1, 1) * (inside - (above + 1) * h)
    return groups.sum(relevant / size * ((groups.relevant_above() + 1) * h + spread))
