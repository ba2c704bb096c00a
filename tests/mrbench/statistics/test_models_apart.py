"""Tests between models, ranks and ties, and what a benchmark of a size can show."""

from __future__ import annotations

from itertools import combinations, permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated import QUERIES, hits

from mrbench.errors import InputError, ResultError
from mrbench.statistics import (
    bootstrap,
    design_effect,
    holm,
    paired_p_values,
    rank_intervals,
    share_interval,
    smallest_difference,
    tie_groups,
)


def test_p_value_is_that_of_all_signs() -> None:
    scores = np.array([[1.0, 0.7, 0.9, 0.5, 1.0, 0.8], [0.2, 0.6, 0.3, 0.9, 0.1, 0.3]])
    differences = scores[0] - scores[1]
    all_signs = np.array(list(product([-1, 1], repeat=6))) @ differences
    exact = (np.abs(all_signs) >= differences.sum() - 1e-9).mean()
    assert paired_p_values(scores, np.arange(6))[0, 1] == pytest.approx(exact, abs=0.01)


def test_clusters_change_sign_together() -> None:
    scores = np.array([[1.0] * 8, [0.0] * 8])
    assert paired_p_values(scores, np.arange(8))[0, 1] == pytest.approx(2 / 2**8, abs=0.004)
    assert paired_p_values(scores, np.arange(8) // 4)[0, 1] == pytest.approx(2 / 2**2, abs=0.02)


def test_equal_models_and_pairs() -> None:
    scores = np.array([[0.1, 0.7, 0.3], [0.1, 0.7, 0.3], [0.3, 0.1, 0.7]])
    found = paired_p_values(scores, np.arange(3), resamples=100)
    assert found == {(0, 1): 1.0, (0, 2): 1.0, (1, 2): 1.0}  # the sums are the same but for rounding
    assert paired_p_values(scores[:1], np.arange(3)) == {}
    for malformed in (np.array([[0.5, np.nan, 0.5]] * 2), scores[:, :2], np.zeros((0, 3))):
        with pytest.raises(ResultError, match="all models on all queries"):
            paired_p_values(malformed, np.arange(3))


@pytest.mark.slow
@pytest.mark.parametrize(("size", "alike"), [(1, 0.0), (5, 0.5)])
def test_equally_good_models_differ_in_one_case_of_twenty(size: int, alike: float) -> None:
    rng, false, runs = np.random.default_rng(size), 0, 1500
    for run in range(runs):
        one, clusters = hits(rng, 0.4, size, alike)
        other, _ = hits(rng, 0.4, size, alike)
        false += paired_p_values(np.array([one, other]), clusters, resamples=500, seed=run)[0, 1] < 0.05
    assert 0.03 <= false / runs <= 0.07


def test_holm_by_hand() -> None:
    assert holm({(0, 1): 0.04, (0, 2): 0.01, (0, 3): 0.03, (1, 2): 0.9}) == pytest.approx(
        {(0, 1): 0.09, (0, 2): 0.04, (0, 3): 0.09, (1, 2): 0.9}
    )
    assert holm({}) == {}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=15))
def test_holm_keeps_the_order_and_is_no_harsher_than_bonferroni(p_values: list[float]) -> None:
    raw = {(0, number): p for number, p in enumerate(p_values)}
    corrected = holm(raw)
    for one, other in combinations(raw, 2):
        if raw[one] < raw[other]:
            assert corrected[one] <= corrected[other]
    for pair, p in raw.items():
        assert p <= corrected[pair] <= min(1, p * len(raw))


@given(st.integers(1, 7), st.data())
def test_models_share_a_letter_exactly_when_they_cannot_be_told_apart(models: int, data: st.DataObject) -> None:
    pairs = list(combinations(range(models), 2))
    p_values = {pair: data.draw(st.sampled_from([0.001, 0.5])) for pair in pairs}
    letters = tie_groups(np.array(data.draw(st.permutations(range(models))), dtype=float), p_values)
    assert all(letters)
    for one, other in pairs:
        assert bool(set(letters[one]) & set(letters[other])) == (p_values[one, other] > 0.05)
    sharing = [{model for model in range(models) if letter in letters[model]} for letter in set("".join(letters))]
    assert not any(one <= other for one, other in permutations(sharing, 2))  # no letter says what another says


