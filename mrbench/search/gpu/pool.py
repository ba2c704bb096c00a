"""A pool on a device of torch, such as a GPU. Its scores, counts and best candidates equal the CPU's to the last bit.

Products in float32, with the error bound of :mod:`mrbench.search.products`, decide which candidates may be among the
best and which may score above a value. Undecided pairs are summed in float64, and without error where that could round
another way. Where there are many, whole tables are summed in float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mrbench.arrays import Embeddings, Floats, Ints, Scores
from mrbench.search.gpu.best import HELD, DeviceBest
from mrbench.search.gpu.candidates import DeviceCandidates, Queries
from mrbench.search.gpu.counts import DeviceCounts

QUERIES = 4096  # most queries in one product
MOMENTS = 1 << 22  # numbers of the candidates that are summed at a time for mean and covariance


class DevicePool:
    """Searches candidates on a device of torch.

    Args:
        candidates: float32 unit vectors, shape ``(num_candidates, dimension)``; may be a memory map.
        device: A device of torch, for example ``cuda``.
        position: Position of each candidate in the pool, which orders ties; None takes the rows.
        weights: Copies of each candidate in the pool; None takes 1 for each.

    Raises:
        InputError: Torch has no such device here.
        MissingExtraError: Torch is not installed.
    """

    def __init__(
        self, candidates: Embeddings, device: str, *, position: Ints | None = None, weights: Ints | None = None
    ) -> None:
        self._there = DeviceCandidates(candidates, device, position=position, weights=weights)

    def pair_scores(self, queries: Embeddings, rows: Ints, ends: Ints) -> Scores:
        """Return the scores of each query with its own candidates; see :func:`mrbench.search.exact.pair_scores`."""
        with self._there.computing():
            mine = Queries(self._there, queries)
            query = np.repeat(np.arange(len(queries)), np.diff(ends))
            found: Scores = self._there.pairs(mine, self._there.to(query), self._there.to(rows)).cpu().numpy()
        return found

    def search(self, queries: Embeddings, depth: int, values: Scores | None = None) -> tuple[Ints, Scores, Ints, Ints]:
        """Find the best candidates, and count the candidates that score higher than some values, and the same.

        Args:
            queries: Unit vectors, shape ``(num_queries, dimension)``.
            depth: Candidates wanted per query, at most the size of the pool; 0 counts only.
            values: Scores to count at, shape ``(num_queries, num_values)``, padded with infinity; None counts nothing.

        Returns:
            Positions and scores of the best, by falling score, ties by position, shape ``(num_queries, depth)``; and
            the numbers of candidates that score higher than each value, and the same.
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
        """Return the number of queries in a block; one thread asks for all blocks."""
        return self._block(depth)

    def _block(self, depth: int) -> int:
        """Return the number of queries searched at a time: fewer for a great depth, as each holds more candidates."""
        return max(1, min(QUERIES, self._there.table // (8 * depth + 2 * HELD)))

    def moments(self, queries: Embeddings) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of each query's scores, in float64; see :mod:`mrbench.search.moments`."""
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
        """Return the keys of the best and both counts, on the device; None for what is not wanted."""
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
