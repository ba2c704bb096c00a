"""The closed forms are the means over all orders of the tied, and nothing else changes them."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rankings import gain_groups, ideal, tie_groups

from mrbench.measures import (
    GainGroups,
    TieGroups,
    average_precision,
    chance,
    chance_ndcg,
    gain_of,
    hit_rate,
    ideal_dcg,
    judged_share,
    ndcg,
    rank_measure,
    recall,
    reciprocal_rank,
)

Pool = list[tuple[int, int]]
pools = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=6).filter(
    lambda pool: any(grade == 3 for _, grade in pool)
)
AT_K = ("hit_rate", "recall", "capped_recall", "precision", "mrr", "map", "capped_map")
FULL = ("mrr", "map", "map@r", "r_precision", "mean_rank")


def discounted(gains: list[float], k: int) -> float:
    return sum(gain / np.log2(place + 2) for place, gain in enumerate(gains[:k]))


def of_one_order(grades: list[int], k: int) -> dict[str, float]:
    """Every measure of a list, straight from the definitions. Grade 3 is relevant, grade 1 and above is judged."""
    ranks = [rank for rank, grade in enumerate(grades, start=1) if grade == 3]
    precisions = {rank: number / rank for number, rank in enumerate(ranks, start=1)}
    inside, total = [rank for rank in ranks if rank <= k], len(ranks)
    up_to_k, up_to_r = (sum(p for rank, p in precisions.items() if rank <= places) for places in (k, total))
    powers = [2**grade - 1 for grade in grades]
    return {
        f"hit_rate@{k}": float(bool(inside)),
        f"recall@{k}": len(inside) / total,
        f"capped_recall@{k}": len(inside) / min(k, total),
        f"precision@{k}": len(inside) / k,
        f"mrr@{k}": 1 / ranks[0] if inside else 0.0,
        f"map@{k}": up_to_k / total,
        f"capped_map@{k}": up_to_k / min(k, total),
        "mrr": 1 / ranks[0],
        "map": sum(precisions.values()) / total,
        "map@r": up_to_r / total,
        "r_precision": sum(rank <= total for rank in ranks) / total,
        "mean_rank": float(ranks[0]),
        f"ndcg@{k}": discounted(grades, k) / discounted(sorted(grades)[::-1], k),
        f"ndcg_exp@{k}": discounted(powers, k) / discounted(sorted(powers)[::-1], k),
        f"judged@{k}": sum(grade > 0 for grade in grades[:k]) / min(k, len(grades)),
    }


def closed_forms(pool: Pool, k: int) -> dict[str, float]:
    scores, grades = (np.array([part]) for part in zip(*pool, strict=True))
    groups = tie_groups(scores, grades == 3)
    values = {name: rank_measure(name)(groups)[0] for name in (*FULL, *(f"{name}@{k}" for name in AT_K))}
    values[f"ndcg@{k}"] = ndcg(gain_groups(scores, grades), ideal(grades, k), k)[0]
    powers = gain_groups(scores, gain_of(grades, "exponential").astype(int))
    counts = np.array([np.bincount(grades[0])])
    values[f"ndcg_exp@{k}"] = ndcg(powers, ideal_dcg(counts, k, "exponential"), k)[0]
    known = gain_groups(scores, (grades > 0).astype(int))
    values[f"judged@{k}"] = judged_share(known, k, len(pool))[0]
    return values


@settings(max_examples=60, deadline=None)
@given(pools, st.integers(1, 7))
def test_closed_forms_are_the_mean_over_all_orders(pool: Pool, k: int) -> None:
    orders = [sorted(order, key=lambda member: -member[0]) for order in permutations(pool)]
    by_order = [of_one_order([grade for _, grade in order], k) for order in orders]
    expected = {name: np.mean([values[name] for values in by_order]) for name in by_order[0]}
    assert closed_forms(pool, k) == pytest.approx(expected)


@given(pools, st.randoms(use_true_random=False))
def test_order_changes_nothing(pool: Pool, random) -> None:
    shuffled = list(pool)
    random.shuffle(shuffled)
    assert closed_forms(shuffled, 3) == closed_forms(pool, 3)


@settings(max_examples=30, deadline=None)
@given(st.lists(pools, min_size=2, max_size=4), st.integers(1, 7))
def test_queries_do_not_touch_each_other(several: list[Pool], k: int) -> None:
    """Many queries at once give what each gives alone."""
    groups = [tie_groups(*(np.array([part]) for part in zip(*pool, strict=True))) for pool in several]
    arrays = ((g.above, g.size, g.relevant) for g in groups)
    query = np.repeat(np.arange(len(groups)), [len(g.query) for g in groups])
    together = TieGroups(query, *(np.concatenate(part) for part in zip(*arrays, strict=True)), len(groups))
    for name in (*FULL, *(f"{name}@{k}" for name in AT_K)):
        alone = [rank_measure(name)(g)[0] for g in groups]
        np.testing.assert_allclose(rank_measure(name)(together), alone, rtol=0, atol=1e-12, err_msg=name)


def test_one_score_for_all_is_the_mean_of_random_orders() -> None:
    rng = np.random.default_rng(0)
    grades = np.zeros(60, dtype=int)
    grades[:4], grades[4:20] = 3, 1
    drawn = [of_one_order(rng.permutation(grades).tolist(), 10) for _ in range(4000)]
    for name, value in closed_forms([(0, int(grade)) for grade in grades], 10).items():
        simulated = np.array([values[name] for values in drawn])
        assert abs(simulated.mean() - value) <= 4 * simulated.std() / np.sqrt(len(simulated)), name


def test_chance_is_what_one_score_for_all_gives() -> None:
    grades = np.zeros((1, 60), dtype=int)
    grades[0, :4], grades[0, 4:20] = 3, 1
    same = closed_forms([(0, int(grade)) for grade in grades[0]], 10)
    for name in (*FULL, *(f"{name}@10" for name in AT_K)):
        assert chance(name, np.array([4]), 60)[0] == pytest.approx(same[name]), name
    counts = np.array([np.bincount(grades[0])])
    assert chance_ndcg(counts, 10)[0] == pytest.approx(same["ndcg@10"])
    assert chance_ndcg(counts, 10, "exponential")[0] == pytest.approx(same["ndcg_exp@10"])


def test_chance_in_a_pool_of_a_million_is_exact_enough() -> None:
    size = 1_000_000
    one = TieGroups(np.array([0]), np.array([0]), np.array([size]), np.array([1]), 1)
    harmonic = np.log(size) + np.euler_gamma + 1 / (2 * size)
    assert hit_rate(one, 10)[0] == pytest.approx(10 / size, rel=1e-9)
    assert recall(one, 10)[0] == pytest.approx(10 / size, rel=1e-9)
    assert reciprocal_rank(one)[0] == pytest.approx(harmonic / size, rel=1e-9)
    assert average_precision(one)[0] == pytest.approx(harmonic / size, rel=1e-9)
    first_ten = sum(1 / rank for rank in range(1, 11)) / size
    assert reciprocal_rank(one, 10)[0] == pytest.approx(first_ten, rel=1e-9)
    assert average_precision(one, 10)[0] == pytest.approx(first_ten, rel=1e-9)


def test_listed_groups_are_those_of_the_whole_matrix() -> None:
    rng = np.random.default_rng(3)
    scores, grades = rng.integers(0, 9, (5, 40)), rng.integers(0, 4, (5, 40)) * (rng.random((5, 40)) < 0.2)
    grades[:, 0] = 1
    query, at = rng.permutation(np.argwhere(grades)).T
    mine = scores[query, at][:, None]
    above, equal = (scores[query] > mine).sum(axis=1), (scores[query] == mine).sum(axis=1)
    listed = GainGroups.from_listed(query, above, equal, grades[query, at], 5)
    np.testing.assert_allclose(
        ndcg(listed, ideal(grades, 7), 7), ndcg(gain_groups(scores, grades), ideal(grades, 7), 7), rtol=0, atol=1e-12
    )
