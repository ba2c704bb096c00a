"""Agreement with trec_eval and MTEB to 1e-9: without ties, with ties, with holes; and with UniIR's definition."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st
from mteb._evaluators.retrieval_metrics import calculate_retrieval_scores, hole, mrr, recall_cap
from rankings import Qrels, Run, gain_groups, gains_of_run, groups_of_run, ideal, judged_rows, tie_groups

from mrbench.errors import ResultError
from mrbench.measures import (
    GainGroups,
    average_precision,
    chance,
    hit_rate,
    ideal_dcg_listed,
    judged_share,
    mean,
    ndcg,
    rank_measure,
    recall,
    reciprocal_rank,
)

CUTOFFS = (1, 3, 5, 10)
CUT = ",".join(map(str, CUTOFFS))
TREC = {"hit_rate": "success", "recall": "recall", "precision": "P", "map": "map_cut"}
FULL_DEPTH = {"mrr": "recip_rank", "map": "map", "r_precision": "Rprec"}
ASKED = {*(f"{name}.{CUT}" for name in (*TREC.values(), "ndcg_cut")), *FULL_DEPTH.values()}
seeds = st.integers(0, 2**32 - 1)


def drawn(seed: int, *, depth: int, pool: int = 25, queries: int = 6) -> tuple[Run, Qrels]:
    """A run without ties and partial judgements; with a depth below the pool some judged candidates are not in it."""
    rng = np.random.default_rng(seed)
    run, qrels = {}, {}
    for query in range(queries):
        known = rng.permutation(pool)[: rng.integers(1, 15)]
        grades = rng.integers(0, 4, len(known))
        grades[0] = rng.integers(1, 4)
        qrels[f"q{query}"] = {f"c{c:02}": int(grade) for c, grade in zip(known, grades, strict=True)}
        run[f"q{query}"] = {f"c{c:02}": float(depth - rank) for rank, c in enumerate(rng.permutation(pool)[:depth])}
    return run, qrels


def of_trec_eval(run: Run, qrels: Qrels) -> dict[str, np.ndarray]:
    by_query = pytrec_eval.RelevanceEvaluator(qrels, ASKED).evaluate(run)
    assert list(by_query) == list(qrels)
    return {name: np.array([values[name] for values in by_query.values()]) for name in by_query[next(iter(qrels))]}


def assert_cut_measures_agree(run: Run, qrels: Qrels) -> None:
    theirs, groups = of_trec_eval(run, qrels), groups_of_run(run, qrels)
    capped, reciprocal = recall_cap(qrels, run, CUTOFFS), mrr(qrels, run, CUTOFFS)
    for k in CUTOFFS:
        for ours, name in TREC.items():
            values = rank_measure(f"{ours}@{k}")(groups)
            np.testing.assert_allclose(values, theirs[f"{name}_{k}"], rtol=0, atol=1e-9, err_msg=f"{ours}@{k}")
        np.testing.assert_allclose(ndcg(*gains_of_run(run, qrels, k), k), theirs[f"ndcg_cut_{k}"], rtol=0, atol=1e-9)
        values = rank_measure(f"capped_recall@{k}")(groups)
        np.testing.assert_allclose(values, capped[f"R_cap_at_{k}"], rtol=0, atol=1e-9)
        np.testing.assert_allclose(rank_measure(f"mrr@{k}")(groups), reciprocal[f"MRR@{k}"], rtol=0, atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_without_ties_all_agree(seed: int) -> None:
    run, qrels = drawn(seed, depth=25)
    assert_cut_measures_agree(run, qrels)
    theirs, groups = of_trec_eval(run, qrels), groups_of_run(run, qrels)
    for ours, name in FULL_DEPTH.items():
        np.testing.assert_allclose(rank_measure(ours)(groups), theirs[name], rtol=0, atol=1e-9, err_msg=ours)


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_with_holes_the_cut_measures_agree(seed: int) -> None:
    """Judged candidates that were not retrieved, and retrieved ones that nobody judged."""
    run, qrels = drawn(seed, depth=max(CUTOFFS))
    assert any(set(judged) - set(run[query]) for query, judged in qrels.items())
    assert any(set(run[query]) - set(judged) for query, judged in qrels.items())
    assert_cut_measures_agree(run, qrels)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_means_are_those_of_mteb(seed: int) -> None:
    """MTEB rounds its means to five decimals, MRR excepted."""
    run, qrels = drawn(seed, depth=12)
    theirs, groups = calculate_retrieval_scores(run, qrels, CUTOFFS), groups_of_run(run, qrels)
    names = {"hit_rate": ("hit_rate", "HitRate"), "recall": ("recall", "Recall"), "map": ("map", "MAP")}
    for k in CUTOFFS:
        for ours, (field, name) in (names | {"precision": ("precision", "P")}).items():
            value = mean(rank_measure(f"{ours}@{k}")(groups), ours)
            assert value == pytest.approx(getattr(theirs, field)[f"{name}@{k}"], abs=5.1e-6), ours
        value = mean(ndcg(*gains_of_run(run, qrels, k), k), "ndcg")
        assert value == pytest.approx(theirs.ndcg[f"NDCG@{k}"], abs=5.1e-6)
        assert mean(rank_measure(f"mrr@{k}")(groups), "mrr") == pytest.approx(theirs.mrr[f"MRR@{k}"], abs=1e-9)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 2)), min_size=2, max_size=5))
def test_with_ties_ours_is_the_mean_of_trec_eval_over_all_orders(pool: list[tuple[int, int]]) -> None:
    """trec_eval breaks ties by id, so a query for every way to give out the ids meets every order of the tied."""
    if not any(grade for _, grade in pool):
        pool[0] = (pool[0][0], 1)
    orders = list(permutations(range(len(pool))))
    run = {f"q{n}": {f"c{i}": float(pool[i_of][0]) for i_of, i in enumerate(ids)} for n, ids in enumerate(orders)}
    qrels = {f"q{n}": {f"c{i}": pool[i_of][1] for i_of, i in enumerate(ids)} for n, ids in enumerate(orders)}
    theirs = {name: values.mean() for name, values in of_trec_eval(run, qrels).items()}
    capped, reciprocal = recall_cap(qrels, run, CUTOFFS), mrr(qrels, run, CUTOFFS)
    one = {"q0": run["q0"]}, {"q0": qrels["q0"]}
    groups = groups_of_run(*one)
    for k in CUTOFFS:
        for ours, name in TREC.items():
            assert rank_measure(f"{ours}@{k}")(groups)[0] == pytest.approx(theirs[f"{name}_{k}"], abs=1e-9), ours
        assert ndcg(*gains_of_run(*one, k), k)[0] == pytest.approx(theirs[f"ndcg_cut_{k}"], abs=1e-9)
        assert rank_measure(f"mrr@{k}")(groups)[0] == pytest.approx(np.mean(reciprocal[f"MRR@{k}"]), abs=1e-9)
        expected = np.mean(capped[f"R_cap_at_{k}"])
        assert rank_measure(f"capped_recall@{k}")(groups)[0] == pytest.approx(expected, abs=1e-9)
    for ours, name in FULL_DEPTH.items():
        assert rank_measure(ours)(groups)[0] == pytest.approx(theirs[name], abs=1e-9), ours


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_exponential_gain_is_trec_eval_on_the_gains(seed: int) -> None:
    run, qrels = drawn(seed, depth=12)
    powers = {query: {c: 2**grade - 1 for c, grade in judged.items()} for query, judged in qrels.items()}
    theirs = of_trec_eval(run, powers)
    for k in CUTOFFS:
        ours = ndcg(*gains_of_run(run, qrels, k, "exponential"), k)
        np.testing.assert_allclose(ours, theirs[f"ndcg_cut_{k}"], rtol=0, atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_judged_share_is_what_the_holes_of_mteb_leave(seed: int) -> None:
    """MTEB takes a candidate for judged that any query judges, so the queries are asked one by one."""
    run, qrels = drawn(seed, depth=12)
    query, above, equal, _ = judged_rows(run, qrels)
    groups = GainGroups.from_listed(query, above, equal, np.ones(len(query)), len(qrels))
    for k in CUTOFFS:
        holes = [hole({q: qrels[q]}, {q: run[q]}, [k])[f"Hole_at_{k}"][0] for q in qrels]
        np.testing.assert_allclose(judged_share(groups, k, 25), 1 - np.array(holes), rtol=0, atol=1e-9)


def recall_of_uniir(relevant: list[str], retrieved: list[str], k: int) -> float:
    """What UniIR (arXiv 2311.17136) prints as Recall@k, written from its definition: any relevant in the top k."""
    return float(any(candidate in relevant for candidate in retrieved[:k]))


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_hit_rate_is_what_uniir_calls_recall(seed: int) -> None:
    run, qrels = drawn(seed, depth=25)
    groups = groups_of_run(run, qrels)
    for k in CUTOFFS:
        expected = [
            recall_of_uniir([c for c, grade in qrels[q].items() if grade], sorted(run[q], key=run[q].get)[::-1], k)
            for q in qrels
        ]
        assert hit_rate(groups, k).tolist() == expected


def test_what_is_absent() -> None:
    """trec_eval and MTEB drop a query that the run lacks, and give 0 to one without relevant; ours refuses both."""
    qrels = {"q0": {"c0": 1}, "q1": {"c0": 1}}
    by_query = pytrec_eval.RelevanceEvaluator(qrels, {"map"}).evaluate({"q0": {"c0": 1.0}})
    assert by_query == {"q0": {"map": 1.0}}
    assert calculate_retrieval_scores({"q0": {"c0": 1.0}}, qrels, [1]).recall == {"Recall@1": 1.0}
    with pytest.raises(ResultError, match="no relevant"):
        tie_groups(np.ones((2, 1)), np.array([[1], [0]]))
    nothing = {"q0": {"c0": 0}}
    zeros = pytrec_eval.RelevanceEvaluator(nothing, {"map", "ndcg_cut.1"}).evaluate({"q0": {"c0": 1.0}})
    assert zeros == {"q0": {"map": 0.0, "ndcg_cut_1": 0.0}}
    assert recall_cap(nothing, {"q0": {"c0": 1.0}}, [1]) == {"R_cap_at_1": [None]}
    with pytest.raises(ResultError, match="grade above 0"):
        ndcg(*gains_of_run({"q0": {"c0": 1.0}}, nothing, 1), 1)
    assert ideal_dcg_listed(np.array([0]), np.array([0]), 1, 5).tolist() == [0.0]


def test_what_was_not_retrieved_is_lost_to_trec_eval_and_last_to_us() -> None:
    """Over the full depth, and beyond the list, the conventions differ, as the docstring of TieGroups says."""
    run, qrels = {"q0": {"c0": 2.0, "c1": 1.0}}, {"q0": {"c2": 1}}
    assert of_trec_eval(run, qrels)["recip_rank"].tolist() == [0.0]
    assert reciprocal_rank(groups_of_run(run, qrels)).tolist() == [1 / 3]
    assert of_trec_eval(run, qrels)["recall_3"].tolist() == [0.0]
    assert recall(groups_of_run(run, qrels), 3).tolist() == [1.0]


def test_on_a_larger_pool() -> None:
    rng = np.random.default_rng(5)
    scores = rng.permuted(np.tile(np.arange(150), (40, 1)), axis=1)
    grades = rng.choice(4, size=scores.shape, p=[0.7, 0.15, 0.1, 0.05])
    grades[:, 0] = 3
    run = {f"q{q}": {f"c{c}": float(value) for c, value in enumerate(row)} for q, row in enumerate(scores)}
    qrels = {f"q{q}": {f"c{c}": int(value) for c, value in enumerate(row)} for q, row in enumerate(grades)}
    theirs, groups = of_trec_eval(run, qrels), tie_groups(scores, grades > 0)
    np.testing.assert_allclose(average_precision(groups), theirs["map"], rtol=0, atol=1e-9)
    ours = ndcg(gain_groups(scores, grades), ideal(grades, 10), 10)
    np.testing.assert_allclose(ours, theirs["ndcg_cut_10"], rtol=0, atol=1e-9)


def test_chance_is_the_mean_of_trec_eval_over_all_orders() -> None:
    relevant, pool = 2, 5
    orders = list(permutations(range(pool)))
    run = {f"q{n}": {f"c{i}": float(rank) for rank, i in enumerate(order)} for n, order in enumerate(orders)}
    qrels = {f"q{n}": {f"c{i}": int(i < relevant) for i in range(pool)} for n in range(len(orders))}
    theirs = of_trec_eval(run, qrels)
    trec = {f"{ours}@{k}": f"{name}_{k}" for ours, name in TREC.items() for k in CUTOFFS} | FULL_DEPTH
    for ours, name in trec.items():
        assert chance(ours, np.array([relevant]), pool)[0] == pytest.approx(theirs[name].mean(), abs=1e-9), ours
