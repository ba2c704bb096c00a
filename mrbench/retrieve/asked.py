"""The scores and places of some candidates for each query, and the best candidates, of all queries at once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from mrbench.measures.ties import Floats, Ints
from mrbench.models.common import out_of_memory
from mrbench.models.protocol import Embeddings
from mrbench.search.counts import Counter
from mrbench.search.distinct import Vectors
from mrbench.search.exact import Scores
from mrbench.search.gpu import DevicePool
from mrbench.search.host import HostPool
from mrbench.search.ragged import ranges, run_starts
from mrbench.workers import ordered_map

_TIED = 1 << 22  # candidates that queries whose ties are gathered at a time may have: they may be the whole pool


class Asked:
    """Candidates that are asked about, and the answers, arrays of shape ``(num_asked,)``.

    Args:
        query: Index of the query, ascending.
        candidate: Place in the pool.
        counted: Whether to count how many of the pool score higher, and how many the same.

    Attributes:
        query: As given.
        candidate: As given.
        counted: As given.
        score: The score.
        greater: How many candidates score higher; where counted.
        equal: How many score the same, itself included; where counted.
    """

    def __init__(self, query: Ints, candidate: Ints, *, counted: bool = False) -> None:
        self.query, self.candidate, self.counted = query, candidate, counted
        self.score: Scores = np.empty(len(query), dtype=np.float32)
        self.greater, self.equal = np.zeros((2, len(query) if counted else 0), dtype=np.int64)

    def columns(self) -> dict[str, Any]:
        """Return all as columns of a table."""
        names = ("query", "candidate", "score", *(("greater", "equal") if self.counted else ()))
        return {name: getattr(self, name) for name in names}

    def of(self, queries: Ints) -> Asked:
        """Ask about the candidates of some queries again, not counted: those of the n-th named are of query n."""
        at, counts = segments(self.query, queries)
        return Asked(np.repeat(np.arange(len(queries)), counts), self.candidate[at])


def segments(sorted_queries: Ints, wanted: Ints) -> tuple[Ints, Ints]:
    """Return the places of what is of some queries, one query after another, and how many are of each.

    >>> segments(np.array([0, 0, 2]), np.array([2, 0]))
    (array([2, 0, 1]), array([1, 2]))
    """
    left, right = (np.searchsorted(sorted_queries, wanted, side=side) for side in ("left", "right"))
    counts = right - left
    return ranges(left, counts), counts


class Searcher:
    """Asks blocks of queries, in threads or on a device.

    Args:
        vectors: What is searched.
        executor: The threads.
        threads: How many they are.
        block: Queries in one product; None chooses.
        progress: Told how many queries are done.
        device: ``cpu``, or a device of torch.
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
        self._vectors, self._executor, self._progress = vectors, executor, progress
        self._threads, self._block = threads, block
        self._pool: HostPool | DevicePool = self._host_pool()
        if device != "cpu":
            with self._or_here():
                self._pool = DevicePool(vectors.rows, device, place=vectors.place, weights=vectors.weights)

    def _host_pool(self) -> HostPool:
        vectors = self._vectors
        return HostPool(vectors.rows, self._executor, place=vectors.place, weights=vectors.weights)

    @contextmanager
    def _or_here(self) -> Iterator[None]:
        """Search here from now on, where a device has too little memory left."""
        try:
            yield
        except Exception as error:
            if not out_of_memory(error):
                raise
            self._pool = self._host_pool()

    def spread(self, queries: Embeddings) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of every query's scores."""
        pool = self._pool
        with self._or_here():
            return pool.spread(queries)
        return self._pool.spread(queries)

    def ask(self, queries: Embeddings, asked: list[Asked], length: int = 0) -> tuple[Ints, Scores]:
        """Answer what is asked, in place, and find the best.

        Args:
            queries: Shape ``(num_queries, dimension)``.
            asked: What is asked of them.
            length: Candidates wanted per query, at most as many as there are; 0 searches none.

        Returns:
            Places and scores of the best candidates, shape ``(num_queries, length)``, by falling score, the tied by
            place.
        """
        if isinstance(self._pool, DevicePool):
            with self._or_here():
                return self._ask_all(queries, asked, length, 1)
        return self._ask_all(queries, asked, length, self._executor)

    def _ask_all(
        self, queries: Embeddings, asked: list[Asked], length: int, askers: Executor | int
    ) -> tuple[Ints, Scores]:
        top = np.empty((len(queries), length), dtype=np.int64), np.empty((len(queries), length), dtype=np.float32)
        # Queries of which about as much is counted stand in one block, since a block counts as often as any needs.
        counted = sum(
            (np.bincount(a.query, minlength=len(queries)) for a in asked if a.counted), np.zeros(len(queries))
        )
        order = np.argsort(-counted, kind="stable")
        size = self._block or self._pool.block(len(queries), self._threads, length)
        blocks = (order[start : start + size] for start in range(0, len(queries), size))
        work = partial(self._ask, queries, asked, top)
        for done in ordered_map(work, blocks, askers, chunk=1, in_flight=2 * self._threads):
            self._progress.update(done)
        return top

    def tied(self, queries: Embeddings, some: Ints, values: Scores) -> Any:
        """Yield some queries and what scores a value for each of them: index in them and place of each candidate.

        Args:
            queries: Shape ``(num_queries, dimension)``.
            some: The queries.
            values: The value of each of them.
        """

        def work(part: slice) -> tuple[Ints, Ints, Ints]:
            counter = Counter(queries[some[part]], self._vectors.rows, values[part, None], collect=True)
            counter.count()
            query, _, row = counter.same()
            places, of = self._vectors.copies(row)
            return some[part], query[of], places

        size = max(1, min(64, _TIED // len(self._vectors.row)))
        parts = (slice(start, start + size) for start in range(0, len(some), size))
        yield from ordered_map(work, parts, self._executor, chunk=1, in_flight=self._threads)

    def _ask(self, queries: Embeddings, asked: list[Asked], top: tuple[Ints, Scores], some: Ints) -> int:
        """Answer what is asked of some queries: score it, then go once over the pool to count and to find the best."""
        mine, vectors = queries[some], self._vectors
        parts = [_Part(part, *segments(part.query, some)) for part in asked]
        query = np.concatenate([part.query for part in parts])
        rows = vectors.row[np.concatenate([part.of.candidate[part.at] for part in parts])]
        order = np.argsort(query, kind="stable")
        ends = np.searchsorted(query[order], np.arange(len(some) + 1))
        scores = np.empty(len(query), dtype=np.float32)
        scores[order] = self._pool.pair_scores(mine, rows[order], ends)
        for part, found in zip(parts, _cut(scores, parts), strict=True):
            part.of.score[part.at] = found

        counted = [part for part in parts if part.of.counted]
        query = np.concatenate([part.query for part in counted])
        values, column = _distinct_values(query, np.concatenate([p.of.score[p.at] for p in counted]), len(some))
        length = top[0].shape[1]
        places, best, greater, equal = self._pool.search(mine, min(length, len(vectors.rows)), values)
        if length:
            top[0][some], top[1][some] = vectors.top(places, best, length)
        greater, equal = greater[query, column], equal[query, column]
        for part, above, same in zip(counted, _cut(greater, counted), _cut(equal, counted), strict=True):
            part.of.greater[part.at], part.of.equal[part.at] = above, same
        return len(some)


class _Part:
    """What of some candidates is asked of the queries of a block.

    Attributes:
        of: Where it is asked and answered.
        at: Where in it the block's stand.
        query: Index in the block of the query of each.
    """

    def __init__(self, of: Asked, at: Ints, counts: Ints) -> None:
        self.of, self.at, self.query = of, at, np.repeat(np.arange(len(counts)), counts)


def _cut(values: np.ndarray[Any, Any], parts: list[_Part]) -> list[np.ndarray[Any, Any]]:
    return np.split(values, np.cumsum([len(part.at) for part in parts])[:-1])


def _distinct_values(query: Ints, scores: Scores, number: int) -> tuple[Scores, Ints]:
    """Return the distinct scores of each query, filled up with infinity, and in which column each score stands."""
    order = np.lexsort((scores, query))
    new = run_starts(query[order], scores[order])
    first = np.flatnonzero(new)
    counts = np.bincount(query[order][first], minlength=number)
    values = np.full((number, int(counts.max(initial=0))), np.inf, dtype=np.float32)
    inside = np.arange(values.shape[1]) < counts[:, None]
    values[inside] = scores[order][first]
    back = np.empty(len(order), dtype=np.int64)
    back[order] = np.cumsum(new) - 1 - (np.cumsum(counts) - counts)[query[order]]
    return values, back
