"""Grains read off code points, and the sentences written from them."""

from __future__ import annotations

from itertools import pairwise, product

import pytest

from mrbench.build.emoji.grains import Item, objects, parse, people
from mrbench.build.emoji.text import STYLES, candidate_sentence, change_sentence, query_sentence

MAN, WOMAN, PERSON, DARK, LIGHT, ZWJ = "\U0001f468", "\U0001f469", "\U0001f9d1", "\U0001f3ff", "\U0001f3fb", "\u200d"


@pytest.mark.parametrize(
    ("emoji", "grains"),
    [
        (PERSON + ZWJ + "\U0001f692", {"role": "firefighter"}),
        (WOMAN + DARK + ZWJ + "\U0001f9b0", {"gender": "woman", "skin tone": "dark", "hair": "red"}),
        ("\U0001f3c3" + ZWJ + "\u2642\ufe0f", {"role": "running", "gender": "man", "direction": "left"}),
        ("\U0001f3c3" + LIGHT + ZWJ + "\u27a1\ufe0f", {"role": "running", "skin tone": "light", "direction": "right"}),
        ("\U0001f936" + DARK, {"role": "dressed as Santa Claus", "gender": "woman", "skin tone": "dark"}),
        (
            WOMAN + LIGHT + ZWJ + "\u2764\ufe0f" + ZWJ + MAN + DARK,
            {"role": "in love", "gender": "woman and man", "skin tone": "light", "second skin tone": "dark"},
        ),
        (
            "\U0001f46c" + DARK,
            {"role": "holding hands", "gender": "two men", "skin tone": "dark", "second skin tone": "dark"},
        ),
        ("\U0001f44d", {"role": "thumbs-up"}),
    ],
)
def test_grains_are_read_off_the_code_points(emoji: str, grains: dict[str, str]) -> None:
    item = parse(emoji)
    assert item is not None
    assert item.values == grains


@pytest.mark.parametrize("emoji", ["\U0001f466", "\U0001f474", "\U0001f373", "\u27a1", PERSON, "\U0001f436"])
def test_what_cannot_be_said_is_left_out(emoji: str) -> None:
    assert parse(emoji) is None


def test_hair_that_the_tone_has_anyway_is_left_out() -> None:
    medium = "\U0001f3fd"
    assert parse(MAN + medium + ZWJ + "\U0001f9b0") is None
    assert parse(MAN + DARK + ZWJ + "\U0001f9b0") is not None


def test_every_combination_has_one_emoji_and_one_kind() -> None:
    everyone = people()
    assert len(everyone) > 2000
    assert len({item.emoji for item in everyone}) == len({item.key for item in everyone}) == len(everyone)
    assert {item.values["object"] for item in objects()} >= {"dog", "banana", "rocket"}
    assert not {item.emoji for item in objects()} & {item.emoji for item in everyone}


def _quoted(item: Item, text: str, kind: str, start: int, end: int) -> None:
    words = {"woman and man": "a woman and a man", "bald": "a bald head", "beard": "a beard"}
    value = words.get(item.values[kind], item.values[kind])
    if kind == "hair" and not value.startswith("a "):
        value += " hair"
    value += " skin" if "skin" in kind else ""
    span = text[start:end].lower()
    assert value.lower().split()[-1] in span if kind == "role" else span.endswith(value), (text, span, value)


def test_every_sentence_states_every_grain_where_its_span_says() -> None:
    for item in [*people()[::3], *objects()[::20]]:
        for write, style in product((query_sentence, candidate_sentence), range(STYLES)):
            text, grains = write(item.values, item.kind, style)
            assert {grain.type: grain.value for grain in grains} == item.values
            for grain in grains:
                assert grain.start is not None
                assert grain.end is not None
                if grain.type != "role" or grain.value not in ("shaking hands", "in love"):
                    _quoted(item, text, grain.type, grain.start, grain.end)
            spans = sorted((g.start or 0, g.end or 0) for g in grains)
            assert all(a[1] <= b[0] for a, b in pairwise(spans)), text


def test_styles_of_queries_and_candidates_never_meet() -> None:
    asked = {(query_sentence(i.values, i.kind, style)[0], i.key) for i in people() for style in range(STYLES)}
    answered = {(candidate_sentence(i.values, i.kind, style)[0], i.key) for i in people() for style in range(STYLES)}
    assert len(answered) == STYLES * len(people())
    for sentences in (asked, answered):
        assert len({text for text, _ in sentences}) == len(sentences), "two combinations share a sentence"
    assert not {text for text, _ in asked} & {text for text, _ in answered}


def test_a_grain_left_out_leaves_english() -> None:
    values = {"role": "running", "gender": "woman", "skin tone": "dark", "direction": "right"}
    without = {kind: {k: v for k, v in values.items() if k != kind} for kind in values}
    assert (
        query_sentence(without["gender"], "person", 0)[0] == "A person with dark skin who is running and facing right."
    )
    assert query_sentence(without["role"], "person", 1)[0] == "A picture of a woman who faces right and has dark skin."
    assert query_sentence(without["skin tone"], "person", 2)[0] == (
        "An image in which a woman is running and facing right."
    )
    assert query_sentence({"skin tone": "dark"}, "person", 0)[0] == "Someone with dark skin."
    assert query_sentence({"skin tone": "dark"}, "thing", 0)[0] == "Something, with dark skin."
    two = {"role": "kissing", "second skin tone": "light"}
    assert query_sentence(two, "pair", 1)[0] == "A picture of two people kissing, with light skin on the right."


def test_a_change_states_only_the_new_values() -> None:
    grains = {"role": "running", "gender": "man", "skin tone": "dark"}
    text, stated = change_sentence({"gender": "man"}, grains, "person", 1)
    assert text == "Like this picture, only now a man."
    assert [(g.type, g.start is not None) for g in stated] == [("role", False), ("gender", True), ("skin tone", False)]
    assert change_sentence({}, grains, "person", 2)[0] == "The same picture."
    both = change_sentence({"skin tone": "dark", "second skin tone": "light"}, {}, "pair", 0)[0]
    assert both == "The same, but with dark skin on the left, with light skin on the right."
