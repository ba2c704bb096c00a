"""Intervals hold the truth as often as they say, with queries that are alike and without."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm
from simulated import QUERIES, coverage, hits

from mrbench.errors import ResultError
from mrbench.statistics import bootstrap, bootstrap_interval, cluster_codes, share_interval


@pytest.mark.parametrize(("rate", "size"), [(0.3, 1), (0.3, 5), (0.02, 1)])
def test_coverage_about_right(rate: float, size: int) -> None:
    rng = np.random.default_rng(0)
    assert 0.92 <= coverage(rate, lambda: hits(rng, rate, size, 0.3 if size > 1 else 0), 500) <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.02, 0.1, 0.3, 0.5, 0.9])
@pytest.mark.parametrize(("size", "alike"), [(1, 0.0), (5, 0.0), (5, 0.2), (5, 0.5)])
def test_coverage_of_shares_is_within_two_points(rate: float, size: int, alike: float) -> None:
    rng = np.random.default_rng(round(1000 * rate) + size)
    high = (
        0.98 if (rate, size) == (0.02, 5) else 0.97
    )  # five hits in 50 clusters: on the safe side, by up to 2.5 points
    assert 0.93 <= coverage(rate, lambda: hits(rng, rate, size, alike), 6000) <= high


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 5])
def test_coverage_of_values_between_0_and_1_is_within_two_points(size: int) -> None:
    rng = np.random.default_rng(size)
    clusters = np.arange(QUERIES) // size
    truth = 0.4 + 0.6 * float((1 / np.arange(1, 51)).mean())  # reciprocal ranks, half of them shared by a cluster

    def draw() -> tuple[np.ndarray, np.ndarray]:
        ranks = np.where(rng.random((2, QUERIES)) < 0.4, 1, rng.integers(1, 51, size=(2, QUERIES)))
        return 1 / np.where(rng.random(QUERIES) < 0.5, ranks[0][clusters], ranks[1]), clusters

    assert 0.93 <= coverage(truth, draw, 4000) <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 5])
def test_coverage_of_a_ratio_of_means_is_within_two_points(size: int) -> None:
    rng = np.random.default_rng(size)
    clusters = np.arange(QUERIES) // size
    number, covered, runs = int(clusters.max()) + 1, 0, 2000
    for run in range(runs):
        shared = rng.gamma(2.0, 0.05, size=number)[clusters]
        noise = rng.gamma(2.0, 0.05, size=QUERIES)
        moved, scale = noise + 0.5 * shared, noise + shared + rng.gamma(2.0, 0.1, size=QUERIES)
        values = bootstrap(
            np.column_stack([moved - noise, scale - noise]),
            clusters,
            lambda s: s[:, 0] / s[:, 1],
            resamples=500,
            seed=run,
        )
        low, high = bootstrap_interval(values, number)
        covered += low <= 0.05 / 0.3 <= high
    assert 0.93 <= covered / runs <= 0.97


@given(st.integers(0, 30), st.integers(2, 30))
def test_independent_hits_have_about_the_interval_of_wilson(right: int, queries: int) -> None:
    right = min(right, queries)
    low, high = share_interval(np.repeat([1.0, 0.0], [right, queries - right]), np.arange(queries))
    wilson = binomtest(right, queries).proportion_ci(method="wilson")
    assert 0 <= low <= right / queries <= high <= 1
    assert low <= wilson.low + 1e-9  # Student's t is wider
    assert high >= wilson.high - 1e-9


def test_nothing_right_is_not_surely_nothing() -> None:
    low, high = share_interval(np.zeros(250), np.arange(250))
    exact = binomtest(0, 250).proportion_ci(method="exact").high
    assert low == 0
    assert exact < high < 1.1 * exact
    assert share_interval(np.zeros(250), np.arange(250) // 5)[1] > 4 * exact  # 50 clusters tell less
    assert share_interval(np.ones(250), np.arange(250)) == pytest.approx((1 - high, 1))


def test_copies_tell_nothing_new() -> None:
    values = np.random.default_rng(0).integers(0, 2, size=80).astype(float)
    one = share_interval(values, np.arange(80))
    assert share_interval(np.repeat(values, 4), np.repeat(np.arange(80), 4)) == pytest.approx(one)
    alone = share_interval(np.repeat(values, 4), np.arange(320))
    assert alone[1] - alone[0] < 0.55 * (one[1] - one[0])


def test_names_of_clusters_do_not_matter() -> None:
    values = np.array([1.0, 0.0, 1.0, 1.0])
    assert share_interval(values, np.array([0, 9, 9, 4])) == share_interval(values, np.array([0, 1, 1, 2]))


@pytest.mark.parametrize(
    ("values", "clusters", "match"),
    [
        ([], [], "0 to 1"),
        ([0.5, 1.2], [0, 1], "0 to 1"),
        ([0.5, np.nan], [0, 1], "0 to 1"),
        ([0, 1], [0, 0], "two clusters"),
    ],
)
def test_what_has_no_interval(values: list[float], clusters: list[int], match: str) -> None:
    with pytest.raises(ResultError, match=match):
        share_interval(np.array(values), np.array(clusters, dtype=int))


def test_bootstrap_has_the_variance_of_the_mean() -> None:
    rng = np.random.default_rng(0)
    values, clusters = rng.normal(size=200), np.arange(200) // 4
    drawn = bootstrap(np.column_stack([np.ones(200), values]), clusters, lambda s: s[:, 1] / s[:, 0], resamples=8000)
    means = values.reshape(50, 4).mean(axis=1)
    assert drawn.mean() == pytest.approx(values.mean(), abs=0.005)
    assert drawn.std() == pytest.approx(means.std() / np.sqrt(50), rel=0.03)


def test_bootstrap_depends_on_the_seed_alone() -> None:
    columns, clusters = np.random.default_rng(0).random((30, 2)), np.arange(30) // 2
    one, again, other = (bootstrap(columns, clusters, lambda s: s, resamples=1500, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    assert one.shape == (1500, 2)


def test_bootstrap_interval_is_wider_than_percentiles_with_few_clusters() -> None:
    values = norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    plain = np.quantile(values, [0.025, 0.975])
    few, many = bootstrap_interval(values, 8), bootstrap_interval(values, 5000)
    wider = 2.3646 * np.sqrt(8 / 7)  # Student's t with 7 degrees of freedom, and the variance of 8 over 7
    assert few == pytest.approx((-wider, wider), abs=0.01)
    assert many == pytest.approx(plain, abs=0.01)


def test_bootstrap_of_nothing() -> None:
    with pytest.raises(ResultError, match="no query"):
        bootstrap(np.zeros((0, 1)), np.array([], dtype=int), lambda s: s)
    with pytest.raises(ResultError, match="2 rows, 3 clusters"):
        bootstrap(np.zeros((2, 1)), np.arange(3), lambda s: s)
    for values, clusters in ((np.ones(9), 1), (np.full(9, np.nan), 5)):
        with pytest.raises(ResultError, match="two clusters"):
            bootstrap_interval(values, clusters)


def test_codes_follow_the_names() -> None:
    assert cluster_codes(["b", "a", "b", "c"]).tolist() == [1, 0, 1, 2]


def test_clusters_that_happen_to_balance_do_not_narrow_the_interval() -> None:
    values = np.append(np.tile([0.0, 1.0], 49), [1.0, 1.0])  # but one cluster, all have one of each
    alone = share_interval(values, np.arange(100))
    balanced = share_interval(values, np.repeat(np.arange(50), 2))
    assert balanced[0] <= alone[0]
    assert balanced[1] >= alone[1]
