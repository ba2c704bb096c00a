"""Inner products of many pairs, summed in float64, for one range of candidates after another.

The pairs of one query are scattered over the pool, and reading a vector from a random place in memory takes longer than
multiplying it. Here all pairs with the candidates of a range are computed while that range is in the cache.
"""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from mrbench.arrays import Embeddings, Floats, Ints, ranges, row_ends

RANGE = 1024  # candidates that are converted to float64 together
_LEAST = 4096  # fewest pairs for which it is faster
_DENSE = 8  # a sampled product costs eight times as much as one in a full matrix product
_lock = threading.Lock()


def worth(pairs: int, candidates: int) -> bool:
    """Return whether torch is loaded and :func:`sampled_sums` is faster than one query after another.

    It converts all candidates to float64, so it needs many pairs.
    """
    return pairs >= max(_LEAST, candidates) and "torch" in sys.modules and _works()


def sampled_sums(
    queries: Embeddings, candidates: Embeddings, rows: Ints, ends: Ints
) -> Iterator[tuple[Ints, Ints, Floats]]:
    """Yield, range by range, the indices of pairs, their queries, and their inner products, summed in any order.

    Args:
        queries: Shape ``(num_queries, dimension)``.
        candidates: Shape ``(num_candidates, dimension)``.
        rows: Rows of the candidates; those of query ``n`` from ``ends[n]`` to ``ends[n + 1]``, ascending.
        ends: Shape ``(num_queries + 1,)``.
    """
    starts = np.arange(0, len(candidates), RANGE)
    # Among its own pairs, where each query's pairs with every range begin; the last entry is the end.
    cuts = np.stack([left + np.searchsorted(rows[left:right], starts) for left, right in pairwise(ends)])
    cuts = np.concatenate([cuts, ends[1:, None]], axis=1)
    sampler = Sampler(queries, min(RANGE, len(candidates)))
    for at, start in enumerate(starts.tolist()):
        counts = cuts[:, at + 1] - cuts[:, at]
        pairs = ranges(cuts[:, at], counts)
        if len(pairs):
            query = np.repeat(np.arange(len(queries)), counts)
            yield pairs, query, sampler.sums(candidates[start : start + RANGE], query, rows[pairs] - start)


class Sampler:
    """Computes inner products of queries with chosen candidates of one range after another.

    Args:
        queries: Shape ``(num_queries, dimension)``.
        width: Most candidates in a range.
    """

    def __init__(self, queries: Embeddings, width: int) -> None:
        self._queries = queries.astype(np.float64)
        self._widened = np.empty((width, queries.shape[1]))

    def sums(self, part: Embeddings, query: Ints, column: Ints) -> Floats:
        """Return the inner products of pairs, summed in float64 in any order.

        Args:
            part: The candidates of the range, shape ``(num_candidates, dimension)``.
            query: Query of each pair, ascending.
            column: Index of its candidate in the range.
        """
        import torch

        mine = self._widened[: len(part)]
        np.copyto(mine, part)
        queries, candidates = torch.from_numpy(self._queries), torch.from_numpy(mine)
        if len(query) * _DENSE >= len(self._queries) * len(part):
            sums: Floats = (queries @ candidates.T).numpy()[query, column]
            return sums
        first = row_ends(np.bincount(query, minlength=len(queries)))
        return _products(torch, queries, candidates, first, column.astype(np.int64))


def _products(torch: Any, queries: Any, candidates: Any, first: Ints, column: Ints) -> Floats:
    pairs = torch.sparse_csr_tensor(
        torch.from_numpy(first),
        torch.from_numpy(column),
        torch.zeros(len(column), dtype=torch.float64, device="cpu"),
        (len(queries), len(candidates)),
        device="cpu",
        check_invariants=False,
    )
    sums: Floats = torch.sparse.sampled_addmm(pairs, queries, candidates.T, beta=0.0).values().numpy()
    return sums


@cache
def _works() -> bool:
    """Return whether this version of torch can multiply sparse matrices in this way."""
    import torch

    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ones = torch.ones((1, 2), dtype=torch.float64, device="cpu")
            found = _products(torch, ones, ones, np.array([0, 1]), np.array([0]))
        except RuntimeError:
            return False
    return bool(found[0] == 2)
