"""Searching all but some candidates, or a list per query, against a sort of exact scores in plain numpy."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest

from mrbench.search import excluding_searcher, list_searcher
from mrbench.search.distinct import Vectors
from mrbench.search.excluding_searcher import ExcludingSearcher
from mrbench.search.gpu import DevicePool
from mrbench.search.list_searcher import ListSearcher
from mrbench.search.pairs import PairList, query_blocks
from mrbench.search.products import one_thread
from mrbench.search.requests import ScoreRequest
from mrbench.search.searcher import PoolSearcher, Searcher

KINDS = ("spread", "coarse", "copies", "one", "near")
QUERIES, VARIANTS, SIZE = 9, 14, 50


def units(kind: str, rows: int, length: int, rng: np.random.Generator) -> np.ndarray:
    drawn = rng.standard_normal((rows, length))
    if kind == "coarse":  # ties among different vectors, and scores of 0
        drawn = rng.integers(-1, 2, (rows, length)).astype(float)
        drawn[~drawn.any(axis=1), 0] = 1
    elif kind == "copies":
        drawn = drawn[rng.integers(max(1, rows // 6), size=rows)]
    elif kind == "one":
        drawn[:] = drawn[0]
    elif kind == "near":
        drawn = rng.standard_normal(length) + drawn * 2e-6
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def exact(queries: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Return the score of every query and candidate, shape (num_queries, num_candidates)."""
    products = queries.astype(float)[:, None] * candidates.astype(float)
    return np.array([[math.fsum(row) for row in each] for each in products.tolist()]).astype(np.float32) + np.float32(0)


class Progress:
    done = 0

    def update(self, number: int) -> None:
        self.done += number


