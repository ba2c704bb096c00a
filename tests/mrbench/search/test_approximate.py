"""Approximate search: what it returns is scored exactly, what it misses is told."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from mrbench.errors import InputError, MissingExtraError
from mrbench.measures.ranked import Judged, find_hits, ranked_measures
from mrbench.search.approximate import approximate_top_k, build_index
from mrbench.search.topk import top_k

pytest.importorskip("faiss")


def units(rows: int, seed: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).standard_normal((rows, 16)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


CANDIDATES, QUERIES = units(2000, 1), units(40, 2)


def test_a_flat_index_misses_nothing_and_gives_the_exact_answer():
    found = approximate_top_k(QUERIES, CANDIDATES, 10, build_index(CANDIDATES, "Flat"))
    rows, scores = top_k(QUERIES, CANDIDATES, 10)
    np.testing.assert_array_equal(found.rows, rows)
    np.testing.assert_array_equal(found.scores, scores)
    assert (found.recall, found.checked) == (1.0, 40)


def test_recall_is_what_the_index_found_of_the_exact_best():
    index = build_index(CANDIDATES, "IVF64,Flat")
    index.nprobe = 2
    found = approximate_top_k(QUERIES, CANDIDATES, 10, index, check=15)
    exact = top_k(QUERIES, CANDIDATES, 10)[0]
    shares = np.array([np.isin(one, other).mean() for one, other in zip(exact, found.rows, strict=True)])
    assert found.checked == 15
    assert 0 < found.recall < 1
    assert shares.min() - 1e-9 <= found.recall <= shares.max() + 1e-9
    everyone = approximate_top_k(QUERIES, CANDIDATES, 10, index)
    assert everyone.recall == pytest.approx(shares.mean())
    index.nprobe = 64
    assert approximate_top_k(QUERIES, CANDIDATES, 10, index).recall == 1.0


def test_where_the_index_finds_fewer_the_rest_is_empty():
    index = build_index(CANDIDATES, "IVF256,Flat")
    found = approximate_top_k(QUERIES, CANDIDATES, 100, index)
    empty = found.rows < 0
    assert empty.any()
    assert (found.scores[empty] == -np.inf).all()
    assert np.isfinite(found.scores[~empty]).all()
    assert (np.diff(empty.astype(int), axis=1) >= 0).all()
    best = top_k(QUERIES, CANDIDATES, 1)[0][:, 0]
    judged = Judged(np.arange(40), best, np.ones(40, dtype=np.int64), 40)
    places = [np.flatnonzero(row == one) for row, one in zip(found.rows, best, strict=True)]
    ranks = ranked_measures(find_hits(found.rows, judged, 2000), judged, [100])["mrr@100"]
    np.testing.assert_array_equal(ranks, [1 / (place[0] + 1) if len(place) else 0 for place in places])
    assert 0 < ranks.mean() < 1


def test_bad_input_is_named(monkeypatch):
    with pytest.raises(InputError, match=r"FAISS cannot build the index.*WHAT"):
        build_index(CANDIDATES, "WHAT")
    with pytest.raises(InputError, match="FAISS cannot build the index"):
        build_index(CANDIDATES[:3], "IVF64,Flat")
    with pytest.raises(InputError, match="FAISS cannot build the index"):
        build_index(CANDIDATES, "IVF0,Flat")
    with pytest.raises(InputError, match="float64"):
        build_index(CANDIDATES.astype(float), "Flat")
    with pytest.raises(InputError, match="other candidates"):
        approximate_top_k(QUERIES, CANDIDATES[:5], 1, build_index(CANDIDATES, "Flat"))
    narrow = CANDIDATES[:, :8] / np.linalg.norm(CANDIDATES[:, :8], axis=1, keepdims=True)
    with pytest.raises(InputError, match="other candidates"):
        approximate_top_k(QUERIES, CANDIDATES, 1, build_index(narrow, "Flat"))
    with pytest.raises(InputError, match="nothing to search for"):
        approximate_top_k(QUERIES, CANDIDATES, 0, build_index(CANDIDATES, "Flat"))
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtraError, match="FAISS"):
        build_index(CANDIDATES, "Flat")
