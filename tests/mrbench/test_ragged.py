"""Items of several vectors each: taken by number, gone through, and never one array by accident."""

from __future__ import annotations

import numpy as np
import pytest

from mrbench.arrays import Ragged

ROWS = Ragged.of_counts(np.arange(12, dtype=np.float32).reshape(6, 2), np.array([3, 0, 2, 1]))


def test_items_are_gone_through_once() -> None:
    assert [len(item.flat) for item in ROWS] == [3, 0, 2, 1]
    assert ROWS[-1].flat.tolist() == [[10.0, 11.0]]
    assert ROWS[2].flat.tolist() == [[6.0, 7.0], [8.0, 9.0]]


@pytest.mark.parametrize("number", [4, -5])
def test_there_is_no_item_beyond_the_last(number: int) -> None:
    with pytest.raises(IndexError):
        ROWS[number]


def test_it_is_not_one_array() -> None:
    with pytest.raises(TypeError, match=r"\.flat"):
        np.asarray(ROWS)
    with pytest.raises(TypeError, match=r"\.flat"):
        np.asarray(ROWS[0])
