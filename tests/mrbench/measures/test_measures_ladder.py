"""Ladder measures against brute force over pairs, scipy and every order of the tied."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau

from mrbench.errors import ResultError
from mrbench.measures import Ladders, concordance, grade_curve, kendall_tau, ladder, ladder_ndcg, strict_chain

Members = list[tuple[int, int]]
members = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=6)


def ladders(*queries: Members) -> Ladders:
    rows = [(query, score, grade) for query, row in enumerate(queries) for score, grade in row]
    query, score, grade = np.array(rows).T
    return Ladders.from_rows(query, score.astype(float), grade, len(queries))


@given(st.lists(members, min_size=1, max_size=4))
def test_against_every_pair(queries: list[Members]) -> None:
    found = ladders(*queries)
    for row, share, chain in zip(queries, concordance(found), strict_chain(found), strict=True):
        right = [
            0.5 if one[0] == other[0] else float((one[0] > other[0]) == (one[1] > other[1]))
            for one, other in combinations(row, 2)
            if one[1] != other[1]
        ]
        if right:
            assert share == pytest.approx(np.mean(right))
            assert chain == float(min(right) == 1)
        else:
            assert np.isnan([share, chain]).all()


@given(members)
def test_tau_b_is_that_of_scipy(row: Members) -> None:
    scores, grades = zip(*row, strict=True)
    if len(set(scores)) == 1 or len(set(grades)) == 1:
        assert np.isnan(kendall_tau(ladders(row))[0])
    else:
        assert kendall_tau(ladders(row))[0] == pytest.approx(kendalltau(scores, grades, variant="b").statistic)


@settings(max_examples=40, deadline=None)
@given(members)
def test_ndcg_is_the_mean_over_all_orders_of_the_tied(row: Members) -> None:
    grades = np.array([grade for _, grade in row])
    assume(grades.any())
    discounts = 1 / np.log2(np.arange(2, len(row) + 2))
    orders = [sorted(order, key=lambda member: -member[0]) for order in permutations(row)]
    expected = np.mean([np.array([grade for _, grade in order]) @ discounts for order in orders])
    both = ladder_ndcg(ladders([(1, 2), (0, 1)], row))  # a neighbour of other length changes nothing
    assert both == pytest.approx([1.0, expected / (np.sort(grades)[::-1] @ discounts)])


def test_by_hand() -> None:
    # Grades 2, 1, 1, 0: five pairs differ in grade; the positive ties with the last, one other pair is wrong.
    found = ladders([(5, 2), (4, 1), (2, 1), (5, 0)])
    assert concordance(found)[0] == pytest.approx((2 + 0.5 + 0) / 5)
    assert kendall_tau(found)[0] == pytest.approx((2 - 2) / np.sqrt(5 * 5))
    assert strict_chain(found)[0] == 0
    assert strict_chain(ladders([(5, 2), (4, 1), (2, 1), (1, 0)]))[0] == 1
    assert strict_chain(ladders([(5, 2), (5, 1)]))[0] == 0


def test_one_score_knows_nothing() -> None:
    found = ladders([(1, 2), (1, 1), (1, 0)])
    assert concordance(found)[0] == 0.5
    assert strict_chain(found)[0] == 0
    assert np.isnan(kendall_tau(found)[0])
    assert np.isnan(ladder_ndcg(ladders([(1, 0), (2, 0)]))[0])


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    many = ladders(*[rng.integers(0, 5, size=(rng.integers(2, 30), 2)).tolist() for _ in range(20)])
    whole = [measure(many) for measure in (concordance, kendall_tau, strict_chain)]
    monkeypatch.setattr(ladder, "_BLOCK", 3)
    for values, measure in zip(whole, (concordance, kendall_tau, strict_chain), strict=True):
        np.testing.assert_array_equal(measure(many), values)


def test_rows_may_come_in_any_order() -> None:
    query, score, grade = np.array([1, 0, 1, 0]), np.array([0.1, 0.9, 0.3, 0.5]), np.array([0, 1, 1, 0])
    assert concordance(Ladders.from_rows(query, score, grade, 2)).tolist() == [1, 1]
    with pytest.raises(ResultError, match=r"no ladder.*query 2"):
        Ladders.from_rows(query, score, grade, 3)


def test_curve() -> None:
    lost, score = np.array(["0", "1", "1"]), np.array([0.75, 0.5, 0.25])
    assert grade_curve(lost, score, np.full(3, 0.25), np.full(3, 0.25)) == {"0": (2.0, 1), "1": (0.5, 2)}
    stretched = grade_curve(lost, 8 * score + 3, np.full(3, 5.0), np.full(3, 2.0))
    assert stretched == {"0": (2.0, 1), "1": (0.5, 2)}
    with pytest.raises(ResultError, match="same score for every query"):
        grade_curve(lost, score, np.full(3, 0.25), np.zeros(3))
    left = grade_curve(lost, score, np.full(3, 0.25), np.array([0.25, 0.0, 0.25]))
    assert left == {"0": (2.0, 1), "1": (0.0, 1)}
