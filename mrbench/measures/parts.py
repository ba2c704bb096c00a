"""Composed queries with one half taken away."""

from __future__ import annotations

import numpy as np

from mrbench.arrays import Floats
from mrbench.errors import ResultError


def solved_by_one_part(hits: Floats) -> Floats:
    """Return for each query the best hit of any solver that has one half of it: 0 to 1.

    The mean over queries is the share that needs no composing; near chance is right for a benchmark, whichever models
    try. A hit is the probability of the first place over the orders of the tied.

    Args:
        hits: Hits of every solver, one row for each half and model, shape ``(num_solvers, num_queries)``.

    Returns:
        Shape ``(num_queries,)``.

    Raises:
        ResultError: No solver, or a hit outside 0 to 1.

    Source: the audit of composed retrieval sets of arXiv 2605.14787.

    >>> solved_by_one_part(np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))
    array([1., 0., 1.])
    """
    if not hits.size or not ((hits >= 0) & (hits <= 1)).all():
        raise ResultError("no hits to compare", got=hits.shape, accepted="one row per solver, 0 to 1")
    best: Floats = np.max(hits, axis=0)
    return best


def chance_of_one_part(pool: int, solvers: int) -> float:
    """Return the share of queries that at least one of so many guessers puts first, one relevant candidate a query.

    What :func:`solved_by_one_part` must be compared with: many models guess some query right without knowing anything.

    Args:
        pool: Number of candidates, 1 or more.
        solvers: Number of halves times models, 1 or more.

    Raises:
        ResultError: No candidate or no solver.

    >>> round(chance_of_one_part(pool=100, solvers=2), 4)
    0.0199
    """
    if pool < 1 or solvers < 1:
        raise ResultError("no chance to compute", got=f"{pool} candidates, {solvers} solvers", accepted="1 or more")
    return float(1 - (1 - 1 / pool) ** solvers)
