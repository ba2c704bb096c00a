"""Mean and deviation over the pool against those of all scores, in every number of threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mrbench.search import moments as module
from mrbench.search.moments import moments
from mrbench.search.products import one_thread


def units(rows: int, length: int, seed: int, scale: float = 1.0) -> np.ndarray:
    drawn = np.random.default_rng(seed).standard_normal((rows, length)) * scale + (scale != 1)
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def found(*given: np.ndarray, threads: int = 2, **more: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with one_thread(), ThreadPoolExecutor(threads) as pool:
        return moments(*given, pool, **more)


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-5])
@pytest.mark.parametrize(("queries", "pool", "length"), [(5, 700, 24), (40, 3000, 24), (24, 1, 24), (3, 2, 1)])
def test_they_are_those_of_all_scores(queries: int, pool: int, length: int, scale: float) -> None:
    q, c = units(queries, length, 1, scale), units(pool, length, 2, scale)
    scores = q.astype(float) @ c.T.astype(float)
    mean, deviation = found(q, c)
    np.testing.assert_allclose(mean, scores.mean(axis=1), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(deviation, scores.std(axis=1), rtol=1e-4, atol=1e-12)
    for values in (mean, deviation):
        np.testing.assert_array_equal(values, values.astype(np.float32))


@pytest.mark.parametrize("queries", [5, 40])
def test_threads_change_nothing(queries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS", 16)
    q, c = units(queries, 24, 1), units(3000, 24, 2)
    one = found(q, c, threads=1)
    for threads in (2, 3):
        for a, b in zip(one, found(q, c, threads=threads), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("queries", [5, 40])
def test_weights_are_copies(queries: int) -> None:
    q, c = units(queries, 24, 1), units(300, 24, 2)
    weights = np.random.default_rng(0).integers(1, 9, size=300)
    for a, b in zip(found(q, c, weights=weights), found(q, np.repeat(c, weights, axis=0)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)
