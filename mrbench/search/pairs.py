"""Lists of candidates, one for each query, as pairs of a query and a position in the pool."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mrbench.arrays import Ints, Scores, row_ends, run_starts
from mrbench.search.exact import Keys, falling_bits
from mrbench.search.requests import segments


@dataclass(frozen=True, slots=True, eq=False)
class PairList:
    """A list of candidates for each query; a query without a pair has an empty list.

    Attributes:
        query: Index of the query of each pair, ascending, shape ``(num_pairs,)``.
        candidate: Position of its candidate in the pool, the same shape.
    """

    query: Ints
    candidate: Ints

    def counts(self, num_queries: int) -> Ints:
        """Return the number of pairs of each query, shape ``(num_queries,)``.

        >>> PairList(np.array([0, 0, 2]), np.array([5, 3, 5])).counts(4)
        array([2, 0, 1, 0])
        """
        return np.bincount(self.query, minlength=num_queries)

    def ordered(self) -> PairList:
        """Return the pairs by query and position, each once.

        >>> PairList(np.array([0, 0, 0]), np.array([5, 3, 5])).ordered().candidate
        array([3, 5])
        """
        query, candidate = self.query, self.candidate
        rises = (query[1:] > query[:-1]) | ((query[1:] == query[:-1]) & (candidate[1:] > candidate[:-1]))
        if rises.all():
            return self
        number = int(candidate.max()) + 1
        keys = np.sort(query * number + candidate)  # np.unique takes ten times as long
        return PairList(*np.divmod(keys[run_starts(keys)], number))

    def for_queries(self, queries: Ints) -> PairList:
        """Return new lists: list ``n`` is that of entry ``n`` of ``queries``.

        >>> PairList(np.array([0, 0, 1]), np.array([3, 5, 4])).for_queries(np.array([1, 0]))
        PairList(query=array([0, 1, 1]), candidate=array([4, 3, 5]))
        """
        at, counts = segments(self.query, queries)
        return PairList(np.repeat(np.arange(len(queries)), counts), self.candidate[at])

    def find(self, query: Ints, candidate: Ints, num_candidates: int) -> Ints:
        """Return the index of some pairs in this list, -1 for those not in it. The list must be :meth:`ordered`.

        Args:
            query: Query of each pair to look up.
            candidate: Position of its candidate, the same shape.
            num_candidates: Size of the pool.

        >>> PairList(np.array([0, 0, 1]), np.array([3, 5, 4])).find(np.array([1, 0]), np.array([4, 4]), 9)
        array([ 2, -1])
        """
        wanted = query * num_candidates + candidate
        if not len(self.query):
            return np.full(wanted.shape, -1, dtype=np.int64)
        keys = self.query * num_candidates + self.candidate
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where(keys[at] == wanted, at, -1)


class ScoredPairs:
    """Pairs sorted by query and falling score; pairs of equal score keep their order.

    Args:
        query: Query of each pair, shape ``(num_pairs,)``.
        scores: Score of each pair, the same shape.

    Attributes:
        order: Index of each pair in the arguments, in the sorted order.
    """

    def __init__(self, query: Ints, scores: Scores) -> None:
        keys = _score_keys(query, scores)
        self.order = np.argsort(keys, kind="stable")
        self._keys = keys[self.order]

    def counts(self, query: Ints, scores: Scores) -> tuple[Ints, Ints]:
        """Return the numbers of a query's pairs that score higher than a value, and the same.

        Args:
            query: The query of each value.
            scores: The values, the same shape.

        >>> ScoredPairs(np.array([0, 0, 0, 1]), np.float32([1, 2, 1, 3])).counts(np.array([0, 1]), np.float32([1, 4]))
        (array([1, 0]), array([2, 0]))
        """
        wanted = _score_keys(query, scores)
        first = np.searchsorted(self._keys, query.astype(np.uint64) << np.uint64(32))
        left, right = (np.searchsorted(self._keys, wanted, side=side) for side in ("left", "right"))
        return left - first, right - left


def _score_keys(query: Ints, scores: Scores) -> Keys:
    return query.astype(np.uint64) << np.uint64(32) | falling_bits(scores)


def query_blocks(counts: Ints, pairs: int, queries: int | None = None) -> Iterator[slice]:
    """Yield consecutive blocks of queries with a limited number of pairs; a query with more is a block of its own.

    Args:
        counts: Number of pairs of each query, shape ``(num_queries,)``.
        pairs: Most pairs in a block.
        queries: Most queries in a block; None sets no limit.

    >>> list(query_blocks(np.array([1, 2, 9, 1, 1]), 3))
    [slice(0, 2, None), slice(2, 3, None), slice(3, 5, None)]
    """
    ends, start = row_ends(counts), 0
    while start < len(counts):
        stop = int(np.searchsorted(ends, ends[start] + pairs, side="right")) - 1
        stop = min(max(stop, start + 1), start + (queries or len(counts)), len(counts))
        yield slice(start, stop)
        start = stop
