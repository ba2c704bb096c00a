"""A model that guesses is blind to no grain in particular."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from result_samples import result, site_text, task

from mrbench.leaderboard import Board, boards, terminal
from mrbench.leaderboard.markdown import render_markdown
from mrbench.results import GrainScore, TaskResult
from mrbench.statistics import share_interval


def scored(grains: dict[str, tuple[float, tuple[float, float] | None]]) -> TaskResult:
    pairs = {name: GrainScore(score, 250, interval) for name, (score, interval) in grains.items()}
    return replace(task(0.4), by_grain={"pair_accuracy": pairs})


def board(*parts: TaskResult) -> Board:
    (made,) = boards([result("m", dict(zip(("t2i", "i2t"), parts, strict=False)))])
    return made


def marked(made: Board) -> list[str]:
    cells = [line.cells for panel in made.panels for line in panel.lines]
    return [grain for line in cells for grain, cell in zip(made.grains, line, strict=True) if cell.blindest]


def test_at_chance_on_every_grain_is_said_and_nothing_is_marked() -> None:
    made = board(scored({"count": (0.52, (0.45, 0.59)), "relation": (0.46, (0.39, 0.53)), "size": (0.5, (0.4, 0.6))}))
    assert made.rows[0].reading == "at chance on every grain (0.46 to 0.52, chance 0.50)"
    assert not marked(made)
    for text in (terminal(made), render_markdown([made]), site_text([made])):
        assert "at chance on every grain" in text
        assert "sharpest" not in text
        assert "blindest grain: " not in text


def test_a_few_pairs_are_not_called_chance() -> None:
    made = board(scored({"count": (1.0, (0.4, 1.0)), "size": (0.9, (0.38, 0.98))}))
    assert made.rows[0].reading == "too few pairs to tell any grain from chance (0.90 to 1.00, chance 0.50)"
    assert not marked(made)


def test_one_grain_that_is_surely_told_is_enough() -> None:
    made = board(scored({"count": (0.52, (0.45, 0.59)), "relation": (0.46, (0.39, 0.53)), "size": (0.7, (0.6, 0.8))}))
    assert made.rows[0].reading == (
        "blindest grain: relation (0.46 over 250 pairs, chance 0.50); sharpest: size (0.70)"
    )
    assert marked(made) == ["relation"]


def test_the_sharpest_grain_is_surely_above_chance() -> None:
    made = board(scored({"count": (0.2, (0.15, 0.25)), "size": (0.53, (0.46, 0.6))}))
    assert made.rows[0].reading == "blindest grain: count (0.20 over 250 pairs, chance 0.50)"


def test_what_one_task_tells_is_not_averaged_away() -> None:
    blind, seeing = (0.5, (0.43, 0.57)), (0.7, (0.62, 0.77))
    made = board(scored({"count": blind, "size": blind}), scored({"count": blind, "size": seeing}))
    assert made.rows[0].reading.startswith("blindest grain: count")
    assert board(scored({"count": blind}), scored({"count": blind})).rows[0].reading.startswith("at chance")
    split = board(
        scored({"count": seeing}), scored({"count": (0.3, (0.23, 0.38))})
    )  # half as good as chance, and twice
    assert split.rows[0].reading.startswith("blindest grain: count")


def test_without_an_interval_the_number_of_pairs_decides() -> None:
    made = board(scored({"count": (0.52, None), "size": (0.46, None)}))
    assert made.rows[0].reading == "at chance on every grain (0.46 to 0.52, chance 0.50)"
    made = board(scored({"count": (0.3, None), "size": (0.46, None)}))
    assert made.rows[0].reading.startswith("blindest grain: count (0.30 over 250 pairs")


def test_a_grain_of_two_pairs_is_never_the_blindest() -> None:
    few = {"count": GrainScore(0.0, 2), "size": GrainScore(0.5, 2)}
    made = board(replace(task(0.4), by_grain={"pair_accuracy": few}))
    assert made.rows[0].reading == "too few pairs to tell any grain from chance (fewer than 20 of each grain)"
    assert not marked(made)
    told = {**few, "hair": GrainScore(0.6, 250, (0.53, 0.67)), "pose": GrainScore(0.9, 250, (0.85, 0.95))}
    made = board(replace(task(0.4), by_grain={"pair_accuracy": told}))
    assert made.rows[0].reading == "blindest grain: hair (0.60 over 250 pairs, chance 0.50); sharpest: pose (0.90)"
    assert marked(made) == ["hair"]


def test_a_span_is_over_types_with_enough_pairs_for_controls_too() -> None:
    few = {"pose": GrainScore(0.0, 2), "hat": GrainScore(1.0, 3)}
    for told, said in (
        ({"count": (0.52, (0.45, 0.59)), "size": (0.46, (0.39, 0.53))}, "at chance on every {} (0.46 to 0.52, chance"),
        (
            {"count": (0.9, (0.4, 0.98)), "size": (0.8, (0.3, 0.9))},
            "too few pairs to tell any {} from chance (0.80 to ",
        ),
    ):
        part = scored(told)
        part = replace(part, by_grain={"pair_accuracy": part.by_grain["pair_accuracy"] | few})
        assert board(part).rows[0].reading.startswith(said.format("grain with 20 pairs or more"))
        span = said.partition("(")[2].partition(" to")[0]
        (made,) = boards([result("random", {"t2i": part})])
        assert made.rows[0].reading.startswith(f"control: {span} to")
        assert "on every grain with 20 pairs or more (chance 0.50;" in made.rows[0].reading
    (made,) = boards([result("random", {"t2i": replace(task(0.4), by_grain={"pair_accuracy": few})})])
    assert made.rows[0].reading.startswith("control: too few pairs")


def test_agreement_of_all_pairs_is_told_from_chance_with_enough_of_them() -> None:
    for count, said in ((25, "blindest grain: count (0.00 over 25 pairs"), (10, "too few pairs"), (1, "too few pairs")):
        part = replace(task(0.4), by_grain={"pair_accuracy": {"count": GrainScore(0.0, count)}})
        assert board(part).rows[0].reading.startswith(said)


def test_random_models_are_seldom_called_blind() -> None:
    """Of 200 models that guess on two tasks of six grains, with intervals as results have them."""
    rng = np.random.default_rng(0)
    called = 0
    for _ in range(200):
        parts = []
        for _ in range(2):
            right = rng.integers(0, 2, (6, 250)).astype(float)
            each = {f"g{i}": (float(row.mean()), share_interval(row, np.arange(250))) for i, row in enumerate(right)}
            parts.append(scored(each))
        called += not board(*parts).rows[0].reading.startswith("at chance")
    assert called <= 20  # 5 % are expected
