"""What a diagnosis says of queries and grain types on which a measure is not defined."""

from __future__ import annotations

import numpy as np
import pytest

from mrbench import measures, statistics
from mrbench.score.findings import Diagnosis
from mrbench.score.sensitivity import add_sensitivity

GRAIN, QUERY = np.array(["count", "size", "size"]), np.array([0, 1, 2])


def margin(deviation: np.ndarray) -> Diagnosis:
    found = Diagnosis()
    found.add_measured_by_spread(
        "margin", lambda: measures.margins(GRAIN, np.ones(3), np.zeros(3), deviation), QUERY, deviation
    )
    return found


def test_queries_without_spread_are_counted() -> None:
    found = margin(np.array([0.5, 0.0, 0.25]))
    assert {grain: (part.score, part.count) for grain, part in found.by_grain["margin"].items()} == {
        "count": (2, 1),
        "size": (4, 1),
    }
    assert found.left_out == {"margin": 1}
    assert margin(np.ones(3)).left_out == {}
    none = margin(np.zeros(3))
    assert "same score for every query" in none.missing["margin"]
    assert not none.by_grain
    assert not none.left_out


def test_queries_on_which_a_measure_is_not_defined_are_counted() -> None:
    found = Diagnosis()
    found.add_queries("kendall_tau", lambda: np.array([1.0, np.nan, np.nan]))
    assert found.left_out == {"kendall_tau": 2}


def test_a_grain_type_without_scale_is_named_and_the_others_have_theirs() -> None:
    moves = measures.Moves(QUERY, GRAIN, np.full(3, 0.3))
    found = Diagnosis()
    add_sensitivity(found, moves, np.full(3, 0.1), np.array([np.nan, 0.5, 0.5]), statistics.cluster_codes(list("abc")))
    assert list(found.by_grain["grain_sensitivity"]) == ["size"]
    assert found.missing == {"grain_sensitivity[count]": "no two queries share no grain"}
    none = Diagnosis()
    add_sensitivity(none, moves, np.full(3, 0.1), np.full(3, np.nan), statistics.cluster_codes(list("abc")))
    assert none.missing == {"grain_sensitivity": "no two queries share no grain"}


def test_the_interval_of_a_sensitivity_is_about_its_value() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0.4, 0.02, size=200)
    scale, moved = noise + rng.normal(0.4, 0.05, size=200), noise + rng.normal(0.1, 0.05, size=200)
    moves = measures.Moves(np.arange(200), np.array(["count"] * 200), moved)
    found = Diagnosis()
    add_sensitivity(found, moves, noise, scale, np.arange(200))
    part = found.by_grain["grain_sensitivity"]["count"]
    assert part.interval is not None
    assert part.interval[0] < part.score < part.interval[1]
    assert part.score == pytest.approx(0.25, abs=0.03)
    # The error of a ratio of means, by linearisation.
    residual = (moved - noise) - part.score * (scale - noise)
    error = residual.std() / np.sqrt(200) / (scale - noise).mean()
    assert part.interval[1] - part.interval[0] == pytest.approx(2 * 1.96 * error, rel=0.1)
