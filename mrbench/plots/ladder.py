"""Figure of the ladder: curves of the score by the number of grains that a candidate loses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mrbench.plots.common import axes, colour_of, parts_of
from mrbench.results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MEASURE = "standardised_score"


def plot_ladder(results: Result | Sequence[Result], *, task: str = "t2i", ax: Axes | None = None) -> Axes:
    """Draw the mean score of ladder members by the number of grains that they lose, and return the axes.

    Each model has a line. Scores are in standard deviations of the query's scores over the pool, so that models can be
    compared. The line of a model that notices every grain falls with every step.

    Args:
        results: A result or several, of one benchmark.
        task: The task.
        ax: Where to draw; None makes a figure.

    Raises:
        InputError: No result has a ladder on this task.
    """
    from matplotlib.ticker import MaxNLocator

    parts = parts_of(results, task, MEASURE)
    ax = axes(ax, 6.4, 4.2)
    for number, (name, part) in enumerate(parts):
        steps = sorted((int(lost), found.score) for lost, found in part.by_loss[MEASURE].items())
        lost, scores = [lost for lost, _ in steps], [score for _, score in steps]
        colour, marker = colour_of(number)
        ax.plot(lost, scores, label=name, color=colour, marker=marker)
    ax.set_xlabel("grains that a candidate loses")
    ax.set_ylabel("mean score, standard deviations")
    ax.set_title(f"Ladder, {parts[0][1].definition(task).title}")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(axis="y", alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False)
    return ax
