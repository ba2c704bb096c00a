"""Unit vectors that make a search hard in one way or another, and a search of them by blocks of queries."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from mrbench.search.best import CHUNK, Best
from mrbench.search.exact import key_parts
from mrbench.search.products import one_thread


def units(rows: int, length: int = 24, seed: int = 0, distinct: int | None = None, spread: float = 1.0) -> np.ndarray:
    """Unit vectors; ``distinct`` drawn again and again, or all within ``spread`` of one direction."""
    rng = np.random.default_rng(seed)
    drawn = rng.standard_normal((distinct or rows, length)) * spread + (0 if spread == 1 else 1)
    drawn = drawn if distinct is None else drawn[rng.integers(distinct, size=rows)]
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


CASES = {
    "spread": lambda: units(700, seed=1),
    "many ties": lambda: units(700, seed=1, distinct=5),
    "one vector": lambda: units(700, seed=1, distinct=1),
    "closer than the product can tell": lambda: units(700, seed=1, spread=1e-6),
}


def top_k(
    queries: np.ndarray, candidates: np.ndarray, depth: int, *, threads: int = 2, block: int = 5, chunk: int = CHUNK
) -> tuple[np.ndarray, np.ndarray]:
    """Rows and scores of the best candidates, block by block in threads, as a searcher asks for them."""
    depth = min(depth, len(candidates))
    starts = range(0, len(queries), block)

    def search(start: int) -> np.ndarray:
        part = np.ascontiguousarray(queries[start : start + block])
        return Best(part, candidates, depth, chunk=chunk).search()

    with one_thread(), ThreadPoolExecutor(threads) as executor:
        return key_parts(np.concatenate(list(executor.map(search, starts))))
