"""The closed forms are the means over all orders of the tied, and nothing else changes them."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rankings import gain_groups, ideal, tie_groups

from mrbench.measures import average_precision, hit_rate, ndcg, recall, reciprocal_rank

Pool = list[tuple[int, int]]
pools = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=6).filter(
    lambda pool: any(grade == 3 for _, grade in pool)
)


def of_one_order(grades: list[int], k: int) -> list[float]:
    """Hit rate, recall, reciprocal rank, average precision and nDCG of a list, straight from the definitions."""
    ranks = [rank for rank, grade in enumerate(grades, start=1) if grade == 3]
    inside = [rank for rank in ranks if rank <= k]
    discounts = 1 / np.log2(np.arange(2, k + 2))
    gained, best = (np.array([*order[:k], *[0] * k])[:k] @ discounts for order in (grades, sorted(grades)[::-1]))
    precision = sum(number / rank for number, rank in enumerate(ranks, start=1)) / len(ranks)
    return [float(bool(inside)), len(inside) / len(ranks), 1 / ranks[0], precision, gained / best]


def closed_forms(pool: Pool, k: int) -> list[float]:
    scores, grades = (np.array([part]) for part in zip(*pool, strict=True))
    groups = tie_groups(scores, grades == 3)
    return [
        hit_rate(groups, k)[0],
        recall(groups, k)[0],
        reciprocal_rank(groups)[0],
        average_precision(groups)[0],
        ndcg(gain_groups(scores, grades), ideal(grades, k), k)[0],
    ]


@settings(max_examples=60, deadline=None)
@given(pools, st.integers(1, 7))
def test_closed_forms_are_the_mean_over_all_orders(pool: Pool, k: int) -> None:
    orders = [sorted(order, key=lambda member: -member[0]) for order in permutations(pool)]
    expected = np.mean([of_one_order([grade for _, grade in order], k) for order in orders], axis=0)
    assert closed_forms(pool, k) == pytest.approx(expected)


@given(pools, st.randoms(use_true_random=False))
def test_order_changes_nothing(pool: Pool, random) -> None:
    shuffled = list(pool)
    random.shuffle(shuffled)
    assert closed_forms(shuffled, 3) == closed_forms(pool, 3)


def test_one_score_for_all_is_the_mean_of_random_orders() -> None:
    rng = np.random.default_rng(0)
    grades = np.zeros(60, dtype=int)
    grades[:4], grades[4:20] = 3, 1
    simulated = np.array([of_one_order(rng.permutation(grades).tolist(), 10) for _ in range(4000)])
    error = simulated.std(axis=0) / np.sqrt(len(simulated))
    chance = closed_forms([(0, int(grade)) for grade in grades], 10)
    assert (np.abs(simulated.mean(axis=0) - chance) < 4 * error).all()


def test_chance_in_a_pool_of_a_million_is_exact_enough() -> None:
    size = 1_000_000
    from mrbench.measures import TieGroups

    one = TieGroups(np.array([0]), np.array([0]), np.array([size]), np.array([1]), 1)
    harmonic = np.log(size) + np.euler_gamma + 1 / (2 * size)
    assert hit_rate(one, 10)[0] == pytest.approx(10 / size, rel=1e-9)
    assert recall(one, 10)[0] == pytest.approx(10 / size, rel=1e-9)
    assert reciprocal_rank(one)[0] == pytest.approx(harmonic / size, rel=1e-9)
    assert average_precision(one)[0] == pytest.approx(harmonic / size, rel=1e-9)
