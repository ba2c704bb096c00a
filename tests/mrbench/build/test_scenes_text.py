"""Texts of scenes: spans, both orders of mention, and what is left without a grain."""

import random

import pytest

from mrbench.build.scenes.text import (
    CANDIDATE_PHRASINGS,
    QUERY_PHRASINGS,
    candidate_text,
    change_text,
    query_text,
)
from mrbench.build.scenes.vocabulary import BACKGROUNDS, ENTITIES, FRAMES, INVERSE, LANDMARKS, VALUES

SCENE = {
    "count": "three",
    "size": "small",
    "entity": "mouse",
    "relation": "left of",
    "second entity": "castle",
    "background": "night",
}


def some_scenes(number, seed=0):
    rng = random.Random(seed)
    return [{kind: rng.choice(VALUES[kind]) for kind in rng.choice(FRAMES)} for _ in range(number)]


def said(text, grains):
    return {grain.type: text[grain.start : grain.end] for grain in grains}


@pytest.mark.parametrize("half", [query_text, candidate_text])
def test_spans_quote_the_words_of_each_grain(half):
    for scene in some_scenes(300):
        for phrasing in range(QUERY_PHRASINGS):
            text, grains = half(scene, phrasing)
            words = {kind: words.lower() for kind, words in said(text, grains).items()}
            noun = ENTITIES[scene["entity"]]
            assert {g.type: g.value for g in grains} == scene
            assert words["entity"] == (noun.name if scene["count"] == "one" else noun.plural)
            assert words["count"] in (("a", "an") if scene["count"] == "one" else (scene["count"],))
            if "second entity" in scene:
                assert words["second entity"] == LANDMARKS[scene["second entity"]].name.lower()
                side = {"left of": ("left", "right"), "above": ("above", "below")}
                relation = scene["relation"]
                pair = side.get(relation) or side[INVERSE[relation]][::-1]
                focus_first = grains_start(grains, "entity") < grains_start(grains, "second entity")
                named_from_focus = pair[0] in words["relation"].split()
                assert named_from_focus != (pair[1] in words["relation"].split())
                assert named_from_focus or not focus_first or half is candidate_text
            if "background" in scene:
                assert words["background"] == BACKGROUNDS[scene["background"]][half is candidate_text]
            if "size" in scene:
                assert words["size"] in {"small": ("small", "little"), "large": ("large", "big")}[scene["size"]]


def grains_start(grains, kind):
    return next(grain.start for grain in grains if grain.type == kind)


def test_both_orders_say_the_same():
    assert query_text(SCENE, 0)[0] == "Three small mice to the left of a castle, at night."
    assert query_text(SCENE, 1)[0] == "A castle to the right of three small mice, at night."
    for half in (query_text, candidate_text):
        orders = {
            grains_start(half(SCENE, p)[1], "entity") < grains_start(half(SCENE, p)[1], "second entity")
            for p in range(QUERY_PHRASINGS)
        }
        assert orders == {True, False}


@pytest.mark.parametrize(
    ("relation", "of_focus", "of_landmark"),
    [
        ("left of", ("on the left of", "on its left"), ("on the right of", "on their right")),
        ("right of", ("on the right of", "on its right"), ("on the left of", "on their left")),
        ("above", ("above", "above it"), ("below", "below them")),
        ("below", ("below", "below it"), ("above", "above them")),
    ],
)
def test_candidates_say_where_the_focus_or_where_the_landmark_is(relation, of_focus, of_landmark):
    scene = SCENE | {"relation": relation}
    words = [said(*candidate_text(scene, phrasing))["relation"] for phrasing in range(CANDIDATE_PHRASINGS)]
    assert words == [of_focus[0], of_landmark[0], of_landmark[1], of_focus[1], of_landmark[1], of_focus[1]]


def test_halves_share_no_text():
    for scene in some_scenes(300, seed=1):
        queries = {query_text(scene, p)[0] for p in range(QUERY_PHRASINGS)}
        candidates = {candidate_text(scene, p)[0] for p in range(CANDIDATE_PHRASINGS)}
        assert len(queries) >= 3
        assert len(candidates) >= 3
        assert queries.isdisjoint(candidates)


def test_one_text_has_one_meaning():
    meanings = {}
    for scene in some_scenes(3000, seed=2):
        for text in (query_text(scene, 1)[0], candidate_text(scene, 3)[0]):
            assert meanings.setdefault(text, scene) == scene


def test_text_without_a_grain_does_not_depend_on_its_value():
    """What is dropped leaves no trace, but for the number of a nameless thing, which is another grain."""
    for scene in some_scenes(200, seed=3):
        for kind in scene:
            if kind == "relation":
                continue
            for phrasing in range(QUERY_PHRASINGS):
                texts = {query_text(scene | {kind: value}, phrasing, kind)[0] for value in VALUES[kind]}
                assert len(texts) == 1, texts


def test_text_without_the_relation():
    assert query_text(SCENE, 0, "relation")[0] == "Three small mice and a castle, at night."
    assert query_text(SCENE, 1, "relation")[0] == "A castle and three small mice, at night."


def test_articles():
    texts = {name: query_text({"count": "one", "entity": name}, 0)[0] for name in ENTITIES}
    assert texts["elephant"] == "An elephant."
    assert texts["bunch of grapes"] == "A bunch of grapes."
    assert query_text({"count": "one", "size": "large", "entity": "owl"}, 0)[0] == "A large owl."


def test_change_states_new_values_only_and_spans_quote_them():
    for target in some_scenes(400, seed=4):
        rng = random.Random(str(target))
        stated = tuple(rng.sample(list(target), rng.choice((1, 2))))
        reference = target | {kind: rng.choice([v for v in VALUES[kind] if v != target[kind]]) for kind in stated}
        text, grains = change_text(target, reference, stated, random.Random(1))
        words = said(text, [grain for grain in grains if grain.start is not None])
        assert words.keys() == set(stated)
        assert " " in text
        assert text.endswith(".")
        for kind in stated:
            without = tuple(other for other in stated if other != kind)
            shorter, _ = change_text(target, reference, without, random.Random(1))
            assert shorter != text
            assert without or " but" not in shorter


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"count": "one"}, "but with one animal."),
        ({"size": "large"}, "but with the animals large."),
        ({"relation": "below"}, "but with the animals at the bottom."),
        ({"second entity": "bed"}, "but with a bed instead of the castle."),
        ({"background": "beach"}, "but on the beach."),
        ({"count": "one", "entity": "owl"}, "but with one owl instead of the mice."),
        ({"entity": "owl", "relation": "right of"}, "but with owls instead of the mice, now on the right."),
    ],
)
def test_changes_in_words(changes, text):
    target = SCENE | changes
    written = change_text(target, SCENE, tuple(k for k in SCENE if k in changes), random.Random(0))[0]
    assert written.endswith(text)
