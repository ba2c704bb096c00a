"""Every measure against arithmetic that fits on a napkin, and the cases that must not be scored."""

from __future__ import annotations

import math

import numpy as np
import pytest
from rankings import gain_groups, ideal, tie_groups

from mrbench.errors import ResultError
from mrbench.measures import (
    Pairs,
    TieGroups,
    all_grains_accuracy,
    average_precision,
    hit_rate,
    mean,
    ndcg,
    pair_accuracy,
    recall,
    reciprocal_rank,
)

# One query, relevant at ranks 2 and 4 of 5.
SCORES = np.array([[0.9, 0.8, 0.7, 0.6, 0.5]])
RELEVANT = np.array([[0, 1, 0, 1, 0]])


def test_untied_ranks() -> None:
    groups = tie_groups(SCORES, RELEVANT)
    assert [hit_rate(groups, k)[0] for k in (1, 2, 5)] == [0, 1, 1]
    assert [recall(groups, k)[0] for k in (1, 2, 3, 4, 10)] == [0, 0.5, 0.5, 1, 1]
    assert reciprocal_rank(groups)[0] == 1 / 2
    assert average_precision(groups)[0] == (1 / 2 + 2 / 4) / 2


def test_tied_ranks() -> None:
    # Two relevant among three tied for the places 2, 3, 4.
    groups = tie_groups(np.array([[0.9, 0.5, 0.5, 0.5, 0.1]]), np.array([[0, 1, 1, 0, 0]]))
    assert hit_rate(groups, 1)[0] == 0
    assert hit_rate(groups, 2)[0] == pytest.approx(2 / 3)
    assert hit_rate(groups, 3)[0] == 1
    assert recall(groups, 2)[0] == pytest.approx(1 / 3)
    assert reciprocal_rank(groups)[0] == pytest.approx(2 / 3 / 2 + 1 / 3 / 3)
    # The three orders of the tied: relevant at (2, 3), (2, 4), (3, 4).
    by_order = [(1 / 2 + 2 / 3) / 2, (1 / 2 + 2 / 4) / 2, (1 / 3 + 2 / 4) / 2]
    assert average_precision(groups)[0] == pytest.approx(sum(by_order) / 3)


def test_ndcg_has_linear_gain_and_the_ideal_of_the_whole_pool() -> None:
    grades = np.array([[1, 3, 0, 2, 3]])
    groups = gain_groups(SCORES, grades)
    found = 1 / math.log2(2) + 3 / math.log2(3)
    best = 3 / math.log2(2) + 3 / math.log2(3)
    assert ndcg(groups, ideal(grades, 2), 2)[0] == pytest.approx(found / best)


def test_pairs() -> None:
    pairs = Pairs(
        query=np.array([0, 0, 1, 1]),
        grain=np.array(["count", "size", "count", "size"]),
        right=np.array([True, True, False, True]),
        num_queries=2,
    )
    assert pair_accuracy(pairs) == {"count": (0.5, 2), "size": (1.0, 2)}
    assert all_grains_accuracy(pairs).tolist() == [1, 0]


def test_nothing_is_not_zero() -> None:
    none = Pairs(np.array([], dtype=int), np.array([], dtype=str), np.array([], dtype=bool), 0)
    with pytest.raises(ResultError, match="no pair"):
        pair_accuracy(none)
    with pytest.raises(ResultError, match="a query has no pair"):
        all_grains_accuracy(Pairs(np.array([0]), np.array(["count"]), np.array([True]), 2))
    with pytest.raises(ResultError, match=r"no query.*mrr"):
        mean(np.array([]), "mrr")
    with pytest.raises(ResultError, match="no relevant"):
        tie_groups(np.ones((2, 3)), np.array([[1, 0, 0], [0, 0, 0]]))
    with pytest.raises(ResultError, match="grade above 0"):
        ndcg(gain_groups(np.ones((1, 3)), np.zeros((1, 3), dtype=int)), np.zeros(1), 10)


@pytest.mark.parametrize("value", [math.nan, 1.5, -0.1, math.inf])
def test_mean_refuses_what_is_no_score(value: float) -> None:
    with pytest.raises(ResultError, match="map, query 1"):
        mean(np.array([0.5, value]), "map")


def test_malformed_groups_are_refused() -> None:
    with pytest.raises(ResultError, match="malformed tie groups"):
        TieGroups(np.array([0]), np.array([0]), np.array([1]), np.array([2]), 1)
    with pytest.raises(ResultError, match="disagree"):
        TieGroups.from_relevant(np.array([0, 0]), np.array([0, 0]), np.array([2, 3]), 1)
    with pytest.raises(ResultError, match="cutoff"):
        recall(tie_groups(SCORES, RELEVANT), 0)