@contextmanager
def searching(
    how: str,
    candidates: np.ndarray,
    row: np.ndarray,
    allowed: np.ndarray,
    *,
    threads: int = 2,
    block: int | None = None,
    device: str = "cpu",
    rng: np.random.Generator | None = None,
) -> Iterator[tuple[PoolSearcher, Progress]]:
    """Yield a searcher of the allowed candidates of each query; their pairs come in any order, some of them twice."""
    query, position = np.nonzero(allowed if how == "list" else ~allowed)
    if rng is not None:
        more = rng.integers(len(query), size=len(query) // 3) if len(query) else np.empty(0, dtype=int)
        order = np.concatenate([np.arange(len(query)), more])[rng.permutation(len(query) + len(more))]
        order = order[np.argsort(query[order], kind="stable")]
        query, position = query[order], position[order]
    pairs, progress = PairList(query, position), Progress()
    with one_thread(), ThreadPoolExecutor(threads) as executor:
        vectors = Vectors(candidates, row)
        if how == "list":
            more = {"threads": threads, "block": block, "device": device}
            yield ListSearcher(vectors, pairs, executor, progress, **more), progress
        else:
            searcher = Searcher(vectors, executor, threads, block, progress, device)
            yield ExcludingSearcher(searcher, pairs), progress


def some_allowed(rng: np.random.Generator, table: np.ndarray) -> np.ndarray:
    """Return which candidates exist for each of nine queries, from none to all.

    Args:
        rng: Draws.
        table: The queries' scores, from which the best and the tied are left out.
    """
    allowed = np.ones(table.shape, dtype=bool)
    allowed[1] = False
    allowed[1, rng.integers(SIZE)] = True  # all but one are out
    allowed[2, np.argmax(table[2])] = False  # the best is
    allowed[3] = table[3] != np.unique(table[3])[-1]  # all that are tied for the first place are
    allowed[4] = rng.random(SIZE) < 0.5
    allowed[5] = rng.random(SIZE) < 0.1
    allowed[6] = False  # nothing is left
    allowed[7, np.argmax(table[7])] = False
    allowed[8, np.flatnonzero(table[8] == table[8].max())[::2]] = False  # half of the tied are
    return allowed


def check_search(searcher: PoolSearcher, asked: np.ndarray, of: np.ndarray | None, table: np.ndarray, allowed, rng):
    """Compare what is found with a sort.

    Args:
        searcher: Searches.
        asked: The queries.
        of: As the searcher is given.
        table: Score of every query and candidate.
        allowed: Which candidates exist for each row of the table.
        rng: Draws what is requested.
    """
    number = len(asked)
    length = int(rng.choice([0, 1, 3, 10, SIZE, SIZE + 5]))
    requests = []
    for counted in (True, False, True):
        query = np.sort(rng.integers(number, size=int(rng.choice([0, 3, 60]))))
        requests.append(ScoreRequest(query, rng.integers(SIZE, size=len(query)), counted=counted))
    top, scores = searcher.search(asked, requests, length, of)
    assert top.shape == scores.shape == (number, length)
    for n in range(number):
        left = np.flatnonzero(allowed[n])
        best = left[np.argsort(-table[n, left], kind="stable")][:length]
        assert top[n].tolist() == best.tolist() + [-1] * (length - len(best))
        assert scores[n].tolist() == table[n, best].tolist() + [-np.inf] * (length - len(best))
    for request in requests:
        own = table[request.query, request.candidate]
        assert request.score.tolist() == own.tolist()
        if request.counted:
            mine, there = table[request.query], allowed[request.query]
            assert request.greater.tolist() == ((mine > own[:, None]) & there).sum(axis=1).tolist()
            assert request.equal.tolist() == ((mine == own[:, None]) & there).sum(axis=1).tolist()


def check_tied(searcher: PoolSearcher, asked: np.ndarray, of: np.ndarray | None, table: np.ndarray, allowed, rng):
    number = len(asked)
    some = np.flatnonzero(rng.random(number) < 0.7)
    values = table[some, rng.integers(SIZE, size=len(some))]
    seen = []
    for group, query, position in searcher.tied(asked, some, values, of):
        assert (np.diff(query) >= 0).all()
        seen += group.tolist()
        for at, n in enumerate(group):
            value = values[some.tolist().index(n)]
            expected = np.flatnonzero((table[n] == value) & allowed[n])
            assert sorted(position[query == at].tolist()) == expected.tolist()
    assert seen == some.tolist()


def check_moments(searcher: PoolSearcher, asked: np.ndarray, of: np.ndarray | None, table: np.ndarray, allowed):
    mean, deviation = searcher.moments(asked, of)
    for n in range(len(asked)):
        left = table[n, allowed[n]].astype(float)
        if not len(left):
            assert np.isnan([mean[n], deviation[n]]).all()
            continue
        assert mean[n] == pytest.approx(left.mean(), rel=1e-6, abs=1e-7)
        assert deviation[n] == pytest.approx(left.std(), rel=1e-5, abs=1e-7)
        assert [mean[n], deviation[n]] == [np.float32(mean[n]), np.float32(deviation[n])]


@pytest.mark.parametrize("how", ["list", "excluding"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(8))
def test_it_is_what_a_sort_of_the_allowed_gives(
    how: str, kind: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(seed)
    monkeypatch.setattr(list_searcher, "_PAIRS", int(rng.choice([1, 60, 1 << 18])))
    monkeypatch.setattr(excluding_searcher, "_PAIRS", int(rng.choice([1, 60, 1 << 18])))
    monkeypatch.setattr(excluding_searcher, "_BEST", int(rng.choice([1, 60, 1 << 24])))
    length = int(rng.choice([2, 5, 24]))
    candidates = units(kind, SIZE, length, rng)
    row = rng.permutation(SIZE) if rng.random() < 0.7 else np.arange(SIZE)
    queries = units("coarse" if kind == "coarse" else "spread", QUERIES, length, rng)
    variants, of = units("spread", VARIANTS, length, rng), rng.integers(QUERIES, size=VARIANTS)
    own, other = exact(queries, candidates[row]), exact(variants, candidates[row])
    allowed = some_allowed(rng, own)
    more = {"threads": 1 + seed % 3, "block": [None, 1, 4][seed % 3], "device": ["cpu", "cpu:0"][seed % 2]}
    with searching(how, candidates, row, allowed, rng=rng, **more) as (searcher, progress):
        assert searcher.sizes(QUERIES).tolist() == allowed.sum(axis=1).tolist()
        check_search(searcher, queries, None, own, allowed, rng)
        check_search(searcher, variants, of, other, allowed[of], rng)
        assert progress.done == QUERIES + VARIANTS
        check_tied(searcher, queries, None, own, allowed, rng)
        check_tied(searcher, variants, of, other, allowed[of], rng)
        check_moments(searcher, queries, None, own, allowed)
        check_moments(searcher, variants, of, other, allowed[of])
        assert progress.done == QUERIES + VARIANTS


def answers(searcher: PoolSearcher, queries: np.ndarray, size: int) -> list[np.ndarray]:
    number = len(queries)
    pairs = np.repeat(np.arange(number), 7), np.random.default_rng(1).integers(size, size=7 * number)
    request = ScoreRequest(*pairs, counted=True)
    top, scores = searcher.search(queries, [request], 30)
    tied = [
        (group[query], position) for group, query, position in searcher.tied(queries, np.arange(number), scores[:, 9])
    ]
    of, position = (np.concatenate(column) for column in zip(*tied, strict=True))
    order = np.lexsort((position, of))
    of_request = [request.score, request.greater, request.equal]
    return [top, scores, *of_request, of[order], position[order], *searcher.moments(queries)]


@pytest.mark.parametrize("how", ["list", "excluding"])
@pytest.mark.parametrize("kind", ["spread", "copies"])
def test_neither_threads_nor_blocks_change_anything(how: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    candidates, queries = units(kind, 600, 24, rng), units("spread", 80, 24, rng)
    allowed = rng.random((80, 600)) < rng.random(80)[:, None]
    found = []
    for threads, block, pairs in ((1, None, 1 << 18), (3, 7, 1 << 18), (2, None, 900), (2, 1, 1)):
        monkeypatch.setattr(list_searcher, "_PAIRS", pairs)
        monkeypatch.setattr(excluding_searcher, "_PAIRS", pairs)
        monkeypatch.setattr(excluding_searcher, "_BEST", 100 * pairs)
        with searching(how, candidates, np.arange(600), allowed, threads=threads, block=block) as (searcher, _):
            found.append(answers(searcher, queries, 600))
    for other in found[1:]:
        for one, again in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, again)


def test_the_three_searchers_agree_on_the_whole_pool() -> None:
    rng = np.random.default_rng(0)
    candidates, queries, row = units("copies", 90, 12, rng), units("spread", 20, 12, rng), rng.permutation(90)
    whole, found = np.ones((20, 90), dtype=bool), []
    for how in ("list", "excluding"):
        with searching(how, candidates, row, whole) as (searcher, _):
            found.append(answers(searcher, queries, 90))
    with one_thread(), ThreadPoolExecutor(1) as executor:
        searcher = Searcher(Vectors(candidates, row), executor, 1, None, Progress())
        assert searcher.sizes(3).tolist() == [90, 90, 90]
        of = rng.integers(9, size=20)  # makes no difference
        for one, other in zip(searcher.search(queries, [], 9, of), searcher.search(queries, [], 9), strict=True):
            np.testing.assert_array_equal(one, other)
        for one, other in zip(searcher.moments(queries, of), searcher.moments(queries), strict=True):
            np.testing.assert_array_equal(one, other)
        found.append(answers(searcher, queries, 90))
    for number, (one, other, third) in enumerate(zip(*found, strict=True)):
        np.testing.assert_array_equal(other, third)
        np.testing.assert_allclose(one, third, rtol=0, atol=1e-7 if number > 6 else 0)  # means are of rounded scores
    assert len(found[0][5]) > 20  # some are tied


@pytest.mark.parametrize("size", [3, 40, 3000])
@pytest.mark.parametrize("gone", [1, 2])
def test_a_deviation_does_not_cancel(size: int, gone: int) -> None:
    """What is excluded makes up all of the deviation; the scores that are left are one, or close."""
    candidates = np.zeros((size, 4), dtype=np.float32)
    angles = np.arange(size)
    candidates[:] = np.stack([np.full(size, 0.6), 0.8 * np.cos(angles), 0.8 * np.sin(angles), 0 * angles], axis=1)
    candidates[-gone:] = [0, 0, 0, 1]
    queries = np.float32([[1, 0, 0, 0], [0.6, 0, 0, 0.8], [0.8, 6e-5, 0, 0.6]])
    allowed = np.ones((3, size), dtype=bool)
    allowed[:, -gone:] = False
    left = exact(queries, candidates[:-gone]).astype(float)
    with searching("excluding", candidates, np.arange(size), allowed) as (searcher, _):
        mean, deviation = searcher.moments(queries)
    np.testing.assert_allclose(mean, left.mean(axis=1), rtol=1.2e-7)
    np.testing.assert_allclose(deviation, left.std(axis=1), rtol=1e-3, atol=1.1e-8)
    if size == 3 and gone == 2:
        assert (mean.tolist(), deviation.tolist()) == (left[:, 0].tolist(), [0, 0, 0])


@pytest.mark.parametrize("kind", ["spread", "one", "near"])
def test_usual_moments_need_no_scores_of_the_whole_pool(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    candidates, queries = units(kind, 3000, 24, rng), units("spread", 50, 24, rng)
    allowed = np.ones((50, 3000), dtype=bool)
    allowed[np.arange(50), rng.integers(3000, size=50)] = False
    calls = []
    anew = ExcludingSearcher._moments_anew

    def watched(self: ExcludingSearcher, asked: np.ndarray, pairs: PairList):
        calls.append(len(asked))
        return anew(self, asked, pairs)

    monkeypatch.setattr(ExcludingSearcher, "_moments_anew", watched)
    with searching("excluding", candidates, np.arange(3000), allowed) as (searcher, _):
        searcher.moments(queries)
    assert calls == [0]


def test_many_exclusions_of_one_query_do_not_deepen_the_search_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    candidates, queries = units("spread", 900, 8, rng), units("spread", 40, 8, rng)
    table = exact(queries, candidates)
    allowed = np.ones((40, 900), dtype=bool)
    allowed[np.arange(40), table.argmax(axis=1)] = False
    allowed[7, np.argsort(-table[7])[:700]] = False
    asked = []
    with searching("excluding", candidates, np.arange(900), allowed) as (searcher, _):
        search = searcher._searcher.search
        searcher._searcher.search = lambda queries, requests, length: (
            asked.append((len(queries), length)),
            search(queries, requests, length),
        )[1]
        check_search(searcher, queries, None, table, allowed, rng)
        asked.clear()
        top, _ = searcher.search(queries, [], 10)
        assert asked == [(39, 11), (1, 710)]
        asked.clear()
        monkeypatch.setattr(excluding_searcher, "_BEST", 15 * 11)  # so many best are held at a time
        again, _ = searcher.search(queries, [], 10)
        assert asked == [(15, 11), (15, 11), (9, 11), (1, 710)]
    np.testing.assert_array_equal(top, again)
    assert top[7].tolist() == np.argsort(-table[7])[700:710].tolist()


@pytest.mark.parametrize("how", ["list", "excluding"])
def test_no_pairs_at_all(how: str) -> None:
    rng = np.random.default_rng(0)
    candidates, queries = units("spread", SIZE, 5, rng), units("spread", 4, 5, rng)
    allowed = np.full((4, SIZE), how == "excluding")
    with searching(how, candidates, np.arange(SIZE), allowed) as (searcher, _):
        check_search(searcher, queries, None, exact(queries, candidates), allowed, rng)
        check_tied(searcher, queries, None, exact(queries, candidates), allowed, rng)
        check_moments(searcher, queries, None, exact(queries, candidates), allowed)
        assert searcher.search(queries[:0], [], 5)[0].shape == (0, 5)
        assert [values.shape for values in searcher.moments(queries[:0])] == [(0,), (0,)]


@pytest.mark.parametrize("how", ["list", "excluding"])
def test_a_device_without_memory_leaves_lists_to_the_processor(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    candidates, queries = units("spread", SIZE, 5, rng), units("spread", QUERIES, 5, rng)
    table = exact(queries, candidates)
    allowed, said = some_allowed(rng, table), "CUDA out of memory"

    def fails(*_, **__):
        raise RuntimeError(said)

    for where in ("__init__", "search", "pair_scores", "moments"):
        with monkeypatch.context() as patch:
            patch.setattr(DevicePool, where, fails)
            with searching(how, candidates, np.arange(SIZE), allowed, device="cpu:0") as (searcher, _):
                check_search(searcher, queries, None, table, allowed, rng)
                check_moments(searcher, queries, None, table, allowed)
    monkeypatch.setattr(DevicePool, "pair_scores", fails)
    said = "something else"
    with (
        searching(how, candidates, np.arange(SIZE), allowed, device="cpu:0") as (searcher, _),
        pytest.raises(RuntimeError, match="something else"),
    ):
        searcher.moments(queries)


@pytest.mark.parametrize("seed", range(10))
def test_blocks_of_queries_cover_all_and_are_as_large_as_allowed(seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts, most = rng.integers(0, 9, size=30), int(rng.choice([1, 5, 20, 1000]))
    for queries in (None, 1, 4):
        blocks = list(query_blocks(counts, most, queries))
        assert [at for block in blocks for at in range(30)[block]] == list(range(30))
        for block in blocks:
            size, pairs = block.stop - block.start, counts[block].sum()
            assert size == 1 or pairs <= most
            assert queries is None or size <= queries
            full = block.stop == 30 or size == queries or pairs + counts[block.stop] > most
            assert full


@pytest.mark.parametrize("given", [[3, 3, 5, 4], [3, 5, 5, 4], [5, 3, 3, 4]])
def test_a_pair_named_twice_counts_once(given: list[int]) -> None:
    pairs = PairList(np.array([0, 0, 0, 2]), np.array(given)).ordered()
    assert (pairs.query.tolist(), pairs.candidate.tolist()) == ([0, 0, 2], [3, 5, 4])
    assert pairs.ordered() is pairs
