"""Exact top k, streamed over embeddings that may be larger than memory.

A product (:mod:`mrbench.retrieve.products`) finds who may be among the best, with a bound on its error; these few are
scored to the last bit (:mod:`mrbench.retrieve.exact`) and ordered by score, the tied by row. So the answer is one,
whatever the blocks, the threads, the linear algebra library and the shards that the candidates came in.
"""

from __future__ import annotations

import operator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from mrbench.errors import InputError
from mrbench.measures.ties import Ints
from mrbench.models.protocol import Embeddings
from mrbench.retrieve.exact import Keys, Scores, key_parts, order_keys, pair_scores
from mrbench.retrieve.gpu import best_keys
from mrbench.retrieve.products import (
    Bfloat16Product,
    Float32Product,
    Product,
    need_torch,
    one_thread,
    pays,
    residual,
    usable,
)
from mrbench.retrieve.vectors import check_units
from mrbench.workers import cores

BLOCK, CHUNK = 256, 2048  # queries and candidates in one product: 2 MiB of scores stay in the cache
_SLACK = 64  # and as many as are wanted: candidates within the error that are carried along before they are settled
_SAMPLE = 32  # every so many candidates are looked at first, to guess how high the best reach
_PARTS = 256  # of the candidates, looked at by all threads before the search
_SETTLED = 64  # queries that are settled at a time, so that their pairs take little memory


