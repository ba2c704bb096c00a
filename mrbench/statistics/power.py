"""The smallest difference between two models that a benchmark of some size can show."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from mrbench.errors import InputError

Array = np.ndarray[Any, Any]


def smallest_difference(
    queries: int, *, deviation: float, design: float = 1.0, power: float = 0.8, level: float = 0.05
) -> float:
    """Return the smallest difference of two means that a paired test detects with the given power.

    ``(z(1 - level / 2) + z(power)) * deviation * sqrt(design / queries)``, the normal approximation.

    Args:
        queries: Number of queries.
        deviation: Standard deviation of the difference on one query, above 0. For hits it is about the square root of
            the share of queries that one model gets right and the other does not.
        design: Design effect of the clusters, see :func:`design_effect`.
        power: Probability of detecting it, 0 to 1.
        level: Probability of a false detection, 0 to 1.

    Raises:
        InputError: No query, or a deviation that is not above 0.

    >>> round(smallest_difference(250, deviation=0.3**0.5), 3)
    0.097
    """
    if queries < 1 or not deviation > 0:
        raise InputError("no power to compute", got=f"{queries} queries, deviation {deviation}")
    return float((stats.norm.ppf(1 - level / 2) + stats.norm.ppf(power)) * deviation * np.sqrt(design / queries))


def design_effect(values: Array, clusters: Array) -> float:
    """Return the variance of the mean with clusters, divided by that of as many independent queries.

    It is 1 if every query is a cluster of its own, or if nothing varies; above 1 if the queries of a cluster are alike.

    Source: Kish, Survey Sampling, 1965; the variance between clusters is that of a ratio of sums.

    Args:
        values: One per query, shape ``(num_queries,)``.
        clusters: Cluster of each, 0 to ``num_clusters - 1``.

    >>> round(design_effect(np.repeat([0.0, 1.0], 50), np.repeat(np.arange(50), 2)), 2)
    2.02
    """
    sizes = np.bincount(clusters)
    number = int((sizes > 0).sum())
    if number < 2 or not np.ptp(values) > 0:
        return 1.0
    alone = values.var(ddof=1) / len(values)
    residual = np.bincount(clusters, weights=values - values.mean())
    return float((residual**2).sum() * number / (number - 1) / len(values) ** 2 / alone)
