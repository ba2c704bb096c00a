"""Intervals of means over kinds of pairs: they hold what they should, and follow the clusters."""

from __future__ import annotations

import numpy as np
import pytest

from mrbench import statistics
from mrbench.score.kinds import interval_over_kinds


def test_nineteen_of_twenty_intervals_hold_the_true_value() -> None:
    drawn = np.random.default_rng(0)
    shares = {"a": 0.9, "b": 0.6, "c": 0.3}  # of 100, 40 and 60 pairs; each kind counts the same: 0.6
    kind = np.repeat(list(shares), (100, 40, 60))
    held = 0
    for _ in range(200):
        right = drawn.random(len(kind)) < np.array([shares[name] for name in kind])
        low, high = interval_over_kinds(right, kind, np.arange(len(kind))) or (1, 0)
        held += low <= 0.6 <= high
        assert 0.1 < high - low < 0.2
    assert held >= 183  # of 200, 190 expected


def test_pairs_of_one_cluster_count_as_one() -> None:
    right = np.random.default_rng(1).random(60) < 0.5
    kind = np.tile(["a", "b"], 30)
    alone = interval_over_kinds(right, kind, np.arange(60))
    copies = interval_over_kinds(np.repeat(right, 4), np.repeat(kind, 4), np.repeat(np.arange(60), 4))
    assert copies == pytest.approx(alone)


def test_where_all_draws_are_alike_the_interval_has_a_width() -> None:
    for right in (np.ones(20, bool), np.zeros(20, bool)):
        low, high = interval_over_kinds(right, np.tile(["a", "b"], 10), np.arange(20)) or (0, 0)
        assert 0.1 < high - low < 0.4
    right = np.arange(20) < 12
    one_kind = interval_over_kinds(right, np.full(20, "a"), np.arange(20))
    assert one_kind == statistics.share_interval(right.astype(float), np.arange(20))


def test_one_cluster_tells_nothing() -> None:
    assert interval_over_kinds(np.array([True, False]), np.array(["a", "b"]), np.array([3, 3])) is None
