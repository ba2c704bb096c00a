"""The interval of a mean over kinds of pairs, such as pair accuracy, where every kind has the same weight."""

from __future__ import annotations

from typing import Any

import numpy as np

from mrbench import statistics
from mrbench.arrays import Bools, Floats, Ints

RESAMPLES = 2000


def interval_over_kinds(right: Bools, kind: Any, clusters: Ints) -> tuple[float, float] | None:
    """Return the 95 % interval of the mean over kinds of the share of pairs that are right.

    Clusters of queries are drawn with replacement. A draw leaves out the kinds that none of its clusters has. If all
    pairs are right, or none is, every draw would be the same; then the interval is Wilson's over all pairs.

    Args:
        right: Shape ``(num_pairs,)``.
        kind: Names, shape ``(num_pairs,)``.
        clusters: Codes of the clusters of the pairs' queries, shape ``(num_pairs,)``.

    Returns:
        Low and high end; None if there is only one cluster.
    """
    kinds, index = np.unique(kind, return_inverse=True)
    codes = np.unique(clusters, return_inverse=True)[1]
    if codes.max() == 0:
        return None
    if len(kinds) == 1 or right.min() == right.max():
        return statistics.share_interval(right.astype(np.float64), codes)
    of_kind = np.equal.outer(index, np.arange(len(kinds)))
    columns = np.hstack([of_kind, of_kind & right[:, None]]).astype(np.float64)

    def mean_over_kinds(sums: Floats) -> Floats:
        pairs, rights = sums[:, : len(kinds)], sums[:, len(kinds) :]
        shares: Floats = np.divide(rights, pairs, out=np.zeros_like(rights), where=pairs > 0)
        mean: Floats = shares.sum(axis=1) / (pairs > 0).sum(axis=1)
        return mean

    drawn = statistics.bootstrap(columns, codes, mean_over_kinds, resamples=RESAMPLES)
    return statistics.bootstrap_interval(drawn, int(codes.max()) + 1)
