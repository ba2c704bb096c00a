"""The array types that measures, search and scoring exchange, and two helpers for arrays of runs of rows."""

from __future__ import annotations

from typing import Any

import numpy as np

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]
Scores = np.ndarray[Any, np.dtype[np.float32]]
Embeddings = np.ndarray[Any, np.dtype[np.float32]]


def ranges(starts: Ints, counts: Ints) -> Ints:
    """Return the numbers from each start on, as many as are counted, one range after another.

    >>> ranges(np.array([5, 0]), np.array([2, 3]))
    array([5, 6, 0, 1, 2])
    """
    found: Ints = np.repeat(starts - np.cumsum(counts) + counts, counts) + np.arange(int(counts.sum()))
    return found


def row_ends(counts: Ints) -> Ints:
    """Return where each row begins, and where the last ends.

    >>> row_ends(np.array([2, 3]))
    array([0, 2, 5])
    """
    return np.concatenate([[0], np.cumsum(counts)])


def run_starts(*columns: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Say of each place of sorted columns whether any of them differs from the place before; the first does.

    >>> run_starts(np.array([1, 1, 2, 2]), np.array([3, 3, 3, 4]))
    array([ True, False,  True,  True])
    """
    new = np.ones(len(columns[0]), dtype=np.bool_)
    new[1:] = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    return new
