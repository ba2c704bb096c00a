"""The exact score of a query and a candidate, and the order of scores.

A score is the exact sum of the products of two float32 vectors, rounded to float64 and then to float32. Products of
float32 numbers are exact in float64, so only their sum is rounded. It is summed in any order first. Where the error of
that sum could change the rounding to float32, it is summed again without error. So a score depends on the two vectors
alone, and not on block shape, library, thread or machine.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np

from mrbench.arrays import Embeddings, Floats, Ints, Scores
from mrbench.search.sampled import sampled_sums, worth

ROWS = 256  # candidates converted to float64 at a time: they fit into the second-level cache
TILE = 128  # queries in one product: its sums stay in the cache while they are rounded
_ROUNDED = 1 << 16  # sums rounded at a time
_DENSE = 32  # if more than one in 32 sums is undecided, a tighter bound for each sum is faster
_U = 2.0**-53
Keys = np.ndarray[Any, np.dtype[np.uint64]]
Bits = np.ndarray[Any, np.dtype[np.uint32]]
_Flags = np.ndarray[Any, np.dtype[np.bool_]]


def exact_scores(query: Embeddings, candidates: Embeddings, rows: Ints) -> Scores:
    """Return the exact scores of one query with some candidates.

    Args:
        query: Shape ``(dimension,)``, length about 1.
        candidates: Shape ``(num_candidates, dimension)``, lengths about 1; may be memory-mapped.
        rows: Which candidates, shape ``(num_rows,)``.

    Returns:
        Shape ``(num_rows,)``; higher is nearer.

    >>> exact_scores(np.float32([0.6, 0.8]), np.float32([[1, 0], [0, 1]]), np.array([1, 0]))
    array([0.8, 0.6], dtype=float32)
    """
    return pair_scores(query[None], candidates, rows, np.array([0, len(rows)]))


def pair_scores(queries: Embeddings, candidates: Embeddings, rows: Ints, ends: Ints) -> Scores:
    """Return the exact scores of each query with its own list of candidates.

    Args:
        queries: Shape ``(num_queries, dimension)``, lengths about 1.
        candidates: Shape ``(num_candidates, dimension)``, lengths about 1; may be memory-mapped.
        rows: Rows of the candidates; those of query ``n`` from ``ends[n]`` to ``ends[n + 1]``.
        ends: Shape ``(num_queries + 1,)``, rising from 0 to ``len(rows)``.

    Returns:
        Shape ``(len(rows),)``, the same numbers as :func:`exact_scores`.
    """
    scores = np.empty(len(rows), dtype=np.float32)
    if worth(len(rows), len(candidates)) and _ascending(rows, ends):
        for pairs, of, sums in sampled_sums(queries, candidates, rows, ends):
            scores[pairs] = settled(sums, queries, of, candidates, rows[pairs])
        return scores
    sums, query = _sums(queries, candidates, rows, ends), np.repeat(np.arange(len(queries)), np.diff(ends))
    for start in range(0, len(rows), _ROUNDED):
        part = slice(start, start + _ROUNDED)
        scores[part] = settled(sums[part], queries, query[part], candidates, rows[part])
    return scores


def _ascending(rows: Ints, ends: Ints) -> bool:
    """Return whether the rows of each query are ascending."""
    falls = np.flatnonzero(rows[1:] < rows[:-1]) + 1
    return len(falls) < len(ends) and bool(np.isin(falls, ends).all())


def _sums(queries: Embeddings, candidates: Embeddings, rows: Ints, ends: Ints) -> Floats:
    """Return the inner products of pairs, summed in float64 in any order, one query after another."""
    whole = candidates.flags.c_contiguous  # take() copies the whole of an array that is not contiguous
    sums = np.empty(len(rows))
    taken = np.empty((min(ROWS, len(rows)), queries.shape[1]), dtype=np.float32)
    widened = np.empty(taken.shape)
    for query, (left, right) in zip(queries, pairwise(ends.tolist()), strict=True):
        wide = query.astype(np.float64)
        for start in range(left, right, ROWS):
            stop = min(start + ROWS, right)
            few, many = taken[: stop - start], widened[: stop - start]
            if whole:
                candidates.take(rows[start:stop], axis=0, out=few, mode="clip")  # needs no second buffer
            else:
                few[:] = candidates[rows[start:stop]]
            np.copyto(many, few)
            np.dot(many, wide, out=sums[start:stop])
    return sums


def settled(sums: Floats, queries: Embeddings, query: Ints, candidates: Embeddings, rows: Ints) -> Scores:
    """Return exact scores from float64 sums. A sum whose error could change its rounding is summed again without error.

    Args:
        sums: Inner products, summed in float64 in any order, shape ``(num_rows,)``.
        queries: Shape ``(num_queries, dimension)``.
        query: Index of the query of each sum, shape ``(num_rows,)``.
        candidates: Shape ``(num_candidates, dimension)``.
        rows: Row of the candidate of each sum, shape ``(num_rows,)``.

    Returns:
        Shape ``(num_rows,)``.

    Source: Higham, Accuracy and Stability of Numerical Algorithms, section 3.1: any order of summation errs by at most
    ``n u / (1 - n u)`` times the sum of the absolute products.
    """
    scores = sums.astype(np.float32) + np.float32(0)  # -0 becomes 0, so that equal scores have equal keys
    bound = 1.01 * _U * queries.shape[1]
    unsure = np.flatnonzero((sums - bound).astype(np.float32) != (sums + bound).astype(np.float32))
    for start in range(0, len(unsure), ROWS):
        some = unsure[start : start + ROWS]
        products = candidates[rows[some]].astype(np.float64) * queries[query[some]]
        error = bound * np.abs(products).sum(axis=1)  # 0 where the vectors share no component
        still = (sums[some] - error).astype(np.float32) != (sums[some] + error).astype(np.float32)
        scores[some[still]] = exact_sums(products[still])
    return scores + np.float32(0)


def exact_sums(products: Floats) -> list[float]:
    """Return the sum of each row, rounded once, to float64."""
    return [math.fsum(row) for row in products.tolist()]


def exact_products(queries: Embeddings, candidates: Embeddings, out: Scores | None = None) -> Scores:
    """Return the exact scores of every query with every candidate.

    Args:
        queries: Shape ``(num_queries, dimension)``, lengths about 1.
        candidates: Shape ``(num_candidates, dimension)``, lengths about 1.
        out: Array to write the scores to; None makes a new one.

    Returns:
        Shape ``(num_queries, num_candidates)``, the same numbers as :func:`exact_scores`.

    >>> exact_products(np.float32([[0.6, 0.8]]), np.float32([[1, 0], [0, 1]]))
    array([[0.6, 0.8]], dtype=float32)
    """
    scores = np.empty((len(queries), len(candidates)), dtype=np.float32) if out is None else out
    wide, bound = candidates.astype(np.float64).T, 1.01 * _U * queries.shape[1]
    sums, above = np.empty((TILE, len(candidates))), np.empty((TILE, len(candidates)), dtype=np.float32)
    unsure = Marks(sums.size)
    for start in range(0, len(queries), TILE):
        below = scores[start : start + TILE]
        size = len(below)
        np.matmul(queries[start : start + TILE].astype(np.float64), wide, out=sums[:size])
        # Rounding is monotone: if both ends of the sum's error interval round alike, so does the sum.
        np.subtract(sums[:size], bound, out=below, casting="same_kind")
        np.add(sums[:size], bound, out=above[:size], casting="same_kind")
        np.not_equal(below, above[:size], out=unsure.of(below.shape))
        positions = unsure.positions()
        if len(positions) * _DENSE > below.size:
            # Many sums have few nonzero products, as with sparse vectors: a bound for each sum decides more of them.
            error = np.abs(queries[start : start + TILE]).astype(np.float64) @ np.abs(wide) * (1.02 * _U * len(wide))
            np.subtract(sums[:size], error, out=below, casting="same_kind")
            below += np.float32(0)  # -0 becomes 0
            np.add(sums[:size], error, out=above[:size], casting="same_kind")
            np.not_equal(below, above[:size], out=unsure.of(below.shape))
            positions = unsure.positions()
        row, column = np.divmod(positions, len(candidates))
        below[row, column] = settled(sums[row, column], queries, start + row, candidates, column)
    return scores


class Marks:
    """A reusable buffer for the flags of a table."""

    def __init__(self, size: int) -> None:
        self._flags = np.zeros(-(-size // 8) * 8, dtype=np.bool_)

    def of(self, shape: tuple[int, ...]) -> _Flags:
        """Return the buffer as flags of a table of this shape, to write to."""
        size = math.prod(shape)
        self._flags[size:] = False
        self._used = -(-size // 8) * 8
        return self._flags[:size].reshape(shape)

    def positions(self) -> Ints:
        """Return the flat positions of the set flags, ascending."""
        return set_flags(self._flags[: self._used].view(np.uint64))


def set_flags(words: np.ndarray[Any, np.dtype[np.uint64]]) -> Ints:
    """Return the positions of the set flags, ascending. Few are set, so it skips eight unset ones at a time.

    Args:
        words: Flags, eight in a word.
    """
    some = np.flatnonzero(words != 0)
    inside = np.flatnonzero(words[some].view(np.bool_))
    columns: Ints = some[inside >> 3] * 8 + (inside & 7)
    return columns


def order_keys(scores: Scores, rows: Ints) -> Keys:
    """Return a key for each score: sorted keys are ordered by falling score, ties by rising row.

    Args:
        scores: Any shape.
        rows: The same shape, 0 to ``2**32 - 1``.

    >>> keys = order_keys(np.float32([0.5, -1, 0.5]), np.array([7, 1, 3]))
    >>> key_parts(np.sort(keys))
    (array([3, 7, 1]), array([ 0.5,  0.5, -1. ], dtype=float32))
    """
    return (falling_bits(scores).astype(np.uint64) << np.uint64(32)) | rows.astype(np.uint64)


def key_parts(keys: Keys) -> tuple[Ints, Scores]:
    """Return the rows and scores that :func:`order_keys` packed."""
    scores = from_falling_bits((keys >> np.uint64(32)).astype(np.uint32))
    return (keys & np.uint64(0xFFFFFFFF)).astype(np.int64), scores


def falling_bits(scores: Scores) -> Bits:
    """Return an integer for each score that falls as the score rises."""
    bits = np.ascontiguousarray(scores).view(np.uint32)
    # As integers, the bits of positive floats rise with their value, and those of negative floats fall.
    return np.where(bits >> 31, bits, ~(bits | np.uint32(1 << 31)))


def from_falling_bits(falling: Bits) -> Scores:
    """Return the scores that :func:`falling_bits` turned into integers."""
    bits = np.where(falling >> 31, falling, ~falling & np.uint32((1 << 31) - 1))
    return bits.astype(np.uint32).view(np.float32)
