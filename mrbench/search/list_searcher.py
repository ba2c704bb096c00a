"""Searches each query among a list of candidates of its own, as in reranking."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from functools import partial
from typing import Any

import numpy as np

from mrbench.arrays import Embeddings, Floats, Ints, Scores, ranges, row_ends
from mrbench.search.candidate_pool import CandidatePool
from mrbench.search.distinct import Vectors
from mrbench.search.moments import list_moments
from mrbench.search.pairs import PairList, ScoredPairs, query_blocks
from mrbench.search.requests import BlockOfRequest, ScoreRequest, split_rows
from mrbench.search.searcher import Ties
from mrbench.workers import cores, ordered_map

_PAIRS = 1 << 18  # pairs that a thread scores at a time; each takes about 100 bytes


class ListSearcher:
    """A searcher (:class:`mrbench.search.searcher.PoolSearcher`) of one list of candidates per query.

    Only the pairs of the lists are scored, never the whole pool. Scores equal those of every other searcher to the last
    bit. Mean and deviation are computed from these rounded scores.

    Args:
        vectors: The candidates of the pool.
        lists: The list of each query, in any order; a candidate that a list names twice counts once.
        executor: Threads that search.
        progress: Progress bar, updated with the number of finished queries.
        threads: Number of threads; None takes one a core.
        block: Queries that a thread takes at a time; None takes queries with about 262,144 pairs together.
        device: ``cpu``, or a device of torch.
    """

    def __init__(
        self,
        vectors: Vectors,
        lists: PairList,
        executor: Executor,
        progress: Any,
        *,
        threads: int | None = None,
        block: int | None = None,
        device: str = "cpu",
    ) -> None:
        self._lists, self._progress, self._block = lists.ordered(), progress, block
        self._in_flight = 2 * (threads or cores())
        self.pool = CandidatePool(vectors, executor, device)

    def sizes(self, num_queries: int) -> Ints:
        """Return the length of each query's list, shape ``(num_queries,)``."""
        return self._lists.counts(num_queries)

    def moments(self, queries: Embeddings, of: Ints | None = None) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of every query's scores over its list; NaN where the list is empty."""
        of = np.arange(len(queries)) if of is None else of
        mean, deviation = np.empty((2, len(queries)))

        def work(part: slice) -> tuple[slice, tuple[Floats, Floats]]:
            lists = self._lists.for_queries(of[part])
            return part, list_moments(self._scores(queries[part], lists), lists.counts(part.stop - part.start))

        for part, found in self._map(work, self._sizes(of)):
            mean[part], deviation[part] = found
        return mean, deviation

    def search(
        self, queries: Embeddings, requests: list[ScoreRequest], length: int = 0, of: Ints | None = None
    ) -> tuple[Ints, Scores]:
        """Fill in the answers of requests, and return the best candidates of each query's list.

        A requested pair need not be in the list of its query. Its candidate then does not itself count as equal.

        Args:
            queries: Shape ``(num_queries, dimension)``.
            requests: Pairs to score; their answers are set in place, counted within the list of the query.
            length: Number of best candidates per query; 0 finds none.
            of: For each row of ``queries`` the query whose list applies, shape ``(num_queries,)``; None for itself.

        Returns:
            Positions and scores of the best candidates, shape ``(num_queries, length)``, by falling score, ties by
            position. The row of a shorter list ends with position -1 and score minus infinity.
        """
        of = np.arange(len(queries)) if of is None else of
        top = np.full((len(queries), length), -1), np.full((len(queries), length), -np.inf, dtype=np.float32)
        ranked = length > 0 or any(request.counted for request in requests)
        pairs = self._sizes(of) if ranked else np.zeros(len(queries), dtype=np.int64)
        for request in requests:
            pairs = pairs + np.bincount(request.query, minlength=len(queries))
        work = partial(self._search_block, queries, requests, top, of, ranked)
        for done in self._map(work, pairs):
            self._progress.update(done)
        return top

    def tied(self, queries: Embeddings, some: Ints, values: Scores, of: Ints | None = None) -> Ties:
        """Yield groups of queries, with every candidate of their lists that scores a given value.

        Args:
            queries: Shape ``(num_queries, dimension)``.
            some: Indices of the queries to look at.
            values: The value for each of them.
            of: For each row of ``queries`` the query whose list applies; None for itself.

        Yields:
            Indices of the queries of the group, and for each tied candidate the index of its query within the group and
            its position in the pool, by query and position.
        """
        of = some if of is None else of[some]

        def work(part: slice) -> tuple[Ints, Ints, Ints]:
            lists = self._lists.for_queries(of[part])
            same = self._scores(queries[some[part]], lists) == values[part][lists.query]
            return some[part], lists.query[same], lists.candidate[same]

        yield from self._map(work, self._sizes(of))

    def _sizes(self, of: Ints) -> Ints:
        return self._lists.counts(int(of.max(initial=-1)) + 1)[of]

    def _map(self, work: Any, pairs: Ints) -> Iterator[Any]:
        blocks = query_blocks(pairs, _PAIRS, self._block)
        return ordered_map(work, blocks, self.pool.workers, chunk=1, in_flight=self._in_flight)

    def _scores(self, queries: Embeddings, lists: PairList) -> Scores:
        """Return the scores of all pairs of some lists, query by query."""
        vectors = self.pool.vectors
        rows = vectors.row[lists.candidate]
        if vectors.position is None:
            return self.pool.row_scores(queries, lists.query, rows)
        # Score each distinct vector once, in the order of memory.
        number = len(vectors.rows)
        pairs, at = np.unique(lists.query * number + rows, return_inverse=True)
        return self.pool.row_scores(queries, *np.divmod(pairs, number))[at]

    def _search_block(
        self,
        queries: Embeddings,
        requests: list[ScoreRequest],
        top: tuple[Ints, Scores],
        of: Ints,
        ranked: bool,
        part: slice,
    ) -> int:
        """Score lists and requested pairs of a block of queries, then count and find the best by sorting."""
        mine, number = queries[part], len(of[part])
        parts = [BlockOfRequest(request, np.arange(part.start, part.stop)) for request in requests]
        lists = self._lists.for_queries(of[part] if ranked else of[:0])
        scores = self._scores(mine, lists)
        self._answer(mine, parts, lists, scores)
        if ranked:
            sorted_pairs = ScoredPairs(lists.query, scores)
            for each in parts:
                if each.request.counted:
                    found = sorted_pairs.counts(each.query, each.request.score[each.at])
                    each.request.greater[each.at], each.request.equal[each.at] = found
            counts = np.minimum(lists.counts(number), top[0].shape[1])
            best = sorted_pairs.order[ranges(row_ends(lists.counts(number))[:-1], counts)]
            inside = np.arange(top[0].shape[1]) < counts[:, None]
            top[0][part][inside], top[1][part][inside] = lists.candidate[best], scores[best]
        return number

    def _answer(self, queries: Embeddings, parts: list[BlockOfRequest], lists: PairList, scores: Scores) -> None:
        """Set the scores of requested pairs. Those of the lists are known; the others are computed."""
        query = np.concatenate([np.empty(0, dtype=np.int64), *(part.query for part in parts)])
        if not len(query):
            return
        candidate = np.concatenate([part.request.candidate[part.at] for part in parts])
        at = lists.find(query, candidate, self.pool.size)
        known, missing = np.flatnonzero(at >= 0), np.flatnonzero(at < 0)
        missing = missing[np.argsort(query[missing], kind="stable")]
        answers = np.empty(len(query), dtype=np.float32)
        answers[known] = scores[at[known]]
        answers[missing] = self.pool.pair_scores(queries, query[missing], candidate[missing])
        for part, values in zip(parts, split_rows(answers, parts), strict=True):
            part.request.score[part.at] = values
