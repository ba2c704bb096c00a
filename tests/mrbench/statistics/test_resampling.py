"""What a draw depends on, and where the statistics end: few clusters, no weight, values that nearly tie."""

from __future__ import annotations

import re
import sys
from itertools import combinations

import numpy as np
import pytest

from mrbench.errors import InputError, ResultError
from mrbench.statistics import (
    bootstrap,
    bootstrap_interval,
    bootstrap_means,
    cluster_codes,
    design_effect,
    paired_p_values,
    rank_intervals,
    share_interval,
    smallest_difference,
    tie_groups,
)

VALUES, CLUSTERS = np.random.default_rng(0).random((30, 2)), np.arange(30) // 2


def sums(seed: int, resamples: int = 1500) -> np.ndarray:
    return bootstrap(VALUES, CLUSTERS, lambda drawn: drawn, resamples=resamples, seed=seed)


def test_a_draw_is_the_same_after_another_one() -> None:
    one, other, again = sums(1), sums(2), sums(1)  # the last draw is kept, so the one between matters
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_defaults_are_seed_0_and_ten_thousand_resamples() -> None:
    weights = np.ones((1, 30))
    means = bootstrap_means(VALUES[:, :1].T, weights, CLUSTERS)
    assert means.shape == (10_000, 1)
    np.testing.assert_array_equal(means, bootstrap_means(VALUES[:, :1].T, weights, CLUSTERS, resamples=10_000, seed=0))
    np.testing.assert_array_equal(bootstrap(VALUES, CLUSTERS, lambda drawn: drawn), sums(0, 10_000))
    close = np.array([VALUES[:, 0], VALUES[:, 0] + np.random.default_rng(1).normal(0, 0.1, 30)])
    p, same, other = (paired_p_values(close, CLUSTERS, **said)[0, 1] for said in ({}, {"seed": 0}, {"seed": 1}))
    assert p == same == paired_p_values(close, CLUSTERS, resamples=10_000)[0, 1]
    assert p != other
    assert (p * 10_001) == pytest.approx(round(p * 10_001))


def test_means_pass_seed_and_number_on() -> None:
    def means(**options: int) -> np.ndarray:
        return bootstrap_means(VALUES.T, np.ones((2, 30)), CLUSTERS, **options)

    one, other, again = (means(resamples=50, seed=seed) for seed in (1, 2, 1))
    assert one.shape == (50, 2)
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_a_mean_over_nothing_is_nan_and_over_one_query_is_its_value() -> None:
    values, weights = np.array([[0.25, 0.0]]), np.array([[1.0, 0.0]])  # the second query does not count
    drawn = bootstrap_means(values, weights, np.arange(2), resamples=200)[:, 0]
    assert np.isnan(drawn).any()
    assert set(drawn[~np.isnan(drawn)].tolist()) == {0.25}


def test_many_clusters_are_drawn_in_blocks_and_each_as_often() -> None:
    columns = np.eye(3)
    drawn = bootstrap(columns, np.arange(3), lambda part: part, resamples=2500)
    assert drawn.shape == (2500, 3)
    assert (drawn.sum(axis=1) == 3).all()
    assert drawn.mean(axis=0) == pytest.approx(np.ones(3), abs=0.05)


def test_draws_that_are_not_kept_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = sums(3)
    monkeypatch.setattr(sys.modules["mrbench.statistics.bootstrap"], "_KEPT", 0)  # its name is the function's too
    np.testing.assert_array_equal(sums(3), kept)


def test_two_clusters_have_an_interval_and_one_names_the_number() -> None:
    low, high = bootstrap_interval(np.linspace(0, 1, 101), 2)
    assert (low, high) == pytest.approx((0.0, 1.0), abs=1e-6)  # one degree of freedom: all there is
    with pytest.raises(ResultError, match=r"^an interval needs two clusters or more; got: 1"):
        bootstrap_interval(np.ones(9), 1)


def test_the_level_decides_the_width() -> None:
    values = np.linspace(0, 1, 1001)
    low, high = bootstrap_interval(values, 10_000, level=0.5)
    assert (low, high) == pytest.approx((0.25, 0.75), abs=0.001)
    wide, narrow = (share_interval(VALUES[:, 0], CLUSTERS, level=level) for level in (0.99, 0.5))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_codes_of_names_are_one_row_whatever_they_are() -> None:
    assert cluster_codes([]).tolist() == []
    assert cluster_codes(["10", "9", "10"]).tolist() == [0, 1, 0]  # as texts, not as numbers
    assert cluster_codes([10, 9, 10]).tolist() == [0, 1, 0]  # type: ignore[list-item]


