"""A pool on a device of torch has the scores and the best of the processor: on torch's CPU device, and on a GPU."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from any_vectors import CASES, units

from mrbench.errors import InputError
from mrbench.search import device as device_module
from mrbench.search.device import DevicePool
from mrbench.search.exact import exact_products
from mrbench.search.topk import top_k

DEVICES = ["cpu:0", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("depth", [1, 10, 150])
@pytest.mark.parametrize("how", ["", "sent by chunks", "in bfloat16", "in bfloat16, whatever it costs"])
def test_a_device_of_torch_gives_the_same_answer(
    case: str, depth: int, how: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidates, queries = CASES[case](), units(9, seed=2, spread=1e-6 if "closer" in case else 1.0)
    expected = top_k(queries, candidates, depth)
    sizes = {"QUERIES": 4, "TABLE": 400, "HELD": 20, "UPLOAD": 1000, "WORDS": 2, "SAMPLE": 4}
    for name, value in sizes.items():
        monkeypatch.setattr(device_module, name, value)
    monkeypatch.setattr(device_module, "_multiplies_bfloat16", lambda *_: "bfloat16" in how)
    monkeypatch.setattr(device_module, "COST", 0 if "whatever" in how else 16)
    if "chunks" in how:
        monkeypatch.setattr(device_module, "_free_memory", lambda *_: 0)
    for found, wanted in zip(top_k(queries, candidates, depth, device=device), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_a_wrong_guess_is_found_out(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    candidates, queries = units(3000, seed=1), units(3, seed=2)
    candidates[:: device_module.SAMPLE] = queries[0]  # what a guess looks at is all as good as it gets
    for bfloat16 in (False, True):
        monkeypatch.setattr(device_module, "_multiplies_bfloat16", lambda *_, said=bfloat16: said)
        for found, wanted in zip(
            top_k(queries, candidates, 200, device=device), top_k(queries, candidates, 200), strict=True
        ):
            np.testing.assert_array_equal(found, wanted)


# Exactly between 0.5 and its successor, and more than half of the last bit of a float64, by more or less.
HARD = np.float32([[0.5, 2**-25, 2**-54, 2**-54, 0, 0], [0.5, 2**-25, 2**-54, 2**-42, 2**-96, -(2**-42)]])


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("dense", [0, 10**6])
def test_sums_that_could_round_otherwise_are_exact(
    there: bool, dense: int, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_module, "DENSE", dense)
    if not there:
        monkeypatch.setattr(device_module, "_free_memory", lambda *_: 0)
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
    mean, deviation = DevicePool(candidates, device, weights=weights).spread(queries)
    scores = np.repeat(queries.astype(float) @ candidates.astype(float).T, 1 if weights is None else weights, axis=1)
    np.testing.assert_allclose(mean, scores.mean(axis=1), atol=1e-8)
    np.testing.assert_allclose(deviation, scores.std(axis=1), atol=1e-8)


def test_an_unknown_device_is_named() -> None:
    for name in ("abacus", "cuda:77"):
        with pytest.raises(InputError, match="no such device.*" + name):
            top_k(units(3), units(3), 2, device=name)


def test_settings_of_the_caller_do_not_show_on_a_device() -> None:
    candidates, queries = units(9000, 64, seed=1, spread=0.03), units(30, 64, seed=2, spread=0.03)
    expected = top_k(queries, candidates, 10)[0]
    np.testing.assert_array_equal(top_k(queries, candidates, 10, device="cpu:0")[0], expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        np.testing.assert_array_equal(top_k(queries, candidates, 10, device="cpu:0")[0], expected)
        assert torch.is_autocast_enabled("cpu")
    matmul = getattr(torch.backends.mkldnn, "matmul", None)
    if hasattr(matmul, "fp32_precision"):
        usual = matmul.fp32_precision
        matmul.fp32_precision = "bf16"
        try:
            np.testing.assert_array_equal(top_k(queries, candidates, 10, device="cpu:0")[0], expected)
            assert matmul.fp32_precision == "bf16"
        finally:
            matmul.fp32_precision = usual
