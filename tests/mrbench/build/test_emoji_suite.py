"""The emoji suite as it is built: ladders, spans, splits, pictures, and the same bytes every time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import ImageChops

from mrbench.benchmark import Benchmark, decode, pixel_sha256
from mrbench.build import art
from mrbench.build.emoji import EmojiConfig, build_emoji
from mrbench.build.emoji.grains import TYPES, people
from mrbench.build.emoji.looks import lookalikes
from mrbench.build.emoji.plan import Planner
from mrbench.build.emoji.world import draw, make_world
from mrbench.errors import InputError, OutputError
from mrbench.records import TASKS, Candidate, Variant, grain_values, judge

CONFIG = EmojiConfig(size=48, test_queries=12, splits=("test",), pool=500)


def degrained(benchmark: Benchmark, task: str) -> list[Variant]:
    return [variant for variant in benchmark.variants(task, "test") if variant.kind == "degrained"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    folder = tmp_path_factory.mktemp("emoji") / "suite"
    build_emoji(folder, CONFIG, workers=1)
    return Benchmark(folder)


def corpus(benchmark: Benchmark, task: str) -> dict[str, Candidate]:
    return {c.id: c for c in benchmark.corpus(TASKS[task].candidate_modality, "test")}


@pytest.mark.slow
def test_other_workers_and_hash_seeds_give_the_same_digest(built: Benchmark, tmp_path: Path) -> None:
    script = tmp_path / "build.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\n"
        "from mrbench.build.emoji import EmojiConfig, build_emoji\n"
        "if __name__ == '__main__':\n"
        "    config = EmojiConfig(size=48, test_queries=12, splits=('test',), pool=500)\n"
        "    print(build_emoji(Path(sys.argv[1]), config, workers=2).content_sha256)\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "1234"}
    command = [sys.executable, str(script), str(tmp_path / "suite")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == built.digest
    assert (built.folder / "manifest.json").read_bytes() == (tmp_path / "suite" / "manifest.json").read_bytes()


@pytest.mark.parametrize("task", TASKS)
def test_ladders_hold_every_grade(built: Benchmark, task: str) -> None:
    queries = {query.id: query for query in built.queries(task, "test")}
    candidates = corpus(built, task)
    assert len(queries) == CONFIG.test_queries
    for ladder in built.ladders(task, "test"):
        query = queries[ladder.query_id]
        positive = grain_values(candidates[ladder.positive_id].grains)
        assert positive == grain_values(query.grains)
        members = [grain_values(candidates[c].grains) for c in ladder.candidate_ids if c != ladder.positive_id]
        same = [m for m in members if set(m) == set(positive)]
        off = Counter(tuple(kind for kind in sorted(m) if m[kind] != positive[kind]) for m in same)
        assert all(off[(kind,)] == 1 for kind in positive)
        assert any(len(kinds) == 2 for kinds in off)
        grades = [judge(query, candidates[c]).grade for c in ladder.candidate_ids]
        assert sorted(grades)[-1] == len(positive)
        assert grades.count(len(positive)) == 1
        assert grades.count(len(positive) - 1) == len(positive)


@pytest.mark.parametrize("task", ["i2t", "i2i", "it2i"])
def test_a_picture_asks_for_all_that_it_shows(built: Benchmark, task: str) -> None:
    for query in built.queries(task, "test"):
        kept = [c for c in corpus(built, task).values() if judge(query, c).relevance]
        assert kept
        assert all(grain_values(c.grains) == grain_values(query.grains) for c in kept)


def test_texts_have_few_answers_and_spans(built: Benchmark) -> None:
    relevant = Counter(j.query_id for j in built.judgements("t2i", "test") if j.relevance)
    for query in built.queries("t2i", "test"):
        assert query.text is not None
        assert 1 <= relevant[query.id] <= CONFIG.max_positives
        assert len(query.grains) >= 2
        for grain in query.grains:
            if "skin" in grain.type:
                assert query.text[grain.start : grain.end] == f"{grain.value} skin"


def test_composed_queries_state_only_what_changes(built: Benchmark) -> None:
    changed: Counter[str] = Counter()
    for query in built.queries("it2i", "test"):
        shown, asked = grain_values(query.image_grains), grain_values(query.grains)
        stated = {grain.type for grain in query.grains if grain.start is not None}
        assert list(shown) == list(asked)
        assert stated == {kind for kind in asked if asked[kind] != shown[kind]}
        assert len(stated) in (1, 2)
        changed.update(stated)
    assert set(changed) == set(TYPES)
    assert max(changed.values()) <= 3 * min(changed.values())


def test_no_query_stands_in_a_corpus(built: Benchmark) -> None:
    texts = {c.text for c in built.corpus("text", "test")}
    pictures = {c.image.sha256 for c in built.corpus("image", "test") if c.image}
    assert len(pictures) == len(built.corpus("image", "test")) == CONFIG.pool
    for task in TASKS:
        for query in built.queries(task, "test"):
            assert query.text not in texts
            assert query.image is None or query.image.sha256 not in pictures


def test_pictures_of_queries_are_told_apart_from_all_others(built: Benchmark) -> None:
    grains_of: dict[str, set[tuple[tuple[str, str], ...]]] = {}
    margin = CONFIG.size // 14
    for item in people():
        drawn = art.on_white(art.render("openmoji", item.emoji, CONFIG.size - 2 * margin), CONFIG.size, margin)
        grains_of.setdefault(pixel_sha256(drawn), set()).add(item.key)
    assert any(len(keys) > 1 for keys in grains_of.values())
    for task in ("i2t", "i2i", "it2i"):
        for query in built.queries(task, "test"):
            assert query.image is not None
            assert grains_of[query.image.sha256] == {tuple((g.type, g.value) for g in query.image_grains)}


def test_look_alikes_are_found_and_differences_are_not() -> None:
    items = {item.key: item for item in people()}
    couple = (("role", "holding hands"), ("gender", "two men"))
    neutral = (("role", "holding hands"),)
    waving, fist = (("role", "waving hand"),), (("role", "raised fist"),)
    group = [items[couple], items[neutral], items[waving], items[fist]]
    assert lookalikes("openmoji", group) == {0, 1}
    assert lookalikes("twemoji", group) == frozenset()
    assert lookalikes("twemoji", []) == frozenset()


def test_queries_without_a_grain_show_neutral_art(built: Benchmark) -> None:
    queries = {query.id: query for query in built.queries("i2i", "test")}
    records = list(degrained(built, "i2i"))
    assert {record.grain for record in records} == {"gender", "skin tone"}
    for record in records:
        query = queries[record.query_id]
        assert query.image is not None
        assert record.image is not None
        before, after = decode(query.image, where=query.id), decode(record.image, where=query.id)
        assert ImageChops.difference(before, after).getbbox() is not None
        if record.grain == "skin tone":
            assert np.asarray(after.convert("HSV"))[..., 1].mean() > np.asarray(before.convert("HSV"))[..., 1].mean()
    for query in built.queries("t2i", "test"):
        texts = {d.grain: d.text for d in degrained(built, "t2i") if d.query_id == query.id}
        assert set(texts) == {grain.type for grain in query.grains}
        assert all(text and text != query.text for text in texts.values())


@pytest.mark.slow
def test_no_combination_is_in_two_splits() -> None:
    world = make_world(distractors=True)
    parts = [world.part(split, CONFIG.shares) for split in ("train", "validation", "test")]
    assert sum(len(part.described) for part in parts) == len(world.described)
    assert not set(parts[0].drawn) & set(parts[2].described)


@pytest.mark.slow
def test_planned_queries_are_balanced_and_have_few_answers() -> None:
    config = EmojiConfig(test_queries=60)
    world = make_world(distractors=True)
    plan = Planner(world, world.part("test", config.shares), config, "test", 0).plan(60)
    count = Counter(grain.type for query in plan.queries["t2i"][:60] for grain in query.grains)
    assert min(count[kind] for kind in TYPES) >= 10
    everything = [{(g.type, g.value) for g in candidate.grains} for candidate in plan.fill["image"]]
    for task, limit in (("t2i", config.max_positives), ("i2i", 1), ("it2i", 1)):
        for query in plan.queries[task]:
            asked = {(g.type, g.value) for g in query.grains}
            assert 1 <= sum(asked <= shown for shown in everything) <= limit
    drawing = plan.queries["i2i"][0].picture
    assert draw(drawing).size == (224, 224)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(InputError, match=r"size=8 .*test_queries=0 .*splits=\('dev',\)"):
        EmojiConfig(size=8, test_queries=0, splits=("dev",))
    with pytest.raises(InputError, match="shares"):
        EmojiConfig(train=0.5)
    with pytest.raises(InputError, match="pool=True"):
        EmojiConfig(pool=True)


def test_a_benchmark_is_not_replaced_unasked(built: Benchmark) -> None:
    with pytest.raises(OutputError, match="--overwrite"):
        build_emoji(built.folder, CONFIG)
    assert built.manifest.builder["measured"]["distractors"] > 400
    card = (built.folder / "README.md").read_text()
    assert "Gender and skin tone" in card
    assert "{" not in card.split("## Contents")[0].split("---")[2]
