"""The pool on the CPU: scores, counts and best candidates for a block of queries, in one pass over the pool."""

from __future__ import annotations

from concurrent.futures import Executor

import numpy as np

from mrbench.arrays import Embeddings, Floats, Ints, Scores
from mrbench.search.best import Best
from mrbench.search.counts import CHUNK, Counter
from mrbench.search.exact import key_parts, pair_scores
from mrbench.search.moments import moments

BLOCK = 256  # queries in one product
_HELD = 3 << 17  # best candidates that the queries of one product want together: what a thread holds is bounded by it


class CpuPool:
    """Searches candidates on the CPU; each thread searches for its own block of queries.

    Args:
        candidates: float32 unit vectors, shape ``(num_candidates, dimension)``; may be a memory map.
        executor: Threads for mean and deviation, which go over all queries at once.
        position: Position of each candidate in the pool, which orders ties; None takes the rows.
        weights: Copies of each candidate in the pool; None takes 1 for each.
    """

    def __init__(
        self, candidates: Embeddings, executor: Executor, *, position: Ints | None = None, weights: Ints | None = None
    ) -> None:
        self._candidates, self._executor, self._position, self._weights = candidates, executor, position, weights

    def pair_scores(self, queries: Embeddings, rows: Ints, ends: Ints) -> Scores:
        """Return the scores of each query with its own candidates; see :func:`mrbench.search.exact.pair_scores`."""
        return pair_scores(queries, self._candidates, rows, ends)

    def search(self, queries: Embeddings, depth: int, values: Scores) -> tuple[Ints, Scores, Ints, Ints]:
        """Find the best candidates, and count the candidates that score higher than some values, and the same.

        Args:
            queries: Unit vectors, shape ``(num_queries, dimension)``.
            depth: Candidates wanted per query, at most the size of the pool; 0 counts only.
            values: Scores to count at, shape ``(num_queries, num_values)``, padded with infinity.

        Returns:
            Positions and scores of the best, by falling score, ties by position, shape ``(num_queries, depth)``; and
            the numbers of candidates that score higher than each value, and the same.
        """
        counter = Counter(queries, self._candidates, values, weights=self._weights)
        keys = np.empty((len(queries), depth), dtype=np.uint64)
        if depth:
            best = Best(queries, self._candidates, depth, chunk=CHUNK, position=self._position, watch=counter.look)
            if counter.many:
                best.sharpen()
            keys = best.search()
            counter.finish()
        else:
            counter.count()
        return *key_parts(keys), counter.greater, counter.equal

    def moments(self, queries: Embeddings) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of each query's scores: :func:`mrbench.search.moments.moments`."""
        return moments(queries, self._candidates, self._executor, self._weights)

    def block(self, number: int, threads: int, depth: int) -> int:
        """Return the number of queries in a block.

        Args:
            number: Number of queries.
            threads: Number of threads.
            depth: Candidates wanted per query; for a great depth a block has fewer queries.

        >>> from concurrent.futures import ThreadPoolExecutor
        >>> pool = CpuPool(np.float32([[1, 0]]), ThreadPoolExecutor(1))
        >>> [pool.block(number, 2, 100) for number in (2000, 10, 3000)], pool.block(2000, 2, 100_000)
        ([250, 5, 250], 63)
        """
        most = min(BLOCK, max(64, _HELD // max(depth, 1)))
        rounds = max(1, -(-number // (threads * most)))
        return max(1, -(-number // (threads * rounds)))
