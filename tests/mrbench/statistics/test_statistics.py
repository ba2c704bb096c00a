"""Intervals that cover, tests that reject what differs and nothing else, and what they do with too little."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from mrbench.errors import InputError, ResultError
from mrbench.statistics import (
    bootstrap,
    bootstrap_interval,
    cluster_codes,
    design_effect,
    holm,
    paired_p_values,
    rank_intervals,
    share_interval,
    smallest_difference,
    tie_groups,
)


def drawn(rng: np.random.Generator, share: float, size: int) -> tuple[np.ndarray, np.ndarray]:
    """250 hits in clusters of one size, alike within a cluster."""
    clusters = np.repeat(np.arange(250 // size), size)
    level = np.full(250, share) if size == 1 else rng.beta(4 * share, 4 * (1 - share), 250 // size)[clusters]
    return (rng.random(250) < level).astype(float), clusters


def coverage(share: float, size: int, times: int, seed: int = 0) -> float:
    rng = np.random.default_rng(seed)
    inside = 0
    for _ in range(times):
        low, high = share_interval(*drawn(rng, share, size))
        inside += low <= share <= high
    return inside / times


@pytest.mark.parametrize(("share", "size"), [(0.3, 1), (0.3, 5)])
def test_intervals_cover_about_as_often_as_they_say(share: float, size: int) -> None:
    assert coverage(share, size, 400) == pytest.approx(0.95, abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize(("share", "size"), list(product((0.05, 0.1, 0.3, 0.5, 0.9), (1, 5))))
def test_coverage_is_within_two_points_of_nominal(share: float, size: int) -> None:
    assert coverage(share, size, 8000) == pytest.approx(0.95, abs=0.02)


def test_intervals_that_ignore_clusters_are_too_narrow() -> None:
    rng = np.random.default_rng(1)
    values, clusters = drawn(rng, 0.5, 5)
    alone, together = share_interval(values, np.arange(250)), share_interval(values, clusters)
    assert together[1] - together[0] > 1.1 * (alone[1] - alone[0])
    assert design_effect(values, clusters) > 1.3
    assert design_effect(values, np.arange(250)) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_equal_values_have_an_interval_too(value: float) -> None:
    low, high = share_interval(np.full(50, value), np.arange(50))
    assert low <= value <= high
    assert 0.03 < high - low < 0.15


def test_share_interval_is_wilson_for_single_queries() -> None:
    # Wilson's interval of 20 in 100 with Student's quantile at 99 degrees of freedom, by hand.
    n, p, z = 100 * 99 / 100, 0.2, 1.98422
    centre = (p + z * z / 2 / n) / (1 + z * z / n)
    half = z * np.sqrt(p * (1 - p) / n + z * z / 4 / n**2) / (1 + z * z / n)
    found = share_interval(np.repeat([1.0, 0.0], [20, 80]), np.arange(100))
    assert found == pytest.approx((centre - half, centre + half), abs=1e-4)


def test_bootstrap_of_a_ratio_is_centred_and_as_wide_as_theory_says() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(3, 1, 400)
    found = bootstrap(np.column_stack([np.ones(400), values]), np.arange(400), lambda s: s[:, 1] / s[:, 0])
    low, high = bootstrap_interval(found, 400)
    assert (low + high) / 2 == pytest.approx(values.mean(), abs=0.01)
    assert high - low == pytest.approx(2 * 1.966 * values.std(ddof=1) / 20, rel=0.05)
    again = bootstrap(np.column_stack([np.ones(400), values]), np.arange(400), lambda s: s[:, 1] / s[:, 0])
    assert np.array_equal(found, again)


def test_randomisation_is_exact_on_few_clusters() -> None:
    # Four clusters that all favour the first model by 1: 2 of 16 sign patterns are as large.
    p = paired_p_values(np.array([np.ones(4), np.zeros(4)]), np.arange(4), resamples=40_000)[0, 1]
    assert p == pytest.approx(2 / 16, abs=0.01)


def test_equal_models_are_rarely_told_apart() -> None:
    rng = np.random.default_rng(0)
    found = [
        paired_p_values((rng.random((2, 100)) < 0.5).astype(float), np.arange(100), resamples=400, seed=n)[0, 1]
        for n in range(400)
    ]
    assert 0.02 < np.mean(np.array(found) < 0.05) < 0.08


def test_a_difference_is_found() -> None:
    rng = np.random.default_rng(0)
    base = (rng.random(200) < 0.5).astype(float)
    better = np.where(rng.random(200) < 0.3, 1.0, base)
    assert paired_p_values(np.array([base, better]), np.arange(200))[0, 1] < 0.001


def test_holm_never_lets_a_later_one_be_smaller() -> None:
    corrected = holm({(0, 1): 0.04, (0, 2): 0.001, (1, 2): 0.03})
    assert corrected == {(0, 1): 0.06, (0, 2): 0.003, (1, 2): 0.06}


def test_ranks_and_groups() -> None:
    rng = np.random.default_rng(0)
    values = np.array([0.9, 0.5, 0.49]) + rng.normal(0, 0.02, (1000, 3))
    assert rank_intervals(values) == [(1, 1), (2, 3), (2, 3)]
    p_values = {(0, 1): 0.001, (0, 2): 0.001, (1, 2): 0.8}
    assert tie_groups(np.array([0.9, 0.5, 0.49]), p_values) == ["a", "b", "b"]


def test_power_agrees_with_a_simulation() -> None:
    found = smallest_difference(250, deviation=0.3**0.5)
    rng = np.random.default_rng(0)
    rejected = 0
    for n in range(150):
        kind = rng.random(250)  # wins, losses, draws
        won, lost = (0.3 + found) / 2, 0.3
        scores = np.array([kind < won, (kind >= won) & (kind < lost)]).astype(float)
        rejected += paired_p_values(scores, np.arange(250), resamples=300, seed=n)[0, 1] < 0.05
    assert 0.7 < rejected / 150 < 0.9


def test_too_little_gives_no_number() -> None:
    with pytest.raises(ResultError):
        share_interval(np.array([]), np.array([], dtype=int))
    with pytest.raises(ResultError):
        share_interval(np.array([1.0, 0.0]), np.array([0, 0]))
    with pytest.raises(ResultError):
        share_interval(np.array([1.5, 0.0]), np.array([0, 1]))
    with pytest.raises(ResultError):
        bootstrap(np.zeros((0, 1)), np.array([], dtype=int), lambda s: s)
    with pytest.raises(ResultError):
        bootstrap_interval(np.ones(10), 1)
    with pytest.raises(ResultError):
        paired_p_values(np.array([[1.0, np.nan], [1.0, 0.0]]), np.arange(2))
    with pytest.raises(InputError):
        smallest_difference(0, deviation=1)
    assert paired_p_values(np.array([[1.0, 0.0]]), np.arange(2)) == {}
    assert cluster_codes(["b", "a", "b"]).tolist() == [1, 0, 1]
