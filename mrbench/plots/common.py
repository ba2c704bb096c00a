"""Shared by all figures: the models that have a task, their labels and colours, and the axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mrbench.errors import InputError
from mrbench.results import Result, TaskResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#7f7f7f")
"""Okabe and Ito's colours, which people with any colour vision can tell apart."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
NAME = 32


def parts_of(results: Result | Sequence[Result], task: str | None, measure: str) -> list[tuple[str, TaskResult]]:
    """Return name and scores of the models that have a measure by grain or by loss on a task.

    Args:
        results: A result or several, of one benchmark.
        task: The task.
        measure: The measure.

    Raises:
        InputError: No result has it; the message names the tasks that have it.
    """
    read = [results] if isinstance(results, Result) else list(results)
    found, having = [], set()
    for result in read:
        for name, part in result.tasks.items():
            if part.by_grain.get(measure) or part.by_loss.get(measure):
                having.add(name)
                if name == task:
                    found.append((label(result, read), part))
    if not found:
        accepted = ", ".join(sorted(having)) or "results with it: no task of these has any"
        raise InputError(
            f"no result has {measure} on this task", where="task", got=task, accepted=accepted, hint="name such a task"
        )
    return found


def colour_of(number: int) -> tuple[str, str]:
    """Return the colour and the marker of the n-th model, from 0."""
    return COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]


def label(result: Result, among: Sequence[Result]) -> str:
    """Return the label of a model in a figure: its name, with its revision if another model has the same name."""
    name = str(result.model["name"])
    if sum(str(other.model["name"]) == name for other in among) > 1:
        name = f"{name} @ {result.model['revision']}"
    name = "".join(character if character.isprintable() else " " for character in name)
    name = name if len(name) <= NAME else name[: NAME - 1] + "…"
    return name.replace("$", r"\$")  # matplotlib would read a formula


def axes(given: Axes | None, width: float, height: float) -> Axes:
    """Return the given axes, or new ones with a size in inches."""
    if given is not None:
        return given
    from matplotlib import pyplot

    return pyplot.subplots(figsize=(width, height), layout="constrained")[1]
