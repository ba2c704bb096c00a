"""Searches blocks of queries over one pool: scores of requested pairs, their counts, and the best candidates."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np

from mrbench.arrays import Embeddings, Floats, Ints, Scores
from mrbench.search.candidate_pool import CandidatePool
from mrbench.search.counts import Counter
from mrbench.search.distinct import Vectors
from mrbench.search.requests import BlockOfRequest, ScoreRequest, distinct_values, split_rows
from mrbench.workers import ordered_map

_TIED = 1 << 22  # candidates that may be tied, over all queries whose ties are collected at a time


Ties = Iterator[tuple[Ints, Ints, Ints]]
"""Groups of queries: their indices; for each tied candidate the index of its query in the group, and its position."""


Q = TypeVar("Q", contravariant=True)


class PoolSearcher(Protocol[Q]):
    """Searches queries in the whole pool, in the pool without excluded candidates, or in a list for each query.

    ``Q`` is the type of queries: an array with one vector each, or :class:`mrbench.arrays.Ragged` with several.

    In every method, row ``n`` of ``queries`` is searched among the candidates of query ``of[n]``: a variant or a part
    of a query has the list or the exclusions of that query. None stands for ``n`` itself.
    """

    def sizes(self, num_queries: int) -> Ints:
        """Return the number of candidates that each query is searched among, shape ``(num_queries,)``."""

    def moments(self, queries: Q, of: Ints | None = None) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of each query's scores over its candidates; NaN where it has none."""

    def search(
        self, queries: Q, requests: list[ScoreRequest], length: int = 0, of: Ints | None = None
    ) -> tuple[Ints, Scores]:
        """Fill in the answers of requests; return positions and scores of the best, ``(num_queries, length)``.

        They are ordered by falling score, ties by position. The row of a query with fewer candidates than ``length``
        ends with position -1 and score minus infinity.
        """

    def tied(self, queries: Q, some: Ints, values: Scores, of: Ints | None = None) -> Ties:
        """Yield groups of the queries ``some``, with every candidate that scores a given value for its query."""


