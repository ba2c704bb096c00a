"""The candidates that searchers share: on a device while its memory suffices, otherwise on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

import numpy as np

from mrbench.arrays import Embeddings, Ints, Scores
from mrbench.errors import out_of_memory
from mrbench.search.cpu_pool import CpuPool
from mrbench.search.distinct import Vectors
from mrbench.search.gpu import DevicePool

T = TypeVar("T")


class CandidatePool:
    """The candidates of a pool, on a device or on the CPU.

    Args:
        vectors: The candidates.
        executor: Threads of the CPU.
        device: ``cpu``, or a device of torch.

    Attributes:
        vectors: As given.
        size: Number of candidates.
        now: The pool that computes scores at present, on the device or on the CPU.
    """

    def __init__(self, vectors: Vectors, executor: Executor, device: str = "cpu") -> None:
        self.vectors, self.size, self._executor = vectors, len(vectors.row), executor
        self.now: CpuPool | DevicePool = self._on_cpu()
        if device != "cpu":
            try:
                self.now = DevicePool(vectors.rows, device, position=vectors.position, weights=vectors.weights)
            except Exception as error:
                if not out_of_memory(error):
                    raise

    @property
    def workers(self) -> Executor | int:
        """The threads that may search at the same time; 1 where a device computes."""
        return 1 if isinstance(self.now, DevicePool) else self._executor

    def use(self, work: Callable[[], T]) -> T:
        """Return the result of ``work``. If the device runs out of memory, move to the CPU and call it again."""
        try:
            return work()
        except Exception as error:
            if not isinstance(self.now, DevicePool) or not out_of_memory(error):
                raise
        self.now = self._on_cpu()
        return work()

    def row_scores(self, queries: Embeddings, query: Ints, rows: Ints) -> Scores:
        """Return the exact scores of pairs of a query and a row of ``vectors.rows``.

        Args:
            queries: Shape ``(num_queries, dimension)``.
            query: Index of the query of each pair, ascending, shape ``(num_pairs,)``.
            rows: Row of each pair's candidate, the same shape.

        Returns:
            Exact scores, shape ``(num_pairs,)``.
        """
        if not len(query):
            return np.empty(0, dtype=np.float32)
        ends = np.searchsorted(query, np.arange(len(queries) + 1))
        return self.use(lambda: self.now.pair_scores(queries, rows, ends))

    def pair_scores(self, queries: Embeddings, query: Ints, candidate: Ints) -> Scores:
        """Return the exact scores of pairs of a query and a position in the pool, as :meth:`row_scores` does."""
        return self.row_scores(queries, query, self.vectors.row[candidate])

    def _on_cpu(self) -> CpuPool:
        vectors = self.vectors
        return CpuPool(vectors.rows, self._executor, position=vectors.position, weights=vectors.weights)
