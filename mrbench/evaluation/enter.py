"""Turns results into entries to commit: without their runs, and without names from open data."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from mrbench.benchmark import Benchmark
from mrbench.errors import OutputError, ResultError
from mrbench.evaluation.entry import EntryCheck, check_entry
from mrbench.evaluation.evaluation import RESULT
from mrbench.files import sha256_file
from mrbench.results import Checked, Result, TaskResult, read_checked, read_result, write_checked, write_result
from mrbench.runs import RUN


def enter(
    folders: Sequence[Path], benchmark: Callable[[Result], Benchmark | None], output: Path, *, overwrite: bool = False
) -> list[tuple[EntryCheck, Path]]:
    """Check evaluations, write each as one file, and record in ``checked.jsonl`` that its scores follow from its run.

    Nothing is written unless all of them pass. An entry is named after benchmark and model.

    Args:
        folders: Folders that ``evaluate`` wrote, with the runs.
        benchmark: Returns the benchmark of a result; None if it was not given.
        output: The folder of entries; others in it stay.
        overwrite: Whether an entry of the same name may be replaced.

    Returns:
        The outcome of each check, and the file that was written.

    Raises:
        ResultError: An evaluation does not pass :func:`check_entry`, or its run cannot be scored.
        OutputError: The entry is there already, or two have one name.
    """
    made: dict[Path, tuple[EntryCheck, Result]] = {}
    for folder in (path if path.is_dir() else path.parent for path in folders):
        check = check_entry(folder, benchmark)
        if check.status != "recomputed":
            hint = "name a folder of mrbench evaluate, and its benchmark with --benchmark"
            raise ResultError("the scores cannot be computed again", where=folder, got=check.says, hint=hint)
        result = without_names(read_result(folder / RESULT))
        file = output / entry_name(result)
        if file in made or (file.exists() and not overwrite):
            hint = "evaluate with --name, or add --overwrite"
            raise OutputError("an entry of this benchmark and model is there", where=folder, got=file, hint=hint)
        made[file] = check, result
    output.mkdir(parents=True, exist_ok=True)
    known = read_checked(output)
    for file, (check, result) in made.items():
        write_result(file, result)
        run = sha256_file(Path(check.path) / RUN)
        known[file.name] = Checked(sha256_file(file), run, check.scores, version("mrbench"))
    write_checked(output, known)
    return [(check, file) for file, (check, _) in made.items()]


def entry_name(result: Result) -> str:
    """Return the file name of a result: its benchmark and its model, in characters that every system accepts."""
    name = f"{result.benchmark['name']}-{result.model['name']}".lower()
    return re.sub(r"[^a-z0-9.]+", "-", name).strip("-.")[:100] + ".json"


def without_names(result: Result) -> Result:
    """Return a result without names from open data: its clusters are those of photos or people, and become numbers.

    The numbers are in the order of the names, so that a bootstrap draws alike.
    """
    return replace(result, tasks={name: _numbered(part) for name, part in result.tasks.items()})


def _numbered(part: TaskResult) -> TaskResult:
    if part.task.get("judgements") != "partial":
        return part
    names = sorted(set(part.clusters))
    width = len(str(len(names)))
    number_of = {name: str(number).zfill(width) for number, name in enumerate(names)}
    return replace(part, clusters=tuple(number_of[name] for name in part.clusters))
