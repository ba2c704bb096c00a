"""What is read off one row of scores, against a full sort."""

from __future__ import annotations

from fractions import Fraction
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrbench.retrieve.row import Row


def drawn(kind: str, number: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    scores = {
        "spread": rng.standard_normal(number) / 16,
        "tied": rng.integers(0, 7, number) / 8,
        "equal": np.full(number, 0.25),
        "few above": np.where(rng.random(number) < 0.001, 0.9, 0.1),
        "collapsed": 0.999 + rng.standard_normal(number) * 1e-6,
        # All that a guess looks at is low.
        "misleading": np.where(np.arange(number) % 32 == 0, -0.5, rng.random(number) / 2),
        # All that a guess looks at is high.
        "flattering": np.where(np.arange(number) % 32 == 0, 0.9, rng.random(number) / 2),
    }[kind]
    return scores.astype(np.float32)


KINDS = ("spread", "tied", "equal", "few above", "collapsed", "misleading", "flattering")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("number", "depth"), [(1, 1), (2, 5), (63, 10), (5000, 1), (5000, 100), (5000, 4999)])
def test_the_best_are_those_of_a_sort(kind: str, number: int, depth: int) -> None:
    scores = drawn(kind, number)
    order = np.argsort(-scores, kind="stable")
    last = scores[order[min(depth, number) - 1]]
    assert Row(scores, depth).best.tolist() == order[scores[order] >= last].tolist()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("number", "asked"), [(3, 2), (3000, 1), (3000, 20), (3001, 300), (70_001, 20)])
def test_places_are_those_of_a_sort(kind: str, number: int, asked: int) -> None:
    scores = drawn(kind, number)
    values = np.append(scores[np.random.default_rng(1).integers(number, size=asked)], scores[[0, -1]])
    values = np.append(values, [scores.max(), scores.min()])
    greater, same = Row(scores, 10).places(values)
    assert greater.tolist() == [(scores > value).sum() for value in values]
    assert same.tolist() == [(scores == value).sum() for value in values]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [1, 2, 3, 1000, 70_001])
def test_spread_is_that_of_exact_numbers_in_any_order(kind: str, number: int) -> None:
    scores = drawn(kind, number)
    exact = [Fraction(value) for value in scores.tolist()]
    mean = sum(exact) / number
    deviation = sqrt(sum((value - mean) ** 2 for value in exact) / number)
    found = Row(scores, 10).spread()
    extent = float(scores.max() - scores.min())
    assert found[0] == pytest.approx(float(mean), abs=1e-10 * extent, rel=1e-15)
    assert found[1] == pytest.approx(deviation, abs=1e-8 * extent)
    for seed in range(3):
        assert Row(np.random.default_rng(seed).permutation(scores), 10).spread() == found


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1.0, 1.0, width=32), min_size=1, max_size=40))
def test_spread_of_any_scores(values: list[float]) -> None:
    scores = np.array(values, dtype=np.float32)
    mean, deviation = Row(scores, 3).spread()
    assert mean == pytest.approx(np.mean(values, dtype=np.float64), abs=1e-12)
    assert deviation == pytest.approx(np.std(values, dtype=np.float64), abs=1e-7)
    assert (deviation == 0) == (len(set(values)) == 1)
