"""Results as MTEB keeps them: one JSON for each model, revision and task, in the layout that its ``ResultCache`` reads.

Source: mteb 2.26, ``TaskResult``, ``ModelMeta`` and ``ResultCache``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from mrbench.errors import ResultError
from mrbench.export.mteb_module import DIGITS
from mrbench.export.targets import check_whole, exported_folder, hub_name, safe_name
from mrbench.measures import parse_name
from mrbench.results import Result, TaskResult

HOLDS = r"results/[^/]+/[^/]+/[^/]+\.json"
META = "model_meta.json"
LANGUAGE = "und-Zyyy"
"""Undetermined language and script (ISO 639-3, ISO 15924): results do not say it, and MTEB averages over none."""


def write_mteb_results(results: Sequence[Result], output: Path, *, overwrite: bool = False) -> list[str]:
    """Write results as a folder that ``mteb.ResultCache(output)`` reads.

    A task is named as ``mrbench export mteb-task`` names it, with the first digits of the benchmark's digest. Tasks
    that a model cannot take have no file.

    Args:
        results: Whole results.
        output: The folder to write.
        overwrite: Whether an earlier export may be replaced.

    Returns:
        The paths of the tasks' files below the folder.

    Raises:
        ResultError: A result was cut, or two would be one file.
        OutputError: The folder cannot be written, or holds something else.
    """
    check_whole(results)
    files: dict[str, dict[str, Any]] = {}
    metas: dict[str, dict[str, Any]] = {}
    for result in results:
        folder = f"results/{safe_name(hub_name(result).replace(' ', '_'))}/{safe_name(str(result.model['revision']))}"
        metas[f"{folder}/{META}"] = model_meta(result)
        for task, part in result.tasks.items():
            if part.status != "scored":
                continue
            name = task_name(result, task)
            path = f"{folder}/{name}.json"
            if path in files:
                raise ResultError(
                    "two results would be one file of MTEB: it knows neither pool nor number format",
                    where=path,
                    got=result.model["name"],
                    hint="export them into folders of their own",
                )
            files[path] = task_result(result, task, part)
    with exported_folder(output, "mteb", HOLDS, overwrite=overwrite) as target:
        for path, value in (metas | files).items():
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
            (target / path).write_text(text + "\n", encoding="utf-8")
    return sorted(files)


def task_name(result: Result, task: str) -> str:
    """Return the name of a task; it ends in digits of the digest, so that other data have another name."""
    about = result.benchmark
    return safe_name(f"{about['name']}-{task}-{about['digest'][:DIGITS]}")


def task_result(result: Result, task: str, part: TaskResult) -> dict[str, Any]:
    """Return a task's scores as ``TaskResult`` reads them.

    Raises:
        ResultError: The main measure has no score.
    """
    main = part.definition(task).main
    if main not in part.scores:
        reason = part.missing.get(main)
        where, hint = f"{result.model['name']}, {task}, {main}", "leave this result out"
        raise ResultError("no score of the main measure", where=where, got=reason, hint=hint)
    complete = part.definition(task).judgements == "complete"
    scores = {score_name(name, complete=complete): value for name, value in part.scores.items()}
    grains = {
        f"{measure}[{grain}]": found.score
        for measure, by_grain in part.by_grain.items()
        for grain, found in by_grain.items()
    }
    about = {"main_score": part.scores[main], "hf_subset": "default", "languages": [LANGUAGE]}
    return {
        "dataset_revision": result.benchmark["digest"],
        "task_name": task_name(result, task),
        "mteb_version": None,
        "scores": {result.benchmark["split"]: [{**scores, **grains, **about}]},
        "evaluation_time": round(sum(part.seconds.values()), 3),
        "kg_co2_emissions": None,
        "date": _date(result),
    }


def score_name(name: str, *, complete: bool) -> str:
    """Return the name of a score in MTEB; nDCG over grades, which MTEB does not compute, has a name of its own.

    Args:
        name: Our name.
        complete: Whether all candidates are judged by grains, so that gains are grades.

    >>> score_name("hit_rate@5", complete=True), score_name("ndcg@10", complete=True), score_name("mrr", complete=True)
    ('hit_rate_at_5', 'mrbench_ndcg_at_10', 'mrr')
    """
    family, k = parse_name(name)
    ours = "mrbench_" if complete and family == "ndcg" else ""
    return f"{ours}{family}" + ("" if k is None else f"_at_{k}")


def _date(result: Result) -> str | None:
    try:
        return datetime.fromisoformat(result.started).isoformat()
    except ValueError:
        return None


def model_meta(result: Result) -> dict[str, Any]:
    """Return what MTEB's ``ModelMeta`` holds of a model; None where the result does not say it."""
    model = result.model
    modalities = {part for kind in model.get("modalities", ()) for part in str(kind).split(",")}
    licence = str(model.get("licence", "")).lower()
    return {
        "loader": None,
        "name": hub_name(result),
        "revision": str(model["revision"]),
        "release_date": None,
        "languages": None,
        "n_parameters": model.get("parameter_count"),
        "memory_usage_mb": None,
        "max_tokens": model.get("max_text_length"),
        "embed_dim": model.get("dimension"),
        "license": licence if licence in _LICENCES else None,
        "open_weights": None,
        "public_training_code": None,
        "public_training_data": None,
        "framework": [],
        "similarity_fn_name": "cosine",
        "use_instructions": None,
        "training_datasets": None,
        "modalities": sorted(modalities & {"text", "image"}),
    }


_LICENCES = frozenset(
    ("apache-2.0", "bsd-3-clause", "cc-by-4.0", "cc-by-nc-4.0", "cc-by-sa-4.0", "cc0-1.0", "gpl-3.0", "mit", "mpl-2.0")
)
"""Licences that both sides write alike; others are left out."""
