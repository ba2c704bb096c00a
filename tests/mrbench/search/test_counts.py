"""Counts over the pool against a sort of exact scores, where products tell and where they do not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrbench.search import best, counts
from mrbench.search.best import Best
from mrbench.search.counts import Counter
from mrbench.search.exact import exact_products, key_parts
from mrbench.search.products import Float32Product, short_rows


def units(kind: str, rows: int, length: int = 24, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    drawn = rng.standard_normal((rows, length))
    if kind == "tied":
        drawn = drawn[rng.integers(min(5, rows), size=rows)]
    if kind == "near":  # closer to one another than a product in float32 can tell, which is not to say the same
        drawn = rng.standard_normal(length) + drawn * 2e-6
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


KINDS = ("spread", "tied", "near")


def counted(counter: Counter) -> tuple[np.ndarray, np.ndarray]:
    with short_rows():
        counter.count()
    return counter.greater, counter.equal


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("pool", "asked"), [(1, 1), (7, 3), (2040, 5), (2041, 20), (5000, 64), (5000, 65)])
def test_counts_are_those_of_exact_scores(kind: str, pool: int, asked: int) -> None:
    candidates, queries = units(kind, pool, seed=1), units("spread", 9, seed=2)
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
    candidates, queries = units(kind, 300, seed=1), units("spread", 4, seed=2)
    weights = np.random.default_rng(0).integers(1, 400, size=300)
    values = exact_products(queries, candidates[:asked])
    found = counted(Counter(queries, candidates, values, weights=weights))
    expected = counted(Counter(queries, np.repeat(candidates, weights, axis=0), values))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dense", [1, 1 << 40])
def test_who_scores_the_same_is_named(kind: str, dense: int, monkeypatch: pytest.MonkeyPatch) -> None:
    candidates, queries = units(kind, 4500, seed=1), units("spread", 5, seed=2)
    monkeypatch.setattr(counts, "_DENSE", dense)
    monkeypatch.setattr(counts, "_PAIRS", 100)
    scores = exact_products(queries, candidates)
    values = scores[:, [7, 4400]]
    counter = Counter(queries, candidates, values, collect=True)
    counted(counter)
    found = {tuple(row) for row in np.stack(counter.same(), axis=1).tolist()}
    assert found == {tuple(row) for row in np.argwhere(scores[:, None] == values[..., None]).tolist()}
    assert len(found) == counter.equal.sum()


def test_near_ties_are_no_ties() -> None:
    candidates, queries = units("near", 4500, seed=1), units("spread", 5, seed=2)
    scores = exact_products(queries, candidates)
    apart = np.diff(np.sort(scores, axis=1), axis=1)
    margin = Float32Product(queries, 1).margin
    assert ((apart > 0) & (apart < margin)).sum() > 100  # what the tests of this kind stand on


def test_products_become_exact_where_many_are_too_close(monkeypatch: pytest.MonkeyPatch) -> None:
    sharpened: list[int] = []
    sharpen = Float32Product.sharpen
    monkeypatch.setattr(Float32Product, "sharpen", lambda self: (sharpened.append(1), sharpen(self)))
    candidates, queries = units("near", 5000, seed=1), units("spread", 3, seed=2)
    values = exact_products(queries, candidates[:4])
    found = []
    for dense, pairs, expected in ((1 << 30, 0, [1]), (1, 1 << 30, [])):
        monkeypatch.setattr(counts, "_DENSE", dense)
        monkeypatch.setattr(counts, "_PAIRS", pairs)
        sharpened.clear()
        found.append([table.copy() for table in counted(Counter(queries, candidates, values))])
        assert sharpened == expected
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("sharp", [False, True])
def test_no_more_waits_than_is_said(sharp: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "_PAIRS", 500)
    monkeypatch.setattr(counts, "_DENSE", 32 if sharp else 0)
    candidates, queries = units("near", 20_000, seed=1), units("spread", 3, seed=2)
    counter, most = Counter(queries, candidates, exact_products(queries, candidates[:9])), 0
    finish = counter.finish

    def watched() -> None:
        nonlocal most
        most = max(most, counter._waiting)
        finish()

    monkeypatch.setattr(counter, "finish", watched)
    counted(counter)
    assert most <= (500 if sharp else 9 * 3 * counts.CHUNK + 500)


def test_a_product_may_err_by_its_margin() -> None:
    """A product that errs by nearly all it is allowed must change no count and no order."""

    class Erring(Float32Product):
        def multiply(self, part: np.ndarray) -> tuple[int, int]:
            shape = super().multiply(part)
            if self.margin:
                exact = exact_products(self._queries, part)
                signs = np.where(np.random.default_rng(len(part)).random(shape) < 0.5, -1, 1)
                self.scores[:] = exact + np.float32(0.95) * self.margin * signs
            return shape

    candidates, queries = units("near", 3000, seed=1), units("spread", 4, seed=2)
    scores = exact_products(queries, candidates)
    values = scores[:, [5, 2500]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counts, "Float32Product", Erring)
        patch.setattr(best, "Float32Product", Erring)
        patch.setattr(counts, "_DENSE", 0)
        greater, equal = counted(Counter(queries, candidates, values))
        with short_rows():
            rows, found = key_parts(Best(queries, candidates, 40).search())
    np.testing.assert_array_equal(greater, (scores[:, None] > values[..., None]).sum(axis=2))
    np.testing.assert_array_equal(equal, (scores[:, None] == values[..., None]).sum(axis=2))
    order = np.argsort(-scores, axis=1, kind="stable")[:, :40]
    np.testing.assert_array_equal(rows, order)
    np.testing.assert_array_equal(found, np.take_along_axis(scores, order, axis=1))
    assert Float32Product(queries, 1).margin >= (queries.shape[1] + 2) * 2.0**-24


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