class Searcher:
    """Searches queries in the whole pool, in threads or on a device.

    Args:
        vectors: The candidates.
        executor: Threads that search.
        threads: Number of threads.
        block: Queries in one matrix product; None lets the pool choose.
        progress: Progress bar, updated with the number of finished queries.
        device: ``cpu``, or a device of torch.

    Attributes:
        pool: The candidates.
    """

    def __init__(
        self,
        vectors: Vectors,
        executor: Executor,
        threads: int,
        block: int | None,
        progress: Any,
        device: str = "cpu",
    ) -> None:
        self._executor, self._progress, self._threads, self._block = executor, progress, threads, block
        self.pool = CandidatePool(vectors, executor, device)

    def sizes(self, num_queries: int) -> Ints:
        """Return the number of candidates that each query is searched among, shape ``(num_queries,)``."""
        return np.full(num_queries, self.pool.size, dtype=np.int64)

    def moments(self, queries: Embeddings, of: Ints | None = None) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of each query's scores over the pool."""
        return self.pool.use(lambda: self.pool.now.moments(queries))

    def search(
        self, queries: Embeddings, requests: list[ScoreRequest], length: int = 0, of: Ints | None = None
    ) -> tuple[Ints, Scores]:
        """Fill in the answers of requests, and return the best candidates.

        Args:
            queries: Shape ``(num_queries, dimension)``.
            requests: Pairs to score; their answers are set in place.
            length: Number of best candidates per query, at most the size of the pool; 0 finds none.
            of: Not used: every query is searched in the whole pool.

        Returns:
            Positions and scores of the best candidates, shape ``(num_queries, length)``, by falling score, ties by
            position.
        """
        return self.pool.use(lambda: self._search_blocks(queries, requests, length, self.pool.workers))

    def _search_blocks(
        self, queries: Embeddings, requests: list[ScoreRequest], length: int, workers: Executor | int
    ) -> tuple[Ints, Scores]:
        top = np.empty((len(queries), length), dtype=np.int64), np.empty((len(queries), length), dtype=np.float32)
        # Queries with similar numbers of counted pairs share a block: the largest number decides the passes of a block.
        counted = sum(
            (np.bincount(r.query, minlength=len(queries)) for r in requests if r.counted), np.zeros(len(queries))
        )
        order = np.argsort(-counted, kind="stable")
        size = self._block or self.pool.now.block(len(queries), self._threads, length)
        blocks = (order[start : start + size] for start in range(0, len(queries), size))
        work = partial(self._search_block, queries, requests, top)
        for done in ordered_map(work, blocks, workers, chunk=1, in_flight=2 * self._threads):
            self._progress.update(done)
        return top

    def tied(self, queries: Embeddings, some: Ints, values: Scores, of: Ints | None = None) -> Ties:
        """Yield groups of queries, with every candidate that scores a given value for its query.

        Args:
            queries: Shape ``(num_queries, dimension)``.
            some: Indices of the queries to look at.
            values: The value for each of them.
            of: Not used: every query is searched in the whole pool.

        Yields:
            Indices of the queries of the group, and for each tied candidate the index of its query within the group and
            its position in the pool.
        """

        def work(part: slice) -> tuple[Ints, Ints, Ints]:
            counter = Counter(queries[some[part]], self.pool.vectors.rows, values[part, None], collect=True)
            counter.count()
            query, _, row = counter.same()
            positions, copied = self.pool.vectors.copies(row)
            return some[part], query[copied], positions

        size = max(1, min(64, _TIED // len(self.pool.vectors.row)))
        parts = (slice(start, start + size) for start in range(0, len(some), size))
        yield from ordered_map(work, parts, self._executor, chunk=1, in_flight=self._threads)

    def _search_block(
        self, queries: Embeddings, requests: list[ScoreRequest], top: tuple[Ints, Scores], block: Ints
    ) -> int:
        """Score the requested pairs of a block of queries; then count and find the best in one pass over the pool."""
        mine, vectors = queries[block], self.pool.vectors
        parts = [BlockOfRequest(request, block) for request in requests]
        query = np.concatenate([np.empty(0, dtype=np.int64), *(part.query for part in parts)])
        if len(query):
            rows = vectors.row[np.concatenate([part.request.candidate[part.at] for part in parts])]
            order = np.argsort(query, kind="stable")
            ends = np.searchsorted(query[order], np.arange(len(block) + 1))
            scores = np.empty(len(query), dtype=np.float32)
            scores[order] = self.pool.now.pair_scores(mine, rows[order], ends)
            for part, values in zip(parts, split_rows(scores, parts), strict=True):
                part.request.score[part.at] = values
        counted = [part for part in parts if part.request.counted]
        length = top[0].shape[1]
        if counted or length:
            self._count(mine, counted, (top[0], top[1]), block, length)
        return len(block)

    def _count(
        self, mine: Embeddings, counted: list[BlockOfRequest], top: tuple[Ints, Scores], block: Ints, length: int
    ) -> None:
        vectors = self.pool.vectors
        query = np.concatenate([np.empty(0, dtype=np.int64), *(part.query for part in counted)])
        scores = np.concatenate([np.empty(0, dtype=np.float32), *(p.request.score[p.at] for p in counted)])
        values, column = distinct_values(query, scores, len(block))
        rows, best, greater, equal = self.pool.now.search(mine, min(length, len(vectors.rows)), values)
        if length:
            top[0][block], top[1][block] = vectors.top(rows, best, length)
        if not counted:
            return
        greater, equal = greater[query, column], equal[query, column]
        for part, above, same in zip(counted, split_rows(greater, counted), split_rows(equal, counted), strict=True):
            part.request.greater[part.at], part.request.equal[part.at] = above, same
