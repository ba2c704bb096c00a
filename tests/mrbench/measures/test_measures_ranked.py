"""Measures over ranked lists agree with trec_eval, and with MTEB where trec_eval has none."""

from __future__ import annotations

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st
from mteb._evaluators.retrieval_metrics import mrr

from mrbench.errors import ResultError
from mrbench.measures.ranked import Hits, Judged, find_hits, ranked_measures

CUTOFFS = (1, 3, 10, 20)
NAMES = {"ndcg": "ndcg_cut", "map": "map_cut", "recall": "recall", "precision": "P", "hit_rate": "success"}


def drawn(seed: int, number: int = 12, pool: int = 60, depth: int = 20) -> tuple[np.ndarray, Judged]:
    """Rankings, and judgements in which 0 occurs and every query has a relevant candidate."""
    rng = np.random.default_rng(seed)
    rows = np.array([rng.permutation(pool)[:depth] for _ in range(number)])
    counts = rng.integers(1, 30, number)
    query = np.repeat(np.arange(number), counts)
    grade = rng.integers(0, 4, len(query))
    grade[np.unique(query, return_index=True)[1]] = 1
    return rows, Judged(query, np.concatenate([rng.permutation(pool)[:n] for n in counts]), grade, number)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_they_are_those_of_trec_eval_and_mteb(seed: int) -> None:
    rows, judged = drawn(seed)
    qrels: dict[str, dict[str, int]] = {}
    for query, candidate, grade in zip(judged.query, judged.candidate, judged.grade, strict=True):
        qrels.setdefault(f"q{query}", {})[f"c{candidate}"] = int(grade)
    run = {f"q{q}": {f"c{c}": 1.0 - rank / 100 for rank, c in enumerate(row)} for q, row in enumerate(rows)}
    asked = {f"{name}.{','.join(map(str, CUTOFFS))}" for name in NAMES.values()}
    theirs = pytrec_eval.RelevanceEvaluator(qrels, asked).evaluate(run)
    reciprocal = mrr(qrels, run, CUTOFFS)
    ours = ranked_measures(find_hits(rows, judged, 60), judged, CUTOFFS)
    for k in CUTOFFS:
        for name, trec in NAMES.items():
            expected = [theirs[f"q{query}"][f"{trec}_{k}"] for query in range(len(rows))]
            np.testing.assert_allclose(ours[f"{name}@{k}"], expected, atol=1e-12, err_msg=name)
        np.testing.assert_allclose(ours[f"mrr@{k}"], reciprocal[f"MRR@{k}"], atol=1e-12)


def test_by_hand() -> None:
    judged = Judged(np.array([0, 0, 1]), np.array([5, 6, 7]), np.array([2, 1, 1]), 2)
    hits = find_hits(np.array([[6, 0, 5], [1, 2, 3]]), judged, 9)
    values = ranked_measures(hits, judged, [3])
    assert values["ndcg@3"].tolist() == pytest.approx([(1 + 2 / 2) / (2 + 1 / np.log2(3)), 0])
    assert values["map@3"].tolist() == pytest.approx([(1 + 2 / 3) / 2, 0])
    assert values["mrr@3"].tolist() == [1, 0]


def test_nothing_found_is_zero_everywhere() -> None:
    judged = Judged(np.array([0]), np.array([5]), np.array([1]), 1)
    values = ranked_measures(find_hits(np.array([[1, 2]]), judged, 9), judged, [1, 2])
    assert {float(value[0]) for value in values.values()} == {0.0}


