"""A pool on a device of torch has the scores and the best of the processor: on torch's CPU device, and on a GPU."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
import torch
from any_vectors import CASES, top_k, units

from mrbench.errors import InputError, MissingExtraError
from mrbench.search.best import SAMPLE
from mrbench.search.exact import exact_products
from mrbench.search.gpu import DevicePool
from mrbench.search.gpu.precision import full_precision


def there(queries: np.ndarray, candidates: np.ndarray, depth: int, device: str) -> tuple[np.ndarray, np.ndarray]:
    return DevicePool(candidates, device).search(queries, min(depth, len(candidates)))[:2]


DEVICES = ["cpu:0", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("depth", [1, 10, 150])
@pytest.mark.parametrize("how", ["", "sent by chunks"])
def test_a_device_of_torch_gives_the_same_answer(
    case: str, depth: int, how: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidates, queries = CASES[case](), units(9, seed=2, spread=1e-6 if "closer" in case else 1.0)
    expected = top_k(queries, candidates, depth)
    sizes = {
        "pool.QUERIES": 4,
        "candidates.LEAST": 1,
        "candidates.TABLE": 400,
        "candidates.UPLOAD": 1000,
        "candidates.FETCH": 100,
        "tables.WORDS": 2,
    }
    sizes["best.HELD"] = 20
    for name, value in sizes.items():
        monkeypatch.setattr(f"mrbench.search.gpu.{name}", value)
    monkeypatch.setattr("mrbench.search.best.SAMPLE", 4)
    if "chunks" in how:
        monkeypatch.setattr("mrbench.search.gpu.candidates._free_memory", lambda *_: 0)
    for found, wanted in zip(there(queries, candidates, depth, device), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_a_wrong_guess_is_found_out(device: str) -> None:
    candidates, queries = units(3000, seed=1), units(3, seed=2)
    candidates[::SAMPLE] = queries[0]  # what a guess looks at is all as good as it gets
    again = there(queries, candidates, 200, device)
    for found, wanted in zip(again, top_k(queries, candidates, 200), strict=True):
        np.testing.assert_array_equal(found, wanted)


# Exactly between 0.5 and its successor, and more than half of the last bit of a float64, by more or less.
HARD = np.float32([[0.5, 2**-25, 2**-54, 2**-54, 0, 0], [0.5, 2**-25, 2**-54, 2**-42, 2**-96, -(2**-42)]])


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("dense", [0, 10**6])
def test_sums_that_could_round_otherwise_are_exact(
    whole: bool, dense: int, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mrbench.search.gpu.candidates.DENSE", dense)
    if not whole:
        monkeypatch.setattr("mrbench.search.gpu.candidates._free_memory", lambda *_: 0)
    rng = np.random.default_rng(0)
    hard = [rng.permutation(HARD[number % 2]) for number in range(48)]
    near = [[0.5, 2**-25, less, 0, 0, 0] for less in (2**-60, -(2**-60))]
    vanishing = [[0.5, -0.5, 0, 0, 0, -1e-30], [0.5, -0.5, -1e-30, 0, 0, 0], [0, 0, 0, 0, 0, -1e-30]]
    candidates = np.stack([*hard, *-HARD, np.zeros(6), *near, *vanishing]).astype(np.float32)
    queries = np.ones((6, 6), dtype=np.float32) * np.float32([[1], [-1], [0.5], [1], [0], [1]])
    queries[5, 5] = 1e-30
    expected = exact_products(queries, candidates)
    sums = [[math.fsum(q * c) for c in candidates.astype(float)] for q in queries.astype(float)]
    np.testing.assert_array_equal(expected, np.float32(sums))
    pool, every = DevicePool(candidates, device), np.arange(len(candidates))
    pairs = pool.pair_scores(queries, np.tile(every, 6), np.arange(7) * len(candidates)).reshape(6, -1)
    rows, scores = pool.search(queries, len(candidates))[:2]
    for query in range(6):
        order = np.lexsort((every, -expected[query]))
        assert rows[query].tolist() == order.tolist()
        for found, wanted in ((pairs[query], expected[query]), (scores[query], expected[query][order])):
            np.testing.assert_array_equal(found, wanted)
            assert not np.signbit(found[found == 0]).any()


@pytest.mark.parametrize("seed", range(8))
def test_scores_of_pairs_are_those_of_the_processor(seed: int, device: str) -> None:
    """Of numbers that differ in size by eight orders, and of vectors without a common component."""
    rng = np.random.default_rng(seed)
    length = int(rng.integers(1, 40))
    drawn = rng.standard_normal((60, length)) * 10.0 ** rng.integers(-8, 1, (60, length))
    drawn[::7] = np.eye(length)[rng.integers(length, size=9)]
    vectors = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
    queries, candidates = vectors[:20], vectors[20:]
    rows = np.tile(np.arange(40), 20)
    found = DevicePool(candidates, device).pair_scores(queries, rows, np.arange(21) * 40)
    np.testing.assert_array_equal(found.reshape(20, 40), exact_products(queries, candidates))


@pytest.mark.parametrize("number", [3, 50])
@pytest.mark.parametrize("weighted", [False, True])
def test_mean_and_deviation_are_those_of_all_scores(number: int, weighted: bool, device: str) -> None:
    queries, candidates = units(number, seed=2), units(700, seed=1)
    weights = np.random.default_rng(0).integers(1, 5, 700) if weighted else None
    mean, deviation = DevicePool(candidates, device, weights=weights).moments(queries)
    scores = np.repeat(queries.astype(float) @ candidates.astype(float).T, 1 if weights is None else weights, axis=1)
    np.testing.assert_allclose(mean, scores.mean(axis=1), atol=1e-8)
    np.testing.assert_allclose(deviation, scores.std(axis=1), atol=1e-8)


def test_an_unknown_device_is_named() -> None:
    for name in ("abacus", "cuda:77"):
        with pytest.raises(InputError, match="no such device.*" + name):
            DevicePool(units(3), name)


def test_a_device_without_torch_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match="torch"):
        DevicePool(units(3), "cuda")


def test_neither_inference_mode_nor_another_default_shows(device: str) -> None:
    candidates, queries = units(300, seed=1), units(9, seed=2)
    expected = top_k(queries, candidates, 10)
    usual = torch.get_default_dtype()
    try:
        for default in (torch.float32, torch.float64, torch.bfloat16):
            torch.set_default_dtype(default)
            with torch.inference_mode():
                found = there(queries, candidates, 10, device)
            for one, wanted in zip(found, expected, strict=True):
                np.testing.assert_array_equal(one, wanted)
    finally:
        torch.set_default_dtype(usual)


def test_settings_of_the_caller_do_not_show_on_a_device() -> None:
    candidates, queries = units(9000, 64, seed=1, spread=0.03), units(30, 64, seed=2, spread=0.03)
    expected = top_k(queries, candidates, 10)[0]
    np.testing.assert_array_equal(there(queries, candidates, 10, "cpu:0")[0], expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        np.testing.assert_array_equal(there(queries, candidates, 10, "cpu:0")[0], expected)
        assert torch.is_autocast_enabled("cpu")
    matmul = getattr(torch.backends.mkldnn, "matmul", None)
    if hasattr(matmul, "fp32_precision"):
        usual = matmul.fp32_precision
        matmul.fp32_precision = "bf16"
        try:
            np.testing.assert_array_equal(there(queries, candidates, 10, "cpu:0")[0], expected)
            assert matmul.fp32_precision == "bf16"
        finally:
            matmul.fp32_precision = usual


@pytest.mark.parametrize("number", [1, 200])
def test_many_values_of_a_query_are_counted(number: int, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few by a pass for each, many by sorting; however few may wait to be settled."""
    monkeypatch.setattr("mrbench.search.gpu.counts.WAITING", 0)
    queries, candidates = units(5, seed=2), units(900, seed=1, distinct=300)
    weights = np.random.default_rng(0).integers(1, 5, 900)
    scores = exact_products(queries, candidates)
    values = np.sort(scores, axis=1)[:, :: 900 // number][:, :number]
    for counted in (None, weights):
        greater, equal = DevicePool(candidates, device, weights=counted).search(queries, 0, values)[2:]
        each = np.ones(900, dtype=np.int64) if counted is None else counted
        for query in range(5):
            for at, value in enumerate(values[query]):
                assert greater[query, at] == each[scores[query] > value].sum()
                assert equal[query, at] == each[scores[query] == value].sum()


def test_one_query_sends_no_more_than_a_table(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mrbench.search.gpu.candidates.TABLE", 1 << 16)
    monkeypatch.setattr("mrbench.search.gpu.candidates._free_memory", lambda *_: 0)
    there = DevicePool(units(9000, 64, seed=1), device)._there
    assert [len(part) for _, part in there.chunks(1)] == [1024] * 8 + [808]


def test_fewer_queries_are_asked_at_a_time_for_a_great_depth(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mrbench.search.gpu.candidates.TABLE", 1 << 24)
    pool = DevicePool(units(10), device)
    assert pool.block(5000, 1, 100) > 1000
    assert pool.block(5000, 1, 100_000) == (1 << 24) // (800_000 + 8192)
    assert pool.block(5000, 1, 10**9) == 1


def test_settings_are_given_back_after_the_last_of_overlapping_searches() -> None:
    matmul, usual = torch.backends.cuda.matmul, torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    before = matmul.fp32_precision
    assert before == "tf32"
    first, second = full_precision(torch), full_precision(torch)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    inside = matmul.fp32_precision  # the second still runs
    second.__exit__(None, None, None)
    after = matmul.fp32_precision
    torch.set_float32_matmul_precision(usual)
    assert inside == "ieee"
    assert after == before


def test_a_device_without_float64_is_named() -> None:
    with pytest.raises(InputError, match=r"no such device.*meta"):
        DevicePool(units(3), "meta")
