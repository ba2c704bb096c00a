"""Results in the schema of Every Eval Ever: scores with intervals and, where there is a run, a row for each query.

Source: evaleval/every_eval_ever, ``eval.schema.json`` and ``instance_level_eval.schema.json``, version 0.3.0.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mrbench.errors import InputError, ResultError
from mrbench.export.every_eval_ever_rows import QueryRows
from mrbench.export.targets import check_whole, exported_folder, hub_name, safe_name
from mrbench.files import canonical_json
from mrbench.measures import Measure, find_measure, in_order, parse_name
from mrbench.results import GrainScore, Result, TaskResult

VERSION = "0.3.0"
RELATIONS = ("first_party", "third_party", "collaborative", "other")
HOLDS = r"data/[^/]+/[^/]+/[^/]+/[0-9a-f-]{36}(_samples\.jsonl|\.json)"


@dataclass(frozen=True, slots=True)
class Publisher:
    """Who publishes the results.

    Attributes:
        organisation: Name of the organisation that ran the evaluation.
        relation: Its relation to the makers of the model: one of :data:`RELATIONS`.
    """

    organisation: str
    relation: str = "other"


def write_every_eval_ever(
    results: Sequence[Result],
    output: Path,
    publisher: Publisher,
    *,
    rows: Sequence[QueryRows | None] | None = None,
    overwrite: bool = False,
) -> list[str]:
    """Write a record for each result, and its rows by query where they are given.

    Measures of which neither high nor low is good have no place in the schema, and are left out.

    Args:
        results: Whole results.
        output: The folder to write; below it is the layout of the datastore.
        publisher: Who publishes them.
        rows: The rows by query of each result, or None.
        overwrite: Whether an earlier export may be replaced.

    Returns:
        The paths of the records below the folder.

    Raises:
        InputError: An unknown relation, or no organisation.
        ResultError: A result was cut, or is there twice.
        OutputError: The folder cannot be written, or holds something else.
    """
    if publisher.relation not in RELATIONS:
        accepted = ", ".join(RELATIONS)
        raise InputError("unknown relation", where="--relation", got=publisher.relation, accepted=accepted)
    if not publisher.organisation.strip():
        raise InputError("no organisation", where="--organization", accepted="the name of who ran the evaluation")
    check_whole(results)
    written: list[str] = []
    with exported_folder(output, "eee", HOLDS, overwrite=overwrite) as target:
        for result, source in zip(results, rows or [None] * len(results), strict=True):
            record = _record(result, publisher)
            path = _path(result)
            file = target / path
            if file.exists():
                hint = "name each result once"
                raise ResultError("a result is there twice", where=path, got=result.model["name"], hint=hint)
            file.parent.mkdir(parents=True, exist_ok=True)
            if source is not None:
                samples = file.with_name(f"{file.stem}_samples.jsonl")
                number = _write_rows(samples, record, source)
                record["detailed_evaluation_results"] = {
                    "format": "jsonl",
                    "file_path": f"{Path(path).parent.as_posix()}/{samples.name}",
                    "hash_algorithm": "sha256",
                    "checksum": hashlib.sha256(samples.read_bytes()).hexdigest(),
                    "total_rows": number,
                }
            text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False)
            file.write_text(text + "\n", encoding="utf-8")
            written.append(path)
    return sorted(written)


def _path(result: Result) -> str:
    """Return the path of a record; its UUID follows from the scores, so that the same result has the same path."""
    developer, _, name = hub_name(result).partition("/")
    digest = hashlib.sha256(canonical_json(result.to_json()).encode()).digest()
    stem = uuid.UUID(bytes=digest[:16], version=4)
    return f"data/{safe_name(result.benchmark['name'])}/{safe_name(developer)}/{safe_name(name)}/{stem}.json"


def _record(result: Result, publisher: Publisher) -> dict[str, Any]:
    about, stamp = result.benchmark, _stamp(result)
    tasks = result.tasks.items()
    facts = ("revision", "dtype", "device", "dimension", "licence", "parameter_count", "max_text_length", "image_size")
    return {
        "schema_version": VERSION,
        "evaluation_id": f"{about['name']}/{hub_name(result)}/{stamp}",
        "evaluation_timestamp": result.started,
        "retrieved_timestamp": stamp,
        "source_metadata": {
            "source_name": f"MRBench, {about['title']}",
            "source_type": "evaluation_run",
            "source_organization_name": publisher.organisation,
            "evaluator_relationship": publisher.relation,
        },
        "eval_library": {
            "name": "mrbench",
            "version": result.environment.get("mrbench", "unknown"),
            "additional_details": {"command": result.command, "seed": str(result.seed)},
        },
        "model_info": {
            "name": str(result.model["name"]),
            "id": hub_name(result),
            "developer": hub_name(result).partition("/")[0],
            "additional_details": {
                "deployment_type": "unknown",
                "model_availability": "unknown",
                **{name: str(result.model[name]) for name in facts if result.model.get(name) not in (None, "")},
            },
        },
        "evaluation_results": [entry for task, part in tasks for entry in _entries(result, task, part)],
    }


def _stamp(result: Result) -> str:
    """Return the time of the evaluation in seconds of the Unix epoch: a record made again is the same."""
    try:
        return str(int(datetime.fromisoformat(result.started).timestamp()))
    except ValueError as error:
        where, accepted = f"{result.model['name']}, started", "a time as 2026-01-31T12:00:00Z"
        raise ResultError("malformed time in a result", where=where, got=result.started, accepted=accepted) from error


def _entries(result: Result, task: str, part: TaskResult) -> Iterator[dict[str, Any]]:
    for name in in_order(part.scores):
        found = GrainScore(part.scores[name], part.queries, part.intervals.get(name))
        yield from _entry(result, task, name, "", found)
    for name, by_grain in part.by_grain.items():
        for grain, found in by_grain.items():
            yield from _entry(result, task, name, grain, found)


def _entry(result: Result, task: str, name: str, grain: str, found: GrainScore) -> Iterator[dict[str, Any]]:
    """Yield a score in the form of the schema; nothing for a measure without a direction."""
    known = find_measure(name)
    if known is None or known.higher_is_better is None:
        return
    about, part = result.benchmark, result.tasks[task]
    config = _metric(name, known, part.chance.get(name, known.chance))
    if grain:
        config["metric_parameters"] = {**config.get("metric_parameters", {}), "grain": grain}
    details: dict[str, Any] = {"score": found.score, "details": {"task": task, "count": str(found.count)}}
    if found.interval is not None:
        low, high = found.interval
        details["uncertainty"] = {
            "confidence_interval": {"lower": low, "upper": high, "confidence_level": 0.95, "method": "over clusters"},
            "num_samples": found.count,
        }
    yield {
        "evaluation_result_id": result_id(task, name, grain),
        "evaluation_name": f"{about['name']} {task} {name}" + (f" {grain}" if grain else ""),
        "source_data": {
            "dataset_name": about["title"],
            "source_type": "other",
            "additional_details": {"digest": about["digest"], "split": about["split"], "pool": about["pool"]},
        },
        "metric_config": config,
        "score_details": details,
    }


def result_id(task: str, name: str, grain: str = "") -> str:
    """Return the id that joins a score and its rows by query.

    >>> result_id("t2i", "pair_accuracy", "count")
    't2i/pair_accuracy/count'
    """
    return "/".join(filter(None, (task, name, grain)))


def _metric(name: str, known: Measure, chance: float | None) -> dict[str, Any]:
    family, k = parse_name(name)
    config: dict[str, Any] = {
        "evaluation_description": known.meaning,
        "metric_id": f"mrbench.{name}",
        "metric_name": known.title,
        "metric_kind": family,
        "lower_is_better": known.higher_is_better is False,
        "score_type": "continuous",
        "min_score": "-Infinity" if known.low is None else known.low,
        "max_score": "Infinity" if known.high is None else known.high,
    }
    if (known.low, known.high) == (0.0, 1.0):
        config["metric_unit"] = "proportion"
    if k is not None:
        config["metric_parameters"] = {"k": k}
    if chance is not None:
        config["additional_details"] = {"chance": f"{chance:.6g}"}
    return config


def _write_rows(path: Path, record: dict[str, Any], source: QueryRows) -> int:
    """Write the rows by query and return their number."""
    known = {entry["evaluation_result_id"]: entry["evaluation_name"] for entry in record["evaluation_results"]}
    number = 0
    with path.open("w", encoding="utf-8") as stream:
        for task, query in source.queries():
            for name, grain, score in source.scores(task, query):
                if (key := result_id(task, name, grain)) not in known:
                    continue
                row = {
                    "schema_version": VERSION,
                    "evaluation_id": record["evaluation_id"],
                    "model_id": record["model_info"]["id"],
                    "evaluation_name": known[key],
                    "evaluation_result_id": key,
                    **source.row(task, query),
                    "evaluation": {"score": score, "is_correct": score == 1.0},
                }
                stream.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
                number += 1
    return number
