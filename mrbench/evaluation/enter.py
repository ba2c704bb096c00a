"""Turns results into entries to commit: without their runs, and without names from open data."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from mrbench.benchmark import Benchmark
from mrbench.errors import OutputError, ResultError
from mrbench.evaluation.entry import EntryCheck, check_and_compute
from mrbench.files import sha256_file
from mrbench.results import Checked, Result, model_key, read_checked, write_checked, write_result
from mrbench.runs import RUN

_LONGEST = 100  # characters of a name before its digest


def enter(
    folders: Sequence[Path], benchmarks: Sequence[Benchmark], output: Path, *, overwrite: bool = False
) -> list[tuple[EntryCheck, Path]]:
    """Check evaluations, write each as one file, and record in ``checked.jsonl`` that its scores follow from its run.

    Nothing is written unless all of them pass. What is written is computed from run and benchmark; model, command,
    time and versions are what the evaluation states. An entry is named after benchmark and model.

    Args:
        folders: Folders that ``evaluate`` wrote, with the runs.
        benchmarks: Their benchmarks.
        output: The folder of entries; others in it stay.
        overwrite: Whether an entry of the same name may be replaced.

    Returns:
        The outcome of each check, and the file that was written.

    Raises:
        ResultError: An evaluation does not pass :func:`mrbench.evaluation.check_entry`, or its run cannot be scored.
        OutputError: The entry is there already, or two have one name.
    """
    made: dict[Path, tuple[EntryCheck, Result]] = {}
    for folder in (path if path.is_dir() else path.parent for path in folders):
        check, computed = check_and_compute(folder, benchmarks)
        if check.status != "recomputed":
            hint = "name a folder of mrbench evaluate, and its benchmark with --benchmark"
            raise ResultError("the scores cannot be computed again", where=folder, got=check.says, hint=hint)
        result = without_names(computed)
        file = output / entry_name(result)
        if file in made or (file.exists() and not overwrite):
            hint = "evaluate with --name, or add --overwrite"
            raise OutputError("an entry of this benchmark and model is there", where=folder, got=str(file), hint=hint)
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
    """Return the name of a file for a result, in letters that every system takes; no two models share one.

    It is ``BENCHMARK-MODEL.json`` where that says all: test split, pool ``task``, no options, seed 0, and names of
    small letters, digits, ``.`` and ``-``, that of the benchmark without ``-``. Else a digest of all of it follows a
    ``_``, which no plain name has.
    """
    benchmark, model = str(result.benchmark["name"]), str(result.model["name"])
    *_, length, variant = model_key(result.model)
    options = [result.benchmark["split"], result.benchmark["pool"], length, "" if variant == "seed 0" else variant]
    plain = f"{_plain(benchmark)}-{_plain(model)}".strip("-.")[:_LONGEST]
    if plain == f"{benchmark}-{model}" and "-" not in benchmark and options == ["test", "task", 0, ""]:
        return f"{plain}.json"
    digest = sha256(json.dumps([benchmark, model, *options]).encode()).hexdigest()[:12]
    return f"{plain}_{digest}.json"


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.")


def without_names(result: Result) -> Result:
    """Return a result without names from open data: its clusters are those of photos or people, and become numbers.

    The numbers are in the order of the names over all tasks, so that a bootstrap draws alike, and draws the queries of
    several tasks about one photo together.
    """
    partial = {name: part for name, part in result.tasks.items() if part.task.get("judgements") != "complete"}
    names = sorted({cluster for part in partial.values() for cluster in part.clusters})
    width = len(str(len(names)))
    number_of = {name: str(number).zfill(width) for number, name in enumerate(names)}
    numbered = {
        name: replace(part, clusters=tuple(map(number_of.__getitem__, part.clusters))) for name, part in partial.items()
    }
    return replace(result, tasks=result.tasks | numbered)
