"""``--instruction``: a text for all queries, one of the data set's own wordings by number, or all of them in turn."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mrbench.errors import InputError

if TYPE_CHECKING:
    from mrbench.benchmark import Benchmark
    from mrbench.results import Result

Wording = str | Mapping[str, str] | None
"""One instruction for all tasks, one by task, or None for the instruction of each query."""


def wordings(benchmark: Benchmark, tasks: Sequence[str] | None, said: str | None) -> list[Wording]:
    """Return the instructions to evaluate with, one evaluation each.

    Args:
        benchmark: The benchmark.
        tasks: The tasks that are evaluated; None for all.
        said: What the user wrote: ``all``, a number, a text, or None.

    Raises:
        InputError: The data set has no other wordings, or not so many.
    """
    if said is None or not (said == "all" or said.isdecimal()):
        return [said]
    known = {task: benchmark.instructions(task) for task in tasks or benchmark.task_names}
    most = max((len(texts) for texts in known.values()), default=0)
    if not most:
        raise InputError(
            "the data set has no other wordings of its instructions", where="--instruction", got=said, accepted="a text"
        )
    if said == "all":
        return [_numbered(known, number) for number in range(most)]
    if int(said) >= most:
        raise InputError("no such instruction", where="--instruction", got=said, accepted=f"0 to {most - 1}, all")
    return [_numbered(known, int(said))]


def _numbered(known: Mapping[str, Sequence[str]], number: int) -> dict[str, str]:
    """Return wording ``number`` of every task; the last one of a task that has fewer."""
    return {task: texts[min(number, len(texts) - 1)] for task, texts in known.items() if texts}


def spread(results: Sequence[Result]) -> dict[str, dict[str, Any]]:
    """Return mean, standard deviation and values of each task's main measure over results of several wordings."""
    found: dict[str, dict[str, Any]] = {}
    for task, part in results[0].tasks.items():
        measure = part.definition(task).main
        values = [result.tasks[task].scores[measure] for result in results if measure in result.tasks[task].scores]
        if values:
            found[task] = {
                "measure": measure,
                "mean": statistics.fmean(values),
                "standard_deviation": statistics.stdev(values) if len(values) > 1 else 0.0,
                "values": values,
            }
    return found


def spread_lines(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the spread as lines of text."""
    return [
        f"  {task}: {part['measure']} {part['mean']:.3f} ± {part['standard_deviation']:.3f} "
        f"over {len(part['values'])} instructions ({min(part['values']):.3f} to {max(part['values']):.3f})"
        for task, part in found.items()
    ]
