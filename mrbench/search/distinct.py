"""The candidates' vectors as they are searched, and which candidates of the pool each stands for."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from mrbench.arrays import Embeddings, Ints, Scores, ranges
from mrbench.search.vectors import map_rows

ROWS = 1024
_FEWER = 7 / 8  # vectors are searched once each where this share of them or fewer differ


class Vectors:
    """What is searched: the embeddings as they are, or each distinct vector once where many are copies.

    Candidates with the same vector tie, whether it is searched once or several times; once is faster, and where a model
    gives everything the same vector, by as much as there are candidates.

    Args:
        candidates: Unit vectors, shape ``(num_candidates, dimension)``; may be memory-mapped.
        row: Row of each candidate of the pool, in the order of ids, shape ``(num_candidates,)``.

    Attributes:
        rows: What is searched, shape ``(num_rows, dimension)``.
        row: Row in it of each candidate of the pool.
        position: Of each row the first position in the pool; None where it is the row.
        weights: How many candidates each row stands for; None where it is one.
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
        """Return the best candidates from the best rows.

        Args:
            positions: First position of the best rows of each query, by falling score, the tied by position, shape
                ``(num_queries, num_best)``, where ``num_best`` is ``number`` or all rows.
            scores: Their scores.
            number: Candidates wanted, at most as many as there are.

        Returns:
            Places and scores of the best candidates, shape ``(num_queries, number)``, the tied by position.
        """
        if self.weights is None:
            return positions, scores
        found = np.empty((len(positions), number), dtype=np.int64), np.empty((len(positions), number), dtype=np.float32)
        for query, (some, falling) in enumerate(zip(positions, scores, strict=True)):
            rows = self.row[some]
            enough = int(np.searchsorted(np.cumsum(self.weights[rows]), number)) + 1
            # Rows that are tied with the last may have positions before some of it.
            reach = int(np.searchsorted(-falling, -falling[min(enough, len(rows)) - 1], side="right"))
            candidates, of = self.copies(rows[:reach])
            order = np.lexsort((candidates, -falling[of]))[:number]
            found[0][query], found[1][query] = candidates[order], falling[of[order]]
        return found

    def copies(self, rows: Ints) -> tuple[Ints, Ints]:
        """Return the positions of all candidates that some rows stand for, and which of the rows each is of."""
        if self.weights is None:
            return rows if self.position is None else self.position[rows], np.arange(len(rows))
        counts = self.weights[rows]
        of = np.repeat(np.arange(len(rows)), counts)
        return self._order[ranges(self._starts[rows], counts)], of


def distinct(vectors: Embeddings) -> tuple[Ints, Ints]:
    """Return the first row of every distinct vector, and for each row the index of its vector among them.

    Rows are grouped by a number that is drawn for their bits; whether those of a group are equal is looked at.
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
    """Return a number of each vector, two halves of 32 bits each.

    Of a sum of products the lower bits depend on few of the factors' where vectors differ in upper bits alone, as those
    of signs do; the upper 32 of 64 are equal with a chance of 2^-32 whatever differs (Lemire and
    Kaser, arXiv 1202.4961).
    """
    bits = (vectors + np.float32(0)).view(np.uint32)  # -0 and 0 are one number
    upper, lower = ((bits * part).sum(axis=1) >> np.uint64(32) for part in factors)
    return upper << np.uint64(32) | lower


def _same_bits(one: Embeddings, other: Embeddings) -> bool:
    one, other = one + np.float32(0), other + np.float32(0)  # -0 and 0 are one number
    return np.array_equal(one.view(np.uint32), other.view(np.uint32))