def test_what_cannot_be_measured_is_refused() -> None:
    one = np.array([0])
    judged = Judged(one, one, np.array([1]), 1)
    with pytest.raises(ResultError, match="beyond the depth"):
        ranked_measures(Hits(one, np.array([1]), one + 1, 5), judged, [6])
    with pytest.raises(ResultError, match="cutoff"):
        ranked_measures(Hits(one, np.array([1]), one + 1, 5), judged, [0])
    with pytest.raises(ResultError, match="no relevant"):
        Judged(one, one, np.array([0]), 1)
    with pytest.raises(ResultError, match="malformed judgements"):
        Judged(np.array([1, 0]), np.array([1, 1]), np.array([1, 1]), 2)
    with pytest.raises(ResultError, match="judged twice"):
        Judged(np.array([0, 0]), np.array([3, 3]), np.array([1, 2]), 1)
    three = np.array([0, 1, 2])
    for wrong in (
        (np.array([0.0]), one, one + 1, 1),
        (one, one - 1, one + 1, 1),
        (one, one, np.array([1, 1]), 1),
        (one, one, np.array([1 << 31]), 1),
        (np.array([5]), one, one + 1, 1),
    ):
        with pytest.raises(ResultError, match="malformed judgements"):
            Judged(*wrong)
    for rows, said in (
        (three[None, :] * 1.0, "malformed rankings"),
        (three, "malformed rankings"),
        (np.array([[0], [1]]), "malformed rankings"),
        (np.array([[0, 9]]), "not in the pool.*9"),
        (np.array([[0, -2]]), "not in the pool.*-2"),
        (np.array([[0, 1, 0]]), "ranked twice"),
    ):
        with pytest.raises(ResultError, match=said):
            find_hits(rows, judged, 9)


def test_nothing_found_is_no_candidate() -> None:
    judged = Judged(np.array([0, 1]), np.array([8, 8]), np.array([1, 2]), 2)
    hits = find_hits(np.array([[3, -1, -1], [-1, 8, -1]]), judged, 9)  # the last of the pool is 8, which -1 is not
    assert (hits.query.tolist(), hits.rank.tolist(), hits.grade.tolist()) == ([1], [2], [2])


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64])
def test_rows_and_judgements_may_be_of_any_integer(dtype: type[np.integer]) -> None:
    rows = np.array([[3, 0, 8], [8, 1, 5]], dtype=dtype)
    judged = Judged(np.array([0, 0, 1], dtype=np.int8), np.array([8, 2, 1], np.uint8), np.array([3, 1, 2], np.int16), 2)
    hits = find_hits(rows, judged, 1 << 31)
    assert (hits.query.tolist(), hits.rank.tolist(), hits.grade.tolist()) == ([0, 1], [3, 2], [3, 2])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_candidates_of_equal_low_bits_are_told_apart(seed: int) -> None:
    rng = np.random.default_rng(seed)
    near = np.add.outer(np.arange(6) * 65_536, [0, 3, 65_535]).reshape(-1)  # three low words
    rows = np.array([np.where(rng.random(9) < 0.2, -1, rng.permutation(near)[:9]) for _ in range(8)])
    known = np.array([rng.permutation(near)[:5] for _ in range(8)])
    grade = rng.integers(0, 3, known.shape)
    grade[:, 0] = 1
    judged = Judged(np.repeat(np.arange(8), 5), known.reshape(-1), grade.reshape(-1), 8)
    hits = find_hits(rows, judged, 6 * 65_536)
    expected = [
        (query, rank, int(grade[query, known[query] == row][0]))
        for query, rank, row in ((q, r, rows[q, r - 1]) for q in range(8) for r in range(1, 10))
        if row >= 0 and row in known[query] and grade[query, known[query] == row][0] > 0
    ]
    assert list(zip(hits.query.tolist(), hits.rank.tolist(), hits.grade.tolist(), strict=True)) == expected


def test_where_the_whole_pool_was_kept_any_cutoff_is_known() -> None:
    judged = Judged(np.array([0]), np.array([2]), np.array([1]), 1)
    rows = np.array([[0, 2, 1]])
    values = ranked_measures(find_hits(rows, judged, 3), judged, [3, 10])
    assert values["recall@10"].tolist() == values["recall@3"].tolist() == [1.0]
    assert values["precision@10"].tolist() == [0.1]
    with pytest.raises(ResultError, match="beyond the depth"):
        ranked_measures(find_hits(rows, judged, 4), judged, [10])
    with pytest.raises(ResultError, match="beyond the depth"):
        ranked_measures(find_hits(np.array([[0, 2, -1]]), judged, 3), judged, [10])
