"""Precision at k, and at the number of relevant candidates."""

from __future__ import annotations

import numpy as np

from mrbench.arrays import Floats
from mrbench.measures.ties import TieGroups, check_cutoff


def precision(groups: TieGroups, k: int) -> Floats:
    """Return the expected share of the first k places that hold a relevant candidate, by query.

    ``|relevant in the first k| / k``. The denominator is k even where the pool or the number of relevant candidates is
    smaller, as in trec_eval, so that such a query cannot reach 1. A group of ``n`` tied below ``a`` others has
    ``min(max(k - a, 0), n)`` of these places, each relevant with probability ``r / n``.

    Args:
        groups: The tie groups of the relevant candidates.
        k: Number of first results, 1 or more.

    Returns:
        Shape ``(num_queries,)``, 0 to 1, higher is better.

    Raises:
        ResultError: The cutoff is below 1.

    Source: trec_eval, ``P_k``; ties after McSherry & Najork, ECIR 2008.

    >>> first_and_third = TieGroups(np.array([0, 0]), np.array([0, 2]), np.array([1, 1]), np.array([1, 1]), 1)
    >>> precision(first_and_third, 2)
    array([0.5])
    """
    check_cutoff(k)
    return groups.sum(groups.inside(k) / groups.size * groups.relevant) / k


def r_precision(groups: TieGroups) -> Floats:
    """Return the expected share of the first R places that are relevant, R the number of relevant ones, by query.

    Precision and recall at R are the same number. Ties as in :func:`precision`.

    Args:
        groups: The tie groups of the relevant candidates.

    Returns:
        Shape ``(num_queries,)``, 0 to 1, higher is better.

    Source: trec_eval, ``Rprec``; Musgrave et al., A Metric Learning Reality Check, arXiv 2003.08505; ECCV Caption,
    arXiv 2204.03359, has it next to mAP@R.

    >>> first_and_third = TieGroups(np.array([0, 0]), np.array([0, 2]), np.array([1, 1]), np.array([1, 1]), 1)
    >>> r_precision(first_and_third)
    array([0.5])
    """
    total = groups.total()
    return groups.sum(groups.inside(total.astype(np.int64)) / groups.size * groups.relevant) / total
