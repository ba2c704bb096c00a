"""Grain distance and its calibrated form: by hand, and under turning, stretching and shifting of all embeddings."""

from __future__ import annotations

import numpy as np
import pytest

from mrbench.errors import ResultError
from mrbench.measures import (
    Moves,
    blindness_rate,
    calibrated_blindness_rate,
    grain_distance,
    grain_sensitivity,
    mean_scale,
)

QUERIES, SIZE, KINDS = 200, 96, ("count", "entity", "place")
HEARD = {"count": 0.0, "entity": 1.0, "place": 0.5}
"""How much of a grain the made-up model hears."""


@pytest.fixture(scope="module")
def embeddings() -> dict[str, np.ndarray]:
    """Queries as sums of the vectors of their grains, each without one grain, and each in other words."""
    rng = np.random.default_rng(3)
    grains = {kind: HEARD[kind] * rng.normal(size=(QUERIES, SIZE)) for kind in KINDS}

    def say(vector: np.ndarray) -> np.ndarray:
        vector = vector + 0.3 * rng.normal(size=vector.shape)
        return vector / np.linalg.norm(vector, axis=1, keepdims=True)

    whole = sum(grains.values())
    return {"query": say(whole), "reworded": say(whole)} | {kind: say(whole - grains[kind]) for kind in KINDS}


def distances(vectors: dict[str, np.ndarray]) -> tuple[Moves, np.ndarray, np.ndarray]:
    unit = {name: rows / np.linalg.norm(rows, axis=1, keepdims=True) for name, rows in vectors.items()}
    moved = [1 - (unit["query"] * unit[kind]).sum(axis=1) for kind in KINDS]
    moves = Moves(np.tile(np.arange(QUERIES), len(KINDS)), np.repeat(KINDS, QUERIES), np.concatenate(moved))
    noise = 1 - (unit["query"] * unit["reworded"]).sum(axis=1)
    others = 1 - unit["query"] @ unit["query"].T  # no two of these queries share a grain
    return moves, noise, others[~np.eye(QUERIES, dtype=bool)].reshape(QUERIES, -1).mean(axis=1)


def sensitivity(vectors: dict[str, np.ndarray]) -> np.ndarray:
    found, missing = grain_sensitivity(*distances(vectors))
    assert not missing
    return np.array([value for value, _ in found.values()])


def raw(vectors: dict[str, np.ndarray]) -> np.ndarray:
    return np.array([value for value, _ in grain_distance(distances(vectors)[0]).values()])


def test_sensitivity_shows_what_is_heard(embeddings: dict[str, np.ndarray]) -> None:
    count, entity, place = sensitivity(embeddings)
    assert abs(count) < 0.02
    assert entity > 0.4 > place > 0.05
    assert raw(embeddings)[0] > 0.05  # the raw distance of a grain that is not heard at all


def test_turning_and_stretching_change_nothing(embeddings: dict[str, np.ndarray]) -> None:
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(SIZE, SIZE)))[0]
    changed = {name: 7.5 * rows @ turn for name, rows in embeddings.items()}
    assert sensitivity(changed) == pytest.approx(sensitivity(embeddings), abs=1e-9)


@pytest.mark.parametrize("length", [1.0, 3.0, 10.0])
def test_a_common_vector_hardly_changes_sensitivity_but_ruins_the_distance(
    embeddings: dict[str, np.ndarray], length: float
) -> None:
    common = np.random.default_rng(1).normal(size=SIZE)
    common *= length / np.linalg.norm(common)
    changed = {name: rows + common for name, rows in embeddings.items()}
    assert sensitivity(changed) == pytest.approx(sensitivity(embeddings), abs=0.01)
    assert raw(embeddings) / raw(changed) == pytest.approx(1 + length**2, rel=0.05)  # 101 times smaller at length 10


def test_sensitivity_by_hand() -> None:
    moves = Moves(np.array([0, 1, 1]), np.array(["count", "count", "size"]), np.array([0.2, 0.4, 0.05]))
    noise, scale = np.array([0.1, 0.1]), np.array([0.5, np.nan])
    found, missing = grain_sensitivity(moves, noise, scale)
    assert found == {"count": (pytest.approx((0.3 - 0.1) / (0.5 - 0.1)), 2)}  # the others have theirs all the same
    assert missing == {"size": "no two queries share no grain"}  # the only query with a size has no unrelated one
    below = grain_sensitivity(moves, noise, np.array([0.5, 0.6]))[0]["size"]
    assert below == (pytest.approx((0.05 - 0.1) / (0.6 - 0.1)), 1)
    assert mean_scale(scale) == 0.5


