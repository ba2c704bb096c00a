"""Measures of composed queries that one half alone solves."""

from __future__ import annotations

import numpy as np

from mrbench.arrays import Floats
from mrbench.errors import ResultError


def solved_by_one_part(hits: Floats) -> Floats:
    """Return for each query the best hit of any solver that has one half of it: 0 to 1.

    The mean over queries is the share of queries that need no composition. A good benchmark is near chance, whatever
    the models. A hit is the probability of rank 1 over the orders of tied candidates.

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
    """Return the share of queries with one relevant candidate that at least one of ``solvers`` random solvers solves.

    Compare :func:`solved_by_one_part` with it: with many models, some guess a query right by chance.

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
