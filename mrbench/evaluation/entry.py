"""Checks an entry of a leaderboard: the result, its run, and every score from the run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from mrbench.benchmark import Benchmark
from mrbench.errors import ResultError
from mrbench.evaluation.evaluation import RESULT, check_together, rescore
from mrbench.files import sha256_file
from mrbench.results import Result, difference, read_checked, read_result
from mrbench.runs import RUN, read_run

Status = Literal["recomputed", "run not scored", "recomputed before", "self-reported"]


@dataclass(frozen=True, slots=True)
class EntryCheck:
    """The outcome of checking an entry.

    Attributes:
        path: The entry.
        model: Name of the model.
        benchmark: Title of the benchmark.
        status: ``recomputed``: every score was computed again from the run, and none differs. ``run not scored``: the
            run is whole, but its benchmark was not given. ``recomputed before``: there is no run, and the result is
            unchanged since ``checked.jsonl`` recorded a check. ``self-reported``: there is no run.
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
            return f"recomputed: {self.scores:,} scores are those of the run"
        if self.status == "recomputed before":
            return f"recomputed before it was committed, and unchanged since: {self.scores:,} scores"
        if self.status == "self-reported":
            return "self-reported: no run beside the result"
        return "the run is whole and belongs to the result; --benchmark computes the scores from it"


def check_entry(path: Path, benchmark: Callable[[Result], Benchmark | None]) -> EntryCheck:
    """Check a result, and the run beside it where there is one.

    Args:
        path: A folder of ``evaluate``, or a result file. A run counts as beside a file only where the file is
            ``result.json``.
        benchmark: Returns the benchmark of a result, or None where it is not at hand.

    Raises:
        ResultError: The result is malformed or was cut, a table of the run was altered or lacks, the two do not belong
            together, the run gives another score, or the result was changed after it was checked.
    """
    file = path / RESULT if path.is_dir() else path
    result = read_result(file)
    if result.limit is not None:
        got = f"{result.limit} queries per task"
        what = "a result that was cut with --limit is no leaderboard entry"
        raise ResultError(what, where=file, got=got, hint="evaluate without --limit")
    about = str(path), str(result.model["name"]), str(result.benchmark["title"])
    if file.name != RESULT or not (file.parent / RUN).exists():
        return _without_run(file, about)
    opened = benchmark(result)
    if opened is None:
        check_together(file.parent, result, read_run(file.parent))
        return EntryCheck(*about, "run not scored")
    computed = rescore(file.parent, opened)
    if differs := difference(result, computed):
        hint = opened.command("rescore", "--overwrite", str(file.parent))
        raise ResultError("a score is not that of the run", where=file, got=differs, hint=hint)
    return EntryCheck(*about, "recomputed", sum(map(_number_of_scores, computed.to_json()["tasks"].values())))


def _without_run(file: Path, about: tuple[str, str, str]) -> EntryCheck:
    known = read_checked(file.parent).get(file.name)
    if known is None:
        return EntryCheck(*about, "self-reported")
    if (got := sha256_file(file)) != known.sha256:
        accepted = f"the file with SHA-256 {known.sha256[:12]}"
        what, hint = "a result was changed after it was checked", "mrbench leaderboard enter RESULT, with its run"
        raise ResultError(what, where=file, got=got[:12], accepted=accepted, hint=hint)
    return EntryCheck(*about, "recomputed before", known.scores)


def _number_of_scores(task: dict[str, Any]) -> int:
    tables = (task["by_grain"], task["by_loss"], task["confusion"])
    return len(task["scores"]) + sum(len(part) for table in tables for part in table.values())
