"""Results as the Hugging Face Hub shows them: ``.eval_results/*.yaml`` of a model, ``eval.yaml`` of a data set.

Source: hub-docs, ``eval_results.yaml`` and "Evaluation Results" (docs/hub/eval-results.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from mrbench.errors import InputError, ResultError
from mrbench.export.mteb_results import score_name
from mrbench.export.targets import check_whole, exported_folder, hub_name, safe_name
from mrbench.leaderboard.wording import is_share, measure
from mrbench.results import GrainScore, Result, TaskResult
from mrbench.words import one_line

HOLDS = r"models/[^/]+/\.eval_results/[^/]+\.yaml|dataset/eval\.yaml"
FRAMEWORK = "mrbench"
_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def write_hub_results(results: Sequence[Result], output: Path, dataset: str, *, overwrite: bool = False) -> list[str]:
    """Write what to add to the models' repositories, and ``eval.yaml`` for that of the data set.

    A leaderboard of the Hub has one value for each task id, so that every task has an id for its main measure, one for
    pair accuracy, and one for the pair accuracy of each grain type. Shares are percentages, as MTEB writes them.

    Args:
        results: Whole results of one benchmark and split.
        output: The folder to write.
        dataset: Id of the data set's repository, ORG/NAME.
        overwrite: Whether an earlier export may be replaced.

    Returns:
        The paths of the files below the folder.

    Raises:
        InputError: A malformed id.
        ResultError: A result was cut, results are of several benchmarks, or two are of one model.
        OutputError: The folder cannot be written, or holds something else.
    """
    if not _ID.fullmatch(dataset):
        raise InputError("malformed id of a data set", where="--dataset", got=dataset, accepted="ORG/NAME")
    check_whole(results)
    if len({result.setting for result in results}) > 1:
        got = ", ".join(sorted({" ".join(map(str, result.setting)) for result in results}))
        hint = "export each benchmark into a folder of its own"
        raise ResultError("results of several benchmarks, splits or pools", got=got, accepted="one", hint=hint)
    files: dict[str, Any] = {}
    for result in results:
        path = f"models/{safe_name(hub_name(result))}/.eval_results/{safe_name(dataset)}.yaml"
        if path in files:
            hint = "name one result of each model"
            raise ResultError("two results of one model", where=path, got=result.model["revision"], hint=hint)
        files[path] = list(entries(result, dataset))
    files["dataset/eval.yaml"] = eval_yaml(results)
    with exported_folder(output, "hub", HOLDS, overwrite=overwrite) as target:
        for path, value in files.items():
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=120)
            (target / path).write_text(text, encoding="utf-8")
    return sorted(files)


def entries(result: Result, dataset: str) -> Iterator[dict[str, Any]]:
    """Yield the entries of a model: id of the task, value, date, and how it was measured."""
    about = result.benchmark
    for task, part in result.tasks.items():
        for task_id, name, found in _values(task, part):
            scale = 100 if is_share(name.partition("[")[0]) else 1
            sure = ""
            if found.interval is not None:
                low, high = (f"{scale * bound:.2f}" for bound in found.interval)
                sure = f"; 95 % interval {low} to {high}"
            notes = (
                f"{name.replace('_', ' ')}{', percent' if scale == 100 else ''}{sure}; {found.count:,} "
                f"{'pairs' if '[' in name else 'queries'}; split {about['split']}, pool {about['pool']}; "
                f"revision {result.model['revision']}; digest {about['digest'][:12]}"
            )
            yield {
                "dataset": {"id": dataset, "task_id": task_id},
                "value": round(scale * found.score, 4),
                "date": result.started[:10],
                "notes": one_line(notes),
            }


def eval_yaml(results: Sequence[Result]) -> dict[str, Any]:
    """Return the ``eval.yaml`` of a data set: a task for each id that some result has."""
    about = results[0].benchmark
    ids = dict.fromkeys(
        task_id for result in results for task, part in result.tasks.items() for task_id, *_ in _values(task, part)
    )
    return {
        "name": one_line(about["title"]),
        "description": f"MRBench: retrieval, and by grain whether a model notices; {', '.join(_mains(results))}.",
        "evaluation_framework": FRAMEWORK,
        "tasks": [{"id": task_id, "split": about["split"]} for task_id in ids],
    }


def _mains(results: Sequence[Result]) -> list[str]:
    mains = {t: part.definition(t).main for result in results for t, part in result.tasks.items()}
    return [f"{measure(name)} of {task}" for task, name in mains.items()]


def _values(task: str, part: TaskResult) -> Iterator[tuple[str, str, GrainScore]]:
    """Yield id, name and score of each value of a task that the Hub shows."""
    complete = part.status == "scored" and part.definition(task).judgements == "complete"
    main = part.definition(task).main
    for name in dict.fromkeys((main, "pair_accuracy")):
        if name in part.scores:
            found = GrainScore(part.scores[name], part.queries, part.intervals.get(name))
            yield f"{task}_{score_name(name, complete=complete)}", name, found
    for grain, found in part.pair_accuracy.items():
        yield f"{task}_pair_accuracy_{re.sub(r'[^A-Za-z0-9]+', '_', grain)}", f"pair_accuracy[{grain}]", found
