"""Counts the candidates that score higher than a value, and those that score the same, without scoring all exactly."""

from __future__ import annotations

from typing import Any

import numpy as np

from mrbench.arrays import Embeddings, Floats, Ints, Scores
from mrbench.search.exact import pair_scores, set_flags
from mrbench.search.products import Float32Product, short_rows

CHUNK = 2040  # candidates in one product: 8 times 255, see _sums()
_ONES = np.ones(8, dtype=np.int64)
_PAIRS = 1 << 18  # undecided pairs that are collected before they are scored exactly
_MANY = 64  # values of a query from which on sorting exact scores is faster than one pass for each value
_DENSE = 32  # if more than one in 32 pairs is undecided, exact products are faster


class Counter:
    """Counts over the whole pool for one block of queries, one chunk of candidates at a time.

    A float32 product decides every candidate except those within its error of a value. These are scored exactly. Where
    there are many, the products are made exact instead.

    Args:
        queries: Shape ``(num_queries, dimension)``, lengths about 1.
        candidates: Shape ``(num_candidates, dimension)``, lengths about 1; may be memory-mapped.
        values: Scores to compare with, shape ``(num_queries, num_values)``, padded with infinity.
        weights: Copies of each candidate in the pool; None takes 1 for each.
        collect: Whether to keep the candidates that score the same (:meth:`same`).

    Attributes:
        greater: Number of candidates that score higher, shape ``(num_queries, num_values)``.
        equal: Number of candidates that score the same, the same shape.
        many: Whether there are so many values that exact products are faster (:meth:`Float32Product.sharpen`).
    """

    def __init__(
        self,
        queries: Embeddings,
        candidates: Embeddings,
        values: Scores,
        *,
        weights: Ints | None = None,
        collect: bool = False,
    ) -> None:
        self._queries, self._candidates, self._values, self._weights = queries, candidates, values, weights
        self.greater = np.zeros(values.shape, dtype=np.int64)
        self.equal = np.zeros(values.shape, dtype=np.int64)
        self._unsure: list[Ints] = []  # query, value and row
        self._waiting = 0
        self._same: list[Ints] | None = [] if collect else None
        self.many = values.shape[1] > _MANY and not collect
        self._flags = np.zeros((2, len(queries), CHUNK), dtype=np.bool_)

    def count(self) -> None:
        """Count over the whole pool."""
        product = Float32Product(self._queries, min(CHUNK, len(self._candidates)))
        if self.many:
            product.sharpen()
        with short_rows():
            for start in range(0, len(self._candidates), CHUNK):
                product.multiply(self._candidates[start : start + CHUNK])
                self.look(start, product)
        self.finish()

    def look(self, start: int, product: Float32Product) -> None:
        """Count among the candidates of one chunk.

        Args:
            start: Row of its first candidate.
            product: Holds the products with its candidates, at most :data:`CHUNK`.
        """
        scores, margin = product.scores, product.margin
        height, width = scores.shape
        if self.many and not margin:
            return self._sort(start, scores)
        whole = -(-width // 8) * 8
        reach, above = self._flags.reshape(2, -1)[:, : height * whole].reshape(2, height, whole)
        reach[:, width:] = above[:, width:] = False
        # Values stand one after the other in memory, since numpy is faster so.
        low, high = (np.ascontiguousarray(self._values.T + by)[..., None] for by in (-margin, margin))
        weights = None if self._weights is None else self._weights[start : start + width].astype(np.float64)
        greater, unsure, waiting = np.zeros_like(self.greater), [], 0
        for number in range(len(low)):
            np.greater(scores, high[number], out=above[:, :width])
            np.greater_equal(scores, low[number], out=reach[:, :width])
            greater[:, number] = _sums(above, weights)
            words = reach.reshape(-1).view(np.uint64)
            words ^= above.reshape(-1).view(np.uint64)
            if margin or self._same is not None:
                unsure.append(_positions(words, whole, number, start))
                waiting += unsure[-1].shape[1]
            if not margin:
                self.equal[:, number] += _sums(reach, weights)
            elif waiting * _DENSE > (number + 1) * scores.size + _PAIRS:
                product.sharpen()
                return self.look(start, product)
        self.greater += greater
        if not margin and self._same is not None:
            self._same += unsure
        elif margin:
            self._unsure += unsure
            self._waiting += waiting
        if self._waiting > _PAIRS:
            self.finish()
        return None

    def _sort(self, start: int, scores: Scores) -> None:
        """Count one chunk by sorting its exact scores."""
        order = np.argsort(scores, axis=1)
        ascending = np.take_along_axis(scores, order, axis=1)
        weights = np.ones(scores.shape[1], np.int64) if self._weights is None else self._weights[start:]
        upto = np.zeros((len(scores), scores.shape[1] + 1), dtype=np.int64)
        np.cumsum(weights[order], axis=1, out=upto[:, 1:])
        for query, values in enumerate(self._values):
            left, right = (np.searchsorted(ascending[query], values, side=side) for side in ("left", "right"))
            self.greater[query] += upto[query, -1] - upto[query, right]
            self.equal[query] += upto[query, right] - upto[query, left]

    def finish(self) -> None:
        """Score the undecided pairs exactly and count them."""
        if not self._unsure:
            return
        query, number, row = np.concatenate(self._unsure, axis=1)
        self._unsure, self._waiting = [], 0
        order = np.argsort(query, kind="stable")
        query, number, row = query[order], number[order], row[order]
        ends = np.searchsorted(query, np.arange(len(self._queries) + 1))
        scores, values = pair_scores(self._queries, self._candidates, row, ends), self._values[query, number]
        same = scores == values
        for counts, true in ((self.greater, scores > values), (self.equal, same)):
            weights = None if self._weights is None else self._weights[row[true]]
            at = query[true] * self._values.shape[1] + number[true]
            counts += np.bincount(at, weights, minlength=counts.size).astype(np.int64).reshape(counts.shape)
        if self._same is not None:
            self._same.append(np.stack([query[same], number[same], row[same]]))

    def same(self) -> tuple[Ints, Ints, Ints]:
        """Return query, column of the value, and row of each candidate that scores the same, by query and row."""
        same = np.concatenate(self._same or [np.empty((3, 0), dtype=np.int64)], axis=1)
        query, number, row = same[:, np.lexsort((same[2], same[1], same[0]))]
        return query, number, row


def _positions(words: np.ndarray[Any, Any], width: int, number: int, start: int) -> Ints:
    """Return query, column of the value and row of each set flag, shape ``(3, num_set)``; few flags are set."""
    query, column = np.divmod(set_flags(words), width)
    return np.stack([query, np.full(len(query), number), column + start])


def _sums(flags: np.ndarray[Any, np.dtype[np.bool_]], weights: Floats | None) -> Ints:
    """Return the number of set flags of each row, each counted with its weight.

    Eight flags are added at a time, as the bytes of one word. A sum of 255 words at most cannot overflow a byte.
    """
    packed: Any
    if weights is not None:
        packed = (flags[:, : len(weights)] @ weights).astype(np.int64)
    else:
        packed = np.add.reduce(flags.view(np.uint64), axis=1).view(np.uint8).reshape(-1, 8) @ _ONES
    return packed  # type: ignore[no-any-return]
