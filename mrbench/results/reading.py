"""Writes, reads and checks result files, and compares two results."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from mrbench.benchmark.manifest import STEM, task_from_json
from mrbench.errors import EVALUATE_AGAIN, ResultError
from mrbench.files import read_versioned_json, write_json_atomic
from mrbench.measures import find_measure
from mrbench.results.records import FORMAT, FORMAT_VERSION, GrainScore, PairCounts, Result, TaskResult

LONGEST_NAME = 200
_LATER = ("pair_counts", "task", "setting", "chance")  # results of earlier versions lack them, or keys of them
_WORDS = ("title", "protocol")  # of a task: they are no part of a benchmark's digest
_ROUNDED = 1e-6  # values of single queries are rounded to six digits
_PYTHON = re.compile(
    r"\b(object|unhashable|sequence element|unpack|argument|literal|iterable|indices)\b"
)  # its own messages
_FAULTS = (KeyError, TypeError, ValueError, AttributeError, OverflowError, IndexError)


def write_result(path: Path, result: Result) -> None:
    """Write a result file atomically."""
    write_json_atomic(path, result.to_json())


def read_result(path: Path) -> Result:
    """Read and check a result file.

    Raises:
        ResultError: Not a result file, or malformed.
        FormatVersionError: Written by a newer version of MRBench.
    """
    raw = read_versioned_json(path, what="result file", name=FORMAT, newest=FORMAT_VERSION, error=ResultError)
    try:
        return _parse(raw)
    except _FAULTS as error:
        raise ResultError(
            "malformed result file",
            where=path,
            got=_fault(error),
            accepted="what docs/reference/result.schema.json describes",
            hint=EVALUATE_AGAIN,
        ) from error


def difference(written: Result, computed: Result, *, overlay: bool = True) -> str | None:
    """Return a sentence on the first difference between what two results say of their tasks, or None without any.

    Scores, intervals, chance levels, the setting and the description of each task are compared; times are not.

    Args:
        written: The result as it was written.
        computed: The result computed again from the run.
        overlay: Whether to compare the scores with an overlay, which may be another one.
    """
    one, other = written.to_json()["tasks"], computed.to_json()["tasks"]
    if one.keys() != other.keys():
        return f"the tasks are {', '.join(one)}, by the run {', '.join(other)}"
    ignored = ("seconds",) if overlay else ("seconds", "overlay")
    found = (
        _unequal(one[name][part], _as_old(part, one[name][part], other[name][part]), f"tasks.{name}.{part}")
        for name in one
        for part in one[name]
        if part not in ignored
    )
    return next(filter(None, found), None)


def _as_old(part: str, written: Any, computed: Any) -> Any:
    """Return a part of a task without what an older result lacks, and with its words: reasons, titles, protocols."""
    if part == "missing":
        return {measure: written.get(measure, reason) for measure, reason in computed.items()}
    if part not in _LATER:
        return computed
    kept = {key: value for key, value in computed.items() if key in written}
    return kept | {key: written[key] for key in _WORDS if part == "task" and key in written}


def _unequal(one: Any, other: Any, name: str) -> str | None:
    """Return a sentence on the first value that differs, or None if all are equal but for rounding."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return next(filter(None, (_unequal(one[key], other[key], f"{name}.{key}") for key in one)), None)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return next(filter(None, (_unequal(*pair, f"{name}[{at}]") for at, pair in pairs)), None)
    if isinstance(one, float) and isinstance(other, float):
        close = math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
        return None if close else f"{name} is {one:g}, by the run {other:g}"
    if one == other:
        return None
    plain = isinstance(one, str | int) and isinstance(other, str | int)
    return f"{name} is {one!r}, by the run {other!r}" if plain else f"{name} is not that of the run"


def _fault(error: Exception) -> str:
    """Return what is wrong with the file, without Python's own wording."""
    if isinstance(error, KeyError):
        return f"no key {error.args[0]!r}"
    ours = type(error) in (TypeError, ValueError)
    said = str(error)
    return said if ours and not _PYTHON.search(said) else "a value of another kind than results have there"


