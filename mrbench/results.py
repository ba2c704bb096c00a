"""The result file: scores of one model on one benchmark, and everything needed to believe them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from mrbench.benchmark.manifest import STEM, task_from_json
from mrbench.errors import ResultError
from mrbench.files import read_versioned_json, write_json_atomic
from mrbench.measures import find_measure
from mrbench.records import Task

FORMAT = "mrbench-result"
FORMAT_VERSION = 2
LONGEST_NAME = 200
_NOT_SCORES = ("seconds", "task", "setting", "chance")  # which results of earlier versions lack
_ROUNDED = 1e-6  # values of single queries have six digits


@dataclass(frozen=True, slots=True)
class GrainScore:
    """The score of a measure on one grain type, or on one step of the ladder.

    Attributes:
        score: In the range of the measure.
        count: Number of pairs, probes or candidates behind it.
        interval: 95 % interval, where there is one.
    """

    score: float
    count: int
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class TaskResult:
    """Scores of one task, or the word that there are none.

    Attributes:
        status: ``scored``, or ``not supported`` where the model cannot take the task: never a score of 0.
        reason: Why there are no scores; empty when scored.
        queries: Number of queries.
        candidates: Size of the pool.
        scores: Score by measure; :func:`mrbench.measures.declared` says what each name means.
        by_grain: By measure, the score on each grain type.
        by_loss: By measure, the score on candidates that lose 0, 1, 2, ... of the query's grains.
        confusion: Share of the queries with two grain types whose first result loses the second, with their number,
            ``{asked: {lost: share}}``.
        intervals: 95 % interval of a score, by measure.
        missing: Measures that cannot be had, with the reason; ``measure[grain type]`` where it is one type's.
        left_out: By measure, the number of queries on which it is not defined, so that its score is without them.
        per_query: By measure one value per query, in the order of the benchmark's file, for tests between models.
        clusters: What each query is about: queries with the same word share art and are not independent.
        seconds: Wall time by step.
        task: What the benchmark says of the task: category, title, corpora, judgements, pool, measures, protocol.
        setting: What else the scores depend on: corpora, exclusions, who judged.
        chance: Exact expected value of a random order, by rank measure.
        overlay: What further judgements laid over those of the data set change; empty where there are none. Of the
            overlay ``name``, ``sha256``, ``rows``; of them ``pairs`` in this pool, and ``changed``: pairs that become
            relevant or are it no more; ``scores``, ``intervals`` and ``chance`` over ``queries`` queries, without the
            ``without_relevant`` that have no relevant candidate any more; and ``judged_queries``: the scores ``with``
            and ``without`` over the ``queries`` that the overlay judges candidates of.
        cut_texts: Number of ``queries``, ``candidates`` and ``variants`` whose text the model did not read to its end;
            empty where the model does not say, and in results of before.
        cut_pairs: Number of pairs with such a text, which no measure of grains counts, by grain type.
    """

    status: Literal["scored", "not supported"]
    reason: str = ""
    queries: int = 0
    candidates: int = 0
    scores: dict[str, float] = field(default_factory=dict)
    by_grain: dict[str, dict[str, GrainScore]] = field(default_factory=dict)
    by_loss: dict[str, dict[str, GrainScore]] = field(default_factory=dict)
    confusion: dict[str, dict[str, GrainScore]] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    per_query: dict[str, tuple[float, ...]] = field(default_factory=dict)
    clusters: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    task: dict[str, Any] = field(default_factory=dict)
    setting: dict[str, Any] = field(default_factory=dict)
    chance: dict[str, float] = field(default_factory=dict)
    overlay: dict[str, Any] = field(default_factory=dict)
    cut_texts: dict[str, int] = field(default_factory=dict)
    cut_pairs: dict[str, int] = field(default_factory=dict)

    def definition(self, name: str) -> Task:
        """Return the task of this name; results of format version 1 say no more than the name of one of ours.

        Raises:
            ResultError: They do not say what it is.
        """
        try:
            return task_from_json(self.task or name)
        except (KeyError, TypeError, ValueError) as error:
            raise ResultError("a result does not describe its task", where=name, got=str(error)) from error

    @property
    def pair_accuracy(self) -> dict[str, GrainScore]:
        """Pair accuracy by grain type."""
        return self.by_grain.get("pair_accuracy", {})


@dataclass(frozen=True, slots=True)
class Result:
    """One model on one split of one benchmark.

    Attributes:
        model: ``{"name", "revision", "dimension", "modalities", "device", "dtype", "control"}`` and other facts;
            results of before say no ``control``.
        benchmark: ``{"name", "title", "digest", "split", "pool", "tasks"}``, of a cut result ``distractors`` too:
            candidates kept beside those that the queries need. Tasks are all that it has. Pool is
            ``task`` (candidates of the task's modality) or ``union`` (all modalities).
        limit: Number of queries per task it was cut to, or None. A cut result is no leaderboard entry.
        environment: Versions and platform.
        started: UTC time, ISO 8601.
    """

    model: dict[str, Any]
    benchmark: dict[str, Any]
    tasks: dict[str, TaskResult]
    seed: int
    limit: int | None
    environment: dict[str, str]
    command: str
    started: str
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return the result as it is written."""
        return {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(self)}


def model_key(model: Mapping[str, Any]) -> tuple[str, str, str, int]:
    """Return what tells a model of a result from others: name, revision, number format, and where texts were cut.

    The number format is empty where a result of before does not say it. The last is 0 where the user gave no length.
    """
    return str(model["name"]), str(model["revision"]), str(model.get("dtype", "")), int(model.get("text_limit") or 0)


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
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ResultError("malformed result file", where=path, got=f"{type(error).__name__}: {error}") from error


def difference(written: Result, computed: Result, *, overlay: bool = True) -> str | None:
    """Return the first score that a result has otherwise than another, and both values; None where all are the same.

    Args:
        written: A result.
        computed: Another.
        overlay: Whether to compare what further judgements change; they may be others.
    """
    pairs = [(written.to_json()["tasks"], computed.to_json()["tasks"], "tasks")]
    ignored = _NOT_SCORES if overlay else (*_NOT_SCORES, "overlay")
    while pairs:
        one, other, name = pairs.pop()
        if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
            pairs += [(one[key], other[key], f"{name}.{key}") for key in reversed(one) if key not in ignored]
        elif isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
            pairs += [(one[at], other[at], f"{name}[{at}]") for at in reversed(range(len(one)))]
        elif isinstance(one, float) and isinstance(other, float):
            if not math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9):
                return f"{name} is {one:g}, by the run {other:g}"
        elif one != other:
            return f"{name} is not that of the run"
    return None