def top_k(
    queries: Embeddings,
    candidates: Embeddings,
    depth: int,
    *,
    threads: int | None = None,
    block: int | None = None,
    chunk: int = CHUNK,
    device: str = "cpu",
    bfloat16: bool | None = None,
) -> tuple[Ints, Scores]:
    """Find the best candidates of every query.

    Args:
        queries: float32 unit vectors, shape ``(num_queries, dimension)``.
        candidates: float32 unit vectors, shape ``(num_candidates, dimension)``, fewer than 2**32; may be a memory map.
        depth: Candidates wanted per query, 1 or more; all of them where there are fewer.
        threads: Threads that search, each for its own queries; None or 0 takes one a core.
        block: Queries in one product; None takes 256, fewer where the threads would have fewer than four blocks each.
        chunk: Candidates in one product. No argument but the first three changes the result.
        device: ``cpu``, or a device of torch for the products, for example ``cuda``; it has its own blocks.
        bfloat16: Whether products may be of vectors rounded to bfloat16, where few candidates more are carried along
            for it; None asks this where the processor is faster so.

    Returns:
        Rows of the candidates and their scores, both of shape ``(num_queries, depth)``, by falling score, the tied by
        rising row.

    Raises:
        InputError: The depth is below 1, there is no candidate, or the vectors are not as above.
        ModelError: A vector is not of length 1.
        MissingExtraError: A device or bfloat16 is asked for, and torch is not installed.

    >>> top_k(np.float32([[1, 0]]), np.float32([[0, 1], [1, 0], [0.6, 0.8]]), 2)
    (array([[1, 2]]), array([[1. , 0.6]], dtype=float32))
    """
    check_units(query=queries, candidate=candidates)
    if depth < 1 or not len(candidates):
        raise InputError("nothing to search for", got=(depth, len(candidates)), accepted="depth and candidates >= 1")
    for name, value, least in (("threads", threads, 0), ("block", block, 1), ("chunk", chunk, 1)):
        if value is not None and value < least:
            raise InputError("a number is too small", where=name, got=value, accepted=f"{least} or more")
    if bfloat16 or device != "cpu":
        need_torch()
    depth = operator.index(min(depth, len(candidates)))
    rows = np.empty((len(queries), depth), dtype=np.int64)
    scores = np.empty((len(queries), depth), dtype=np.float32)

    if device != "cpu":
        keys, unsure = best_keys(queries, candidates, depth, device)
        rows, scores = key_parts(keys)
        if len(unsure):
            rows[unsure], scores[unsure] = top_k(queries[unsure], candidates, depth, threads=threads)
        return rows, scores

    threads = threads or cores()
    if block is None:
        block = min(BLOCK, max(64, -(-len(queries) // (4 * threads))))
    if bfloat16 is None:
        bfloat16 = usable(2.0 * len(queries) * candidates.size, candidates.shape[1])
    # One thread a block, each with a product of its own, leaves no core idle while the best are picked.
    with one_thread(), ThreadPoolExecutor(threads) as pool:
        step = max(CHUNK, -(-len(candidates) // _PARTS))
        parts = (candidates[start : start + step] for start in range(0, len(candidates), step))
        lost = max(pool.map(residual, parts)) if bfloat16 else None

        def work(start: int) -> None:
            best = _Best(np.ascontiguousarray(queries[start : start + block]), candidates, depth, chunk, lost)
            part = slice(start, start + block)
            rows[part], scores[part] = key_parts(best.search())

        list(pool.map(work, range(0, len(queries), block)))
    return rows, scores


class _Best:
    """The best candidates so far of a block of queries.

    Invariant, once the guess has proved right: every candidate seen so far that is among the ``depth`` best of its
    query is in ``values`` and ``rows``.
    """

    def __init__(self, queries: Embeddings, candidates: Embeddings, depth: int, chunk: int, lost: float | None) -> None:
        self._queries, self._candidates, self._depth = queries, candidates, depth
        self._chunk = min(chunk, len(candidates))
        self._lost = lost  # the most that rounding to bfloat16 takes from a candidate; None: no bfloat16
        self._product: Product = Float32Product(queries, self._chunk)
        self._most = 2 * depth + _SLACK  # so much is left after shrinking
        room = self._most + self._chunk
        self._values = np.empty((len(queries), room), dtype=np.float32)
        self._rows = np.empty((len(queries), room), dtype=np.uint32)

    def search(self, *, guess: bool = True) -> Keys:
        """Return the keys of the best, shape ``(num_queries, depth)``, ascending.

        Args:
            guess: Whether to guess first how high the best reach.
        """
        limit = self._guess() if guess else None
        self._scan(limit)
        enough = self._reached(limit) >= self._depth
        keys = np.empty((len(self._queries), self._depth), dtype=np.uint64)
        sure = np.flatnonzero(enough)
        for start in range(0, len(sure), _SETTLED):
            some = sure[start : start + _SETTLED]
            keys[some] = self._settle(some)
        if not enough.all():
            again = _Best(self._queries[~enough], self._candidates, self._depth, self._chunk, None)
            keys[~enough] = again.search(guess=False)
        return keys

    def _reached(self, limit: Scores | None) -> Ints:
        """Count for each query what it holds at or above a limit."""
        if limit is None:
            return self._filled
        width = int(self._filled.max())
        reach = (self._values[:, :width] >= limit) & (np.arange(width) < self._filled[:, None])
        counts: Ints = reach.sum(axis=1)
        return counts

    def _guess(self) -> Scores | None:
        """Guess from every n-th candidate a score that a few more than ``depth`` candidates reach.

        A guess that is too high is seen when too few are found; one that is too low costs time only.
        """
        step = max(_SAMPLE, -(-len(self._candidates) // self._chunk))
        sample = self._candidates[::step]
        expected = self._depth / step
        rank = round(expected + 3.5 * expected**0.5 + 2)
        if 2 * rank > len(sample):
            return None
        exact = Float32Product(self._queries, len(sample))
        exact.multiply(sample)
        limit: Scores = np.partition(exact.scores, -rank, axis=1)[:, -rank, None]
        if self._lost is not None:
            coarse = Bfloat16Product(self._queries, self._chunk, self._lost)
            if pays(exact.scores, limit, coarse.error(limit)):
                self._product = coarse
        return limit

    def _scan(self, guess: Scores | None) -> None:
        self._filled = np.zeros(len(self._queries), dtype=np.int64)
        nothing = np.full((len(self._queries), 1), -np.inf, dtype=np.float32)
        self._limit = nothing if guess is None else guess - self._product.error(guess)
        for start in range(0, len(self._candidates), self._chunk):
            height, width = self._product.multiply(self._candidates[start : start + self._chunk])
            if start == 0 and guess is None and width > self._depth:
                self._raise_limit(self._product.values(np.arange(height * width)).reshape(height, width))
            self._add(start, height, width)

    def _raise_limit(self, values: Scores) -> None:
        kth = values.shape[1] - self._depth
        level = np.partition(values, kth, axis=1)[:, kth, None]
        self._limit = np.maximum(self._limit, level - self._product.error(level))

    def _add(self, start: int, height: int, width: int) -> None:
        found = self._product.reaching(self._limit)
        ends = np.searchsorted(found, np.arange(0, height * width + 1, width))
        new = np.diff(ends)
        if (self._filled + new).max() > self._values.shape[1]:
            self._shrink()
        query = np.arange(height)
        place = np.arange(len(found)) + np.repeat(query * self._values.shape[1] + self._filled - ends[:-1], new)
        self._values.reshape(-1)[place] = self._product.values(found)
        self._rows.reshape(-1)[place] = found + np.repeat(start - query * width, new)
        self._filled += new

    def _shrink(self) -> None:
        """Leave out who cannot be among the best; where too many are too close to tell, settle it."""
        width = int(self._filled.max())
        self._values[:, :width][np.arange(width) >= self._filled[:, None]] = -np.inf
        if width > self._depth:
            self._raise_limit(self._values[:, :width])
        kept = (self._values[:, :width] >= self._limit) & (np.arange(width) < self._filled[:, None])
        query, place = np.nonzero(kept)
        self._filled = np.bincount(query, minlength=len(self._queries))
        to = np.arange(len(query)) - np.repeat(np.cumsum(self._filled) - self._filled, self._filled)
        values, rows = self._values[query, place], self._rows[query, place]
        self._values[query, to], self._rows[query, to] = values, rows
        many = np.flatnonzero(self._filled > self._most)
        if len(many):
            best = self._settle(many)
            self._rows[many, : self._depth], self._values[many, : self._depth] = key_parts(best)
            self._filled[many] = self._depth

    def _settle(self, some: Ints) -> Keys:
        """Score what some queries hold to the last bit, and return the keys of the best, shape ``(some, depth)``."""
        if not len(some):
            return np.empty((0, self._depth), dtype=np.uint64)
        width = int(self._filled[some].max())
        values = self._values[some, :width]
        values[np.arange(width) >= self._filled[some, None]] = -np.inf
        kth = np.partition(values, width - self._depth, axis=1)[:, width - self._depth, None]
        close = np.flatnonzero(values >= kth - self._product.error(kth))
        ends = np.searchsorted(close, np.arange(0, values.size + 1, width))
        rows = self._rows[some, :width].reshape(-1)[close].astype(np.int64)
        scores = pair_scores(self._queries[some], self._candidates, rows, ends)
        counts = np.diff(ends)
        keys = np.full((len(some), int(counts.max())), np.iinfo(np.uint64).max, dtype=np.uint64)
        keys[np.arange(keys.shape[1]) < counts[:, None]] = order_keys(scores, rows)
        keys.sort(axis=1)
        return keys[:, : self._depth]
