"""The best candidates against fractions, under every blocking, threading, order and sharding."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from any_vectors import CASES, top_k, units
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info

from mrbench.errors import InputError, ModelError
from mrbench.search import best, exact, sampled
from mrbench.search.exact import exact_products, exact_scores, key_parts, order_keys, settled
from mrbench.search.products import one_thread
from mrbench.search.vectors import check_units


def by_fractions(query: np.ndarray, candidate: np.ndarray) -> np.float32:
    exact = sum(Fraction(float(a)) * Fraction(float(b)) for a, b in zip(query, candidate, strict=True))
    return np.float32(float(exact))


def slow_top_k(queries: np.ndarray, candidates: np.ndarray, depth: int) -> tuple[np.ndarray, np.ndarray]:
    rows, scores = [], []
    for query in queries:
        mine = [np.float32(math.fsum(query.astype(float) * c)) for c in candidates.astype(float)]
        order = sorted(range(len(mine)), key=lambda row: (-mine[row], row))[:depth]
        rows.append(order)
        scores.append([mine[row] for row in order])
    return np.array(rows), np.array(scores, dtype=np.float32)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("depth", [1, 10, 150, 699, 5000])
def test_it_is_a_full_sort_of_exact_scores(case: str, depth: int) -> None:
    candidates, queries = CASES[case](), units(9, seed=2, spread=1e-6 if "closer" in case else 1.0)
    rows, scores = top_k(queries, candidates, depth)
    expected = slow_top_k(queries, candidates, depth)
    np.testing.assert_array_equal(rows, expected[0])
    np.testing.assert_array_equal(scores, expected[1])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("parts", [2, 512])
def test_scores_by_ranges_of_the_pool_are_the_same(case: str, parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    candidates, queries = CASES[case](), units(37, seed=2, spread=1e-6 if "closer" in case else 1.0)
    expected = top_k(queries, candidates, 60)
    monkeypatch.setattr(sampled, "_LEAST", 1)
    monkeypatch.setattr(best, "_PARTS", parts)  # what is of more chunks is put together, and no longer in one range
    sizes = []
    sums = sampled.Sampler.sums
    monkeypatch.setattr(
        sampled.Sampler, "sums", lambda self, part, *pairs: (sizes.append(len(part)), sums(self, part, *pairs))[1]
    )
    found = top_k(queries, candidates, 60, chunk=100, threads=1, block=37)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    if case == "spread":
        assert max(sizes) == (100 if parts == 512 else len(candidates))


@pytest.mark.parametrize("case", CASES)
def test_blocks_and_threads_change_nothing(case: str) -> None:
    candidates, queries = CASES[case](), units(37, seed=2)
    first = top_k(queries, candidates, 20)
    for threads, block, chunk in ((1, 1, 64), (3, 7, 100), (2, 37, 699), (1, 64, 33)):
        again = top_k(queries, candidates, 20, threads=threads, block=block, chunk=chunk)
        for one, other in zip(first, again, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("shards", [1, 3, 8])
def test_shards_merge_to_the_same(shards: int) -> None:
    candidates, queries = CASES["many ties"](), units(11, seed=2)
    whole = top_k(queries, candidates, 50)
    keys = []
    for part in np.array_split(np.arange(len(candidates)), shards):
        rows, scores = top_k(queries, candidates[part], 50)
        keys.append(order_keys(scores, part[rows]))
    merged = key_parts(np.sort(np.concatenate(keys, axis=1), axis=1)[:, :50])
    for one, other in zip(whole, merged, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_order_of_candidates_shows_in_rows_only() -> None:
    candidates, queries = CASES["spread"](), units(5, seed=2)
    order = np.random.default_rng(3).permutation(len(candidates))
    rows, scores = top_k(queries, candidates, 30)
    moved, same = top_k(queries, candidates[order], 30)
    np.testing.assert_array_equal(scores, same)
    np.testing.assert_array_equal(rows, order[moved])


def test_a_wrong_guess_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    candidates, queries = units(6000, seed=1), units(3, seed=2)
    candidates[:: best.SAMPLE] = queries[0]  # what is looked at first is all as good as it gets
    scans = []
    scan = best.Best._scan
    monkeypatch.setattr(best.Best, "_scan", lambda self, guess: (scans.append(guess is None), scan(self, guess)))
    rows, _ = top_k(queries, candidates, 200, threads=1, block=len(queries))
    assert scans == [False, True]
    np.testing.assert_array_equal(rows, slow_top_k(queries, candidates, 200)[0])


def test_a_guess_that_is_just_right_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    candidates, queries = units(3000, seed=1, distinct=40), units(30, seed=2)
    scans = []
    scan = best.Best._scan
    monkeypatch.setattr(best.Best, "_scan", lambda self, guess: (scans.append(guess is None), scan(self, guess)))
    top_k(queries, candidates, 200, threads=1, block=len(queries))
    assert scans == [False]


def test_a_wrong_guess_keeps_the_order_of_the_tied() -> None:
    candidates, queries = units(3000, seed=1, distinct=40), units(3, seed=2)
    candidates[:: best.SAMPLE] = queries[0]
    position = np.random.default_rng(3).permutation(len(candidates))
    found = key_parts(best.Best(queries, candidates, 200, position=position).search())[0]
    scores = exact_products(queries, candidates)
    for row, mine in zip(found, scores, strict=True):
        assert row.tolist() == position[np.lexsort((position, -mine))[:200]].tolist()


def test_a_memory_map_is_searched(tmp_path: Path) -> None:
    candidates, queries = units(300, seed=1), units(4, seed=2)
    np.save(tmp_path / "c.npy", candidates)
    mapped = np.load(tmp_path / "c.npy", mmap_mode="r")
    np.testing.assert_array_equal(top_k(queries, mapped, 7)[0], top_k(queries, candidates, 7)[0])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_a_score_is_the_exact_sum_rounded(length: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    query, candidate = (rng.standard_normal((2, length)) * 10.0 ** rng.integers(-8, 1, (2, length))).astype(np.float32)
    query, candidate = (v / max(1, np.linalg.norm(v)) for v in (query, candidate))
    assert exact_scores(query, candidate[None], np.array([0]))[0] == by_fractions(query, candidate)


def test_a_sum_at_the_edge_of_rounding_is_summed_without_error() -> None:
    # Exactly between 0.5 and its successor, and the next float64 above: only an exact sum tells them apart.
    half, tiny, less = np.float32(0.5), np.float32(2**-25), np.float32(2**-60)
    query = np.float32([1, 1, 1])
    for last, expected in (
        (np.float32(0), half),
        (less, half),
        (np.float32(2**-50), np.nextafter(half, np.float32(1))),
    ):
        candidate = np.float32([[half, tiny, last]])
        wrong_by_one = np.array([0.5 + 2**-25 + 2**-52])
        assert settled(wrong_by_one, query[None], np.array([0]), candidate, np.array([0]))[0] == expected


def test_scores_of_nothing_in_common_are_zero_without_sign() -> None:
    scores = exact_scores(np.float32([1, 0]), np.float32([[0, -1], [-0.0, 1]]), np.array([0, 1]))
    assert scores.tolist() == [0, 0]
    assert not np.signbit(scores).any()


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=30))
def test_keys_order_like_scores(values: list[float]) -> None:
    scores = np.float32(values) + np.float32(0)
    rows, found = key_parts(np.sort(order_keys(scores, np.arange(len(scores)))))
    assert rows.tolist() == sorted(range(len(scores)), key=lambda row: (-scores[row], row))
    np.testing.assert_array_equal(found, scores[rows])


def test_what_cannot_be_searched_is_named() -> None:
    good = units(3)
    for value in (np.nan, 0.0, 3.0):
        bad = good.copy()
        bad[1] = value
        with pytest.raises(ModelError, match="not of length 1; where: candidate 1"):
            check_units(query=good, candidate=bad)


WRONG = {
    "float64": (lambda v: v.astype(np.float64), "float64"),
    "a list": (lambda v: v.tolist(), "list"),
    "one axis": (lambda v: v[0], "candidate"),
    "another dimension": (lambda v: units(3, length=7), "7"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_are_no_vectors_is_named(case: str) -> None:
    spoil, said = WRONG[case]
    good = units(3)
    with pytest.raises(InputError, match=said):
        check_units(query=good, candidate=spoil(good))
    with pytest.raises(InputError):
        check_units(query=spoil(good), candidate=good)


def test_overlapping_searches_give_the_threads_back() -> None:
    def threads() -> tuple[list[int], int]:
        return [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"], torch.get_num_threads()

    before = threads()
    first, second = one_thread(), one_thread()
    first.__enter__()
    second.__enter__()
    assert set(threads()[0]) == {1}
    first.__exit__(None, None, None)
    assert set(threads()[0]) == {1}  # the second still runs
    second.__exit__(None, None, None)
    assert threads() == before


def test_views_of_other_arrays_are_searched() -> None:
    candidates, queries = units(700, seed=1), units(9, seed=2)
    wide = np.zeros((1400, 48), dtype=np.float32)
    wide[::2, ::2] = candidates
    expected = top_k(queries, candidates, 10)
    for view in (wide[::2, ::2], np.asfortranarray(candidates)):
        for mine in (queries, np.asfortranarray(queries)):
            for found, wanted in zip(top_k(mine, view, 10), expected, strict=True):
                np.testing.assert_array_equal(found, wanted)


def test_products_are_exact_wherever_their_sums_could_round_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    hard = np.float32([0.5, 2**-25, 2**-54, 2**-54])
    candidates = np.stack([rng.permutation(hard) for _ in range(24)] + [-hard, np.zeros(4)]).astype(np.float32)
    queries = np.ones((5, 4), dtype=np.float32) * np.float32([[1], [-1], [0.5], [1], [0]])
    expected = [[np.float32(math.fsum(q * c)) for c in candidates.astype(float)] for q in queries.astype(float)]
    for tile in (1, 128):
        monkeypatch.setattr(exact, "TILE", tile)
        found = exact_products(queries, candidates)
        np.testing.assert_array_equal(found, np.array(expected, dtype=np.float32) + np.float32(0))
        assert not np.signbit(found[found == 0]).any()


def test_a_sum_that_vanishes_has_no_sign() -> None:
    pair = np.float32([0.6, 0.6, 1e-30]), np.float32([[0.6, -0.6, -1e-30]])
    for score in (exact_scores(*pair, np.array([0]))[0], exact_products(pair[0][None], pair[1])[0, 0]):
        assert not np.signbit(score)


def test_vectors_that_share_nothing_are_not_summed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    settle, seen = exact.settled, []
    monkeypatch.setattr(exact, "settled", lambda sums, *more: (seen.append(len(sums)), settle(sums, *more))[1])
    found = exact_products(np.eye(40, dtype=np.float32)[:20], np.eye(40, dtype=np.float32))
    np.testing.assert_array_equal(found, np.eye(40)[:20])
    assert sum(seen) == 0
