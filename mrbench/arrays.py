"""The array types that encoding, search and scoring exchange, and functions for rows of different lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]
Scores = np.ndarray[Any, np.dtype[np.float32]]
Embeddings = np.ndarray[Any, np.dtype[np.float32]]


def ranges(starts: Ints, counts: Ints) -> Ints:
    """Return ranges of consecutive numbers, one after another; each has a start and a count.

    >>> ranges(np.array([5, 0]), np.array([2, 3]))
    array([5, 6, 0, 1, 2])
    """
    numbers: Ints = np.repeat(starts - np.cumsum(counts) + counts, counts) + np.arange(int(counts.sum()))
    return numbers


def row_ends(counts: Ints) -> Ints:
    """Return the start of each row, and the end of the last row.

    >>> row_ends(np.array([2, 3]))
    array([0, 2, 5])
    """
    return np.concatenate([[0], np.cumsum(counts)])


def run_starts(*columns: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return for each entry of sorted columns whether it differs from the entry before; the first counts as different.

    >>> run_starts(np.array([1, 1, 2, 2]), np.array([3, 3, 3, 4]))
    array([ True, False,  True,  True])
    """
    new = np.ones(len(columns[0]), dtype=np.bool_)
    new[1:] = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    return new


@dataclass(frozen=True, slots=True, eq=False)
class Ragged:
    """Several vectors an item, as a multi-vector model returns them: one for each token.

    Attributes:
        flat: The vectors of all items, one item after the other, float32, shape ``(num_vectors, dimension)``; may be
            memory-mapped.
        ends: Start of each item in ``flat``, and the end of the last one, shape ``(num_items + 1,)``, rising from 0.

    >>> rows = Ragged.of_counts(np.float32([[1, 0], [0, 1], [0.6, 0.8]]), np.array([2, 1]))
    >>> len(rows), rows[1].flat, rows[[1, 0]].counts
    (2, array([[0.6, 0.8]], dtype=float32), array([1, 2]))
    """

    flat: Embeddings
    ends: Ints

    @classmethod
    def of_counts(cls, flat: Embeddings, counts: Ints) -> Ragged:
        """Return the items, given the number of vectors of each."""
        return cls(flat, row_ends(counts).astype(np.int64))

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __array__(self, *_: Any, **__: Any) -> Any:
        """Refuse the conversion to one array, for which NumPy would read items without end.

        Raises:
            TypeError: Always.
        """
        raise TypeError("items have different numbers of vectors: read .flat and .counts, or [i].flat")

    @property
    def counts(self) -> Ints:
        """Number of vectors of each item, shape ``(num_items,)``."""
        return np.diff(self.ends)

    def __getitem__(self, rows: int | slice | Sequence[int] | Ints) -> Ragged:
        """Return some items: a view for an index or a slice without a step, a copy for a list.

        Raises:
            IndexError: There is no item with this index.
        """
        if isinstance(rows, int):
            rows = range(len(self))[rows]
            rows = slice(rows, rows + 1)
        if isinstance(rows, slice) and rows.step is None:
            start, stop, _ = rows.indices(len(self))
            ends = self.ends[start : max(start, stop) + 1]
            return Ragged(self.flat[ends[0] : ends[-1]], ends - ends[0])
        at = np.arange(len(self))[rows]
        counts = self.counts[at]
        return Ragged.of_counts(self.flat[ranges(self.ends[at], counts)], counts)


Rows = Embeddings | Ragged
"""The embeddings of some items: one vector each, or several."""


def joined(parts: Sequence[Any]) -> Any:
    """Return several arrays, or several :class:`Ragged`, as one."""
    if not isinstance(parts[0], Ragged):
        return np.concatenate(parts)
    counts = np.concatenate([part.counts for part in parts])
    return Ragged.of_counts(np.concatenate([part.flat for part in parts]), counts)