def test_letters_begin_with_the_best() -> None:
    apart = dict.fromkeys(combinations(range(3), 2), 0.0)
    assert tie_groups(np.array([0.1, 0.9, 0.5]), apart) == ["c", "a", "b"]
    assert tie_groups(np.array([0.1, 0.9, 0.5]), dict.fromkeys(apart, 1.0)) == ["a", "a", "a"]


def test_ranks() -> None:
    always = np.tile([0.3, 0.9, 0.9], (50, 1))
    assert rank_intervals(always) == [(3, 3), (1, 1), (1, 1)]
    assert rank_intervals(always + np.array([0.0, 1e-15, 0.0])) == [(3, 3), (1, 1), (1, 1)]
    swapping = np.array([[0.4, 0.5, 0.1]] * 90 + [[0.5, 0.4, 0.1]] * 10)
    assert rank_intervals(swapping) == [(1, 2), (1, 2), (3, 3)]
    assert rank_intervals(swapping, level=0.5) == [(2, 2), (1, 1), (3, 3)]


def test_power_is_what_the_test_finds() -> None:
    better, discordant, runs = 0.1, 0.3, 300
    number = round((2.8016 / better) ** 2 * (discordant - better**2))
    assert smallest_difference(number, deviation=(discordant - better**2) ** 0.5) == pytest.approx(better, abs=0.001)
    rng, found = np.random.default_rng(0), 0
    for run in range(runs):
        one = rng.choice([1.0, 0.0, -1.0], size=number, p=[0.2, 0.7, 0.1])
        scores = np.array([one, np.zeros(number)])
        found += paired_p_values(scores, np.arange(number), resamples=400, seed=run)[0, 1] < 0.05
    assert found / runs == pytest.approx(0.8, abs=0.06)


def test_power_needs_queries_and_knows_clusters() -> None:
    alone = smallest_difference(1000, deviation=0.5)
    assert smallest_difference(1000, deviation=0.5, design=4) == pytest.approx(2 * alone)
    assert smallest_difference(4000, deviation=0.5) == pytest.approx(alone / 2)
    for queries, deviation in ((0, 0.5), (10, 0.0), (10, np.nan)):
        with pytest.raises(InputError, match="no power"):
            smallest_difference(queries, deviation=deviation)


def test_design_effect() -> None:
    rng = np.random.default_rng(0)
    values = rng.random(300)
    assert design_effect(values, np.arange(300)) == pytest.approx(1)
    assert design_effect(np.repeat(values, 5), np.repeat(np.arange(300), 5)) == pytest.approx(5, rel=0.01)
    assert design_effect(np.ones(10), np.arange(10) // 2) == 1
    assert design_effect(values, np.zeros(300, dtype=int)) == 1
    drawn = [design_effect(*hits(rng, 0.4, 5, 0.25)) for _ in range(300)]
    assert np.mean(drawn) == pytest.approx(1 + 4 * 0.25, abs=0.1)


def test_ten_models_that_guess_share_a_letter_on_four_tasks() -> None:
    for task in range(4):
        scores = (np.random.default_rng(task).random((10, QUERIES)) < 0.5).astype(float)
        clusters = np.arange(QUERIES) // 2
        drawn = bootstrap(np.column_stack([np.ones(QUERIES), scores.T]), clusters, lambda s: s[:, 1:] / s[:, :1])
        assert drawn.shape == (10_000, 10)
        best, worst = scores.mean(axis=1).argmax(), scores.mean(axis=1).argmin()
        intervals = rank_intervals(drawn)
        assert intervals[best][0] == 1
        assert intervals[worst][1] == 10
        letters = tie_groups(scores.mean(axis=1), holm(paired_p_values(scores, clusters)))
        assert set(letters) == {"a"}
        for row in scores:
            low, high = share_interval(row, clusters)
            assert low < row.mean() < high
