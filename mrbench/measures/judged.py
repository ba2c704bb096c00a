"""The share of a model's first results that have a judgement."""

from __future__ import annotations

import numpy as np

from mrbench.arrays import Floats, Ints
from mrbench.errors import ResultError
from mrbench.measures.ndcg import GainGroups
from mrbench.measures.ties import check_cutoff


def judged_share(groups: GainGroups, k: int, pool: int | Ints) -> Floats:
    """Return the expected share of the first k results that have a judgement, by query.

    With partial judgements, an unjudged candidate counts as not relevant. If this share is low, rank measures may be
    too low by an unknown amount. A group of ``n`` tied, ``j`` of them judged, below ``a`` others adds
    ``j / n * min(max(k - a, 0), n)``; the sum is divided by ``min(k, pool)``, the number of results there are. A query
    without judgements gets 0.

    Args:
        groups: The groups that reach into the first k places, with the number of judged candidates as their gain:
            ``GainGroups.from_listed(query, above, equal, np.ones(len(query)), num_queries)`` over all judged
            candidates, also those judged not relevant.
        k: Number of first results, 1 or more.
        pool: Number of candidates of each query, shape ``(num_queries,)``, or one number for all.

    Returns:
        Shape ``(num_queries,)``, 0 to 1; higher means better founded scores. It is not a measure of the model.

    Raises:
        ResultError: The cutoff or a pool is below 1, or a group has more judged candidates than members.

    Source: judged@k of ir_measures; MTEB's ``hole_at_k`` is 1 minus it where every query judges the same candidates.

    >>> zero = np.zeros(1, int)
    >>> judged_share(GainGroups.from_listed(zero, zero + 4, zero + 2, np.ones(1), 1), 5, pool=1000)
    array([0.1])
    """
    check_cutoff(k)
    sizes = np.broadcast_to(np.asarray(pool), (groups.num_queries,))
    if (sizes < 1).any():
        raise ResultError("a query has no candidate", where=f"query {int(np.argmin(sizes))}")
    if (groups.gain > groups.size).any():
        raise ResultError("a group has more judged candidates than members")
    inside = np.clip(k - groups.above, 0, groups.size)
    summed = np.bincount(groups.query, weights=groups.gain / groups.size * inside, minlength=groups.num_queries)
    share: Floats = summed / np.minimum(k, sizes)
    return share
