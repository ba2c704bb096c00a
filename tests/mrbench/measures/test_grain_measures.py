"""Measures on grains against napkin arithmetic, scipy, and what may not change them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mrbench import measures
from mrbench.errors import ResultError
from mrbench.measures import Ladders, Moves, Quadruples

ONE = np.array(["count"])


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def sensitivity(query: np.ndarray, without: np.ndarray, again: np.ndarray) -> tuple[float, float]:
    """Calibrated and raw, of a space of vectors."""
    query, without, again = unit(query), unit(without), unit(again)
    number = len(query)
    moves = Moves(np.arange(number), np.repeat(ONE, number), 1 - (query * without).sum(axis=1))
    noise = 1 - (query * again).sum(axis=1)
    scale = (number - (query @ query.T).sum(axis=1)) / (number - 1)
    found = measures.grain_sensitivity(moves, noise, scale)["count"][0]
    return found, measures.grain_distance(moves)["count"][0]


@pytest.fixture
def space() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    query = rng.standard_normal((200, 64))
    moved = (query, query + 0.5 * rng.standard_normal((200, 64)), query + 0.1 * rng.standard_normal((200, 64)))
    return [unit(vectors) for vectors in moved]


def test_sensitivity_does_not_depend_on_the_space_and_the_raw_distance_does(space: list[np.ndarray]) -> None:
    calibrated, raw = sensitivity(*space)
    rotation = np.linalg.qr(np.random.default_rng(1).standard_normal((64, 64)))[0]
    assert sensitivity(*(3.7 * x for x in space)) == pytest.approx((calibrated, raw), abs=1e-12)
    assert sensitivity(*(x @ rotation for x in space)) == pytest.approx((calibrated, raw), abs=1e-12)
    common = np.zeros(64)
    common[0] = 5.0  # five times as long as the embeddings
    shifted, shifted_raw = sensitivity(*(x + common for x in space))
    assert shifted == pytest.approx(calibrated, rel=0.15)
    assert shifted_raw < raw / 10


def test_sensitivity_is_0_for_a_rewording_and_1_for_a_stranger(space: list[np.ndarray]) -> None:
    query, _, again = space
    assert sensitivity(query, again, again)[0] == pytest.approx(0, abs=1e-12)
    strangers = np.roll(query, 1, axis=0)
    assert sensitivity(query, strangers, again)[0] == pytest.approx(1, abs=0.05)


def test_sensitivity_without_a_scale_is_no_number() -> None:
    moves = Moves(np.array([0]), ONE, np.array([0.1]))
    with pytest.raises(ResultError, match="no farther"):
        measures.grain_sensitivity(moves, np.array([0.3]), np.array([0.3]))
    with pytest.raises(ResultError, match="share no grain"):
        measures.grain_sensitivity(moves, np.array([0.0]), np.array([np.nan]))
    with pytest.raises(ResultError, match="no paraphrase"):
        measures.grain_sensitivity(moves, np.array([np.nan]), np.array([0.5]))
    with pytest.raises(ResultError, match="nothing to score"):
        measures.grain_distance(Moves(np.array([], dtype=int), np.array([]), np.array([])))


def test_blindness() -> None:
    moves = Moves(np.array([0, 1, 1]), np.array(["a", "a", "b"]), np.array([0.0, 0.2, 0.1]))
    assert measures.blindness_rate(moves, 0.05) == {"a": (0.5, 2), "b": (0.0, 1)}
    assert measures.calibrated_blindness_rate(moves, np.array([0.1, 0.1])) == {"a": (0.5, 2), "b": (1.0, 1)}


def test_group_scores_need_both_directions() -> None:
    right = Quadruples(ONE, *map(np.array, ([0.9], [0.2], [0.3], [0.8])))
    assert measures.group_score(right) == {"count": (1.0, 1)}
    tied = Quadruples(ONE, *map(np.array, ([0.9], [0.9], [0.3], [0.8])))
    assert measures.candidate_score(tied) == {"count": (0.0, 1)}
    one_way = Quadruples(ONE, *map(np.array, ([0.5], [0.4], [0.6], [0.7])))  # each query is right, one candidate is not
    assert (measures.candidate_score(one_way)["count"][0], measures.query_score(one_way)["count"][0]) == (1.0, 0.0)
    assert measures.group_score(one_way)["count"][0] == 0


rows = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), min_size=2, max_size=12)


@given(rows)
def test_ladder_measures_agree_with_scipy(pairs: list[tuple[int, int]]) -> None:
    score, grade = np.array(pairs, dtype=float)[:, 0], np.array(pairs)[:, 1]
    ladder = Ladders.from_rows(np.zeros(len(pairs), dtype=int), score, grade, 1)
    found = measures.kendall_tau(ladder)[0]
    if len(set(score)) > 1 and len(set(grade)) > 1:
        assert found == pytest.approx(stats.kendalltau(score, grade).statistic)
    else:
        assert np.isnan(found)
    if len(set(grade)) > 1:
        order = [(a, b) for a in range(len(pairs)) for b in range(len(pairs)) if grade[a] > grade[b]]
        expected = np.mean([np.sign(score[a] - score[b]) / 2 + 0.5 for a, b in order])
        assert measures.concordance(ladder)[0] == pytest.approx(expected)
        assert measures.strict_chain(ladder)[0] == all(score[a] > score[b] for a, b in order)


def test_ladders_of_other_length_do_not_touch_each_other() -> None:
    query = np.array([1, 0, 1, 0, 1])
    ladder = Ladders.from_rows(query, np.array([0.1, 0.9, 0.2, 0.3, 0.4]), np.array([0, 2, 1, 1, 2]), 2)
    assert measures.strict_chain(ladder).tolist() == [1, 1]
    assert measures.ladder_ndcg(ladder).tolist() == [1, 1]
    worst = Ladders.from_rows(np.zeros(2, dtype=int), np.array([0.1, 0.9]), np.array([2, 1]), 1)
    expected = (1 + 2 / np.log2(3)) / (2 + 1 / np.log2(3))
    assert measures.ladder_ndcg(worst)[0] == pytest.approx(expected)


def test_consequences_by_hand() -> None:
    assert measures.rank_change(ONE, np.array([2.0]), np.array([1.0])) == {"count": (-1.0, 1)}
    assert measures.unchanged_rate(np.repeat(ONE, 2), np.array([2.0, 1.0]), np.array([2.0, 3.0])) == {"count": (0.5, 2)}
    # The positive rises from rank 4 to rank 1 when the grain is flipped away from it: as wrong as these ranks allow.
    assert measures.p_mrr(ONE, np.array([4.0]), np.array([1.0])) == {"count": (-0.75, 1)}
    assert measures.p_mrr(ONE, np.array([3.0]), np.array([3.0])) == {"count": (0.0, 1)}
    query, hit = np.array([0, 0, 1]), np.array([1.0, 0.0])
    assert measures.phrasing_flips(query, hit, np.array([1.0, 0.0, 0.0])).tolist() == [1, 0]
    assert measures.worst_phrasing(query, hit, np.array([1.0, 1.0, 1.0])).tolist() == [1, 0]
    with pytest.raises(ResultError, match="no paraphrase"):
        measures.worst_phrasing(np.array([0]), hit, np.array([1.0]))
    with pytest.raises(ResultError, match="same number"):
        measures.hit_rate_slope(np.array([2, 2]), hit)


def test_hit_of_a_tied_positive_is_its_chance() -> None:
    above, beside = np.array([3, 3, 3]), np.array([0, 3, 9])
    assert measures.hit_of_positive(above, beside, 5).tolist() == [1, 0.5, 0.2]


def test_negatives_by_grains_lost() -> None:
    lost = np.array(["1", "1", "2"])
    found = measures.above_positive(lost, np.array([0.5, 0.4, 0.1]), np.array([0.4, 0.4, 0.4]))
    assert found == {"1": (0.75, 2), "2": (0.0, 1)}
    assert measures.among_first(lost, np.array([0, 10, 9]), np.array([1, 1, 2]), 10) == {"1": (0.5, 2), "2": (0.5, 1)}


def test_margin_is_in_units_of_the_spread() -> None:
    wide = measures.margins(ONE, np.array([10.0]), np.array([6.0]), np.array([2.0]))
    assert wide == measures.margins(ONE, np.array([1.0]), np.array([0.6]), np.array([0.2])) == {"count": (2.0, 1)}
    with pytest.raises(ResultError, match="same score"):
        measures.margins(ONE, np.array([1.0]), np.array([1.0]), np.array([0.0]))


def test_confusion_counts_what_the_first_result_loses() -> None:
    has = np.array([[True, True], [True, False]])
    lost = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert measures.confusion(has, lost, ("a", "b")) == {"a": {"a": 0.5, "b": 1.0}, "b": {"a": 0.0, "b": 1.0}}


def test_worst_grain() -> None:
    assert measures.worst_grain({"b": (0.4, 1), "a": (0.4, 1), "c": (0.9, 1)}) == ("a", 0.4)
    with pytest.raises(ResultError):
        measures.worst_grain({})
