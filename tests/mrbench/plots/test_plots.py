"""Figures hold the numbers of the results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from tiny_benchmark import Guess, Oracle

import mrbench
from mrbench import Result, plot_heat_map, plot_ladder, plot_sensitivity
from mrbench.benchmark import Benchmark
from mrbench.errors import InputError
from mrbench.results import GrainScore

mpl.use("Agg")


@pytest.fixture(scope="module")
def results(tiny: Benchmark, tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    made = tmp_path_factory.mktemp("results")
    models = (Oracle("blind", blind_to=["place"]), Guess("a$b$c"))
    return [mrbench.evaluate(tiny, model, made / str(n)) for n, model in enumerate(models)]


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    from matplotlib import pyplot

    pyplot.close("all")


def test_the_ladder_has_a_line_for_each_model_with_its_scores(results: list[Result]) -> None:
    ax = plot_ladder(results, task="i2i")
    assert len(ax.lines) == 2
    by_loss = results[0].tasks["i2i"].by_loss["standardised_score"]
    assert list(ax.lines[0].get_xdata()) == sorted(int(lost) for lost in by_loss)
    assert list(ax.lines[0].get_ydata()) == [by_loss[lost].score for lost in sorted(by_loss, key=int)]
    ax.figure.canvas.draw()  # a name with dollars is no formula


def test_the_heat_map_has_the_accuracies_and_brackets_what_may_be_chance(results: list[Result]) -> None:
    part = results[0].tasks["i2i"]
    surely = {**part.pair_accuracy, "entity": GrainScore(0.9, 90, (0.8, 0.95))}
    first = replace(results[0], tasks={"i2i": replace(part, by_grain={"pair_accuracy": surely})})
    results = [first, results[1]]
    ax = plot_heat_map(results, task="i2i")
    cells = np.asarray(ax.images[0].get_array())
    pairs = results[0].tasks["i2i"].pair_accuracy
    assert cells[0].tolist() == [pairs[grain].score for grain in sorted(pairs)]
    cells = [r.tasks["i2i"].pair_accuracy[grain] for r in results for grain in sorted(pairs)]
    unsure = [cell.interval is not None and cell.interval[0] <= 0.5 <= cell.interval[1] for cell in cells]
    assert [text.get_text().startswith("(") for text in ax.texts] == unsure
    assert {True, False} == set(unsure)
    ax.figure.canvas.draw()


def test_sensitivity_has_a_group_for_each_grain_and_draws_where_it_is_told(results: list[Result]) -> None:
    from matplotlib import pyplot

    given = pyplot.subplots()[1]
    ax = plot_sensitivity(results[0], task="t2i", ax=given)
    assert ax is given
    found = results[0].tasks["t2i"].by_grain["grain_sensitivity"]
    points = ax.containers[0].lines[0].get_ydata()
    assert list(points) == [found[grain].score for grain in sorted(found)]
    assert [label.get_text() for label in ax.get_xticklabels()] == sorted(found)


def test_a_task_without_the_measure_is_refused(results: list[Result]) -> None:
    for plot in (plot_ladder, plot_heat_map, plot_sensitivity):
        with pytest.raises(InputError, match="i2i"):
            plot(results, task="t2x")
    bare = replace(results[0], tasks={"t2i": replace(results[0].tasks["t2i"], by_loss={}, by_grain={})})
    with pytest.raises(InputError, match="no task of these"):
        plot_ladder(bare)


def test_from_specs_to_a_board_in_a_few_lines(tiny: Benchmark, tmp_path: Path) -> None:
    mrbench.evaluate(str(tiny.folder), "random", str(tmp_path / "results/random"))
    mrbench.evaluate(mrbench.load_benchmark(tiny.folder), "colour-histogram", tmp_path / "results/histogram")
    results = mrbench.read_results(tmp_path / "results")
    assert {result.model["name"] for result in results} == {"random", "colour-histogram"}
    (found,) = mrbench.compare(*results)
    assert set(found.table()["task"]) == {"i2i"}
    assert repr(found).startswith("Comparison(colour-histogram and random on Tiny: ")
    assert mrbench.publish(results, tmp_path / "board")["html"].is_file()
    assert mrbench.rescore(tmp_path / "results/random", str(tiny.folder)).tasks["t2i"].scores
    assert repr(mrbench.load_benchmark(tiny.folder)).startswith("Benchmark(Tiny; tasks ")
