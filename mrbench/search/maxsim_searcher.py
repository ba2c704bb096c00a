"""Searches queries with several vectors: in the whole pool, in the pool without excluded candidates, or in lists."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from typing import Any

import numpy as np

from mrbench.arrays import Embeddings, Floats, Ints, Ragged, Scores
from mrbench.search.exact import key_parts, order_keys
from mrbench.search.maxsim import maxsim_error, maxsim_products, maxsim_scores
from mrbench.search.pairs import PairList, query_blocks
from mrbench.search.requests import ScoreRequest, segments
from mrbench.search.searcher import Ties
from mrbench.workers import cores, ordered_map

QUERY_TOKENS = 1024  # most query vectors that a thread takes at a time; a query with more is searched alone
SCORES = 1 << 22  # most scores that a thread holds, but always those of one query with the whole pool


class MaxSimSearcher:
    """A searcher (:class:`mrbench.search.searcher.PoolSearcher`) of items with several vectors each.

    Scores equal :func:`mrbench.search.maxsim.maxsim_scores` to the last bit. In the whole pool, float32 products decide
    every candidate except those within their error of a requested score; these are scored exactly. In lists, only the
    listed pairs are scored. Mean and deviation have the error of the products.

    Besides the vectors, each thread holds :data:`SCORES` scores and the products of :data:`QUERY_TOKENS` query vectors
    with :data:`mrbench.search.maxsim.TOKENS` candidate vectors, 16 MiB each.

    Args:
        candidates: The vectors of candidates; may be memory-mapped.
        row: Row of each candidate of the pool, in the order of ids, shape ``(num_candidates,)``.
        executor: Threads that search.
        progress: Progress bar, updated with the number of finished queries.
        lists: The candidates of each query; None takes the whole pool.
        excluded: The candidates excluded for each query; None excludes none.
        threads: Number of threads; None takes one a core.
        block: Most queries that a thread takes at a time.
    """

    def __init__(
        self,
        candidates: Ragged,
        row: Ints,
        executor: Executor,
        progress: Any,
        *,
        lists: PairList | None = None,
        excluded: PairList | None = None,
        threads: int | None = None,
        block: int | None = None,
    ) -> None:
        self._candidates, self._row, self._executor, self._progress = candidates, row, executor, progress
        self._lists, self._excluded = (None if one is None else one.ordered() for one in (lists, excluded))
        self._in_flight, self._block = 2 * (threads or cores()), block
        self._moments: tuple[Ragged, Floats, Floats] | None = None  # of the last queries that were searched

    def sizes(self, num_queries: int) -> Ints:
        """Return the number of candidates that each query is searched among, shape ``(num_queries,)``."""
        if self._lists is not None:
            return self._lists.counts(num_queries)
        whole = np.full(num_queries, len(self._row), dtype=np.int64)
        return whole if self._excluded is None else whole - self._excluded.counts(num_queries)

    def search(
        self, queries: Ragged, requests: list[ScoreRequest], length: int = 0, of: Ints | None = None
    ) -> tuple[Ints, Scores]:
        """Fill in the answers of requests, and return the best candidates.

        The candidate of a requested pair may be excluded or not listed. The pair is scored, but its candidate does not
        itself count as equal.

        Args:
            queries: The queries.
            requests: Pairs to score; their answers are set in place.
            length: Number of best candidates per query; 0 finds none.
            of: For each query the one whose list or exclusions apply, shape ``(num_queries,)``; None for itself.

        Returns:
            Positions and scores of the best candidates, shape ``(num_queries, length)``, by falling score, ties by
            position. The row of a query with fewer candidates ends with position -1 and score minus infinity.
        """
        top = np.full((len(queries), length), -1), np.full((len(queries), length), -np.inf, dtype=np.float32)
        mean, deviation = np.empty((2, len(queries)))
        counted = length > 0 or any(request.counted for request in requests)

        def work(block: slice) -> int:
            values = [self._answer(queries[n].flat, n, requests) for n in range(block.start, block.stop)]
            for n, found in self._found(queries, of, block) if counted else ():
                mean[n], deviation[n] = found.moments()
                found.sharpen(values[n - block.start], length)
                _count(found.scores, n, requests)
                if length:
                    positions, best = found.best(length)
                    top[0][n, : len(best)], top[1][n, : len(best)] = positions, best
            return int(block.stop - block.start)

        for done in self._map(work, queries.counts):
            self._progress.update(done)
        if of is None and counted:
            self._moments = queries, mean, deviation
        return top

    def moments(self, queries: Ragged, of: Ints | None = None) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of every query's scores over its candidates; NaN where it has none."""
        if self._moments is None or self._moments[0] is not queries or of is not None:
            mean, deviation = np.empty((2, len(queries)))

            def work(block: slice) -> None:
                for n, found in self._found(queries, of, block):
                    mean[n], deviation[n] = found.moments()

            for _ in self._map(work, queries.counts):
                pass
            return mean, deviation
        return self._moments[1], self._moments[2]

    def tied(self, queries: Ragged, some: Ints, values: Scores, of: Ints | None = None) -> Ties:
        """Yield groups of queries, with every candidate that scores a given value for its query.

        Args:
            queries: The queries.
            some: Indices of the queries to look at.
            values: The value for each of them.
            of: For each query the one whose list or exclusions apply; None for itself.

        Yields:
            Indices of the queries of the group, and for each tied candidate the index of its query within the group and
            its position in the pool.
        """
        few, few_of = queries[some], some if of is None else of[some]

        def work(block: slice) -> tuple[Ints, Ints, Ints]:
            same = []
            for n, found in self._found(few, few_of, block):
                found.sharpen(values[n : n + 1], 0)
                same.append(found.positions[found.scores == values[n]])
            counts = [len(positions) for positions in same]
            return some[block], np.repeat(np.arange(len(same)), counts), np.concatenate(same)

        yield from self._map(work, few.counts)

    def _map(self, work: Any, tokens: Ints) -> Iterator[Any]:
        most = max(1, SCORES // max(len(self._row), 1))
        blocks = query_blocks(tokens, QUERY_TOKENS, min(most, self._block or most))
        return ordered_map(work, blocks, self._executor, chunk=1, in_flight=self._in_flight)

    def _answer(self, query: Embeddings, number: int, requests: list[ScoreRequest]) -> Scores:
        """Set the scores of a query's requested pairs, and return the scores of the counted ones, ascending."""
        values = [np.empty(0, dtype=np.float32)]
        for request in requests:
            at, _ = segments(request.query, np.array([number]))
            request.score[at] = maxsim_scores(query, self._candidates, self._row[request.candidate[at]])
            if request.counted:
                values.append(request.score[at])
        return np.sort(np.concatenate(values))

    def _found(self, queries: Ragged, of: Ints | None, block: slice) -> Iterator[tuple[int, _Found]]:
        """Yield the queries of a block, each with its candidates and their scores."""
        numbers = range(block.start, block.stop)
        if self._lists is None:
            mine = queries[block]
            products, errors = maxsim_products(mine, self._candidates), maxsim_error(mine)
        for n in numbers:
            named = np.array([n if of is None else of[n]])
            query = queries[n].flat
            if self._lists is not None:
                positions = self._lists.for_queries(named).candidate
                scores = maxsim_scores(query, self._candidates, self._row[positions])
                yield n, _Found(self._candidates, self._row, query, positions, scores, 0.0)
                continue
            positions = np.arange(len(self._row))
            if self._excluded is not None:
                positions = np.delete(positions, self._excluded.for_queries(named).candidate)
            scores = products[n - block.start][self._row[positions]]
            yield n, _Found(self._candidates, self._row, query, positions, scores, float(errors[n - block.start]))


class _Found:
    """The scores of one query.

    Args:
        candidates: The vectors of candidates.
        row: Row of each candidate of the pool.
        query: The vectors of the query.
        positions: Its candidates, ascending.
        scores: Their scores, off by at most ``error``.
        error: 0 if the scores are exact.
    """

    def __init__(
        self, candidates: Ragged, row: Ints, query: Embeddings, positions: Ints, scores: Scores, error: float
    ) -> None:
        self._candidates, self._row, self._query = candidates, row, query
        self.positions, self.scores, self._error = positions, scores, np.float32(error)

    def sharpen(self, values: Scores, length: int) -> None:
        """Make all scores exact that are within the error of a value, or of the lowest of the best scores.

        All other scores are then on the right side of every value and of the best.

        Args:
            values: Exact scores, ascending.
            length: Number of best candidates wanted.
        """
        if not self._error or not len(self.scores):
            return
        ends = np.append(values, np.float32(np.inf))
        near = ends[np.searchsorted(values, self.scores - self._error)] <= self.scores + self._error
        if length:
            last = max(len(self.scores) - length, 0)
            near |= self.scores >= np.partition(self.scores, last)[last] - 2 * self._error
        some = np.flatnonzero(near)
        self.scores[some] = maxsim_scores(self._query, self._candidates, self._row[self.positions[some]])

    def best(self, length: int) -> tuple[Ints, Scores]:
        """Return positions and scores of the best, at most ``length``, by falling score, ties by position."""
        some = np.arange(len(self.scores))
        if len(some) > length:
            last = len(some) - length
            some = np.flatnonzero(self.scores >= np.partition(self.scores, last)[last])
        return key_parts(np.sort(order_keys(self.scores[some], self.positions[some]))[:length])

    def moments(self) -> tuple[float, float]:
        """Return mean and standard deviation of the scores, rounded to float32; NaN if there are none."""
        if not len(self.scores):
            return np.nan, np.nan
        mean, deviation = self.scores.mean(dtype=np.float64), self.scores.std(dtype=np.float64)
        return float(np.float32(mean)), float(np.float32(deviation))


def _count(scores: Scores, number: int, requests: list[ScoreRequest]) -> None:
    """Set the numbers of a query's candidates that score higher than its counted pairs, and the same."""
    ascending = np.sort(scores)
    for request in (request for request in requests if request.counted):
        at, _ = segments(request.query, np.array([number]))
        left, right = (np.searchsorted(ascending, request.score[at], side=side) for side in ("left", "right"))
        request.greater[at], request.equal[at] = len(ascending) - right, right - left
