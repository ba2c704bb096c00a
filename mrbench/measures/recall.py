"""Recall at k, and recall at k with a ceiling that every query can reach."""

from __future__ import annotations

import numpy as np

from mrbench.arrays import Floats
from mrbench.measures.ties import TieGroups, check_cutoff


def recall(groups: TieGroups, k: int) -> Floats:
    """Return the expected share of a query's relevant candidates that are among the first k, by query.

    A group of ``n`` tied below ``a`` others gives each of its members the probability ``min(max(k - a, 0), n) / n``.
    A query with more than k relevant candidates cannot reach 1.

    Args:
        groups: The tie groups of the relevant candidates.
        k: Number of first results, 1 or more.

    Returns:
        Shape ``(num_queries,)``, 0 to 1, higher is better.

    Source: McSherry & Najork, ECIR 2008.

    >>> half_in = TieGroups(np.array([0, 0]), np.array([0, 7]), np.array([1, 1]), np.array([1, 1]), 1)
    >>> recall(half_in, 5)
    array([0.5])
    """
    check_cutoff(k)
    inside = groups.inside(k) / groups.size
    return groups.sum(inside * groups.relevant) / groups.total()


def capped_recall(groups: TieGroups, k: int) -> Floats:
    """Return the expected number of relevant candidates among the first k over the most there can be, by query.

    ``|relevant in the first k| / min(k, |relevant|)``: a perfect order reaches 1 at every k, where :func:`recall`
    cannot pass ``k / |relevant|``. Equal to recall where a query has no more than k relevant candidates. Ties as there.

    Args:
        groups: The tie groups of the relevant candidates.
        k: Number of first results, 1 or more.

    Returns:
        Shape ``(num_queries,)``, 0 to 1, higher is better.

    Raises:
        ResultError: The cutoff is below 1.

    Source: Thakur et al., BEIR, arXiv 2104.08663, "capped recall at k" (``R_cap@k``).

    >>> two_of_four = TieGroups(np.array([0, 0]), np.array([0, 9]), np.array([2, 2]), np.array([2, 2]), 1)
    >>> capped_recall(two_of_four, 2), recall(two_of_four, 2)
    (array([1.]), array([0.5]))
    """
    check_cutoff(k)
    inside = groups.inside(k) / groups.size
    return groups.sum(inside * groups.relevant) / np.minimum(groups.total(), k)
