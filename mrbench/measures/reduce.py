"""Turns one value per query into a score."""

from __future__ import annotations

import numpy as np

from mrbench.arrays import Floats
from mrbench.errors import ResultError


def mean(values: Floats, measure: str) -> float:
    """Return the plain mean over queries.

    Args:
        values: One value per query, shape ``(num_queries,)``, 0 to 1.
        measure: Name for the error.

    Raises:
        ResultError: There is no query, or a value is not a number from 0 to 1: "not scored" is not 0.

    >>> mean(np.array([1.0, 0.0]), "mrr")
    0.5
    """
    if not len(values):
        raise ResultError("no query to average over", where=measure)
    outside = ~((values > -1e-9) & (values < 1 + 1e-9))
    if outside.any():
        worst = int(np.argmax(outside))
        raise ResultError("a value is outside 0 to 1", where=f"{measure}, query {worst}", got=float(values[worst]))
    return float(np.clip(values, 0.0, 1.0).mean())  # rounding may leave 1 + 1e-16


def median(values: Floats, measure: str) -> float:
    """Return the plain median over queries, which is the mean of two middle values.

    Args:
        values: One value per query, shape ``(num_queries,)``; ranks, so 1 or more.
        measure: Name for the error.

    Raises:
        ResultError: There is no query, or a value is not a finite number of 1 or more.

    >>> median(np.array([1.0, 7.0, 3.0]), "median_rank")
    3.0
    """
    if not len(values):
        raise ResultError("no query to take the median of", where=measure)
    outside = ~(np.isfinite(values) & (values >= 1))
    if outside.any():
        bad = int(np.argmax(outside))
        raise ResultError("a value is not a rank", where=f"{measure}, query {bad}", got=float(values[bad]))
    return float(np.median(values))
