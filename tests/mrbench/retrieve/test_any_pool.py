"""The run of any pool against a sort of exact scores; the search is cut so small inside that each path is taken."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mrbench.encode.source import TaskEmbeddings
from mrbench.pools.judgements import FromGrains
from mrbench.pools.pool import Pairs, TaskPool, Variants
from mrbench.records import TASKS
from mrbench.retrieve.search_tasks import search_task
from mrbench.search.gpu import DevicePool

SMALL = {
    "counts.CHUNK": 16,
    "counts._PAIRS": 20,
    "best.SAMPLE": 4,
    "best._DEEP": 20,
    "best.SLACK": 0,
    "best._TABLE": 3,
    "best._PARTS": 2,
    "exact.TILE": 3,
    "exact.ROWS": 5,
    "exact._ROUNDED": 9,
    "sampled.RANGE": 8,
    "moments.ROWS": 16,
    "distinct.ROWS": 7,
    "gpu.pool.QUERIES": 4,
    "gpu.candidates.TABLE": 50,
    "gpu.candidates.LEAST": 1,
    "gpu.best.HELD": 8,
    "gpu.candidates.PAIRS": 60,
    "gpu.counts.WAITING": 30,
    "gpu.candidates.UPLOAD": 100,
    "gpu.candidates.FETCH": 20,
    "gpu.tables.WORDS": 2,
    "gpu.pool.MOMENTS": 200,
}
DEVICES = ["cpu", "cpu:0", "cpu:0, sent by chunks"]
if torch.cuda.is_available():
    DEVICES += ["cuda", "cuda, sent by chunks"]


def vectors(kind: str, rows: int, length: int, rng: np.random.Generator) -> np.ndarray:
    drawn = rng.standard_normal((rows, length))
    if kind == "near":
        drawn = rng.standard_normal(length) + drawn * 2e-6
    elif kind == "coarse":  # ties among different vectors, and scores of 0
        drawn = rng.integers(-1, 2, (rows, length)).astype(float)
        drawn[~drawn.any(axis=1), 0] = 1
    elif kind == "copies":
        drawn = drawn[rng.integers(max(1, rows // 6), size=rows)]
    elif kind == "one":
        drawn[:] = drawn[0]
    elif kind == "mixed":
        drawn[::3] = drawn[0]
        drawn[1::3] = drawn[-1] + drawn[1::3] * 2e-6
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def any_pool(queries: int, number: int, variants: int, rng: np.random.Generator) -> TaskPool:
    modality = rng.integers(2, size=number)
    grains = rng.integers(-1, 3, (3, number)).astype(np.int32)
    positives = rng.integers(number, size=queries)
    modality[positives] = 0
    grains[:, positives] = np.maximum(grains[:, positives], 0)
    grains[:, modality == 1] = -1
    asked = grains[:, positives].T.copy()
    asked[rng.random(asked.shape) < 0.3] = -1
    asked[:, 0] = grains[0, positives]
    ladders = [np.unique(np.append(rng.integers(number, size=rng.integers(4)), own)) for own in positives]
    words = np.array(["flipped"] * variants)
    types = ("action", "attribute", "entity")
    names = np.array([f"q{n:03}" for n in range(queries)])
    return TaskPool(
        definition=TASKS["t2i"],
        corpora=("image", "text"),
        query_ids=names,
        query_grains=asked,
        candidate_ids=np.array([f"c{n:05}" for n in range(number)]),
        row=rng.permutation(number) if rng.random() < 0.7 else np.arange(number),
        corpus=modality,
        right_modality=np.array([True, False]),
        grain_types=types,
        judgements=FromGrains(asked, grains, names, types),
        positives=positives,
        ladder=Pairs(
            np.repeat(np.arange(queries), list(map(len, ladders))),
            np.concatenate([rng.permutation(rest) for rest in ladders]),
        ),
        variants=Variants(
            rng.integers(queries, size=variants), words, words, np.arange(variants),
            rng.integers(number, size=variants), np.arange(variants),
        ),
        clusters=np.array([f"q{n:03}" for n in range(queries)]),
    )  # fmt: skip


def number_of_grains(pool: TaskPool, query: int) -> int:
    return int((pool.query_grains[query] >= 0).sum())


def exact(query: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    sums = [math.fsum(row) for row in (query.astype(float) * candidates.astype(float)).tolist()]
    return np.array(sums).astype(np.float32) + np.float32(0)


def cut_small(device: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make tables and blocks so small that each path is taken, and choose which."""
    for name, value in SMALL.items():
        monkeypatch.setattr(f"mrbench.search.{name}", value)
    monkeypatch.setattr("mrbench.search.cpu_pool.CHUNK", 16)
    monkeypatch.setattr("mrbench.search.counts._DENSE", int(rng.choice([0, 1, 32])))
    monkeypatch.setattr("mrbench.search.counts._MANY", int(rng.choice([1, 64])))
    dense = int(rng.choice([1, 32, 10**6]))
    for module in ("candidates", "counts"):
        monkeypatch.setattr(f"mrbench.search.gpu.{module}.DENSE", dense)
    monkeypatch.setattr("mrbench.search.sampled._LEAST", int(rng.choice([0, 10**6])))
    monkeypatch.setattr("mrbench.search.sampled._DENSE", int(rng.choice([1, 8])))
    monkeypatch.setattr("mrbench.search.gpu.counts.MANY", int(rng.choice([1, 64])))
    if "chunks" in device:
        monkeypatch.setattr("mrbench.search.gpu.candidates._free_memory", lambda *_: 0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["spread", "near", "coarse", "copies", "one", "mixed"])
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("device", DEVICES)
def test_every_table_is_that_of_a_sort(kind: str, seed: int, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(seed)
    cut_small(device, rng, monkeypatch)
    number, length = int(rng.choice([1, 9, 11, 60, 150])), int(rng.choice([2, 5, 24]))
    pool = any_pool(7, number, 4, rng)
    candidates = vectors(kind, number, length, rng)
    if seed == 3 and number > 40:  # what a guess looks at first is all as good as it gets
        candidates[:: SMALL["best.SAMPLE"]] = candidates[0]
    asked = TaskEmbeddings(
        candidates,
        vectors("coarse" if kind == "coarse" else "spread", 7, length, rng),
        vectors("spread", 4, length, rng),
        {"image": vectors("spread", 7, length, rng)},
    )
    depth = int(rng.choice([1, 5, 10, 12, 40]))
    threads, block = 1 + seed % 3, [None, 1, 3][seed % 3]
    run = search_task(asked, pool, depth=depth, threads=threads, block=block, device=device.split(",")[0])
    row = candidates[pool.row]
    position = {name: at for at, name in enumerate(pool.candidate_ids.tolist())}

    def place(score: np.ndarray, query: int) -> tuple[float, int, int]:
        rest = np.ones(number, dtype=bool)
        rest[np.flatnonzero(pool.judgements.grades(query) == number_of_grains(pool, query))] = False
        own = score[pool.positives[query]]
        return float(own), int((score[rest] > own).sum()), int((score[rest] == own).sum())

    for query, name in enumerate(pool.query_ids.tolist()):
        score, grades = exact(asked.queries[query], row), pool.judgements.grades(query)
        order = np.lexsort((np.arange(number), -score))
        tables = {
            t: [r for r in getattr(run, t).to_pylist() if r["query-id"] == name]
            for t in ("top", "ladder", "relevant", "gains", "first", "queries")
        }
        best = order[:depth]
        assert [position[r["corpus-id"]] for r in tables["top"]] == best.tolist()
        assert [r["score"] for r in tables["top"]] == score[best].tolist()
        for table, wanted in (
            ("ladder", pool.ladder.position[pool.ladder.query == query]),
            ("relevant", np.flatnonzero(grades == number_of_grains(pool, query))),
        ):
            assert [position[r["corpus-id"]] for r in tables[table]] == wanted.tolist()
            for r, at in zip(tables[table], wanted, strict=True):
                expected = score[at], (score > score[at]).sum(), (score == score[at]).sum()
                assert (r["score"], r["greater"], r["equal"]) == expected
        tied = [np.flatnonzero(score == value) for value in score[order[:10]]]  # of each of the ten places
        assert [(r["score"], r["greater"], r["equal"], r["gain"]) for r in tables["gains"]] == [
            (value, (score > value).sum(), (score == value).sum(), grades[score == value].sum())
            for value in np.unique(score[order[:10]])
        ]
        (own,) = tables["queries"]
        assert (own["score"], own["above"], own["tied"]) == place(score, query)
        assert own["wrong"] == pytest.approx(np.mean([(pool.corpus[group] != 0).mean() for group in tied]))
        assert own["mean"] == pytest.approx(float(score.astype(float).mean()), abs=1e-6)
        assert own["deviation"] == pytest.approx(float(score.astype(float).std()), abs=1e-6)
        if len(np.unique(score)) == 1:
            assert (own["mean"], own["deviation"]) == (score[0], 0)
        kinds = np.flatnonzero(pool.query_grains[query] >= 0)
        assert [r["grain"] for r in tables["first"]] == [pool.grain_types[kind] for kind in kinds]
        for r, kind in zip(tables["first"], kinds, strict=True):
            keeps = pool.candidate_grains[kind] == pool.query_grains[query, kind]
            assert r["kept"] == pytest.approx(np.mean([keeps[group].mean() for group in tied]))
            assert r["lost"] == pytest.approx(1 - keeps[tied[0]].mean())
    for vector, of, target, r in zip(
        asked.variants, pool.variants.query, pool.variants.target, run.variants.to_pylist(), strict=True
    ):
        score = exact(vector, row)
        assert (r["score"], r["above"], r["tied"]) == place(score, int(of))
        assert r["target"] == score[target]
    for query, r in enumerate(run.parts.to_pylist()):
        assert (r["score"], r["above"], r["tied"]) == place(exact(asked.parts["image"][query], row), query)


@pytest.mark.parametrize("seed", range(20))
def test_relevant_is_what_keeps_all_grains(seed: int) -> None:
    pool = any_pool(9, 80, 0, np.random.default_rng(seed))
    query, position = pool.relevant
    found = [position[query == number].tolist() for number in range(9)]
    assert found == [np.flatnonzero(pool.judgements.grades(n) == number_of_grains(pool, n)).tolist() for n in range(9)]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("cut", [{}, {"_DENSE": 1}, {"_DENSE": 1, "_LARGEST": 20}, {"_MANY": 1}])
def test_grades_are_counted_as_one_by_one(seed: int, cut: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in cut.items():
        monkeypatch.setattr(f"mrbench.pools.grades.{name}", value)
    pool = any_pool(9, 80, 0, np.random.default_rng(seed))
    kinds = len(pool.grain_types)
    expected = [np.bincount(pool.judgements.grades(query), minlength=kinds + 1).tolist() for query in range(9)]
    assert pool.judgements.gain_counts.tolist() == expected


@pytest.mark.parametrize("number", range(7, 40, 4))
def test_one_score_for_all_has_no_deviation(number: int) -> None:
    """Different vectors, of which a query sees one component, which sums of so many do not give back exactly."""
    pool = any_pool(7, number, 0, np.random.default_rng(0))
    angles = np.arange(number)
    circle = np.stack([0.8 * np.cos(angles), 0.8 * np.sin(angles)])
    candidates = np.stack([np.full(number, 0.6), *circle], axis=1).astype(np.float32)
    queries = np.zeros((7, 3), dtype=np.float32)
    queries[:, 0] = 1
    run = search_task(TaskEmbeddings(candidates, queries, queries[:0]), pool)
    assert set(run.queries["mean"].to_pylist()) == {float(np.float32(0.6))}
    assert set(run.queries["deviation"].to_pylist()) == {0.0}


@pytest.mark.parametrize("where", ["__init__", "search", "pair_scores", "moments"])
def test_a_device_without_memory_leaves_the_search_to_the_processor(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    pool = any_pool(7, 60, 4, rng)
    candidates, queries = vectors("spread", 60, 5, rng), vectors("spread", 7, 5, rng)
    asked = TaskEmbeddings(candidates, queries, vectors("spread", 4, 5, rng))
    expected = search_task(asked, pool)

    def fails(said: str):
        def work(*_, **__):
            raise RuntimeError(said)

        return work

    monkeypatch.setattr(DevicePool, where, fails("CUDA out of memory"))
    found = search_task(asked, pool, device="cpu:0")
    assert all(getattr(found, name).equals(getattr(expected, name)) for name in ("top", "ladder", "relevant", "gains"))
    monkeypatch.setattr(DevicePool, where, fails("something else"))
    with pytest.raises(RuntimeError, match="something else"):
        search_task(asked, pool, device="cpu:0")
