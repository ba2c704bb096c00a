"""Lists of true and false texts, and items of two texts and two images, against arithmetic by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mrbench.errors import ResultError
from mrbench.measures import (
    Pairs,
    Quadruples,
    all_positives_above,
    candidate_score,
    chance_of_all_above,
    group_score,
    mean_by_grain,
    pair_accuracy,
    query_score,
    winoground,
)


def test_both_true_texts_must_beat_the_false_one() -> None:
    """The image-to-text score of SugarCrepe++; a tie with either fails."""
    first, second, false = np.array([[0.9, 0.8, 0.5], [0.9, 0.4, 0.5], [0.4, 0.9, 0.5], [0.9, 0.5, 0.5]]).T
    item = np.arange(4)
    right = all_positives_above(np.tile(item, 2), np.concatenate([first, second]), item, false, 4)
    assert right.tolist() == [1, 0, 0, 0]
    kinds = np.array(["swap", "swap", "replace", "replace"])
    assert mean_by_grain(kinds, right) == {"replace": (0.0, 2), "swap": (0.5, 2)}


def test_texts_of_sugarcrepe_pp_alone() -> None:
    """The two true texts must be nearer to each other than each of them to the false one."""
    together, first_false, second_false = np.array([[0.9, 0.5, 0.5], [0.6, 0.5, 0.7], [0.6, 0.7, 0.5]]).T
    item = np.arange(3)
    negatives = np.concatenate([first_false, second_false])
    assert all_positives_above(item, together, np.tile(item, 2), negatives, 3).tolist() == [1, 0, 0]


def test_items_may_have_other_numbers_of_texts_in_any_order() -> None:
    right = all_positives_above(
        np.array([1, 0, 1, 1]), np.array([0.5, 0.3, 0.9, 0.7]), np.array([0, 1, 0]), np.array([0.1, 0.6, 0.2]), 2
    )
    assert right.tolist() == [1, 0]


def test_one_true_text_is_pair_accuracy() -> None:
    rng = np.random.default_rng(0)
    true, false, kind = rng.integers(0, 4, 50) * 1.0, rng.integers(0, 4, 50) * 1.0, rng.choice(["a", "b"], 50)
    item = np.arange(50)
    right = all_positives_above(item, true, item, false, 50)
    assert mean_by_grain(kind, right) == pair_accuracy(Pairs(item, kind, true > false, 50))
    assert chance_of_all_above(2, 2) == pytest.approx(1 / 6)  # one of the six ways to place the two true texts
    assert not all_positives_above(item, true * 0, item, false * 0, 50).any()


def test_winoground_by_hand() -> None:
    """Rows are texts, columns images: text 0 is right for image 0 and text 1 for image 1."""
    scores = np.array(
        [
            [[0.9, 0.1], [0.1, 0.9]],  # all right
            [[0.9, 0.5], [0.6, 0.55]],  # image 1 prefers its own text; text 1 prefers the wrong image
            [[0.9, 0.7], [0.5, 0.6]],  # text 1 prefers its own image; image 1 prefers the wrong text
            [[0.1, 0.9], [0.9, 0.1]],  # all wrong
            [[0.5, 0.5], [0.5, 0.5]],  # ties fail
        ]
    )
    values = winoground(scores)
    assert values["text_score"].tolist() == [1, 1, 0, 0, 0]
    assert values["image_score"].tolist() == [1, 0, 1, 0, 0]
    assert values["group_score"].tolist() == [1, 0, 0, 0, 0]
    quads = Quadruples.from_matrices(np.array(["x"] * 5), scores)
    assert [s(quads)["x"][0] for s in (query_score, candidate_score, group_score)] == [0.4, 0.4, 0.2]


def test_what_is_no_pair_is_refused() -> None:
    one = np.array([0])
    with pytest.raises(ResultError, match=r"no true text.*item 1"):
        all_positives_above(one, one * 1.0, np.array([0, 1]), np.zeros(2), 2)
    with pytest.raises(ResultError, match=r"no false text.*item 1"):
        all_positives_above(np.array([0, 1]), np.zeros(2), one, one * 1.0, 2)
    with pytest.raises(ResultError, match=r"out of range.*2"):
        all_positives_above(np.array([0, 2]), np.zeros(2), one, one * 1.0, 2)
    with pytest.raises(ResultError, match="not a number"):
        all_positives_above(one, np.array([np.nan]), one, one * 1.0, 1)
    with pytest.raises(ResultError, match="no chance"):
        chance_of_all_above(0, 1)
    for wrong in (np.zeros((0, 2, 2)), np.zeros((3, 4)), np.zeros((1, 2, 3))):
        with pytest.raises(ResultError, match="malformed quadruples"):
            winoground(wrong)
    with pytest.raises(ResultError, match="not a number"):
        winoground(np.full((1, 2, 2), np.inf))
    with pytest.raises(ResultError, match="differ in number"):
        Quadruples.from_matrices(np.array(["x", "y"]), np.zeros((1, 2, 2)))
