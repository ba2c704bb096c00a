"""Products of queries and candidates that say how far they may err: in float32, and in bfloat16.

A processor that multiplies bfloat16 does it several times faster. Its products tell less apart, so more candidates are
carried along and scored exactly; the answer is the same.
"""

from __future__ import annotations

import sys
import threading
import timeit
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
from threadpoolctl import threadpool_limits

from mrbench.arrays import Embeddings, Ints, Scores
from mrbench.errors import MissingExtraError
from mrbench.search.exact import Marks, exact_products

WORTH = 1e12  # operations of a search for which torch is loaded, where it is not yet
_COST = 100  # one candidate more to score exactly costs what bfloat16 saves on fewer products than this
_U, _U_BFLOAT16 = 2.0**-24, 2.0**-8


def margin(dimension: int) -> np.float32:
    """Return how far a product of unit vectors that is summed in float32 may be from the score, both rounded."""
    return np.float32(1.05 * (dimension + 2) * _U)


class Product(Protocol):
    """The products of some queries with one chunk of candidates after another."""

    def error(self, level: Scores) -> Scores:
        """Return how much lower than `level` a product may be whose score is as high as that of one at `level`.

        Args:
            level: Shape ``(num_queries, 1)``.
        """

    def multiply(self, candidates: Embeddings) -> tuple[int, int]:
        """Multiply with a chunk, hold the products until the next, and return their shape."""

    def reaching(self, limit: Scores) -> Ints:
        """Return flat positions of the products held, ascending: all that reach the limits, and maybe a few below.

        Args:
            limit: One a query, shape ``(num_queries, 1)``; above 0 for products in bfloat16 (:func:`pays`).
        """

    def values(self, places: Ints) -> Scores:
        """Return the products at flat positions."""


def bfloat16_error(level: Any, lost: float) -> Any:
    """Return :meth:`Product.error` of products in bfloat16.

    Args:
        level: An array or a tensor, float32.
        lost: How far a product may be from that of the vectors before they were rounded, but for its own rounding.
    """
    return (2 * lost + 2 * _U_BFLOAT16 * abs(level)) * 1.02


class Float32Product:
    """Products by numpy.

    Attributes:
        scores: The products held, shape ``(num_queries, num_in_chunk)``.
        margin: How far a product held may be from the score, both rounded; 0 once they are exact.
    """

    def __init__(self, queries: Embeddings, chunk: int) -> None:
        self._queries = queries
        self._out = np.empty(len(queries) * chunk, dtype=np.float32)
        self._marks = Marks(self._out.size)
        self.margin = margin(queries.shape[1])
        self._error = 2 * self.margin  # stays, for products that were taken before they became exact
        self._part: Embeddings | None = None

    def sharpen(self) -> None:
        """Make the products held exact, and all that come, which takes twice the time and more."""
        self.margin = np.float32(0)
        if self._part is not None:
            exact_products(self._queries, self._part, self.scores)

    def error(self, level: Scores) -> Scores:
        """See :class:`Product`."""
        return np.full_like(level, self._error)

    def multiply(self, candidates: Embeddings) -> tuple[int, int]:
        """See :class:`Product`."""
        self.scores = self._out[: len(self._queries) * len(candidates)].reshape(len(self._queries), -1)
        self._part = candidates
        if self.margin:
            np.matmul(self._queries, candidates.T, out=self.scores)
        else:
            exact_products(self._queries, candidates, self.scores)
        return len(self._queries), len(candidates)

    def reaching(self, limit: Scores) -> Ints:
        """See :class:`Product`."""
        np.greater_equal(self.scores, limit, out=self._marks.of(self.scores.shape))
        return self._marks.places()

    def values(self, places: Ints) -> Scores:
        """See :class:`Product`."""
        return self.scores.reshape(-1)[places]


