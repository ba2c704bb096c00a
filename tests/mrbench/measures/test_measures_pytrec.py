"""Agreement with trec_eval on runs without ties."""

from __future__ import annotations

import numpy as np
import pytest
import pytrec_eval
from rankings import gain_groups, ideal, tie_groups

from mrbench.measures import average_precision, hit_rate, mean, ndcg, recall, reciprocal_rank

QUERIES, CANDIDATES, FULL = 40, 150, 3


@pytest.fixture(scope="module")
def ranking() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    scores = rng.permuted(np.tile(np.arange(CANDIDATES), (QUERIES, 1)), axis=1) / CANDIDATES
    grades = rng.choice(FULL + 1, size=scores.shape, p=[0.7, 0.15, 0.1, 0.05])
    grades[:, 0] = FULL
    return scores, grades


def trec(scores: np.ndarray, judged: np.ndarray, measures: set[str]) -> dict[str, float]:
    qrels = {f"q{q}": {f"c{c}": int(value) for c, value in enumerate(row)} for q, row in enumerate(judged)}
    run = {f"q{q}": {f"c{c}": float(value) for c, value in enumerate(row)} for q, row in enumerate(scores)}
    by_query = pytrec_eval.RelevanceEvaluator(qrels, measures).evaluate(run)
    names = next(iter(by_query.values()))
    return {name: float(np.mean([values[name] for values in by_query.values()])) for name in names}


def test_binary_measures_agree(ranking: tuple[np.ndarray, np.ndarray]) -> None:
    scores, grades = ranking
    groups = tie_groups(scores, grades == FULL)
    reference = trec(scores, grades == FULL, {"recall.1,5,10", "success.1,5,10", "recip_rank", "map"})
    for k in (1, 5, 10):
        assert mean(recall(groups, k), "recall") == pytest.approx(reference[f"recall_{k}"], abs=1e-9)
        assert mean(hit_rate(groups, k), "hit rate") == pytest.approx(reference[f"success_{k}"], abs=1e-9)
    assert mean(reciprocal_rank(groups), "mrr") == pytest.approx(reference["recip_rank"], abs=1e-9)
    assert mean(average_precision(groups), "map") == pytest.approx(reference["map"], abs=1e-9)


def test_ndcg_agrees(ranking: tuple[np.ndarray, np.ndarray]) -> None:
    scores, grades = ranking
    ours = mean(ndcg(gain_groups(scores, grades), ideal(grades, 10), 10), "ndcg")
    assert ours == pytest.approx(trec(scores, grades, {"ndcg_cut.10"})["ndcg_cut_10"], abs=1e-9)
