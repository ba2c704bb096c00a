"""Matrix products in float32 with a bound on their error, and the settings of numpy and torch that they need."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from threadpoolctl import threadpool_limits

from mrbench.arrays import Embeddings, Ints, Scores
from mrbench.search.exact import Marks, exact_products

_U = 2.0**-24


def margin(dimension: int) -> np.float32:
    """Return how far a float32 product of two unit vectors may be from their score. Both are rounded to float32."""
    return np.float32(1.05 * (dimension + 2) * _U)


class Float32Product:
    """The products of a block of queries with one chunk of candidates after another. Only the last chunk's are held.

    Args:
        queries: Unit vectors, shape ``(num_queries, dimension)``.
        chunk: Most candidates in one chunk.

    Attributes:
        scores: The products held, shape ``(num_queries, num_in_chunk)``.
        margin: Largest difference between a product held and its score; 0 once products are exact.
    """

    def __init__(self, queries: Embeddings, chunk: int) -> None:
        self._queries = queries
        self._out = np.empty(len(queries) * chunk, dtype=np.float32)
        self._marks = Marks(self._out.size)
        self.margin = margin(queries.shape[1])
        self._error = 2 * self.margin  # kept after sharpen(): earlier products still have this error
        self._part: Embeddings | None = None

    def sharpen(self) -> None:
        """Make the products held and all later ones exact. An exact product takes more than twice the time."""
        self.margin = np.float32(0)
        if self._part is not None:
            exact_products(self._queries, self._part, self.scores)

    def error(self, level: Scores) -> Scores:
        """Return how far below ``level`` a product may be although its score reaches that of a product at ``level``.

        Args:
            level: Shape ``(num_queries, 1)``.

        Returns:
            The same shape.
        """
        return np.full_like(level, self._error)

    def multiply(self, candidates: Embeddings) -> tuple[int, int]:
        """Multiply with a chunk of candidates, hold the products, and return their shape."""
        self.scores = self._out[: len(self._queries) * len(candidates)].reshape(len(self._queries), -1)
        self._part = candidates
        if self.margin:
            np.matmul(self._queries, candidates.T, out=self.scores)
        else:
            exact_products(self._queries, candidates, self.scores)
        return len(self._queries), len(candidates)

    def reaching(self, limit: Scores) -> Ints:
        """Return the flat positions of the products that reach the limit of their query, ascending.

        Args:
            limit: One for each query, shape ``(num_queries, 1)``.
        """
        np.greater_equal(self.scores, limit, out=self._marks.of(self.scores.shape))
        return self._marks.positions()

    def values(self, positions: Ints) -> Scores:
        """Return the products at flat positions."""
        return self.scores.reshape(-1)[positions]


class _Threads:
    """The numbers of threads of numpy and torch before the first of the searches that are running."""

    lock = threading.Lock()
    searches = 0
    blas: threadpool_limits
    torch: int


@contextmanager
def short_rows() -> Iterator[None]:
    """Speed up comparing each row of a table with a value of its own, in this thread.

    Where a row is shorter than numpy's buffer, numpy first copies the value once for every column, which doubles the
    time. So the buffer is made short.
    """
    before = np.setbufsize(512)
    try:
        yield
    finally:
        np.setbufsize(before)


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit each product of numpy to one thread, and torch too if it is loaded. Searches may overlap."""
    torch = sys.modules.get("torch")
    with _Threads.lock:
        if not _Threads.searches:
            _Threads.blas = threadpool_limits(1, user_api="blas")
            _Threads.torch = torch.get_num_threads() if torch else 0
        _Threads.searches += 1
        if torch:
            torch.set_num_threads(1)
    try:
        yield
    finally:
        with _Threads.lock:
            _Threads.searches -= 1
            if torch and _Threads.torch:  # torch has a setting for each thread, so each thread restores its own
                torch.set_num_threads(_Threads.torch)
            if not _Threads.searches:
                _Threads.blas.restore_original_limits()
