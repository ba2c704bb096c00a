"""Sums of pairs, range by range of the candidates, are those of a query after the other."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest
import torch
from any_vectors import units

from mrbench.search import exact, sampled
from mrbench.search.exact import pair_scores
from mrbench.search.sampled import sampled_sums, worth


@pytest.fixture(autouse=True)
def _warned() -> None:
    assert sampled._works()  # torch warns once that the format is new; asked for here, nobody hears it


@pytest.mark.parametrize("dense", [1, 8, 10**6])
@pytest.mark.parametrize("pairs", [1, 50, 3000])
@pytest.mark.parametrize("number", [1, 63, 64, 65, 200])
def test_sums_are_those_of_the_products(pairs: int, number: int, dense: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampled, "RANGE", 64)
    monkeypatch.setattr(sampled, "_DENSE", dense)
    rng = np.random.default_rng(pairs)
    queries, candidates = units(7, seed=1), units(number, seed=2)
    query = np.sort(rng.integers(7, size=pairs))
    rows = rng.integers(number, size=pairs)  # the same pair again and again too
    rows = rows[np.lexsort((rows, query))].astype(np.uint32)
    found, seen = np.full(pairs, np.nan), []
    for some, of, sums in sampled_sums(queries, candidates, rows, np.searchsorted(query, np.arange(8))):
        found[some] = sums
        seen += some.tolist()
        np.testing.assert_array_equal(of, query[some])
    expected = np.einsum("ij,ij->i", queries[query].astype(float), candidates[rows].astype(float))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)
    assert sorted(seen) == list(range(pairs))


def test_few_products_are_sampled_and_many_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    products = sampled._products
    monkeypatch.setattr(sampled, "_products", lambda *given: (sizes.append(len(given[-1])), products(*given))[1])
    monkeypatch.setattr(sampled, "RANGE", 64)
    queries, candidates = units(50, seed=1), units(128, seed=2)
    rows = np.concatenate([np.arange(40), [64], np.arange(64)])
    list(sampled_sums(queries, candidates, np.tile(rows[:41], 4), np.array([0, 41, 82, 123, *[164] * 47])))
    assert sizes == [160, 4]
    list(sampled_sums(queries[:9], candidates, np.arange(64), np.array([0, *[64] * 9])))  # one in nine
    assert sizes == [160, 4, 64]
    list(sampled_sums(queries[:8], candidates, np.arange(64), np.array([0, *[64] * 8])))  # one in eight
    assert sizes == [160, 4, 64]


def test_scores_are_the_same_either_way_and_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    queries, candidates = units(60, seed=1), units(3000, seed=2)
    ends = np.arange(0, 60 * 120 + 1, 120)
    rows = np.concatenate([np.sort(rng.choice(3000, 120, replace=False)) for _ in queries])
    called = []
    sums = exact.sampled_sums
    monkeypatch.setattr(exact, "sampled_sums", lambda *given: (called.append(1), sums(*given))[1])
    first = pair_scores(queries, candidates, rows, ends)
    assert called == [1]
    disorder = np.concatenate([rng.permutation(part) for part in np.split(rows, ends[1:-1])])
    parts = zip(ends[:-1], np.split(disorder, ends[1:-1]), strict=True)
    back = np.concatenate([start + np.argsort(part) for start, part in parts])
    np.testing.assert_array_equal(first, pair_scores(queries, candidates, disorder, ends)[back])
    monkeypatch.delitem(sys.modules, "torch")
    np.testing.assert_array_equal(first, pair_scores(queries, candidates, rows, ends))
    assert called == [1]


def test_what_is_spread_over_too_many_is_not_worth_it() -> None:
    assert worth(5000, 5000)
    assert not worth(5000, 5001)
    assert not worth(50, 50)


def test_nobody_is_warned_of_a_format_that_is_new() -> None:
    sampled._works.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sampled._works()


def test_another_default_device_does_not_show() -> None:
    sampled._works.cache_clear()
    queries, candidates = units(3, seed=1), units(100, seed=2)
    given = queries, candidates, np.arange(15), np.arange(0, 16, 5)
    before = next(sampled_sums(*given))[-1]
    with torch.device("meta"), torch.inference_mode():
        assert sampled._works()
        np.testing.assert_array_equal(before, next(sampled_sums(*given))[-1])