class Bfloat16Product:
    """Products by torch of vectors rounded to bfloat16, summed in float32 and rounded again.

    Args:
        queries: Unit vectors, shape ``(num_queries, dimension)``.
        chunk: Candidates in one product.
        residual: The length of what rounding takes from a candidate at most (:func:`residual`).
    """

    def __init__(self, queries: Embeddings, chunk: int, residual: float) -> None:
        self._queries = _tensor(queries).bfloat16()
        dimension = queries.shape[1]
        self._chunk = self._queries.new_empty(chunk, dimension)
        self._out = self._queries.new_empty(len(queries) * chunk)
        self._marks = Marks(len(queries) * chunk)
        # q c - q' c' = (q - q') c + q' (c - c'), each at most the product of two lengths, which may be 1.001.
        self._input = 1.01 * (_residual(queries) + residual) + 2.1 * (dimension + 2) * _U

    def error(self, level: Scores) -> Scores:
        """See :class:`Product`."""
        error: Scores = bfloat16_error(level, self._input)
        return error

    def multiply(self, candidates: Embeddings) -> tuple[int, int]:
        """See :class:`Product`."""
        import torch

        shape = len(self._queries), len(candidates)
        part = self._chunk[: len(candidates)].copy_(_tensor(candidates))
        held = self._out[: shape[0] * shape[1]].view(shape)
        torch.mm(self._queries, part.T, out=held)
        # A bfloat16 is the upper half of a float32; so those of positive numbers are in the order of the numbers.
        self._bits = held.view(torch.int16).numpy()
        return shape

    def reaching(self, limit: Scores) -> Ints:
        """See :class:`Product`."""
        lowest = limit.astype(np.float32).view(np.uint32) >> 16
        np.greater_equal(self._bits, lowest.astype(np.int16), out=self._marks.of(self._bits.shape))
        return self._marks.places()

    def values(self, places: Ints) -> Scores:
        """See :class:`Product`."""
        upper = self._bits.reshape(-1)[places].view(np.uint16).astype(np.uint32) << 16
        found: Scores = upper.view(np.float32)
        return found


def pays(sample: Scores, limit: Scores, error: Scores) -> bool:
    """Say whether what bfloat16 saves is more than the candidates cost that it carries along, by a sample of scores.

    Args:
        sample: Of the scores of each query, shape ``(num_queries, num_sampled)``.
        limit: What the best reach, shape ``(num_queries, 1)``.
        error: Of the products in bfloat16, shape ``(num_queries, 1)``.

    >>> sample, limit = np.float32([[0.5, 0.1, 0.2, 0.3]]), np.float32([[0.4]])
    >>> pays(sample, limit, np.float32([[0.01]])), pays(sample, limit, np.float32([[0.3]]))
    (True, False)
    """
    if (limit <= error).any():  # the order of bits is that of numbers for positive ones alone
        return False
    more = np.count_nonzero((sample >= limit - error) & (sample < limit))
    return bool(more * _COST < sample.size)


def usable(operations: float, dimension: int) -> bool:
    """Say whether products in bfloat16 are faster here, and a search is large enough to find out."""
    loaded = sys.modules.get("torch") is not None
    if operations < WORTH / 50 or not (loaded or (operations >= WORTH and find_spec("torch"))):
        return False
    need_torch()  # before anything is timed
    return _faster(dimension)


def need_torch() -> None:
    """Load torch.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "products in bfloat16 or on a device need torch", hint='pip install "mrbench[models]"'
        ) from error


@cache
def _faster(dimension: int, queries: int = 128, candidates: int = 1024) -> bool:
    vectors = np.full((queries, dimension), dimension**-0.5, dtype=np.float32)
    others = np.full((candidates, dimension), dimension**-0.5, dtype=np.float32)
    with one_thread():
        slow, fast = (
            min(timeit.repeat(partial(of.multiply, others), number=1, repeat=8))
            for of in (Float32Product(vectors, candidates), Bfloat16Product(vectors, candidates, 0.0))
        )
    return fast < 0.7 * slow


def residual(candidates: Embeddings) -> float:
    """Return the length of what rounding to bfloat16 takes from a vector, the largest of some.

    >>> residual(np.float32([[1.0, 0.0], [0.6, 0.8]])) > residual(np.float32([[1.0, 0.0]])) == 0.0
    True
    """
    return max((_residual(candidates[start : start + 1024]) for start in range(0, len(candidates), 1024)), default=0.0)


def _residual(vectors: Embeddings) -> float:
    import torch

    whole = _tensor(vectors)
    taken = whole.bfloat16().float().sub_(whole)
    return float(torch.linalg.vector_norm(taken, dim=1).max()) * 1.001


def _tensor(vectors: Embeddings) -> Any:
    import torch

    # Torch warns of arrays that must not be written, such as memory maps.
    flags = vectors.flags
    return torch.from_numpy(vectors if flags.writeable and flags.c_contiguous else np.array(vectors))


class _Threads:
    """How many threads numpy and torch had before the first of the searches that run now."""

    lock = threading.Lock()
    searches = 0
    blas: threadpool_limits
    torch: int


@contextmanager
def short_rows() -> Iterator[None]:
    """Let numpy compare a table with one value a row as fast as with one value, in this thread.

    For rows shorter than its buffer numpy copies the value to every place first, which doubles the time.
    """
    before = np.setbufsize(512)
    try:
        yield
    finally:
        np.setbufsize(before)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let numpy use one thread a product, and torch, where it is loaded at all; searches may overlap."""
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
            if torch and _Threads.torch:  # each thread has a number of its own, so each sets it back
                torch.set_num_threads(_Threads.torch)
            if not _Threads.searches:
                _Threads.blas.restore_original_limits()
