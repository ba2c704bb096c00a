"""The suite `scenes`, built small and read back."""

import math
from collections import Counter
from itertools import islice, pairwise

import pytest

from mrbench.benchmark import Benchmark
from mrbench.build.scenes import ScenesConfig, build_scenes
from mrbench.build.scenes.ladders import SplitScenes, combinations, grains_of, number_of_scenes
from mrbench.build.scenes.plan import SplitPlanner
from mrbench.build.scenes.vocabulary import ENTITIES, FRAMES, LANDMARKS, VALUES
from mrbench.build.splits import Shares
from mrbench.errors import InputError
from mrbench.records import TASKS, Variant, grain_values

SMALL = ScenesConfig(
    size=64,
    splits=("validation", "test"),
    validation_queries=4,
    validation_pool=80,
    test_queries=12,
    pool=220,
    random_negatives=3,
)


def degrained(benchmark: Benchmark, task: str) -> list[Variant]:
    return [variant for variant in benchmark.variants(task, "test") if variant.kind == "degrained"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("scenes") / "one"
    build_scenes(path, SMALL, workers=1)
    return path


@pytest.fixture(scope="module")
def benchmark(folder):
    return Benchmark(folder)


def pool_of(benchmark, modality, split="test"):
    return {candidate.id: candidate for candidate in benchmark.corpus(modality, split)}


def test_workers_do_not_change_a_byte(folder, tmp_path):
    one = Benchmark(folder).manifest
    two = build_scenes(tmp_path / "two", SMALL, workers=2)
    assert two.content_sha256 == one.content_sha256
    assert {name: entry.sha256 for name, entry in two.files.items()} == {n: e.sha256 for n, e in one.files.items()}


def test_another_seed_makes_another_benchmark():
    first, second = (SplitPlanner("test", SMALL, seed).plan().queries["t2i"] for seed in (0, 1))
    assert {query.id for query in first}.isdisjoint(query.id for query in second)


def test_sizes_are_as_asked(benchmark):
    counts = benchmark.manifest.counts
    assert counts["test"]["queries"] == dict.fromkeys(TASKS, 12)
    assert counts["validation"]["queries"] == dict.fromkeys(TASKS, 4)
    assert counts["test"]["corpus"] == {"image": 220, "text": 220}


@pytest.mark.parametrize("task", TASKS)
def test_ladder_has_one_candidate_for_each_grain_and_reaches_all_grains(benchmark, task):
    pool = pool_of(benchmark, TASKS[task].candidate_modality)
    queries = {query.id: query for query in benchmark.queries(task, "test")}
    judged = Counter()
    relevant = Counter()
    for row in benchmark.judgements(task, "test"):
        judged[row.query_id] += 1
        relevant[row.query_id] += row.relevance
    for ladder in benchmark.ladders(task, "test"):
        asked = grain_values(queries[ladder.query_id].grains)
        assert grain_values(pool[ladder.positive_id].grains) == asked
        same_types, off = Counter(), set()
        for key in ladder.candidate_ids:
            values = grain_values(pool[key].grains)
            changed = [kind for kind in asked if values.get(kind) != asked[kind]]
            if values.keys() == asked.keys():
                off.add(len(changed))
                if len(changed) == 1:
                    same_types[changed[0]] += 1
        assert same_types == dict.fromkeys(asked, 1)
        assert off == set(range(len(asked) + 1))
        assert len(ladder.candidate_ids) == 2 * len(asked) + SMALL.random_negatives
        assert judged[ladder.query_id] >= len(ladder.candidate_ids)
        assert 1 <= relevant[ladder.query_id] <= SMALL.max_positives
        if task != "t2i":
            assert relevant[ladder.query_id] == 1


def test_few_grains_are_asked_in_words_only(benchmark):
    least = {task: min(len(q.grains) for q in benchmark.queries(task, "test")) for task in TASKS}
    assert least["t2i"] < 4
    assert min(least[task] for task in ("i2t", "i2i", "it2i")) >= 4


@pytest.mark.parametrize("task", ["t2i", "it2i"])
def test_spans_are_inside_the_text_and_apart(benchmark, task):
    for query in benchmark.queries(task, "test"):
        spans = sorted((g.start, g.end) for g in query.grains if g.start is not None)
        assert spans
        assert all(0 <= start < end < len(query.text) for start, end in spans)
        assert all(before[1] <= after[0] for before, after in pairwise(spans))
        if task == "t2i":
            assert len(spans) == len(query.grains)


def test_composed_queries_change_one_or_two_grains_and_say_just_these(benchmark):
    pool = {tuple(sorted(grain_values(c.grains).items())) for c in pool_of(benchmark, "image").values()}
    numbers = Counter()
    for query in benchmark.queries("it2i", "test"):
        shown, asked = grain_values(query.image_grains), grain_values(query.grains)
        changed = {kind for kind in asked if shown[kind] != asked[kind]}
        assert shown.keys() == asked.keys()
        assert changed == {grain.type for grain in query.grains if grain.start is not None}
        assert tuple(sorted(shown.items())) in pool, "the scene of the query's picture is no hard negative"
        numbers[len(changed)] += 1
    assert set(numbers) == {1, 2}


def test_changed_grain_types_are_balanced():
    plan = SplitPlanner("test", ScenesConfig(test_queries=60), 0).plan()
    changed = Counter(g.type for q in plan.queries["it2i"] for g in q.grains if g.start is not None)
    assert len(changed) == 6
    assert max(changed.values()) - min(changed.values()) <= 4


def test_queries_without_a_grain(benchmark):
    queries = {q.id: q for task in ("t2i", "i2i", "it2i") for q in benchmark.queries(task, "test")}
    for record in degrained(benchmark, "t2i"):
        assert record.text != queries[record.query_id].text
    kinds = Counter(record.grain for record in degrained(benchmark, "i2i"))
    assert set(kinds) == {"background", "size"}
    for record in degrained(benchmark, "i2i"):
        assert record.image.sha256 != queries[record.query_id].image.sha256
    for record in degrained(benchmark, "it2i"):
        query = queries[record.query_id]
        stated = {g.type for g in query.grains if g.start is not None}
        assert (record.text != query.text) == (record.grain in stated)
        assert (record.image.sha256 == query.image.sha256) == (record.grain in stated)


def test_no_query_text_and_no_query_picture_is_in_the_corpus(benchmark):
    texts = {c.text for c in pool_of(benchmark, "text").values()}
    pictures = {c.image.sha256 for c in pool_of(benchmark, "image").values()}
    assert len(texts) == len(pictures) == 220
    for task in TASKS:
        for query in benchmark.queries(task, "test"):
            assert query.text not in texts
            assert query.image is None or query.image.sha256 not in pictures


def test_everything_belongs_to_its_split(benchmark):
    for split in SMALL.splits:
        for modality in ("image", "text"):
            for candidate in pool_of(benchmark, modality, split).values():
                assert SMALL.shares.split_of(candidate.grains) == split


@pytest.mark.parametrize("modality", ["image", "text"])
def test_fill_is_a_stream_without_repeats(modality):
    fill = SplitPlanner("test", SMALL, 0).plan().fill[modality]
    seen = [tuple((g.type, g.value) for g in candidate.grains) for candidate in islice(fill, 5000)]
    assert len(set(seen)) == 5000
    assert sum(len(grains) >= 5 for grains in seen) > 3500


def test_no_query_gets_too_many_relevant_candidates():
    config = ScenesConfig(test_queries=60, max_positives=4, pool=6000)
    plan = SplitPlanner("test", config, 0).plan()
    asked = [grain_values(query.grains).items() for query in plan.queries["t2i"][:60]]
    assert min(map(len, asked)) == 2
    members = {c.id: c for task in ("t2i", "i2i", "it2i") for query in plan.queries[task] for c in query.ladder}
    pool = members | {candidate.id: candidate for candidate in islice(plan.fill["image"], 6000)}
    shown = [grain_values(candidate.grains).items() for candidate in pool.values()]
    relevant = [sum(query <= candidate for candidate in shown) for query in asked]
    assert max(relevant) == 4
    assert min(relevant) >= 1


def test_queries_and_candidates_are_drawn_by_different_artists():
    plan = SplitPlanner("test", SMALL, 0).plan()
    for task in ("i2t", "i2i", "it2i"):
        for query in plan.queries[task]:
            assert {query.picture.artist, *(d.picture.artist for d in query.variants if d.kind == "degrained")} == {
                "openmoji"
            }
    assert {c.picture.artist for query in plan.queries["i2i"] for c in query.ladder} == {"twemoji"}


def test_combinations_are_all_there_once():
    frame = ("count", "size", "entity")
    scenes = [tuple(scene.values()) for scene in combinations(frame, "key")]
    assert len(scenes) == len(set(scenes)) == math.prod(len(VALUES[kind]) for kind in frame)
    assert scenes != [tuple(scene.values()) for scene in combinations(frame, "other")]


def test_a_stream_ends_when_its_scenes_are_used_up():
    shares = Shares(0.5, 0.2, 0.3)
    frame = ("count", "entity")
    scenes = list(SplitScenes("test", shares, 0).stream("x", {frame: 1.0}))
    expected = [s for s in combinations(frame, "y") if shares.split_of(grains_of(s)) == "test"]
    assert sorted(map(str, scenes)) == sorted(map(str, expected))


def test_vocabulary_suffices_for_a_million_candidates():
    assert number_of_scenes() * 0.3 > 1_500_000
    assert number_of_scenes() == sum(math.prod(len(VALUES[kind]) for kind in frame) for frame in FRAMES)
    assert ENTITIES.keys().isdisjoint(LANDMARKS)
    emoji = [noun.emoji for noun in (*ENTITIES.values(), *LANDMARKS.values())]
    assert len(emoji) == len(set(emoji))


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"size": 32}, "size"),
        ({"size": 224.0}, "size"),
        ({"test_queries": 0}, "test_queries"),
        ({"pool": 3_000_000}, "pool"),
        ({"splits": ()}, "splits"),
        ({"splits": ("test", "dev")}, "splits"),
        ({"splits": ("test", "test")}, "splits"),
        ({"train_share": 0.9}, "shares"),
        ({"train_share": 0.8, "test_share": 0.0}, "test_share"),
        ({"max_positives": 0}, "max_positives"),
        ({"random_negatives": True}, "random_negatives"),
    ],
)
def test_malformed_configuration(wrong, word):
    with pytest.raises(InputError, match=word):
        ScenesConfig(**wrong)


def test_workers_have_to_be_positive(tmp_path):
    with pytest.raises(InputError, match="workers"):
        build_scenes(tmp_path / "x", SMALL, workers=0)
    assert not (tmp_path / "x").exists()