def test_one_query_has_a_power_and_none_is_named() -> None:
    assert smallest_difference(1, deviation=1.0) == pytest.approx(2.8016, abs=1e-4)
    with pytest.raises(InputError, match=re.escape("no power to compute; got: '0 queries, deviation 0.5'")):
        smallest_difference(0, deviation=0.5)


def test_the_design_effect_of_two_clusters_and_of_numbers_that_are_skipped() -> None:
    values = np.array([0.0, 0.0, 1.0, 1.0])
    assert design_effect(values, np.array([0, 0, 1, 1])) == pytest.approx(3)  # by hand: 2 * 2 / 4**2 over (1 / 3) / 4
    assert design_effect(values, np.array([0, 0, 5, 5])) == pytest.approx(3)
    assert design_effect(values, np.arange(4)) == pytest.approx(1)


def test_ranks_tie_up_to_twelve_digits_and_are_whole() -> None:
    nearly = np.tile([0.5, 0.5 + 3e-13], (10, 1))
    assert rank_intervals(nearly) == [(1, 1), (1, 1)]
    assert rank_intervals(np.tile([0.5, 0.5 + 3e-12], (10, 1))) == [(2, 2), (1, 1)]


def test_the_tails_of_a_rank_are_alike_on_both_sides() -> None:
    first = np.array([[0.9, 0.5]] * 4 + [[0.1, 0.5]] * 96)  # the first model leads in 4 of 100 resamples
    assert rank_intervals(first) == [(1, 2), (1, 2)]
    assert rank_intervals(first, level=0.9) == [(2, 2), (1, 1)]
    assert rank_intervals(np.array([[0.9, 0.5]] * 3 + [[0.1, 0.5]] * 97), level=0.95) == [(1, 2), (1, 2)]
    assert rank_intervals(np.array([[0.9, 0.5]] * 2 + [[0.1, 0.5]] * 98), level=0.95) == [(2, 2), (1, 1)]


def test_a_resample_with_the_observed_difference_counts_as_large_and_two_clusters_have_four_signs() -> None:
    scores = np.array([[1.0, 1.0], [0.0, 0.0]])
    assert paired_p_values(scores, np.arange(2), resamples=4000)[0, 1] == pytest.approx(0.5, abs=0.03)
    with pytest.raises(ResultError, match=r"^a test needs the scores of all models on all queries; got: \(2, 2\)"):
        paired_p_values(scores, np.arange(3))


def test_letters_go_on_with_numbers_after_z() -> None:
    apart = dict.fromkeys(combinations(range(28), 2), 0.0)
    assert tie_groups(-np.arange(28.0), apart)[24:] == ["y", "z", "(27)", "(28)"]


def test_models_differ_only_below_the_level_and_equal_scores_keep_their_order() -> None:
    assert tie_groups(np.array([0.9, 0.1]), {(0, 1): 0.05}) == ["a", "a"]
    assert tie_groups(np.array([0.9, 0.1]), {(0, 1): 0.05}, level=0.06) == ["a", "b"]
    assert tie_groups(np.full(3, 0.5), dict.fromkeys(combinations(range(3), 2), 0.0)) == ["a", "b", "c"]


def test_the_interval_of_few_equal_values_by_hand() -> None:
    t = 3.182446  # of 3 degrees of freedom: 0.975
    assert share_interval(np.ones(4), np.arange(4)) == pytest.approx((1 / (1 + t**2 / 4), 1))
    assert share_interval(np.zeros(4), np.arange(4)) == pytest.approx((0, 1 - 1 / (1 + t**2 / 4)))


def test_the_design_effect_of_clusters_of_one_and_two() -> None:
    # residuals -2/3 and 2/3: (8 / 9) * 2 / 3**2 over (1 / 3) / 3
    assert design_effect(np.array([0.0, 1.0, 1.0]), np.array([0, 1, 1])) == pytest.approx(16 / 9)


def test_messages_of_an_interval_say_what_they_got() -> None:
    with pytest.raises(ResultError, match=r"^an interval needs values from 0 to 1; got: 0"):
        share_interval(np.zeros(0), np.zeros(0, dtype=int))
    with pytest.raises(ResultError, match=r"^an interval needs two clusters or more; got: 1"):
        share_interval(np.ones(2), np.zeros(2, dtype=int))
