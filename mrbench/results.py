"""The result file: scores of one model on one benchmark, and everything needed to believe them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from mrbench.errors import ResultError
from mrbench.files import read_versioned_json, write_json_atomic
from mrbench.records import TASKS

FORMAT = "mrbench-result"
FORMAT_VERSION = 1
LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class PairScore:
    """Pair accuracy on one grain type.

    Attributes:
        score: Share of pairs in which the positive scores above the candidate that differs only in this grain,
            0 to 1, higher is better. A tie fails.
        pairs: Number of pairs.
    """

    score: float
    pairs: int


@dataclass(frozen=True, slots=True)
class TaskResult:
    """Scores of one task, or the word that there are none.

    Attributes:
        status: ``scored``, or ``not supported`` where the model cannot take the task: never a score of 0.
        reason: Why there are no scores; empty when scored.
        queries: Number of queries.
        candidates: Size of the pool.
        scores: Score by measure, 0 to 1, higher is better: ``hit_rate@1``, ``recall@5``, ``mrr``, ``ndcg@10``,
            ``map``, ``pair_accuracy``, ``all_grains_accuracy``.
        pair_accuracy: By grain type.
        seconds: Wall time by step.
    """

    status: Literal["scored", "not supported"]
    reason: str = ""
    queries: int = 0
    candidates: int = 0
    scores: dict[str, float] = field(default_factory=dict)
    pair_accuracy: dict[str, PairScore] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """One model on one split of one benchmark.

    Attributes:
        model: ``{"name", "revision", "dimension", "modalities", "device", "dtype"}``.
        benchmark: ``{"name", "title", "digest", "split", "pool", "tasks"}``. Tasks are all that it has. Pool is
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


def _parse(raw: dict[str, Any]) -> Result:
    model, benchmark = dict(raw["model"]), dict(raw["benchmark"])
    for part, keys in ((model, ("name", "revision")), (benchmark, ("name", "title", "digest", "split", "pool"))):
        for key in keys:
            if not 0 < len(_text(part[key])) <= LONGEST_NAME:
                raise ValueError(f"{key} is empty or longer than {LONGEST_NAME} characters")
    tasks = {}
    for name, part in raw["tasks"].items():
        if name not in TASKS:
            raise ValueError(f"unknown task {name!r}")
        if part["status"] not in ("scored", "not supported"):
            raise ValueError(f"unknown status {part['status']!r} of {name}")
        pairs = {
            _text(grain): PairScore(_score(pair["score"]), _count(pair["pairs"]))
            for grain, pair in part["pair_accuracy"].items()
        }
        scores = {_text(measure): _score(value) for measure, value in part["scores"].items()}
        tasks[name] = TaskResult(
            status=part["status"],
            reason=_text(part["reason"]),
            queries=_count(part["queries"]),
            candidates=_count(part["candidates"]),
            scores=scores,
            pair_accuracy=pairs,
            seconds={k: float(v) for k, v in part["seconds"].items()},
        )
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


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {value!r}")
    return value


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError(f"not a number of things: {value!r}")
    return value


def _score(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise TypeError(f"a score is not a number: {value!r}")
    if not 0 <= value <= 1:
        raise ValueError(f"a score is outside 0 to 1: {value!r}")
    return float(value)
