"""Copies among the candidates' vectors: found, searched once, and counted as often as they are."""

from __future__ import annotations

import numpy as np
import pytest

from mrbench.search import distinct as distinct_module
from mrbench.search.distinct import Vectors, distinct
from mrbench.search.vectors import map_rows


def test_equal_vectors_are_found_across_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mrbench.search.distinct.ROWS", 2)
    first, copy_of = distinct(np.array([[0, 1], [1, 0], [-0.0, 1], [1, 1], [1, 0]], dtype=np.float32))
    assert (first.tolist(), copy_of.tolist()) == ([0, 1, 3], [0, 1, 0, 2, 1])


def test_different_vectors_of_one_number_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = np.random.default_rng

    class Unlucky:
        """Draws zeros first, under which all vectors fall together."""

        def __init__(self, seed: int) -> None:
            self.rng, self.times = drawn(seed), 0

        def integers(self, *given: int, **more: int) -> np.ndarray:
            self.times += 1
            return self.rng.integers(*given, **more) * (self.times > 2)

    monkeypatch.setattr(np.random, "default_rng", Unlucky)
    first, copy_of = distinct(np.array([[0, 1], [1, 0], [-0.0, 1], [1, 1], [1, 0]], dtype=np.float32))
    assert (first.tolist(), copy_of.tolist()) == ([0, 1, 3], [0, 1, 0, 2, 1])


def test_vectors_that_differ_in_signs_are_different() -> None:
    signs = np.array([[1 - 2 * (n >> bit & 1) for bit in range(8)] for n in range(256)], dtype=np.float32)
    first, copy_of = distinct(np.concatenate([signs, signs[::-1]]) / np.float32(8**0.5))
    assert first.tolist() == list(range(256))
    assert copy_of.tolist() == [*range(256), *range(255, -1, -1)]


def test_numbers_of_many_vectors_of_signs_are_different(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of such vectors the bits differ in one place of 32 alone, and all are told apart at the first try."""
    tries = []
    monkeypatch.setattr(distinct_module, "map_rows", lambda work, rows: (tries.append(1), map_rows(work, rows))[1])
    signs = np.random.default_rng(5).integers(0, 2, (300_000, 64), dtype=np.int8).astype(np.float32) - np.float32(0.5)
    assert len(distinct(signs)[0]) == 300_000
    assert len(tries) == 1


def test_the_best_of_copies_are_those_of_a_sort() -> None:
    rng = np.random.default_rng(0)
    few = np.eye(6, dtype=np.float32)
    candidates = few[rng.integers(6, size=40)]
    row = rng.permutation(40)
    vectors = Vectors(candidates, row)
    assert len(vectors.rows) == 6
    assert vectors.position is not None
    score = np.float32([0.5, 0.7, 0.5, 0.1, 0.7, 0.5])  # of each vector; some tie
    of_row = score[vectors.rows.argmax(axis=1)]
    of_candidate = score[candidates[row].argmax(axis=1)]
    expected = np.lexsort((np.arange(40), -of_candidate))
    for number in range(1, 41):
        best = np.lexsort((vectors.position, -of_row))[: min(number, 6)]
        positions, scores = vectors.top(vectors.position[best][None], of_row[best][None], number)
        assert positions[0].tolist() == expected[:number].tolist()
        np.testing.assert_array_equal(scores[0], of_candidate[expected[:number]])


def test_a_few_copies_are_searched_as_they_are() -> None:
    candidates = np.eye(20, dtype=np.float32)
    candidates[3] = candidates[4]
    vectors = Vectors(candidates, np.arange(20))
    assert vectors.rows is candidates
    assert vectors.weights is None
    assert vectors.position is None
    moved = Vectors(candidates, np.arange(20)[::-1])
    assert moved.position.tolist() == list(range(20))[::-1]
    assert moved.copies(np.array([0]))[0].tolist() == [19]


def test_what_is_no_number_is_told_apart_too() -> None:
    candidates = np.eye(4, dtype=np.float32)[[0, 1, 2, 3, 0, 1]]
    candidates[2] = candidates[5] = np.nan
    assert distinct(candidates)[1].tolist() == [0, 1, 2, 3, 0, 2]
