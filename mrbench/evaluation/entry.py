"""Checks an entry of a leaderboard: the result, its run, and everything that follows from the run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from mrbench.benchmark import Benchmark
from mrbench.errors import MRBenchError, ResultError
from mrbench.evaluation.evaluation import RESULT, check_together, rescore
from mrbench.files import sha256_file
from mrbench.results import CHECKED, Result, difference, read_checked, read_result
from mrbench.runs import RUN, read_run

Status = Literal["recomputed", "run not scored", "recomputed before", "self-reported"]
STATED = "model, command, time and versions are stated by its author"


@dataclass(frozen=True, slots=True)
class EntryCheck:
    """The outcome of checking an entry.

    Attributes:
        path: The entry.
        model: Name of the model.
        benchmark: Title of the benchmark.
        status: ``recomputed``: all that follows from the run and the benchmark was computed again and is the same.
            ``run not scored``: the run is whole, but its benchmark was not given. ``recomputed before``: there is no
            run, and the result is unchanged since ``checked.jsonl`` recorded a check. ``self-reported``: there is no
            run.
        scores: Number of scores that were computed again, over all tasks.
    """

    path: str
    model: str
    benchmark: str
    status: Status
    scores: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the outcome as ``--json`` prints it."""
        return asdict(self)

    @property
    def says(self) -> str:
        """The meaning of the status, in a phrase."""
        if self.status == "recomputed":
            found = f"{self.scores:,} scores, chance levels and settings are those of the run"
            return f"recomputed: {found}; {STATED}"
        if self.status == "recomputed before":
            return f"recomputed before it was committed, and unchanged since: {self.scores:,} scores; {STATED}"
        if self.status == "self-reported":
            return "self-reported: no run beside the result"
        return "the run is whole and belongs to the result; --benchmark computes the scores from it"


def check_entries(
    paths: Sequence[Path], benchmarks: Sequence[Benchmark] = ()
) -> list[tuple[Path, EntryCheck | MRBenchError]]:
    """Check entries one by one, and whether they agree with each other and with the checked entries beside them.

    Args:
        paths: Folders of ``evaluate``, or result files.
        benchmarks: The benchmarks to compute scores with.

    Returns:
        For each path what is known of the entry, or why it fails.
    """
    from mrbench.leaderboard import conflicts, read_results  # not needed to evaluate

    found: dict[Path, EntryCheck | MRBenchError] = {}
    for path in paths:
        try:
            found[path] = check_entry(path, benchmarks)
        except MRBenchError as error:
            found[path] = error
    sound = {str(file_of(path)): path for path, check in found.items() if isinstance(check, EntryCheck)}
    results: list[Result] = []
    for file in dict.fromkeys((*sound, *_checked_beside(sound))):
        try:
            results += read_results([file])
        except MRBenchError as error:
            if file in sound:
                found[sound[file]] = error
    for result, conflict in conflicts(results):
        if result.file in sound:
            found[sound[result.file]] = conflict
    return list(found.items())


def _checked_beside(files: Iterable[str]) -> list[str]:
    """Return the checked entries in the folders of some entries, which know what their benchmark is."""
    folders = dict.fromkeys(Path(file).parent for file in files)
    known = [folder / name for folder in folders if (folder / CHECKED).is_file() for name in read_checked(folder)]
    return [str(file) for file in known if file.is_file()]


def check_entry(path: Path, benchmarks: Sequence[Benchmark] = ()) -> EntryCheck:
    """Check a result, and the run beside it where there is one.

    Args:
        path: A folder of ``evaluate``, or a result file. A run counts as beside a file only where the file is
            ``result.json``.
        benchmarks: The benchmarks to compute scores with; none checks the run and scores nothing.

    Raises:
        ResultError: The result is malformed or was cut, a table of the run was altered or lacks, the two do not belong
            together, the run gives another score, its benchmark is none of those named, or the result was changed after
            it was checked.
    """
    return check_and_compute(path, benchmarks)[0]


def check_and_compute(path: Path, benchmarks: Sequence[Benchmark]) -> tuple[EntryCheck, Result]:
    """Return what :func:`check_entry` does, and the result: as its run and its benchmark say it where they are there.

    Name, title and tasks of the benchmark are then those of the benchmark. Model, command, time and versions are as
    written.
    """
    file = file_of(path)
    result = read_result(file)
    if result.limit is not None:
        got = f"{result.limit} queries per task"
        what = "a result that was cut with --limit is no leaderboard entry"
        raise ResultError(what, where=file, got=got, hint="evaluate without --limit")
    about = str(path), str(result.model["name"]), str(result.benchmark["title"])
    if file.name != RESULT or not (file.parent / RUN).exists():
        return _without_run(file, about), result
    if not benchmarks:
        check_together(file.parent, result, read_run(file.parent))
        return EntryCheck(*about, "run not scored"), result
    computed = _recomputed(file, result, benchmarks)
    number = sum(map(_number_of_scores, computed.to_json()["tasks"].values()))
    return EntryCheck(*about, "recomputed", number), computed


def file_of(path: Path) -> Path:
    """Return the result file of an entry that is named by its file or its folder."""
    return path / RESULT if path.is_dir() else path


def _recomputed(file: Path, written: Result, benchmarks: Sequence[Benchmark]) -> Result:
    digest = written.benchmark["digest"]
    opened = next((one for one in benchmarks if one.digest == digest), None)
    if opened is None:
        raise ResultError(
            "the result is of another benchmark, or of another build of it",
            where=file,
            got=f"{written.benchmark['name']}, digest {digest[:12]}",
            accepted=", ".join(f"{one.name}, digest {one.digest[:12]}" for one in benchmarks),
            hint="name with --benchmark the benchmark that was evaluated, or evaluate again on this one",
        )
    computed = rescore(file.parent, opened)
    differs = difference(written, computed)
    if (tasks := list(opened.task_names)) != (said := list(written.benchmark.get("tasks", tasks))):
        differs = f"the benchmark has the tasks {', '.join(said)}, by its manifest {', '.join(tasks)}"
    if differs:
        hint = opened.command("rescore", "--overwrite", str(file.parent))
        raise ResultError("the result is not that of the run", where=file, got=differs, hint=hint)
    about = {"name": opened.name, "title": opened.manifest.title, "tasks": tasks}
    return replace(computed, benchmark=written.benchmark | about)


def _without_run(file: Path, about: tuple[str, str, str]) -> EntryCheck:
    known = read_checked(file.parent).get(file.name)
    if known is None:
        return EntryCheck(*about, "self-reported")
    if (got := sha256_file(file)) != known.sha256:
        accepted = f"the file with SHA-256 {known.sha256[:12]}"
        hint = f"git checkout {file}, or mrbench leaderboard enter RESULT, with its run"
        what = "a result was changed after it was checked"
        raise ResultError(what, where=file, got=got[:12], accepted=accepted, hint=hint)
    return EntryCheck(*about, "recomputed before", known.scores)


def _number_of_scores(task: dict[str, Any]) -> int:
    tables = (task["by_grain"], task["by_loss"], task["confusion"])
    return len(task["scores"]) + sum(len(part) for table in tables for part in table.values())
