"""Counts over the pool against a sort of exact scores, where products tell and where they do not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrbench.search import counts
from mrbench.search.counts import Counter
from mrbench.search.exact import exact_products
from mrbench.search.products import Float32Product, short_rows


def units(kind: str, rows: int, length: int = 24, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    drawn = rng.standard_normal((rows, length))
    if kind == "tied":
        drawn = drawn[rng.integers(min(5, rows), size=rows)]
    if kind == "collapsed":  # closer than a product in float32 can tell
        drawn = 1 + drawn * 1e-6
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


KINDS = ("spread", "tied", "collapsed")


def counted(counter: Counter) -> tuple[np.ndarray, np.ndarray]:
    with short_rows():
        counter.count()
    return counter.greater, counter.equal


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("pool", "asked"), [(1, 1), (7, 3), (2040, 5), (2041, 20), (5000, 64), (5000, 65)])
def test_counts_are_those_of_exact_scores(kind: str, pool: int, asked: int) -> None:
    candidates, queries = units(kind, pool, seed=1), units(kind, 9, seed=2)
    scores = exact_products(queries, candidates)
    at = np.random.default_rng(3).integers(pool, size=(9, asked))
    values = np.take_along_axis(scores, at, axis=1)
    values[::2, -1] = np.inf  # asked less
    greater, equal = counted(Counter(queries, candidates, values))
    np.testing.assert_array_equal(greater, (scores[:, None] > values[..., None]).sum(axis=2))
    np.testing.assert_array_equal(equal, (scores[:, None] == values[..., None]).sum(axis=2))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("asked", [6, 70])
def test_weights_count_as_copies_do(kind: str, asked: int) -> None:
    candidates, queries = units(kind, 300, seed=1), units(kind, 4, seed=2)
    weights = np.random.default_rng(0).integers(1, 400, size=300)
    values = exact_products(queries, candidates[:asked])
    found = counted(Counter(queries, candidates, values, weights=weights))
    expected = counted(Counter(queries, np.repeat(candidates, weights, axis=0), values))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dense", [1, 1 << 40])
def test_who_scores_the_same_is_named(kind: str, dense: int, monkeypatch: pytest.MonkeyPatch) -> None:
    candidates, queries = units(kind, 4500, seed=1), units(kind, 5, seed=2)
    monkeypatch.setattr(counts, "_DENSE", dense)
    monkeypatch.setattr(counts, "_PAIRS", 100)
    scores = exact_products(queries, candidates)
    values = scores[:, [7, 4400]]
    counter = Counter(queries, candidates, values, collect=True)
    counted(counter)
    found = {tuple(row) for row in np.stack(counter.same(), axis=1).tolist()}
    assert found == {tuple(row) for row in np.argwhere(scores[:, None] == values[..., None]).tolist()}
    assert len(found) == counter.equal.sum()


def test_products_become_exact_where_many_are_too_close(monkeypatch: pytest.MonkeyPatch) -> None:
    sharpened: list[int] = []
    monkeypatch.setattr(Float32Product, "sharpen", lambda self: sharpened.append(1) or setattr(self, "margin", 0))
    monkeypatch.setattr(counts, "_DENSE", 1 << 30)
    candidates, queries = units("collapsed", 5000, seed=1), units("collapsed", 3, seed=2)
    values = exact_products(queries, candidates[:4])
    exact = [table.copy() for table in counted(Counter(queries, candidates, values))]
    assert sharpened
    monkeypatch.setattr(counts, "_DENSE", 0)
    sharpened.clear()
    for one, other in zip(counted(Counter(queries, candidates, values)), exact, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not sharpened


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_any_pool_of_coarse_vectors(pool: int, length: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    drawn = rng.integers(-1, 2, (pool + 2, length)).astype(np.float64)
    drawn[:, 0] += ~drawn.any(axis=1)
    vectors = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
    queries, candidates = vectors[:2], vectors[2:]
    scores = exact_products(queries, candidates)
    greater, equal = counted(Counter(queries, candidates, scores))
    np.testing.assert_array_equal(greater, (scores[:, None] > scores[..., None]).sum(axis=2))
    np.testing.assert_array_equal(equal, (scores[:, None] == scores[..., None]).sum(axis=2))
