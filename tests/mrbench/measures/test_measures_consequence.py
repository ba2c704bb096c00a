"""What a grain does to ranks, quadruples, negatives and halves, by arithmetic that fits on a napkin."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from mrbench.errors import ResultError
from mrbench.measures import (
    Pairs,
    Quadruples,
    above_positive,
    among_first,
    any_among_first,
    candidate_score,
    chance_of_one_part,
    confusion,
    grain_coverage,
    group_score,
    hit_of_positive,
    hit_rate_slope,
    margins,
    p_mrr,
    pair_accuracy,
    phrasing_flips,
    query_score,
    rank_change,
    solved_by_one_part,
    unchanged_rate,
    worst_grain,
    worst_phrasing,
)

GRAIN = np.array(["count", "count", "size"])


def test_rank_change_is_positive_where_the_grain_mattered() -> None:
    rank, without = np.array([1.0, 2.0, 8.0]), np.array([8.0, 2.0, 4.0])
    assert rank_change(GRAIN, rank, without) == {"count": (1.5, 2), "size": (-1.0, 1)}
    assert unchanged_rate(GRAIN, rank, without) == {"count": (0.5, 2), "size": (0.0, 1)}


def test_p_mrr_is_that_of_followir() -> None:
    # From rank 1 to 4: 1 - (1/4) / (1/1). From 4 to 1: (1/4) / (1/1) - 1. Unmoved: 0.
    found = p_mrr(np.array(["a", "b", "c"]), np.array([1.0, 4.0, 3.0]), np.array([4.0, 1.0, 3.0]))
    assert found == {"a": (0.75, 1), "b": (-0.75, 1), "c": (0.0, 1)}


@pytest.mark.parametrize(("above", "beside", "k"), [(0, 0, 1), (0, 3, 1), (2, 3, 4), (4, 2, 4), (1, 4, 9)])
def test_hit_of_positive_is_the_mean_over_all_orders(above: int, beside: int, k: int) -> None:
    orders = [above + order.index(0) < k for order in permutations(range(1 + beside))]
    assert hit_of_positive(np.array([above]), np.array([beside]), k)[0] == pytest.approx(np.mean(orders))


def test_phrasings() -> None:
    query, hit, again = np.array([0, 0, 1, 2]), np.array([1.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0, 1.0])
    assert phrasing_flips(query, hit, again).tolist() == [1, 0, 0]
    assert worst_phrasing(query, hit, again).tolist() == [0, 0, 1]
    with pytest.raises(ResultError, match="no paraphrase"):
        phrasing_flips(query, np.ones(4), again)


def test_slope_is_that_of_a_line_through_the_points() -> None:
    rng = np.random.default_rng(0)
    grains, hit = rng.integers(2, 6, size=50), rng.random(50)
    assert hit_rate_slope(grains, hit) == pytest.approx(np.polyfit(grains, hit, 1)[0])
    with pytest.raises(ResultError, match="same number of grains"):
        hit_rate_slope(np.full(3, 2), np.ones(3))


def test_coverage() -> None:
    assert grain_coverage(GRAIN, np.array([0.2, 0.4, 1.0])) == {"count": (pytest.approx(0.3), 2), "size": (1.0, 1)}


def test_confusion_counts_only_queries_that_ask_for_both() -> None:
    has = np.array([[1, 1, 0], [1, 1, 0], [1, 0, 0]], dtype=bool)
    lost = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [1.0, 1.0, 0.0]])  # the last does not ask for a place
    found = confusion(has, lost, ("count", "place", "size"))
    assert found == {
        "count": {"count": (pytest.approx(1 / 3), 3), "place": (0.5, 2)},
        "place": {"count": (0.0, 2), "place": (0.5, 2)},
    }  # nobody asks for a size: no cell, and not 0


def quadruples(*rows: tuple[float, float, float, float]) -> Quadruples:
    return Quadruples(np.array(["count"] * len(rows)), *np.array(rows).T)


@pytest.mark.parametrize(
    ("scores", "candidates", "queries"),
    [
        ((2, 1, 1, 2), 1, 1),
        ((2, 1, 3, 4), 1, 0),  # the positive scores higher for the flipped query
        ((2, 3, 1, 4), 0, 1),  # the other candidate scores higher for both
        ((1, 2, 2, 1), 0, 0),
        ((2, 2, 1, 2), 0, 0),  # a tie fails on either side
    ],
)
def test_group_score(scores: tuple[float, float, float, float], candidates: int, queries: int) -> None:
    quads = quadruples(scores)
    assert candidate_score(quads) == {"count": (candidates, 1)}
    assert query_score(quads) == {"count": (queries, 1)}
    assert group_score(quads) == {"count": (candidates * queries, 1)}


def test_chance_of_the_group_score() -> None:
    every = quadruples(*permutations((1.0, 2.0, 3.0, 4.0)))
    assert candidate_score(every)["count"][0] == query_score(every)["count"][0] == 0.25
    assert group_score(every)["count"][0] == pytest.approx(1 / 6)


def test_margin_has_the_unit_of_the_pool() -> None:
    positive, other, spread = np.array([0.5, 0.5, 0.2]), np.array([0.3, 0.6, 0.1]), np.array([0.1, 0.1, 0.2])
    expected = {"count": (pytest.approx(0.5), 2), "size": (pytest.approx(0.5), 1)}
    assert margins(GRAIN, positive, other, spread) == expected
    assert margins(GRAIN, 9 * positive - 1, 9 * other - 1, 9 * spread) == expected
    with pytest.raises(ResultError, match="same score for every query"):
        margins(GRAIN, positive, other, np.zeros(3))


def test_a_query_without_spread_is_left_out() -> None:
    positive, other = np.array([0.5, 0.5, 0.2]), np.array([0.3, 0.6, 0.1])
    found = margins(GRAIN, positive, other, np.array([0.1, 0.0, 0.1]))
    assert found == {"count": (pytest.approx(2), 1), "size": (pytest.approx(1), 1)}


def test_worst_grain_is_the_first_of_equals() -> None:
    pairs = Pairs(np.arange(3), np.array(["size", "count", "place"]), np.array([False, False, True]), 3)
    assert worst_grain(pair_accuracy(pairs)) == ("count", 0.0)
    with pytest.raises(ResultError, match="no pair"):
        worst_grain({})


def test_negatives() -> None:
    lost = np.array(["1", "1", "2"])
    found = above_positive(lost, np.array([0.5, 0.4, 0.1]), np.full(3, 0.4))
    assert found == {"1": (0.75, 2), "2": (0.0, 1)}  # a tie is one half
    greater, equal = np.array([0, 9, 8]), np.array([1, 2, 4])
    assert among_first(lost, greater, equal, 10) == {"1": (0.75, 2), "2": (0.5, 1)}
    assert any_among_first(np.array([0, 0, 1]), greater, equal, 10, 2).tolist() == [1, 0.5]
    with pytest.raises(ResultError, match=r"no negative.*query 1"):
        any_among_first(np.array([0]), np.array([0]), np.array([1]), 10, 2)


def test_one_part() -> None:
    hits = np.array([[1.0, 0.0, 0.2], [0.0, 0.0, 0.5]])
    assert solved_by_one_part(hits).tolist() == [1, 0, 0.5]
    for malformed in (np.zeros((0, 3)), np.array([[np.nan]]), np.array([[1.5]])):
        with pytest.raises(ResultError, match="no hits"):
            solved_by_one_part(malformed)


def test_guessers_solve_what_chance_says() -> None:
    hits = (np.random.default_rng(0).integers(0, 20, size=(6, 20_000)) == 0).astype(float)
    assert solved_by_one_part(hits).mean() == pytest.approx(chance_of_one_part(20, 6), abs=0.01)
    with pytest.raises(ResultError, match="0 candidates"):
        chance_of_one_part(0, 1)


def test_no_probe_is_not_zero() -> None:
    none, nothing = np.array([], dtype=str), np.array([])
    for measure in (rank_change, unchanged_rate, p_mrr, above_positive):
        with pytest.raises(ResultError, match="nothing to score"):
            measure(none, nothing, nothing)
