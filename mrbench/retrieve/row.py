"""What is asked of one query's scores over the whole pool, without sorting them all."""

from __future__ import annotations

import math

import numpy as np

from mrbench.measures.ties import Ints
from mrbench.retrieve.exact import Scores

_SAMPLE = 32  # every so many scores are looked at first, to guess how high the best reach
_PASSES = 64  # so many values are counted by passes over the scores; for more, the scores are sorted
_WIDTH = 1 << 16  # scores in one pass


class Row:
    """The scores of one query, in the order of the candidates' ids.

    Args:
        scores: Finite, shape ``(num_candidates,)``.
        depth: How many of the best are wanted at least.

    Attributes:
        scores: As given.
        best: Positions of the ``depth`` best, and of all that are tied with the last of them: by falling score, the
            tied by position.

    >>> row = Row(np.float32([0.1, 0.3, 0.2, 0.3]), 1)
    >>> row.best
    array([1, 3])
    >>> row.places(np.float32([0.3, 0.2]))
    (array([0, 2]), array([2, 1]))
    """

    def __init__(self, scores: Scores, depth: int) -> None:
        self.scores = scores
        self.best = _best(scores, min(depth, len(scores)))
        self._falling = scores[self.best]

    def places(self, values: Scores) -> tuple[Ints, Ints]:
        """Count for each value the candidates that score higher, and those that score the same."""
        distinct, back = np.unique(values, return_inverse=True)
        low = int(np.searchsorted(distinct, self._falling[-1]))
        if low > _PASSES:
            greater, same = _among(np.sort(self.scores), distinct)
        else:
            greater, same = _among(self._falling[::-1], distinct)
            greater[:low], same[:low] = _by_passes(self.scores, distinct[:low])
        return greater[back], same[back]

    def spread(self) -> tuple[float, float]:
        """Return mean and standard deviation; the order of the candidates does not show in the last digit.

        Summed are numbers of -1 to 0, rounded to a grid so coarse that float64 holds every sum of them exactly: for
        100,000 candidates 2**-35 of the range of the scores.

        >>> Row(np.float32([0.25, 0.75]), 1).spread()
        (0.5, 0.25)
        """
        highest, number = float(self._falling[0]), len(self.scores)
        extent = highest - float(self.scores.min())
        if not extent:
            return highest, 0.0
        unit = 2.0 ** math.frexp(extent)[1]
        below = np.subtract(self.scores, highest, dtype=np.float64)
        below /= unit
        shift = 1.5 * 2.0 ** math.ceil(math.log2(number))  # its last bit is the grid
        first = _exact_sum(below, shift)
        np.multiply(below, below, out=below)
        mean, square = first / number, _exact_sum(below, shift) / number
        return highest + mean * unit, math.sqrt(max(square - mean * mean, 0.0)) * unit


def places_of(scores: Scores, value: np.float32) -> tuple[int, int]:
    """Count the scores above a value, and those that are the same."""
    return int(np.count_nonzero(scores > value)), int(np.count_nonzero(scores == value))


def _among(ascending: Scores, values: Scores) -> tuple[Ints, Ints]:
    reach = len(ascending) - np.searchsorted(ascending, values, side="left")
    greater = len(ascending) - np.searchsorted(ascending, values, side="right")
    return greater, reach - greater


def _by_passes(scores: Scores, values: Scores) -> tuple[Ints, Ints]:
    """Count for each value the scores above it, and those that are the same."""
    flags = np.zeros((len(values), -(-min(_WIDTH, len(scores)) // 8) * 8), dtype=np.bool_)
    counts = np.zeros((2, len(values)), dtype=np.int64)
    for start in range(0, len(scores), _WIDTH):
        part = scores[start : start + _WIDTH]
        flags[:, len(part) :] = False
        for count, compare in zip(counts, (np.greater, np.equal), strict=True):
            compare(part, values[:, None], out=flags[:, : len(part)])
            # Eight flags are added at a time: no byte of a sum of 255 words carries into the next.
            words = flags.view(np.uint64)
            sums = np.add.reduceat(words, np.arange(0, words.shape[1], 255), axis=1)
            count += sums.view(np.uint8).sum(axis=1, dtype=np.int64)
    return counts[0], counts[1]


def _exact_sum(values: np.ndarray[tuple[int], np.dtype[np.float64]], shift: float) -> float:
    """Sum numbers of -1 to 1, rounded to the last bit of a shift, which is at least 1.5 times as many as there are."""
    rounded = values + shift
    rounded -= shift
    return float(rounded.sum())


def _best(scores: Scores, depth: int) -> Ints:
    found = _reaching(scores, depth)
    values = scores[found]
    kept = values >= np.partition(values, len(values) - depth)[len(values) - depth]
    found = found[kept]
    ordered: Ints = found[np.argsort(-values[kept], kind="stable")]
    return ordered


def _reaching(scores: Scores, depth: int) -> Ints:
    """Return positions of the best, more than ``depth``, by a guess that is checked; all where it fails."""
    sample = scores[::_SAMPLE]
    expected = depth / _SAMPLE
    rank = round(expected + 3.5 * expected**0.5 + 2)
    if 2 * rank < len(sample):
        found: Ints = np.flatnonzero(scores >= np.partition(sample, len(sample) - rank)[len(sample) - rank])
        if len(found) >= depth:
            return found
    return np.arange(len(scores))