def _parse(raw: dict[str, Any]) -> Result:
    model, benchmark = dict(raw["model"]), dict(raw["benchmark"])
    for part, keys in ((model, ("name", "revision")), (benchmark, ("name", "title", "digest", "split", "pool"))):
        for key in keys:
            if not 0 < len(_text(part[key])) <= LONGEST_NAME:
                raise ValueError(f"{key} is empty or longer than {LONGEST_NAME} characters")
    _check_facts(model, benchmark)
    tasks = {}
    for name, part in raw["tasks"].items():
        if not STEM.fullmatch(name):
            raise ValueError(f"malformed name of a task: {name!r}")
        if part["status"] not in ("scored", "not supported"):
            raise ValueError(f"unknown status {part['status']!r} of {name}")
        try:
            tasks[name] = _parse_task(part)
            task_from_json(tasks[name].task or name)
        except _FAULTS as error:
            raise ValueError(f"{_fault(error)}; in tasks.{name}") from error
    if not tasks:
        raise ValueError("no task")
    return Result(
        model=model,
        benchmark=benchmark,
        tasks=tasks,
        seed=_count(raw["seed"]),
        limit=None if raw["limit"] is None else _count(raw["limit"]),
        environment={str(k): str(v) for k, v in raw["environment"].items()},
        command=_text(raw["command"]),
        started=_text(raw["started"]),
        seconds=_seconds(raw["seconds"]),
    )


def _check_facts(model: dict[str, Any], benchmark: dict[str, Any]) -> None:
    """Check what tells results apart: the tasks and the cut of a benchmark, and the options of a model."""
    names = benchmark.get("tasks", [])
    if not isinstance(names, list) or not all(isinstance(name, str) and STEM.fullmatch(name) for name in names):
        raise ValueError(f"malformed list of tasks: {names!r}")
    for part, key in ((benchmark, "distractors"), (model, "text_limit"), (model, "seed")):
        if part.get(key) is not None:
            _count(part[key])
    for key in ("dtype", "variant", "source", "device"):
        if model.get(key) is not None:
            _text(model[key])


def _parse_task(part: dict[str, Any]) -> TaskResult:
    queries = _count(part["queries"])
    task = TaskResult(
        status=part["status"],
        reason=_text(part["reason"]),
        queries=queries,
        candidates=_count(part["candidates"]),
        scores={_text(measure): _score(measure, value) for measure, value in part["scores"].items()},
        by_grain={_text(measure): _grain_scores(measure, scores) for measure, scores in part["by_grain"].items()},
        by_loss={_text(measure): _grain_scores(measure, scores) for measure, scores in part["by_loss"].items()},
        confusion={_text(asked): _confusion_row(row) for asked, row in part["confusion"].items()},
        intervals={_text(measure): _interval(value) for measure, value in part["intervals"].items()},
        missing={_text(measure): _text(reason) for measure, reason in part["missing"].items()},
        left_out={_text(measure): _count(number) for measure, number in part.get("left_out", {}).items()},
        per_query={_text(measure): _values(measure, values) for measure, values in part["per_query"].items()},
        clusters=tuple(_text(name) for name in part["clusters"]),
        seconds={_text(step): _seconds(value) for step, value in part["seconds"].items()},
        task=dict(part.get("task", {})),
        setting={_text(k): v if isinstance(v, int) else _text(v) for k, v in part.get("setting", {}).items()},
        chance={_text(measure): _score(measure, value) for measure, value in part.get("chance", {}).items()},
        overlay=_overlay(part.get("overlay", {})),
        cut_texts={_text(what): _count(number) for what, number in part.get("cut_texts", {}).items()},
        cut_pairs={_text(grain): _count(number) for grain, number in part.get("cut_pairs", {}).items()},
        pair_counts={_text(grain): _pair_counts(counts) for grain, counts in part.get("pair_counts", {}).items()},
    )
    _check_pair_counts(task)
    for measure, values in task.per_query.items():
        if not len(values) == len(task.clusters) == queries:
            raise ValueError(f"{measure} has {len(values)} values and {len(task.clusters)} clusters, {queries} queries")
        known = find_measure(measure)
        mean, score = math.fsum(values) / max(1, queries), task.scores.get(measure)
        averaged = known is None or known.over_queries == "mean"
        if averaged and score is not None and abs(mean - score) > _ROUNDED:
            raise ValueError(f"{measure} is {score:g}, and the mean of its queries {mean:g}")
    return task


