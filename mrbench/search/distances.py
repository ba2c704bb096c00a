"""Distances of queries to their variants and to one another: 1 - cosine.

For items with several vectors, each vector has the distance 1 - cosine to the nearest vector of the other item. The
distance of two items is the mean of these over the vectors of one item, averaged with the mean over the other's (a
symmetric MaxSim). With one vector an item this is 1 - cosine again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mrbench.arrays import Embeddings, Floats, Ragged, Rows
from mrbench.search.maxsim import maxsim_products


def row_distances(one: Rows, other: Rows) -> Floats:
    """Return the distance of each item to the item in the same row, exactly 0 where they are equal.

    Half the squared chord of unit vectors is 1 - cosine.

    >>> row_distances(np.float32([[1, 0], [0, 1]]), np.float32([[1, 0], [1, 0]]))
    array([0., 1.])
    >>> one, two = (Ragged.of_counts(np.float32([[1, 0], [0, 1]]), np.array(n)) for n in ([2], [1, 1]))
    >>> row_distances(one[[0, 0]], two), row_distances(one, one)
    (array([0.25, 0.25]), array([0.]))
    """
    if isinstance(one, Ragged) and isinstance(other, Ragged):
        return np.array([_distance(one[n].flat, other[n].flat) for n in range(len(one))], dtype=np.float64)
    moved = np.asarray(one).astype(np.float64) - np.asarray(other)
    half: Floats = (moved**2).sum(axis=1) / 2
    return half


def _distance(one: Embeddings, other: Embeddings) -> float:
    if np.array_equal(one, other):
        return 0.0
    here, there = one.astype(np.float64), other.astype(np.float64)
    products = here @ there.T
    nearest = ((here, there[products.argmax(axis=1)]), (there, here[products.argmax(axis=0)]))
    return float(np.mean([((a - b) ** 2).sum(axis=1).mean() / 2 for a, b in nearest]))


def distances_to(queries: Rows) -> Callable[[slice], Floats]:
    """Return a function from a block of queries to its distances to all queries, ``(num_in_block, num_queries)``.

    >>> distances_to(np.float32([[1, 0], [0, 1]]))(slice(0, 1))
    array([[0., 1.]])
    """
    if not isinstance(queries, Ragged):
        vectors = queries.astype(np.float64)
        return lambda block: np.maximum(1 - vectors[block] @ vectors.T, 0)  # rounding may leave -1e-8

    def distances(block: slice) -> Any:
        mine = queries[block]
        forth = maxsim_products(mine, queries) / mine.counts[:, None]
        back = maxsim_products(queries, mine).T / queries.counts
        return np.maximum(1 - (forth + back) / 2, 0)

    return distances
