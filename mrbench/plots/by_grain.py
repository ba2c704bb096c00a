"""Figures of models by grain type: pair accuracy as a heat map, and grain sensitivity with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mrbench.measures import fixed_chance
from mrbench.plots.common import axes, colour_of, parts_of
from mrbench.results import GrainScore, Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DARK = 0.3  # from this distance to chance on, a cell is dark and its text is white


def plot_heat_map(results: Result | Sequence[Result], *, task: str = "t2i", ax: Axes | None = None) -> Axes:
    """Draw pair accuracy with a row for each model and a column for each grain type, and return the axes.

    White is chance, blue is above it, red is below. A value whose 95 % interval contains chance is in grey brackets.

    Args:
        results: A result or several, of one benchmark.
        task: The task.
        ax: Where to draw; None makes a figure.

    Raises:
        InputError: No result has pairs on this task.
    """
    parts = parts_of(results, task, "pair_accuracy")
    grains = sorted({grain for _, part in parts for grain in part.pair_accuracy})
    chance = fixed_chance("pair_accuracy")
    cells = [[part.pair_accuracy.get(grain) for grain in grains] for _, part in parts]
    values = np.array([[np.nan if cell is None else cell.score for cell in row] for row in cells])
    ax = axes(ax, 2.6 + 0.95 * len(grains), 1.3 + 0.42 * len(parts))
    image = ax.imshow(values, cmap="RdBu", vmin=0, vmax=1, aspect="auto")
    for row, found in enumerate(cells):
        for column, cell in enumerate(found):
            _write(ax, cell, row, column, chance)
    ax.set_xticks(range(len(grains)), [grain.replace("$", r"\$") for grain in grains], rotation=30, ha="right")
    ax.set_yticks(range(len(parts)), [name for name, _ in parts])
    ax.set_title(f"Pair accuracy by grain, {parts[0][1].definition(task).title}")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    ax.figure.colorbar(image, ax=ax, ticks=[0, chance, 1], label="chance 0.5")
    return ax


def _write(ax: Axes, cell: GrainScore | None, row: int, column: int, chance: float) -> None:
    """Draw a value into its cell."""
    if cell is None:
        ax.text(column, row, "—", ha="center", va="center", color="#777777")
        return
    unsure = cell.interval is not None and cell.interval[0] <= chance <= cell.interval[1]
    dark = abs(cell.score - chance) > _DARK
    colour = "white" if dark else "#555555" if unsure else "black"
    text = f"({cell.score:.2f})" if unsure else f"{cell.score:.2f}"
    ax.text(column, row, text, ha="center", va="center", color=colour)


def plot_sensitivity(results: Result | Sequence[Result], *, task: str = "t2i", ax: Axes | None = None) -> Axes:
    """Draw calibrated grain sensitivity with 95 % intervals by grain type, and return the axes.

    At 0, dropping the grain moves the query's embedding as far as other words do; at 1, as far as an unrelated query.

    Args:
        results: A result or several, of one benchmark.
        task: The task.
        ax: Where to draw; None makes a figure.

    Raises:
        InputError: No result has a grain sensitivity on this task.
    """
    measure = "grain_sensitivity"
    parts = parts_of(results, task, measure)
    grains = sorted({grain for _, part in parts for grain in part.by_grain[measure]})
    ax = axes(ax, 2.4 + 1.1 * len(grains), 4.0)
    width = 0.7 / len(parts)
    for number, (name, part) in enumerate(parts):
        found = [(at, part.by_grain[measure].get(grain)) for at, grain in enumerate(grains)]
        having = [(at, cell) for at, cell in found if cell is not None]
        where = [at + (number - (len(parts) - 1) / 2) * width for at, _ in having]
        scores = np.array([cell.score for _, cell in having])
        bounds = np.array([cell.interval or (cell.score, cell.score) for _, cell in having])
        spread = np.clip([scores - bounds[:, 0], bounds[:, 1] - scores], 0, None)
        colour, marker = colour_of(number)
        ax.errorbar(where, scores, yerr=spread, linestyle="", capsize=2, label=name, color=colour, marker=marker)
    for level, said in ((0.0, "as other words"), (1.0, "as an unrelated query")):
        ax.axhline(level, color="#999999", linewidth=0.8, zorder=0)
        ax.annotate(said, (1, level), xycoords=("axes fraction", "data"), xytext=(-2, 2), textcoords="offset points",
                    ha="right", fontsize="x-small", color="#777777")  # fmt: skip
    ax.set_xticks(range(len(grains)), [grain.replace("$", r"\$") for grain in grains], rotation=30, ha="right")
    ax.set_ylabel("grain sensitivity")
    ax.set_title(f"How far dropping a grain moves the query, {parts[0][1].definition(task).title}")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax
