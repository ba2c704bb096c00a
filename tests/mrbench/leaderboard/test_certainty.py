"""Intervals, ranks and groups on a board."""

from __future__ import annotations

import numpy as np
from result_samples import result

from mrbench.leaderboard import boards
from mrbench.results import TaskResult


def task(hits: np.ndarray, clusters: list[str]) -> TaskResult:
    return TaskResult(
        "scored",
        queries=len(hits),
        candidates=100,
        scores={"hit_rate@5": float(hits.mean())},
        per_query={"hit_rate@5": tuple(hits.tolist())},
        clusters=tuple(clusters),
    )


def test_models_that_cannot_be_told_apart_share_a_letter() -> None:
    rng = np.random.default_rng(0)
    clusters = [f"thing {n % 60}" for n in range(120)]
    good = (rng.random(120) < 0.7).astype(float)
    alike = good.copy()
    alike[:3] = 1 - alike[:3]
    poor = (rng.random(120) < 0.2).astype(float)
    results = [
        result(name, {"t2i": task(hits, clusters), "i2i": task(hits[::-1], clusters[::-1])})
        for name, hits in (("good", good), ("alike", alike), ("poor", poor), ("random", poor * 0))
    ]
    (board,) = boards(results)
    rows = {row.model: row for row in board.rows}
    assert (rows["good"].group, rows["alike"].group, rows["poor"].group, rows["random"].group) == ("a", "a", "b", "")
    assert rows["poor"].ranks == (3, 3)
    assert rows["random"].ranks is None
    assert {rows["good"].ranks, rows["alike"].ranks} <= {(1, 2), (1, 1), (2, 2)}
    low, high = rows["good"].overall.interval
    assert low < good.mean() < high
    assert 0.1 < high - low < 0.3


def test_without_values_by_query_there_is_no_interval() -> None:
    plain = TaskResult("scored", queries=3, candidates=9, scores={"hit_rate@5": 0.5})
    (board,) = boards([result("m", {"t2i": plain})])
    assert (board.rows[0].overall.interval, board.rows[0].ranks, board.rows[0].group) == (None, None, "")


def test_every_task_weighs_the_same_whatever_its_number_of_queries() -> None:
    # One model has 20 more hits on a task of 20 queries, the other 20 more on a task of 400.
    small, large = [f"small {n}" for n in range(20)], [f"large {n}" for n in range(400)]
    other = (np.arange(400) < 20).astype(float)
    results = [
        result("one", {"t2i": task(np.ones(20), small), "i2i": task(np.zeros(400), large)}),
        result("other", {"t2i": task(np.zeros(20), small), "i2i": task(other, large)}),
    ]
    rows = {row.model: row for row in boards(results)[0].rows}
    assert (rows["one"].group, rows["other"].group) == ("a", "b")
