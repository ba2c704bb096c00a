"""Unrelated queries: those that share no grain. Their distance is the unit of grain sensitivity."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mrbench.arrays import Bools
from mrbench.pools.pool import TaskPool

TILE = 32


def has_unrelated(pool: TaskPool) -> Bools:
    """Return which queries have an unrelated query, shape ``(num_queries,)``."""
    return np.concatenate([unrelated.any(axis=1) for _, unrelated in unrelated_queries(pool)])


def unrelated_queries(pool: TaskPool) -> Iterator[tuple[slice, Bools]]:
    """Yield blocks of queries, and for each query of the block which of all queries share no grain with it.

    A query without known grains is unrelated to none. Open data without degrained queries has no sensitivity to
    measure, so there no query has an unrelated one.
    """
    grains = np.ascontiguousarray(pool.query_grains.T)
    number = len(pool.query_ids)
    wanted = pool.judgements.complete or bool((pool.variants.kind == "degrained").any())
    known: Bools = np.zeros(number, dtype=np.bool_)
    if len(grains) and wanted:
        known = np.any(grains >= 0, axis=0)
    for start in range(0, number, TILE):
        block = slice(start, start + TILE)
        unrelated = known[block, None] & known
        for codes in grains:
            unrelated &= (codes[block, None] != codes) | (codes < 0)
        yield block, unrelated