def _parse(raw: dict[str, Any]) -> Result:
    model, benchmark = dict(raw["model"]), dict(raw["benchmark"])
    for part, keys in ((model, ("name", "revision")), (benchmark, ("name", "title", "digest", "split", "pool"))):
        for key in keys:
            if not 0 < len(_text(part[key])) <= LONGEST_NAME:
                raise ValueError(f"{key} is empty or longer than {LONGEST_NAME} characters")
    tasks = {}
    for name, part in raw["tasks"].items():
        if not STEM.fullmatch(name):
            raise ValueError(f"malformed name of a task: {name!r}")
        if part["status"] not in ("scored", "not supported"):
            raise ValueError(f"unknown status {part['status']!r} of {name}")
        tasks[name] = _parse_task(part)
        task_from_json(tasks[name].task or name)
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
        seconds=float(raw["seconds"]),
    )


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
        seconds={k: float(v) for k, v in part["seconds"].items()},
        task=dict(part.get("task", {})),
        setting={_text(k): v if isinstance(v, int) else _text(v) for k, v in part.get("setting", {}).items()},
        chance={_text(measure): _score(measure, value) for measure, value in part.get("chance", {}).items()},
        overlay=_overlay(part.get("overlay", {})),
        cut_texts={_text(what): _count(number) for what, number in part.get("cut_texts", {}).items()},
        cut_pairs={_text(grain): _count(number) for grain, number in part.get("cut_pairs", {}).items()},
    )
    for measure, values in task.per_query.items():
        if not len(values) == len(task.clusters) == queries:
            raise ValueError(f"{measure} has {len(values)} values and {len(task.clusters)} clusters, {queries} queries")
        known = find_measure(measure)
        mean, score = math.fsum(values) / max(1, queries), task.scores.get(measure)
        averaged = known is None or known.over_queries == "mean"
        if averaged and score is not None and abs(mean - score) > _ROUNDED:
            raise ValueError(f"{measure} is {score:g}, and the mean of its queries {mean:g}")
    return task


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
    """Read a line of the confusion; older results have no counts, and a share of nobody knows how many is no score."""
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


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise TypeError(f"a score is not a number: {value!r}")
    return float(value)


def _values(measure: str, values: list[Any]) -> tuple[float, ...]:
    """Return the values of single queries; equal ones are one object, since most are 0 or 1 and there are millions."""
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
