"""The best candidates of a block of queries, found in one pass over the pool.

Products in float32 (:mod:`mrbench.search.products`) have a bounded error, so they rule out almost all candidates. The
few that are left are scored exactly (:mod:`mrbench.search.exact`) and sorted by score, ties by position.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mrbench.arrays import Embeddings, Ints, Scores, row_ends
from mrbench.search.exact import Keys, falling_bits, from_falling_bits, key_parts, order_keys, pair_scores, settled
from mrbench.search.products import Float32Product, short_rows
from mrbench.search.sampled import Sampler, worth

CHUNK = 2048  # candidates in one product
SLACK = 64  # candidates that a query may hold beyond twice the depth before the search scores exactly
SAMPLE = 32  # a guess looks at every 32nd candidate,
_DEEP = 500  # and from this depth on at every 16th: there a better guess saves more than it costs
_TABLE = 64  # queries sorted in one table: few, to save memory
_PARTS = 512  # most chunks whose held candidates are separate arrays: each array costs some memory
Watch = Callable[[int, Float32Product], None]
_Flags = np.ndarray[Any, np.dtype[np.bool_]]


class Best:
    """Searches the best candidates for one block of queries.

    If the guess is not too high, every candidate seen so far that is among the ``depth`` best of its query is held.

    Args:
        queries: Shape ``(num_queries, dimension)``, lengths about 1.
        candidates: Shape ``(num_candidates, dimension)``, lengths about 1; may be memory-mapped.
        depth: Candidates wanted per query, at most ``num_candidates``.
        chunk: Candidates in one product.
        position: Position of each candidate in the pool, which orders ties; None takes the rows.
        watch: Called with the first row of each chunk and its products.
    """

    def __init__(
        self,
        queries: Embeddings,
        candidates: Embeddings,
        depth: int,
        *,
        chunk: int = CHUNK,
        position: Ints | None = None,
        watch: Watch | None = None,
    ) -> None:
        self._queries, self._candidates, self._depth = queries, candidates, depth
        self._chunk = min(chunk, len(candidates))
        self._position, self._watch = position, watch
        self._product = Float32Product(queries, self._chunk)
        self._most = 2 * depth + SLACK  # most candidates that a query holds after _shrink()
        self._room = 2 * len(queries) * self._most  # candidates that all queries hold before _shrink() is called
        self._held: list[tuple[Any, Any, Scores]] = []  # query, row and product
        self._number = 0
        self._exact = False  # whether the products held are exact scores
        self._kind: Any = np.uint16 if len(queries) <= 1 << 16 else np.uint32  # 16-bit numbers sort faster
        self._spared = max(1, (len(queries) - 1).bit_length())  # bits of a query's number: see _level()

    def search(self, *, guess: bool = True) -> Keys:
        """Return the keys of the best candidates, shape ``(num_queries, depth)``, ascending.

        Args:
            guess: Whether to guess first a score that the best candidates reach.
        """
        limit = self._guess() if guess else None
        with short_rows():
            self._scan(limit)
        enough = self._choose(limit)
        del self._product  # frees its buffers before candidates are scored
        query, rows, scores = self._scored()
        counts = np.bincount(query, minlength=len(self._queries))
        keys = np.empty((len(self._queries), self._depth), dtype=np.uint64)
        keys[enough] = self._keys(rows, counts[enough], scores)
        if not enough.all():
            again = Best(
                self._queries[~enough], self._candidates, self._depth, chunk=self._chunk, position=self._position
            )  # without the watch, which has seen every product
            keys[~enough] = again.search(guess=False)
        return keys

    def _guess(self) -> Scores | None:
        """Return a guess of a score that slightly more than ``depth`` candidates reach; None where the pool is small.

        The guess comes from every n-th candidate. A guess that is too high is noticed, since too few candidates reach
        it. A guess that is too low only costs time.
        """
        step = max(sample_step(self._depth), -(-len(self._candidates) // self._chunk))
        sample = self._candidates[::step]
        rank = rank_in_sample(self._depth, step)
        if 2 * rank > len(sample):
            return None
        sampled = Float32Product(self._queries, len(sample))
        sampled.multiply(sample)
        return self._rounded_down(np.partition(sampled.scores, -rank, axis=1)[:, -rank, None])

    def _scan(self, guess: Scores | None) -> None:
        nothing = np.full((len(self._queries), 1), -np.inf, dtype=np.float32)
        self._limit = nothing if guess is None else guess - self._error(guess)
        for start in range(0, len(self._candidates), self._chunk):
            height, width = self._product.multiply(self._candidates[start : start + self._chunk])
            if self._watch is not None:
                self._watch(start, self._product)
            if start == 0 and guess is None and width > self._depth:
                values = self._product.values(np.arange(height * width)).reshape(height, width)
                self._raise_limit(np.partition(values, -self._depth, axis=1)[:, -self._depth, None])
            reached = self._product.reaching(self._limit)
            query, column = np.divmod(reached.astype(np.uint32), np.uint32(width))
            self._held.append((query.astype(self._kind), column + np.uint32(start), self._product.values(reached)))
            self._number += len(reached)
            if self._number > self._room or len(self._held) > _PARTS:
                self._shrink()

    def _error(self, level: Scores) -> Scores:
        return np.zeros_like(level) if self._exact else self._product.error(level)

    def _raise_limit(self, level: Scores) -> None:
        """Raise the limits to ``level``, which ``depth`` products reach, less the error of a product."""
        self._limit = np.maximum(self._limit, level - self._error(level))

    def _level(self) -> Scores:
        """Return the ``depth``-th highest product that each query holds, rounded down; -inf where it holds fewer.

        Query and product are packed into 32 bits, the query in the upper ones, since sorting 64 bits takes twice as
        long.
        """
        keys, at = np.empty(sum(len(rows) for _, rows, _ in self._held), dtype=np.uint32), 0
        for query, _, values in self._held:
            part = keys[at : at + len(query)]
            np.left_shift(query, np.uint32(32 - self._spared), out=part, dtype=np.uint32)
            part |= falling_bits(values) >> np.uint32(self._spared)
            at += len(query)
        keys.sort()
        queries = np.arange(len(self._queries), dtype=np.uint32)
        starts = np.append(np.searchsorted(keys, queries << np.uint32(32 - self._spared)), len(keys))
        last = starts[:-1] + self._depth - 1
        held = np.flatnonzero(last < starts[1:])
        level = np.full((len(self._queries), 1), -np.inf, dtype=np.float32)
        level[held, 0] = self._rounded_down(from_falling_bits(keys[last[held]] << np.uint32(self._spared)))
        return level

    def _rounded_down(self, scores: Scores) -> Scores:
        """Return the lowest scores with the same upper bits."""
        return from_falling_bits(falling_bits(scores) | np.uint32((1 << self._spared) - 1))

    def _leave_out(self) -> None:
        """Drop the candidates held whose products are below the limits."""
        for at, (query, rows, values) in enumerate(self._held):
            kept = np.flatnonzero(values >= self._limit[:, 0].take(query))  # far faster than a boolean index
            self._held[at] = query.take(kept), rows.take(kept), values.take(kept)

    def _shrink(self) -> None:
        """Drop the candidates that cannot be among the best; if too many are left, use exact scores from now on."""
        self._raise_limit(self._level())
        self._leave_out()
        query, rows, values = _by_query(self._held)
        self._held = []
        counts = np.bincount(query, minlength=len(self._queries))
        many = np.flatnonzero(counts > self._most)
        if len(many):
            if not self._exact:
                values = pair_scores(self._queries, self._candidates, rows, row_ends(counts))
                self.sharpen()
            rest = ~np.isin(query, many)
            position, scores = key_parts(self._keys(rows[~rest], counts[many], values[~rest]).reshape(-1))
            query = np.concatenate([query[rest], np.repeat(many, self._depth).astype(query.dtype)])
            rows = np.concatenate([rows[rest], self._row(position).astype(rows.dtype)])
            values = np.concatenate([values[rest], scores])
        self._held, self._number = [(query, rows, values)], len(query)

    def sharpen(self) -> None:
        """Use exact products from now on: before the search, or once all scores held are exact."""
        self._product.sharpen()
        self._exact = True

    def _row(self, position: Ints) -> Ints:
        if self._position is None:
            return position
        row = np.empty(int(self._position.max()) + 1, dtype=np.int64)
        row[self._position] = np.arange(len(self._position))
        rows: Ints = row[position]
        return rows

    def _choose(self, guess: Scores | None) -> _Flags:
        """Drop the candidates that cannot be among the best, and return for which queries the guess was not too high.

        A query whose guess was too high holds nothing afterwards.
        """
        level = self._level()
        enough: _Flags = np.ones(len(level), dtype=np.bool_) if guess is None else (level >= guess)[:, 0]
        self._limit = level - self._error(level)
        self._limit[~enough] = np.inf
        self._leave_out()
        return enough

    def _scored(self) -> tuple[Any, Any, Scores]:
        """Return query, row and exact score of all candidates held, sorted by query."""
        held, self._held = self._held, []
        settle = not self._exact
        if settle and worth(sum(len(rows) for _, rows, _ in held), len(self._candidates)):
            sampler, settle = Sampler(self._queries, self._chunk), False
            for at, (query, rows, _) in enumerate(held):
                held[at] = query, rows, self._part_scores(sampler, query, rows)
        query, rows, values = _by_query(held)
        if settle:
            ends = row_ends(np.bincount(query, minlength=len(self._queries)))
            values = pair_scores(self._queries, self._candidates, rows, ends)
        return query, rows, values

    def _part_scores(self, sampler: Sampler, query: Any, rows: Any) -> Scores:
        """Return the exact scores of the candidates in one entry of ``_held``: those of a chunk, or of several."""
        if not len(rows):
            return np.empty(0, dtype=np.float32)
        start, stop = int(rows.min()), int(rows.max()) + 1
        if stop - start > self._chunk:
            ends = row_ends(np.bincount(query, minlength=len(self._queries)))
            return pair_scores(self._queries, self._candidates, rows, ends)
        sums = sampler.sums(self._candidates[start:stop], query, rows - rows.dtype.type(start))
        return settled(sums, self._queries, query, self._candidates, rows)

    def _keys(self, near: Ints, counts: Ints, scores: Scores) -> Keys:
        """Return the keys of the best candidates, shape ``(len(counts), depth)``.

        Args:
            near: Rows that may be among the best, sorted by query.
            counts: Number of them of each query, at least ``depth``.
            scores: Their exact scores.
        """
        keys = np.empty((len(counts), self._depth), dtype=np.uint64)
        ends = row_ends(counts)
        for start in range(0, len(counts), _TABLE):
            some = counts[start : start + _TABLE]
            mine = slice(ends[start], ends[start + len(some)])
            position = near[mine] if self._position is None else self._position[near[mine]]
            table = _table(some, order_keys(scores[mine], position), np.iinfo(np.uint64).max)
            table.sort(axis=1)
            keys[start : start + _TABLE] = table[:, : self._depth]
        return keys


def _by_query(held: list[tuple[Any, Any, Scores]]) -> tuple[Any, Any, Scores]:
    """Return the candidates of all parts sorted by query; those of one query keep their order."""
    query, rows, values = (np.concatenate(parts) for parts in zip(*held, strict=True))
    order = np.argsort(query, kind="stable")
    return query[order], rows[order], values[order]


def sample_step(depth: int) -> int:
    """Return the step of the sample that a guess is made from: it takes every n-th candidate."""
    return SAMPLE if depth < _DEEP else SAMPLE // 2


def rank_in_sample(depth: int, step: int) -> int:
    """Return a rank in the sample of every ``step``-th candidate: ``depth`` of all almost surely reach its score.

    >>> rank_in_sample(100, 32), rank_in_sample(1000, 32)
    (12, 54)
    """
    expected = depth / step
    return round(expected + 3.5 * math.sqrt(expected) + 3)


def _table(counts: Ints, values: Any, fill: float) -> Any:
    """Return values sorted by query as a table with a row for each query, padded with ``fill``."""
    inside = np.arange(int(counts.max())) < counts[:, None]
    table = np.full(inside.shape, fill, dtype=values.dtype)
    table[inside] = values
    return table