def test_a_ratio_of_means_and_not_a_mean_of_ratios() -> None:
    moves = Moves(np.arange(40), np.repeat("count", 40), np.full(40, 0.3))
    value = grain_sensitivity(moves, np.full(40, 0.1), np.tile([0.101, 0.899], 20))[0]["count"][0]
    assert value == pytest.approx(0.2 / 0.4)  # the mean of ratios is above 100


def test_where_there_is_no_scale() -> None:
    moves = Moves(np.array([0]), np.array(["count"]), np.array([0.2]))
    found, missing = grain_sensitivity(moves, np.array([0.3]), np.array([0.3]))
    assert not found
    assert missing["count"].endswith("no farther apart than paraphrases: 0.3 <= 0.3")
    assert grain_sensitivity(moves, np.array([np.nan]), np.array([0.5])) == ({}, {"count": "a query has no paraphrase"})
    with pytest.raises(ResultError, match="no paraphrase"):
        calibrated_blindness_rate(moves, np.array([np.nan]))


def test_sensitivity_is_0_for_a_rewording_and_1_for_a_stranger(embeddings: dict[str, np.ndarray]) -> None:
    reworded, strangers = embeddings["reworded"], np.roll(embeddings["query"], 1, axis=0)
    assert sensitivity(embeddings | dict.fromkeys(KINDS, reworded)) == pytest.approx(0, abs=1e-12)
    assert sensitivity(embeddings | dict.fromkeys(KINDS, strangers)) == pytest.approx(1, abs=0.05)


def test_a_scale_that_is_chance_is_no_unit() -> None:
    rng = np.random.default_rng(0)
    moves = Moves(np.arange(60), np.repeat("count", 60), 1 + 0.1 * rng.normal(size=60))
    noise, scale = 1 + 0.1 * rng.normal(size=60), 1.005 + 0.01 * rng.normal(size=60)
    scale += max(0.0, 0.002 - (scale - noise).mean())  # farther, and by no more than chance
    found, missing = grain_sensitivity(moves, noise, scale)
    assert not found
    assert "not surely farther" in missing["count"]


def test_blindness() -> None:
    moves = Moves(np.arange(4), np.array(["count"] * 3 + ["size"]), np.array([0.04, 0.05, 0.06, 0.01]))
    assert blindness_rate(moves, 0.05) == {"count": (pytest.approx(1 / 3), 3), "size": (1.0, 1)}
    calibrated = calibrated_blindness_rate(moves, np.array([0.04, 0.04, 0.04, 0.0]))
    assert calibrated == {"count": (pytest.approx(1 / 3), 3), "size": (0.0, 1)}
    with pytest.raises(ResultError, match="malformed threshold"):
        blindness_rate(moves, 0.0)


def test_no_probe_is_not_zero() -> None:
    none = Moves(np.array([], dtype=int), np.array([], dtype=str), np.array([]))
    for measure in (grain_distance, lambda m: blindness_rate(m, 0.1), lambda m: grain_sensitivity(m, *np.ones((2, 1)))):
        with pytest.raises(ResultError, match="nothing to score"):
            measure(none)
    with pytest.raises(ResultError, match=r"not a number.*count"):
        grain_distance(Moves(np.array([0]), np.array(["count"]), np.array([np.nan])))


def test_more_probes_of_a_query_make_its_scale_no_surer() -> None:
    scale = np.array([0.2, 0.2, 0.2, 1.9])  # four queries do not tell this scale from the noise
    once, often = (
        Moves(np.tile(np.arange(4), times), np.array(["count"] * 4 * times), np.full(4 * times, 0.15))
        for times in (1, 50)
    )
    for moves in (once, often):
        found, missing = grain_sensitivity(moves, np.full(4, 0.1), scale)
        assert not found
        assert "not surely farther" in missing["count"]
