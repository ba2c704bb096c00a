"""MaxSim against loops over tokens: scores to the last bit, counts, the best, ties, lists, exclusions and memory."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations

import numpy as np
import pytest
import torch
from test_pool_searchers import KINDS, QUERIES, SIZE, VARIANTS, Progress, check_search, check_tied, some_allowed, units

from mrbench.arrays import Ragged, joined
from mrbench.errors import ModelError
from mrbench.search import maxsim, maxsim_searcher
from mrbench.search.distances import distances_to, row_distances
from mrbench.search.maxsim import maxsim_error, maxsim_products, maxsim_scores
from mrbench.search.maxsim_searcher import MaxSimSearcher
from mrbench.search.pairs import PairList
from mrbench.search.products import one_thread
from mrbench.search.requests import ScoreRequest
from mrbench.search.vectors import check_units, checked_ragged


def items(kind: str, number: int, rng: np.random.Generator, length: int = 6, most: int = 5) -> Ragged:
    """Items of one to five vectors; of the kinds of ``units``, where copies are whole items."""
    if kind in ("copies", "one"):
        few = items("spread", 1 if kind == "one" else max(1, number // 6), rng, length, most)
        return few[rng.integers(len(few), size=number)]
    counts = rng.integers(1, most + 1, size=number)
    return Ragged.of_counts(units(kind, int(counts.sum()), length, rng), counts)


def by_loops(queries: Ragged, candidates: Ragged) -> np.ndarray:
    """Return the definition: each product without error, the largest of each query vector, their sum."""

    def score(query: np.ndarray, candidate: np.ndarray) -> float:
        return math.fsum(max(math.fsum(a * b) for b in candidate.astype(float)) for a in query.astype(float))

    table = [[score(q.flat, c.flat) for c in _each(candidates)] for q in _each(queries)]
    return np.array(table).astype(np.float32) + np.float32(0)


def _each(rows: Ragged) -> list[Ragged]:
    return [rows[n] for n in range(len(rows))]


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_those_of_the_definition_to_the_last_bit(kind, monkeypatch):
    monkeypatch.setattr(maxsim, "TOKENS", 7)
    rng = np.random.default_rng(3)
    queries, candidates = items(kind, 8, rng), items(kind, 40, rng)
    table = by_loops(queries, candidates)
    rows = rng.integers(40, size=70)
    for n, query in enumerate(_each(queries)):
        assert maxsim_scores(query.flat, candidates, rows).tolist() == table[n, rows].tolist()
    near = maxsim_products(queries, candidates)
    assert near.shape == table.shape
    assert (np.abs(near - table) <= maxsim_error(queries)[:, None]).all()
    assert np.abs(near - table).max() < 1e-5


def test_a_sum_that_float64_would_lose_shows_in_the_score():
    """1 + 2^-24 is halfway to the next float32; the rest, lost where it is added one by one, decides."""
    parts = np.float32([[1, 1], [2**-12, 2**-12], [2**-26, 2**-27], [2**-26, 2**-27]])
    for order in permutations(range(4)):
        query, candidate = np.ascontiguousarray(parts[list(order)].T)
        rows = Ragged.of_counts(candidate[None], np.array([1]))
        assert maxsim_scores(query[None], rows, np.array([0]))[0] == np.float32(1 + 2**-23)


def test_the_best_are_right_where_products_in_float32_misorder_them():
    rng = np.random.default_rng(12)
    directions = rng.standard_normal((3, 96))
    flat = (directions[None] + rng.standard_normal((400, 3, 96)) * 3e-7).reshape(-1, 96)
    flat = (flat / np.linalg.norm(flat, axis=1, keepdims=True)).astype(np.float32)
    candidates, queries = Ragged.of_counts(flat, np.full(400, 3)), items("spread", 6, rng, 96, 9)
    exact = np.array([maxsim_scores(query.flat, candidates, np.arange(400)) for query in _each(queries)])
    best = np.argsort(-exact, axis=1, kind="stable")[:, :10]
    near = np.argsort(-maxsim_products(queries, candidates), axis=1, kind="stable")[:, :10]
    assert not np.array_equal(best, near)
    with ThreadPoolExecutor(1) as executor:
        found, scores = MaxSimSearcher(candidates, np.arange(400), executor, Progress()).search(queries, [], 10)
    assert np.array_equal(found, best)
    assert np.array_equal(scores, np.take_along_axis(exact, best, axis=1))


@pytest.mark.parametrize("tokens", [3, 1 << 12])
def test_scores_agree_with_transformers_where_nothing_is_padded(tokens, monkeypatch):
    from transformers import ColPaliProcessor

    monkeypatch.setattr(maxsim, "TOKENS", tokens)
    rng = np.random.default_rng(4)
    queries, candidates = items("spread", 5, rng, 24, 9), items("spread", 30, rng, 24, 17)
    score = ColPaliProcessor.score_retrieval
    for query in _each(queries):
        for at, candidate in enumerate(_each(candidates)):
            parts = [[torch.from_numpy(one.flat)] for one in (query, candidate)]
            theirs = float(score(None, *parts)[0, 0])
            assert maxsim_scores(query.flat, candidates, np.array([at]))[0] == pytest.approx(theirs, abs=1e-5)


def test_padding_of_a_batch_would_count_where_all_products_are_negative():
    """Zeros that fill up a candidate are nearer than what points away: the reason to compare one by one."""
    from transformers import ColPaliProcessor

    query, away = np.float32([[1, 0]]), np.float32([[-1, 0]])
    two = [torch.from_numpy(away), torch.from_numpy(np.float32([[-1, 0], [-0.6, 0.8]]))]
    padded = ColPaliProcessor.score_retrieval(None, [torch.from_numpy(query)], two)
    assert padded[0, 0] == 0
    rows = Ragged.of_counts(np.concatenate([one.numpy() for one in two]), np.array([1, 2]))
    assert maxsim_scores(query, rows, np.array([0, 1])).tolist() == pytest.approx([-1, -0.6])
    assert maxsim_products(Ragged.of_counts(query, np.array([1])), rows)[0].tolist() == pytest.approx([-1, -0.6])


@pytest.mark.parametrize("how", ["whole", "list", "excluded"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("tokens", "most", "block"), [(9, 4, None), (1 << 12, 1 << 10, 3)])
def test_a_search_finds_what_a_sort_of_all_scores_finds(how, kind, tokens, most, block, monkeypatch):
    monkeypatch.setattr(maxsim, "TOKENS", tokens)
    monkeypatch.setattr(maxsim_searcher, "QUERY_TOKENS", most)
    rng = np.random.default_rng(5)
    queries, candidates, row = items(kind, QUERIES, rng), items(kind, SIZE, rng), rng.permutation(SIZE)
    table = by_loops(queries, candidates)[:, row]
    allowed = np.ones(table.shape, dtype=bool) if how == "whole" else some_allowed(rng, table)
    query, position = np.nonzero(allowed if how == "list" else ~allowed)
    among = {} if how == "whole" else {"lists" if how == "list" else "excluded": PairList(query, position)}
    progress = Progress()
    with one_thread(), ThreadPoolExecutor(2) as executor:
        searcher = MaxSimSearcher(candidates, row, executor, progress, threads=2, block=block, **among)
        assert searcher.sizes(QUERIES).tolist() == allowed.sum(axis=1).tolist()
        for round_number in range(4):
            of = None if round_number % 2 else rng.integers(QUERIES, size=VARIANTS)
            at = np.arange(QUERIES) if of is None else of
            asked = queries[at]
            check_search(searcher, asked, of, table[at], allowed[at], rng)
            check_tied(searcher, asked, of, table[at], allowed[at], rng)
            mean, deviation = searcher.moments(asked, of)
            for n in range(len(asked)):
                mine = table[at[n], allowed[at[n]]].astype(float)
                if len(mine):
                    assert (mean[n], deviation[n]) == pytest.approx((mine.mean(), mine.std()), abs=2e-6)
                else:
                    assert np.isnan([mean[n], deviation[n]]).all()


def test_moments_of_a_search_are_of_its_own_queries():
    rng = np.random.default_rng(6)
    one, other, candidates = (items("spread", n, rng) for n in (4, 4, 20))
    with ThreadPoolExecutor(1) as executor:
        searcher = MaxSimSearcher(candidates, np.arange(20), executor, Progress())
        searcher.search(one, [], 3)
        assert (
            searcher.moments(other)[0].tolist()
            == MaxSimSearcher(candidates, np.arange(20), executor, Progress()).moments(other)[0].tolist()
        )


def test_no_more_is_in_memory_than_one_block_of_products(monkeypatch):
    """By construction: every product of a search is seen, and none is larger than its stated limit."""
    monkeypatch.setattr(maxsim, "TOKENS", 32)
    monkeypatch.setattr(maxsim_searcher, "QUERY_TOKENS", 16)
    shapes = []
    product = maxsim._product

    def watched(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        shapes.append((len(one), len(other)))
        return product(one, other)

    monkeypatch.setattr(maxsim, "_product", watched)
    rng = np.random.default_rng(7)
    queries, candidates = items("spread", 40, rng, most=7), items("spread", 300, rng, most=9)
    request = ScoreRequest(np.arange(40), rng.integers(300, size=40), counted=True)
    with ThreadPoolExecutor(1) as executor:
        MaxSimSearcher(candidates, np.arange(300), executor, Progress()).search(queries, [request], 10)
    assert max(one for one, _ in shapes) <= 16
    assert max(other for _, other in shapes) <= 32
    assert sum(one * other for one, other in shapes) == len(queries.flat) * len(candidates.flat)  # once each


def test_the_number_of_scores_that_are_held_is_limited(monkeypatch):
    monkeypatch.setattr(maxsim_searcher, "SCORES", 250)
    held = []
    products = maxsim_searcher.maxsim_products

    def watched(queries: Ragged, candidates: Ragged) -> np.ndarray:
        held.append(products(queries, candidates))
        return held[-1]

    monkeypatch.setattr(maxsim_searcher, "maxsim_products", watched)
    rng = np.random.default_rng(8)
    with ThreadPoolExecutor(1) as executor:
        searcher = MaxSimSearcher(items("spread", 100, rng), np.arange(100), executor, Progress())
        searcher.search(items("spread", 9, rng), [], 5)
    assert [len(scores) for scores in held] == [2, 2, 2, 2, 1]


def test_of_lists_the_listed_pairs_alone_are_scored(monkeypatch):
    seen = []
    scores = maxsim_searcher.maxsim_scores

    def watched(query: np.ndarray, candidates: Ragged, rows: np.ndarray) -> np.ndarray:
        seen.extend(rows.tolist())
        return scores(query, candidates, rows)

    monkeypatch.setattr(maxsim_searcher, "maxsim_scores", watched)
    monkeypatch.setattr(maxsim_searcher, "maxsim_products", None)
    rng = np.random.default_rng(9)
    lists = PairList(np.array([0, 0, 1, 1, 1]), np.array([5, 90, 7, 8, 90]))
    with ThreadPoolExecutor(1) as executor:
        searcher = MaxSimSearcher(items("spread", 100, rng), np.arange(100), executor, Progress(), lists=lists)
        searcher.search(items("spread", 2, rng), [], 5)
    assert seen == [5, 90, 7, 8, 90]


def test_distances_are_those_of_single_vectors_where_there_is_one_each():
    rng = np.random.default_rng(10)
    one, other = units("spread", 6, 8, rng), units("spread", 6, 8, rng)
    alone = [Ragged.of_counts(rows, np.ones(6, dtype=int)) for rows in (one, other)]
    assert row_distances(*alone) == pytest.approx(row_distances(one, other), abs=1e-7)
    block = slice(1, 4)
    assert distances_to(alone[0])(block) == pytest.approx(distances_to(one)(block), abs=1e-6)


def test_distances_are_symmetric_and_zero_for_equals():
    rng = np.random.default_rng(11)
    one, other = items("spread", 12, rng), items("spread", 12, rng)
    assert row_distances(one, other) == pytest.approx(row_distances(other, one))
    assert row_distances(one, one).tolist() == [0.0] * 12
    every = joined([one, other])
    table = distances_to(every)(slice(0, 24))
    assert table == pytest.approx(table.T, abs=1e-6)
    assert np.diag(table[:12, 12:]) == pytest.approx(row_distances(one, other), abs=1e-6)


def test_what_is_no_embedding_of_several_vectors_is_refused():
    good = Ragged.of_counts(np.eye(3, dtype=np.float32), np.array([2, 1]))
    assert checked_ragged(good, 3, ["a", "b"], "m").counts.tolist() == [2, 1]
    with pytest.raises(ModelError, match=r"not several vectors an item; where: m; got: 'ndarray'"):
        checked_ragged(np.eye(3), 3, ["a", "b", "c"], "m")
    with pytest.raises(ModelError, match=r"got: '2 items'; accepted: .* of 3 items"):
        checked_ragged(good, 3, ["a", "b", "c"], "m")
    with pytest.raises(ModelError, match=r"an item has no vector; where: m, b"):
        checked_ragged(Ragged.of_counts(good.flat, np.array([3, 0])), 3, ["a", "b"], "m")
    broken = Ragged.of_counts(np.float32([[1, 0], [0, 1], [0, 0]]), np.array([2, 1]))
    with pytest.raises(ModelError, match=r"an embedding is all zeros; where: m, b"):
        checked_ragged(broken, 2, ["a", "b"], "m")
    with pytest.raises(ModelError, match=r"not of length 1; where: candidate 1"):
        check_units(candidate=broken)
