"""A pool on a device of torch, such as a GPU: its scores, counts and best are those of the processor, to the last bit.

Products in float32 find there who may be among the best and who may be above a value, with the bound on their error
that :mod:`mrbench.search.products` has; where only the best are wanted, products in bfloat16 do. What is near is summed
in float64, and what could round another way without error, there too. Where many are too near to tell, whole tables are
summed in float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mrbench.arrays import Embeddings, Floats, Ints, Scores
from mrbench.search.gpu.best import HELD, DeviceBest
from mrbench.search.gpu.candidates import DeviceCandidates, Queries
from mrbench.search.gpu.counts import DeviceCounts

QUERIES = 4096  # in one product at most
MOMENTS = 1 << 22  # numbers of the candidates whose mean and covariance are summed at a time


class DevicePool:
    """Candidates that are searched on a device of torch.

    Args:
        candidates: float32 unit vectors, shape ``(num_candidates, dimension)``; may be a memory map.
        device: Of torch, for example ``cuda``.
        position: The order of the tied: position of each candidate, each once; None takes the rows.
        weights: How often each candidate counts; None counts each once.

    Raises:
        InputError: Torch has no such device here.
        MissingExtraError: Torch is not installed.
    """

    def __init__(
        self, candidates: Embeddings, device: str, *, position: Ints | None = None, weights: Ints | None = None
    ) -> None:
        self._there = DeviceCandidates(candidates, device, position=position, weights=weights)

    def pair_scores(self, queries: Embeddings, rows: Ints, ends: Ints) -> Scores:
        """Score queries, each against some candidates of its own; see :func:`mrbench.search.exact.pair_scores`."""
        with self._there.computing():
            mine = Queries(self._there, queries)
            query = np.repeat(np.arange(len(queries)), np.diff(ends))
            found: Scores = self._there.pairs(mine, self._there.to(query), self._there.to(rows)).cpu().numpy()
        return found

    def search(self, queries: Embeddings, depth: int, values: Scores | None = None) -> tuple[Ints, Scores, Ints, Ints]:
        """Find the best candidates of every query, and count how many score above each of some values, and the same.

        Args:
            queries: Unit vectors, shape ``(num_queries, dimension)``.
            depth: Candidates wanted per query, at most as many as there are; 0 counts only.
            values: Scores of each query, shape ``(num_queries, num_values)``, filled up with infinity;
                None counts none.

        Returns:
            Places and scores of the best, by falling score, the tied by position, both of shape ``(num_queries, depth)``;
            how many candidates score higher than each value, and how many the same.
        """
        values = np.empty((len(queries), 0), dtype=np.float32) if values is None else values
        positions, scores = (np.empty((len(queries), depth), dtype=kind) for kind in (np.int64, np.float32))
        counts = np.zeros((2, *values.shape), dtype=np.int64)
        with self._there.computing():
            size = self._block(depth)
            for start in range(0, len(queries), size):
                some = slice(start, start + size)
                mine = Queries(self._there, queries[some])
                keys, found = self._search(mine, depth, self._there.to(values[some]))
                if keys is not None:
                    for part, out in zip(self._there.key_parts(keys), (positions, scores), strict=True):
                        self._there.fetch(part, out[some])
                if found is not None:
                    counts[:, some] = found.cpu().numpy()
        return positions, scores, counts[0], counts[1]

    def block(self, number: int, threads: int, depth: int) -> int:
        """Return how many queries to ask at a time, whatever their number: one thread asks."""
        return self._block(depth)

    def _block(self, depth: int) -> int:
        """Return how many queries are searched at a time: fewer for a great depth, since so much is held of each."""
        return max(1, min(QUERIES, self._there.table // (8 * depth + 2 * HELD)))

    def moments(self, queries: Embeddings) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of every query's scores, in float64; see :mod:`mrbench.search.moments`."""
        dimension = self._there.host.shape[1]
        few = len(queries) < dimension
        number = len(self._there.host) if self._there.weights is None else int(self._there.weights.sum())
        with self._there.computing():
            wide: Any = self._there.to(queries).double()
            total: Any = 0.0
            square: Any = 0.0
            for start, part in self._there.chunks(dimension, MOMENTS):
                total = total + (part.double() if self._there.weights is None else self._weighted(start, part)).sum(0)
            centre = total / number
            for start, part in self._there.chunks(dimension, MOMENTS):
                rows = part.double() - centre
                if self._there.weights is not None:
                    rows *= self._there.weights[start : start + len(part), None].double().sqrt()
                square = square + ((rows @ wide.T).square().sum(0) if few else rows.T @ rows)
            if not few:
                square = ((wide @ square) * wide).sum(1)
            deviation = (square / number).clamp_(min=0).sqrt()
            mean, deviation = (each.float().double().cpu().numpy() for each in (wide @ centre, deviation))
        return mean, deviation

    def _weighted(self, start: int, part: Any) -> Any:
        return part.double() * self._there.weights[start : start + len(part), None]

    def _search(self, queries: Queries, depth: int, values: Any) -> tuple[Any, Any]:
        """Return keys of the best and both counts, on the device; None of what is not asked for."""
        best = DeviceBest(self._there, queries, depth) if depth else None
        counts = DeviceCounts(self._there, queries, values) if values.shape[1] else None
        guessed = best is not None and best.guess()
        if guessed or counts:
            for start, part in self._there.chunks(len(queries.narrow)):
                scores = queries.narrow @ part.T
                if counts:
                    counts.look(start, part, scores)
                if guessed:
                    best.look(start, scores)  # type: ignore[union-attr]
        if counts:
            counts.finish()
        return best.keys() if best else None, counts.found if counts else None
