"""The best candidates of a block of queries, found in one pass over the pool.

A product (:mod:`mrbench.search.products`) finds who may be among the best, with a bound on its error; these few are
scored to the last bit (:mod:`mrbench.search.exact`) and ordered by score, the tied by their place in an order that
is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mrbench.measures.ties import Ints
from mrbench.search.exact import Keys, Scores, key_parts, order_keys, pair_scores
from mrbench.search.products import Bfloat16Product, Float32Product, Product, pays, short_rows
from mrbench.search.ragged import row_ends
from mrbench.search.vectors import Embeddings

CHUNK = 2048  # candidates in one product
SLACK = 64  # and as many as are wanted: candidates within the error that are carried along before they are settled
SAMPLE = 32  # every so many candidates are looked at first, to guess how high the best reach, and
_DEEP = 500  # from this depth on twice as many, since a better guess spares more than it takes
_TABLE = 64  # queries whose candidates stand in one table, so that it takes little memory
_PARTS = 512  # chunks whose finds are held apart: as arrays, they take memory of their own
Watch = Callable[[int, Float32Product], None]
_Flags = np.ndarray[Any, np.dtype[np.bool_]]


class Best:
    """The search of a block of queries.

    Invariant, once the guess has proved right: every candidate seen so far that is among the ``depth`` best of its
    query is held.

    Args:
        queries: Shape ``(num_queries, dimension)``, lengths about 1.
        candidates: Shape ``(num_candidates, dimension)``, lengths about 1; may be memory-mapped.
        depth: Candidates wanted per query, at most ``num_candidates``.
        chunk: Candidates in one product.
        lost: The most that rounding to bfloat16 takes from a candidate; None does without bfloat16.
        place: The order of the tied: place of each candidate, each once; None takes the rows.
        watch: What looks at each product in float32 too, with the row of its first candidate.
    """

    def __init__(
        self,
        queries: Embeddings,
        candidates: Embeddings,
        depth: int,
        *,
        chunk: int = CHUNK,
        lost: float | None = None,
        place: Ints | None = None,
        watch: Watch | None = None,
    ) -> None:
        self._queries, self._candidates, self._depth = queries, candidates, depth
        self._chunk = min(chunk, len(candidates))
        self._lost, self._place, self._watch = lost, place, watch
        self._product: Product = Float32Product(queries, self._chunk)
        self._most = 2 * depth + SLACK  # so much is left after shrinking
        self._room = 2 * len(queries) * self._most  # so much is held before, beside what one chunk may add
        self._held: list[tuple[Any, Any, Scores]] = []  # query, row and product
        self._number = 0
        self._exact = False  # whether all that is held is scored to the last bit
        self._kind: Any = np.uint16 if len(queries) <= 1 << 16 else np.uint32  # sixteen bits sort faster

    def search(self, *, guess: bool = True) -> Keys:
        """Return the keys of the best, shape ``(num_queries, depth)``, ascending.

        Args:
            guess: Whether to guess first how high the best reach.
        """
        limit = self._guess() if guess else None
        with short_rows():
            self._scan(limit)
        near, counts, values, enough = self._near(limit)
        if not self._exact:
            values = pair_scores(self._queries[enough], self._candidates, near, row_ends(counts))
        keys = np.empty((len(self._queries), self._depth), dtype=np.uint64)
        keys[enough] = self._keys(near, counts, values)
        if not enough.all():
            again = Best(
                self._queries[~enough], self._candidates, self._depth, chunk=self._chunk, place=self._place
            )  # the watch has seen all
            keys[~enough] = again.search(guess=False)
        return keys

    def _guess(self) -> Scores | None:
        """Guess from every n-th candidate a score that a few more than ``depth`` candidates reach.

        A guess that is too high is seen when too few are found; one that is too low costs time only.
        """
        step = max(sample_step(self._depth), -(-len(self._candidates) // self._chunk))
        sample = self._candidates[::step]
        rank = rank_in_sample(self._depth, step)
        if 2 * rank > len(sample):
            return None
        exact = Float32Product(self._queries, len(sample))
        exact.multiply(sample)
        limit: Scores = np.partition(exact.scores, -rank, axis=1)[:, -rank, None]
        if self._lost is not None and self._watch is None:
            coarse = Bfloat16Product(self._queries, self._chunk, self._lost)
            if pays(exact.scores, limit, coarse.error(limit)):
                self._product = coarse
        return limit

    def _scan(self, guess: Scores | None) -> None:
        nothing = np.full((len(self._queries), 1), -np.inf, dtype=np.float32)
        self._limit = nothing if guess is None else guess - self._error(guess)
        for start in range(0, len(self._candidates), self._chunk):
            height, width = self._product.multiply(self._candidates[start : start + self._chunk])
            if self._watch is not None and isinstance(self._product, Float32Product):
                self._watch(start, self._product)
            if start == 0 and guess is None and width > self._depth:
                self._raise_limit(self._product.values(np.arange(height * width)).reshape(height, width))
            found = self._product.reaching(self._limit)
            query, column = np.divmod(found.astype(np.uint32), np.uint32(width))
            self._held.append((query.astype(self._kind), column + np.uint32(start), self._product.values(found)))
            self._number += len(found)
            if self._number > self._room or len(self._held) > _PARTS:
                self._shrink()

    def _error(self, level: Scores) -> Scores:
        return np.zeros_like(level) if self._exact else self._product.error(level)

    def _raise_limit(self, values: Scores) -> None:
        kth = values.shape[1] - self._depth
        level = np.partition(values, kth, axis=1)[:, kth, None]
        self._limit = np.maximum(self._limit, level - self._error(level))

    def _shrink(self) -> None:
        """Leave out who cannot be among the best; where too many are too close to tell, score exactly from there on."""
        query, rows, values = _by_query(self._held)
        self._held = []
        counts = np.bincount(query, minlength=len(self._queries))
        if int(counts.max()) > self._depth:
            self._raise_limit(_table(counts, values, -np.inf))
        kept = values >= self._limit[query, 0]
        query, rows, values = query[kept], rows[kept], values[kept]
        counts = np.bincount(query, minlength=len(self._queries))
        # Products in bfloat16 leave up to twice as many near; exact ones would take far longer than carrying these.
        most = self._most if isinstance(self._product, Float32Product) else 2 * self._most
        many = np.flatnonzero(counts > most)
        if len(many):
            if not self._exact:
                values = pair_scores(self._queries, self._candidates, rows, row_ends(counts))
                self.sharpen()
            rest = ~np.isin(query, many)
            tables = (_table(counts[many], of[~rest], fill) for of, fill in ((rows, 0), (values, -np.inf)))
            best = self._keys(*self._close(*tables))
            place, scores = key_parts(best.reshape(-1))
            query = np.concatenate([query[rest], np.repeat(many, self._depth).astype(query.dtype)])
            rows = np.concatenate([rows[rest], self._row(place).astype(rows.dtype)])
            values = np.concatenate([values[rest], scores])
        self._held, self._number = [(query, rows, values)], len(query)

    def sharpen(self) -> None:
        """Make the products exact, before the search or when all that is held is exact."""
        if not isinstance(self._product, Float32Product):
            self._product = Float32Product(self._queries, self._chunk)
        self._product.sharpen()
        self._exact = True

    def _row(self, place: Ints) -> Ints:
        if self._place is None:
            return place
        row = np.empty(int(self._place.max()) + 1, dtype=np.int64)
        row[self._place] = np.arange(len(self._place))
        found: Ints = row[place]
        return found

    def _near(self, guess: Scores | None) -> tuple[Ints, Ints, Scores, _Flags]:
        """Take what may be among the best from what is held, a few queries at a time.

        Returns:
            Rows by query, how many are of each query, and products or exact scores; of the queries that are flagged in
            the last: those of which as many as are wanted reach the guess.
        """
        number = len(self._queries)
        starts = np.arange(0, number, _TABLE)
        cuts = [np.append(np.searchsorted(query, starts.astype(self._kind)), len(query)) for query, _, _ in self._held]
        enough = np.ones(number, dtype=np.bool_)
        found = []
        for at, start in enumerate(starts.tolist()):
            some = [slice(cut[at], cut[at + 1]) for cut in cuts]
            held = zip(self._held, some, strict=True)
            query, rows, values = _by_query([(of[part], row[part], value[part]) for (of, row, value), part in held])
            group = slice(start, min(start + _TABLE, number))
            counts = np.bincount(query - self._kind(start), minlength=group.stop - start)
            table, products = _table(counts, rows, 0), _table(counts, values, -np.inf)
            if guess is not None:
                enough[group] = np.count_nonzero(products >= guess[group], axis=1) >= self._depth
            if enough[group].any():
                found.append(self._close(table[enough[group]], products[enough[group]]))
        self._held = []
        near, counts, values = (np.concatenate(parts) for parts in zip(*found or [_NOTHING], strict=True))
        return near, counts, values, enough

    def _close(self, rows: Ints, values: Scores) -> tuple[Ints, Ints, Scores]:
        """Return what may be among the best of tables, one row a query, as :meth:`_near` does."""
        kth = values.shape[1] - self._depth
        level = np.partition(values, kth, axis=1)[:, kth, None]
        close = values >= level - self._error(level)
        close &= values > -np.inf
        return rows[close], np.count_nonzero(close, axis=1), values[close]

    def _keys(self, near: Ints, counts: Ints, scores: Scores) -> Keys:
        """Return the keys of the best, shape ``(len(counts), depth)``, from what :meth:`_near` returns."""
        keys = np.empty((len(counts), self._depth), dtype=np.uint64)
        ends = row_ends(counts)
        for start in range(0, len(counts), _TABLE):
            some = counts[start : start + _TABLE]
            mine = slice(ends[start], ends[start + len(some)])
            place = near[mine] if self._place is None else self._place[near[mine]]
            table = _table(some, order_keys(scores[mine], place), np.iinfo(np.uint64).max)
            table.sort(axis=1)
            keys[start : start + _TABLE] = table[:, : self._depth]
        return keys


_NOTHING: tuple[Any, Any, Scores] = (
    np.empty(0, dtype=np.uint32),
    np.empty(0, dtype=np.int64),
    np.empty(0, dtype=np.float32),
)


def _by_query(held: list[tuple[Any, Any, Scores]]) -> tuple[Any, Any, Scores]:
    """Put together what stands by query in each part; what is of one query stays in order."""
    query, rows, values = (np.concatenate(parts) for parts in zip(*held, strict=True))
    order = np.argsort(query, kind="stable")
    return query[order], rows[order], values[order]


def sample_step(depth: int) -> int:
    """Return every how many candidates one is looked at first, to guess how high the best reach."""
    return SAMPLE if depth < _DEEP else SAMPLE // 2


def rank_in_sample(depth: int, step: int) -> int:
    """Return which of every ``step``-th candidate, by falling score, a few more than ``depth`` of all surely reach.

    >>> rank_in_sample(100, 32), rank_in_sample(1000, 32)
    (12, 54)
    """
    expected = depth / step
    return round(expected + 3.5 * math.sqrt(expected) + 3)


def _table(counts: Ints, values: Any, fill: float) -> Any:
    """Return as a table, one row a query, what stands by query, filled up."""
    inside = np.arange(int(counts.max())) < counts[:, None]
    table = np.full(inside.shape, fill, dtype=values.dtype)
    table[inside] = values
    return table