def _pair_counts(part: dict[str, Any]) -> PairCounts:
    return PairCounts(tuple(map(_count, part["right"])), tuple(map(_count, part["total"])))


def _check_pair_counts(task: TaskResult) -> None:
    for grain, counts in task.pair_counts.items():
        if not len(counts.right) == len(counts.total) == task.queries:
            raise ValueError(f"pairs of {grain} for {len(counts.total)} queries, {task.queries} queries")
        if any(right > total for right, total in zip(counts.right, counts.total, strict=True)):
            raise ValueError(f"more pairs of {grain} are right than there are")
        score, number = task.pair_accuracy.get(grain), sum(counts.total)
        if score is None or score.count != number or abs(sum(counts.right) / max(1, number) - score.score) > _ROUNDED:
            raise ValueError(f"the pair accuracy of {grain} is not that of its pairs")


def _overlay(part: dict[str, Any]) -> dict[str, Any]:
    if not part:
        return {}
    compared = part["judged_queries"]
    return {
        "name": _text(part["name"]),
        "sha256": _text(part["sha256"]),
        **{key: _count(part[key]) for key in ("rows", "pairs", "changed", "queries", "without_relevant")},
        "scores": _scores(part["scores"]),
        "intervals": {_text(measure): _interval(value) for measure, value in part["intervals"].items()},
        "chance": _scores(part["chance"]),
        "judged_queries": {
            "queries": _count(compared["queries"]),
            "with": _scores(compared["with"]),
            "without": _scores(compared["without"]),
        },
    }


def _scores(part: dict[str, Any]) -> dict[str, float]:
    return {_text(measure): _score(measure, value) for measure, value in part.items()}


def _grain_scores(measure: str, scores: dict[str, Any]) -> dict[str, GrainScore]:
    return {
        _text(grain): GrainScore(
            _score(measure, part["score"]),
            _count(part["count"]),
            None if part["interval"] is None else _interval(part["interval"]),
        )
        for grain, part in scores.items()
    }


def _confusion_row(row: dict[str, Any]) -> dict[str, GrainScore]:
    """Return a row of the confusion. Older results have no counts; a share without its count is left out."""
    found = _grain_scores("confusion", {lost: part for lost, part in row.items() if isinstance(part, dict)})
    for lost, part in found.items():
        if not (0 <= part.score <= 1 and part.count):
            raise ValueError(f"confusion with {lost} is no share of queries: {part.score:g} of {part.count}")
    return found


def _interval(value: Any) -> tuple[float, float]:
    low, high = map(_number, value)
    if low > high:
        raise ValueError(f"an interval ends before it begins: {value!r}")
    return low, high


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {value!r}")
    return value


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError(f"not a number of things: {value!r}")
    return value


def _seconds(value: Any) -> float:
    if (number := _number(value)) < 0:
        raise ValueError(f"a time below 0: {value!r}")
    return number


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise TypeError(f"a score is not a number: {value!r}")
    return float(value)


def _values(measure: str, values: list[Any]) -> tuple[float, ...]:
    """Return the checked values of single queries. Equal ones are one object, since there are millions of 0 and 1."""
    checked: dict[Any, float] = {}
    for value in set(values):
        checked[value] = _score(measure, value)
    if not {type(value) for value in values} <= {int, float}:
        raise TypeError("a score is not a number")  # True equals 1
    return tuple(checked[value] for value in values)


def _score(measure: str, value: Any) -> float:
    number = _number(value)
    known = find_measure(measure)
    low, high = (known.low, known.high) if known else (None, None)
    low, high = (-math.inf if low is None else low), (math.inf if high is None else high)
    if not low <= number <= high:
        raise ValueError(f"{measure} is outside {low:g} to {high:g}: {value!r}")
    return number
