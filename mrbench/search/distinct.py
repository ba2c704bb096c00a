"""The vectors that are searched: each distinct one once, with the candidates that have it."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from mrbench.arrays import Embeddings, Ints, Scores, ranges
from mrbench.search.vectors import map_rows

ROWS = 1024
_FEWER = 7 / 8  # copies are merged if at most this share of the vectors is distinct


class Vectors:
    """The vectors of a pool: as they are, or each distinct vector once where many are copies.

    Candidates with the same vector are tied in every search. Searching that vector once is faster.

    Args:
        candidates: Unit vectors, shape ``(num_candidates, dimension)``; may be memory-mapped.
        row: Row of each candidate of the pool, in the order of ids, shape ``(num_candidates,)``.

    Attributes:
        rows: The vectors to search, shape ``(num_rows, dimension)``.
        row: Row in ``rows`` of each candidate of the pool.
        position: First position in the pool of each row; None where it equals the row.
        weights: Number of candidates that have each row; None where it is 1 for all.
    """

    def __init__(self, candidates: Embeddings, row: Ints) -> None:
        self.rows, self.row = candidates, row
        self.position: Ints | None = None
        self.weights: Ints | None = None
        first, copy_of = distinct(candidates)
        if len(first) <= _FEWER * len(candidates):
            self.rows, self.row = candidates[first], copy_of[row]
            self.weights = np.bincount(self.row, minlength=len(first))
            self._order = np.argsort(self.row, kind="stable")
            self._starts = np.cumsum(self.weights) - self.weights
            self.position = self._order[self._starts]
        elif not np.array_equal(row, np.arange(len(row))):
            self.position = np.empty(len(row), dtype=np.int64)
            self.position[row] = np.arange(len(row))

    def top(self, positions: Ints, scores: Scores, number: int) -> tuple[Ints, Scores]:
        """Return the best candidates, given the best rows.

        Args:
            positions: First position of the best rows of each query, by falling score, ties by position, shape
                ``(num_queries, num_best)``; ``num_best`` is ``number``, or the number of rows if that is smaller.
            scores: Their scores.
            number: Candidates wanted, at most the size of the pool.

        Returns:
            Positions and scores of the best candidates, shape ``(num_queries, number)``, ties by position.
        """
        if self.weights is None:
            return positions, scores
        best = np.empty((len(positions), number), dtype=np.int64), np.empty((len(positions), number), dtype=np.float32)
        for query, (some, falling) in enumerate(zip(positions, scores, strict=True)):
            rows = self.row[some]
            enough = int(np.searchsorted(np.cumsum(self.weights[rows]), number)) + 1
            # A row that is tied with the last one may have copies at earlier positions.
            reach = int(np.searchsorted(-falling, -falling[min(enough, len(rows)) - 1], side="right"))
            candidates, of = self.copies(rows[:reach])
            order = np.lexsort((candidates, -falling[of]))[:number]
            best[0][query], best[1][query] = candidates[order], falling[of[order]]
        return best

    def copies(self, rows: Ints) -> tuple[Ints, Ints]:
        """Return the positions of all candidates that have one of the rows, and the index in ``rows`` of each."""
        if self.weights is None:
            return rows if self.position is None else self.position[rows], np.arange(len(rows))
        counts = self.weights[rows]
        of = np.repeat(np.arange(len(rows)), counts)
        return self._order[ranges(self._starts[rows], counts)], of


def distinct(vectors: Embeddings) -> tuple[Ints, Ints]:
    """Return the first row of every distinct vector, and for each row the index of its vector among them.

    Rows are grouped by a random hash of their bits. Whether the rows of a group are equal is then checked.
    """
    rng = np.random.default_rng(0)
    while True:
        factors = rng.integers(1 << 64, size=(2, vectors.shape[1]), dtype=np.uint64)
        numbers = np.concatenate([np.empty(0, np.uint64), *map_rows(partial(_numbers, factors), vectors)])
        ordered = np.sort(numbers)
        if (ordered[1:] != ordered[:-1]).all():
            return np.arange(len(vectors)), np.arange(len(vectors))
        _, first, group = np.unique(numbers, return_index=True, return_inverse=True)
        copies = np.flatnonzero(first[group] != np.arange(len(vectors)))
        blocks = (copies[start : start + ROWS] for start in range(0, len(copies), ROWS))
        if all(_same_bits(vectors[rows], vectors[first[group[rows]]]) for rows in blocks):
            order = np.argsort(first)
            position = np.empty(len(order), dtype=np.int64)
            position[order] = np.arange(len(order))
            return first[order], position[group]


def _numbers(factors: np.ndarray[Any, np.dtype[np.uint64]], vectors: Embeddings) -> Any:
    """Return a random hash of each vector, made of two halves of 32 bits.

    A half is the upper 32 bits of a 64-bit sum of products: for two different vectors they are equal with a probability
    of 2^-32 (Lemire and Kaser, arXiv 1202.4961). The lower bits would not do: for vectors that differ only in signs
    they depend on few bits of the factors.
    """
    bits = (vectors + np.float32(0)).view(np.uint32)  # -0 and 0 are one number
    upper, lower = ((bits * part).sum(axis=1) >> np.uint64(32) for part in factors)
    return upper << np.uint64(32) | lower


def _same_bits(one: Embeddings, other: Embeddings) -> bool:
    one, other = one + np.float32(0), other + np.float32(0)  # -0 and 0 are one number
    return np.array_equal(one.view(np.uint32), other.view(np.uint32))
