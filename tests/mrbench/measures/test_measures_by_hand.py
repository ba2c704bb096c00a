"""Every measure against arithmetic that fits on a napkin, and the cases that must not be scored."""

from __future__ import annotations

import math

import numpy as np
import pytest
from rankings import gain_groups, ideal, tie_groups

from mrbench.errors import ResultError
from mrbench.measures import (
    GainGroups,
    Pairs,
    TieGroups,
    all_grains_accuracy,
    average_precision,
    average_precision_at_r,
    capped_average_precision,
    capped_recall,
    chance,
    chance_ndcg,
    first_rank,
    gain_of,
    hit_rate,
    ideal_dcg,
    ideal_dcg_listed,
    judged_share,
    mean,
    median,
    ndcg,
    pair_accuracy,
    precision,
    r_precision,
    rank_measure,
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


def test_conventions_differ_where_more_are_relevant_than_places() -> None:
    # Relevant at ranks 1, 3 and 4 of 5.
    groups = tie_groups(SCORES, np.array([[1, 0, 1, 1, 0]]))
    assert recall(groups, 2)[0] == pytest.approx(1 / 3)
    assert capped_recall(groups, 2)[0] == 1 / 2
    assert precision(groups, 2)[0] == 1 / 2
    assert average_precision(groups, 2)[0] == pytest.approx(1 / 3)
    assert capped_average_precision(groups, 2)[0] == 1 / 2
    assert capped_average_precision(groups, 3)[0] == pytest.approx((1 + 2 / 3) / 3)
    assert average_precision(groups, 10)[0] == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    assert average_precision_at_r(groups)[0] == pytest.approx((1 + 2 / 3) / 3)
    assert r_precision(groups)[0] == pytest.approx(2 / 3)
    perfect = tie_groups(SCORES, np.array([[1, 1, 1, 0, 0]]))
    assert [capped_recall(perfect, k)[0] for k in (1, 2, 3, 5)] == [1, 1, 1, 1]
    assert [capped_average_precision(perfect, k)[0] for k in (1, 2, 3, 5)] == [1, 1, 1, 1]
    assert average_precision(perfect, 2)[0] == pytest.approx(2 / 3)
    assert precision(perfect, 10)[0] == 0.3  # over k, as trec_eval has it, though the pool has but five


def test_ranks_of_the_first_relevant() -> None:
    groups = tie_groups(np.array([[0.9, 0.8, 0.7, 0.6]] * 3), np.array([[0, 0, 0, 1], [1, 0, 0, 0], [0, 1, 1, 0]]))
    assert first_rank(groups).tolist() == [4, 1, 2]
    assert median(first_rank(groups), "median_rank") == 2
    assert reciprocal_rank(groups, 2).tolist() == [0, 1, 0.5]
    tied = tie_groups(np.array([[0.9, 0.5, 0.5, 0.5]]), np.array([[0, 1, 0, 0]]))
    assert first_rank(tied).tolist() == [3]  # ranks 2, 3 and 4 are as likely
    assert chance("mean_rank", np.array([1]), 5).tolist() == [3]


def test_the_oracle_the_constant_and_the_random_control() -> None:
    """Two of four are relevant; by hand over the six ways to place them."""
    oracle = tie_groups(np.array([[4, 3, 2, 1]]), np.array([[1, 1, 0, 0]]))
    for name in ("hit_rate@1", "capped_recall@1", "precision@2", "mrr", "map", "map@r", "r_precision", "capped_map@1"):
        assert rank_measure(name)(oracle)[0] == 1, name
    two = np.array([2])
    assert chance("hit_rate@1", two, 4)[0] == pytest.approx(1 / 2)
    assert chance("hit_rate@2", two, 4)[0] == pytest.approx(5 / 6)
    assert chance("mrr", two, 4)[0] == pytest.approx((3 * 1 + 2 / 2 + 1 / 3) / 6)
    assert chance(lambda groups: recall(groups, 1), two, np.array([4]))[0] == pytest.approx(1 / 4)
    ways = [(1, 1), (1, 2 / 3), (1, 2 / 4), (1 / 2, 2 / 3), (1 / 2, 2 / 4), (1 / 3, 2 / 4)]
    assert chance("map", two, 4)[0] == pytest.approx(sum(map(sum, ways)) / 12)
    assert chance_ndcg(np.array([[3, 1]]), 2)[0] == pytest.approx((1 + 1 / math.log2(3)) / 4)


def test_judged_share() -> None:
    # Of the first two, one is judged; of the three tied for the places 3 to 5, two are.
    query, above, equal = np.zeros(3, int), np.array([1, 2, 2]), np.array([1, 3, 3])
    groups = GainGroups.from_listed(query, above, equal, np.ones(3), 2)
    assert judged_share(groups, 2, 9).tolist() == [1 / 2, 0]
    assert judged_share(groups, 3, 9)[0] == pytest.approx((1 + 2 / 3) / 3)
    assert judged_share(groups, 10, np.array([5, 9])).tolist() == [3 / 5, 0]  # five results are all there are
    with pytest.raises(ResultError, match="no candidate"):
        judged_share(groups, 2, np.array([5, 0]))
    with pytest.raises(ResultError, match="more judged"):
        judged_share(GainGroups(query[:1], above[:1], equal[:1], np.array([2]), 1), 2, 9)


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


def test_ndcg_with_exponential_gain() -> None:
    grades = np.array([[1, 3, 0, 2, 3]])
    groups = gain_groups(SCORES, gain_of(grades, "exponential").astype(int))
    found = 1 / math.log2(2) + 7 / math.log2(3)
    best = 7 / math.log2(2) + 7 / math.log2(3)
    listed = ideal_dcg_listed(np.zeros(5, int), grades[0], 1, 2, "exponential")
    assert listed[0] == pytest.approx(best)
    assert ideal_dcg(np.array([[1, 1, 1, 2]]), 2, "exponential")[0] == pytest.approx(best)
    assert ndcg(groups, listed, 2)[0] == pytest.approx(found / best)


def test_listed_ideal_is_that_of_the_counts() -> None:
    rng = np.random.default_rng(1)
    query, relevance = rng.integers(0, 7, 60), rng.integers(0, 5, 60)
    counts = np.zeros((8, 5), dtype=int)
    np.add.at(counts, (query, relevance), 1)
    for gain in ("linear", "exponential"):
        for k in (1, 3, 100):
            np.testing.assert_allclose(ideal_dcg_listed(query, relevance, 8, k, gain), ideal_dcg(counts, k, gain))


def test_malformed_gains_are_refused() -> None:
    one = np.array([0])
    with pytest.raises(ResultError, match="unknown gain"):
        gain_of(one, "quadratic")
    with pytest.raises(ResultError, match="negative"):
        gain_of(np.array([0, -1]))
    with pytest.raises(ResultError, match=r"too high.*51"):
        gain_of(np.array([51]), "exponential")
    with pytest.raises(ResultError, match="disagree"):
        GainGroups.from_listed(np.array([0, 0]), np.array([0, 0]), np.array([2, 3]), np.ones(2), 1)
    with pytest.raises(ResultError, match="more candidates"):
        GainGroups.from_listed(np.array([0, 0]), np.array([0, 0]), np.array([1, 1]), np.ones(2), 1)
    with pytest.raises(ResultError, match="out of range"):
        GainGroups.from_listed(one + 1, one, one + 1, np.ones(1), 1)


@pytest.mark.parametrize(("relevant", "pool"), [(0, 5), (6, 5), (-1, 5)])
def test_chance_of_what_cannot_be_is_refused(relevant: int, pool: int) -> None:
    with pytest.raises(ResultError, match="no chance"):
        chance("mrr", np.array([relevant]), pool)


def test_every_cutoff_is_checked() -> None:
    groups = tie_groups(SCORES, RELEVANT)
    at_k = (hit_rate, recall, capped_recall, precision, average_precision, capped_average_precision, reciprocal_rank)
    for function in at_k:
        with pytest.raises(ResultError, match="cutoff"):
            function(groups, 0)
    with pytest.raises(ResultError, match="cutoff"):
        ideal_dcg_listed(np.array([0]), np.array([1]), 1, 0)


@pytest.mark.parametrize("values", [[], [0.5], [math.nan], [math.inf]])
def test_median_refuses_what_is_no_rank(values: list[float]) -> None:
    with pytest.raises(ResultError, match="median_rank"):
        median(np.array(values), "median_rank")


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
