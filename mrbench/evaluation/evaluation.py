"""Evaluates a model on a benchmark, and computes the scores of a run again."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from mrbench.benchmark import Benchmark
from mrbench.encode import EmbeddingSource, EmbeddingStore, ModelSource, Share, VectorSource, open_store
from mrbench.errors import BenchmarkError, InputError, ModelError, NothingToScoreError, ResultError, advised
from mrbench.evaluation.describe import describe
from mrbench.evaluation.environment import environment
from mrbench.evaluation.specs import loaded, opened
from mrbench.folders import FolderKind, check_replaceable, check_writable, replaced_folder
from mrbench.models.protocol import EmbeddingModel, is_multi_vector, on_gpu
from mrbench.models.vectors import VectorFolder
from mrbench.pools import DISTRACTORS, TaskPool, load_pool, pool_modalities
from mrbench.pools.overlay import Overlay, OverlayPairs
from mrbench.records import MODALITIES, Task
from mrbench.results import Result, TaskResult, read_result, write_result
from mrbench.retrieve import embed_tasks, run_tasks
from mrbench.runs import RUN_FILES, Run, evaluate_again, read_run, write_run
from mrbench.score import add_overlay, score_run
from mrbench.score import describe as describe_overlay

RESULT = "result.json"
FOLDER = FolderKind(RESULT, rf"{re.escape(RESULT)}|{RUN_FILES}")


def evaluate(
    benchmark: Benchmark | str | Path,
    model: EmbeddingModel | str,
    output: str | Path,
    *,
    tasks: Sequence[str] | None = None,
    split: str | None = None,
    pool: str = "task",
    limit: int | None = None,
    seed: int = 0,
    depth: int = 100,
    overwrite: bool = False,
    command: str = "",
    cache: Path | None = None,
    share: Share | None = None,
    overlay: Overlay | None = None,
    name: str | None = None,
    instruction: str | Mapping[str, str] | None = None,
) -> Result:
    """Run a model over a benchmark, score the run, and write both into a folder, whole or not at all.

    The scores are computed from the run alone, as in :func:`rescore`.

    Args:
        benchmark: The benchmark, or its spec: a folder, or ``SOURCE:PLACE``.
        model: The model, or its spec, as ``mrbench models`` lists them.
        output: The folder to write: ``result.json``, ``run.json`` and the tables of the run.
        tasks: Some of the benchmark's tasks; None takes all. A task that the model cannot take is "not supported", and
            so is one in which no query has a relevant candidate, where there are others.
        split: One of the benchmark's splits; None takes test, else validation, else train.
        pool: ``task``: candidates of the task's modality; ``union``: of all modalities.
        limit: Number of queries per task, 1 or more, sampled by the seed. The pool is cut too: to the candidates that
            these queries need, and ``DISTRACTORS`` others. None takes all.
        seed: Seed of both samples; written into the result.
        depth: Candidates per query to keep in the run, 1 or more. No score depends on it.
        overwrite: Whether an earlier result in this folder may be replaced.
        command: The command to write into the result.
        cache: Folder that keeps embeddings for other runs and processes; None keeps them in memory.
        share: This process's part of the work, if several processes share it. The others call :func:`embed`.
        overlay: Further judgements, such as known false negatives. The result has scores with and without them.
        name: Name of the model in the result; None takes its own name. Caches do not depend on it.
        instruction: The instruction for all queries, or by task; None takes the instruction of each query.

    Returns:
        The result that was written.

    Raises:
        InputError: A task, split or pool is unknown; a number is out of range; the cache is in the output folder, or
            either is in the benchmark folder; or the overlay concerns no task, or a task with complete judgements.
        OutputError: The folder cannot be written, or holds something else.
        ModelError: The model returned embeddings that cannot be scored.
        BenchmarkError: The benchmark is malformed, or an image cannot be decoded; or no task has anything to score.
    """
    started, clock = datetime.now(UTC), perf_counter()
    output, cache = Path(output), None if cache is None else Path(cache)
    benchmark, model = opened(benchmark), loaded(model, seed)
    split = split or benchmark.default_split
    chosen = _chosen_tasks(benchmark, model, tasks, split, pool)
    for option, value in (("limit", limit), ("depth", depth)):
        if value is not None and (not isinstance(value, int) or value < 1):
            raise InputError(f"malformed {option}", got=value, accepted="a whole number, 1 or more")
    _check_apart(benchmark, output=output, cache=cache)
    if cache is not None and _inside(cache, output):
        hint = "choose another --cache"
        raise InputError(
            "the cache is in the output folder", where=output, got=str(cache), accepted="a folder outside", hint=hint
        )
    check_replaceable(output.absolute(), FOLDER, overwrite=overwrite)
    check_writable(output.absolute())
    reasons, pools = _pools(benchmark, model, chosen, split=split, pool=pool, limit=limit, seed=seed)
    laid = _laid(overlay, pools)
    source = _source(model, benchmark, split, open_store(model, cache, share), instruction)
    with advised(benchmark.check_command, BenchmarkError):
        found = run_tasks(source, pools, depth=depth, folder=cache, device=_search_device(model), overlays=laid)
    run = Run(
        model=describe(model) | ({"name": name} if name else {}),
        benchmark={
            "name": benchmark.name,
            "title": benchmark.manifest.title,
            "digest": benchmark.digest,
            "split": split,
            "pool": pool,
            "tasks": list(benchmark.task_names),
            **_said(instruction),
            **({} if limit is None else {"distractors": DISTRACTORS}),
        },
        seed=seed,
        limit=limit,
        depth=depth,
        tasks=found,
        not_supported={task: reason for task, reason in reasons.items() if reason},
        overlay={} if overlay is None else describe_overlay(overlay),
    )
    scored = score_run(run, benchmark, pools=pools)
    result = Result(
        model=run.model,
        benchmark=dict(run.benchmark),
        tasks=add_overlay(scored, run, pools),
        seed=seed,
        limit=limit,
        environment=environment(),
        command=command,
        started=started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        seconds=round(perf_counter() - clock, 3),
    )
    with replaced_folder(output, FOLDER, overwrite=overwrite) as folder:
        write_run(folder, run)
        write_result(folder / RESULT, result)
    return result


def _laid(overlay: Overlay | None, pools: dict[str, TaskPool]) -> dict[str, OverlayPairs]:
    """Return the pairs of an overlay that concern each task.

    Raises:
        InputError: It concerns no task.
    """
    if overlay is None:
        return {}
    laid = {task: overlay.on(pool) for task, pool in pools.items()}
    if pools and not any(len(pairs.query) for pairs in laid.values()):
        first = f"{overlay.query[0]} {overlay.candidate[0]}" if len(overlay.query) else None
        raise InputError(
            "no row of the overlay names a query and a candidate of these tasks",
            where=overlay.name,
            got=first,
            accepted=f"ids as {next(iter(pools.values())).query_ids[0]}",
            hint="use the ids of the benchmark's queries and candidates in the overlay, or evaluate another --task",
        )
    return laid


def _said(instruction: str | Mapping[str, str] | None) -> dict[str, Any]:
    """Return the facts of an instruction for runs and results; empty if each query has its own."""
    if instruction is None:
        return {}
    return {"instruction": instruction if isinstance(instruction, str) else dict(instruction)}


def _check_apart(benchmark: Benchmark, **folders: Path | None) -> None:
    """Check that nothing is written into the benchmark folder, which then could not be replaced or shared."""
    for name, path in folders.items():
        if path is not None and _inside(path, benchmark.folder):
            raise InputError(
                f"the {name} is in the benchmark folder",
                where=benchmark.folder,
                got=str(path),
                accepted="a folder outside",
                hint=f"choose another --{name}",
            )


def _inside(path: Path, folder: Path) -> bool:
    """Return whether a path is a folder or lies in it, after resolving links."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _search_device(model: EmbeddingModel) -> str:
    """Return the device to search on: the model's, if torch finds that GPU on this machine; else the CPU."""
    number = str(model.device).partition(":")[2] or "0"
    return str(model.device) if on_gpu(model) and number.isdecimal() and int(number) < _gpus() else "cpu"


def _gpus() -> int:
    torch = sys.modules.get("torch")
    return int(torch.cuda.device_count()) if torch is not None and torch.cuda.is_available() else 0


def embed(
    benchmark: Benchmark,
    model: EmbeddingModel,
    cache: Path,
    share: Share,
    *,
    tasks: Sequence[str] | None = None,
    split: str = "test",
    pool: str = "task",
    limit: int | None = None,
    seed: int = 0,
    instruction: str | Mapping[str, str] | None = None,
) -> None:
    """Embed one process's share of the work of :func:`evaluate` into a cache, and wait for the other processes.

    Args:
        benchmark: The benchmark.
        model: The model.
        cache: The folder that the processes share.
        share: This process's share.
        tasks: As for :func:`evaluate`. This and the other arguments must be equal in all processes.
        split: One of the benchmark's splits.
        pool: ``task`` or ``union``.
        limit: Number of queries per task; the pool is cut with it.
        seed: Seed of both samples.
        instruction: The instruction for all queries, or by task; None takes the instruction of each query.
    """
    cache = Path(cache)
    _check_apart(benchmark, cache=cache)
    chosen = _chosen_tasks(benchmark, model, tasks, split, pool)
    _, pools = _pools(benchmark, model, chosen, split=split, pool=pool, limit=limit, seed=seed)
    with advised(benchmark.check_command, BenchmarkError):
        embed_tasks(_source(model, benchmark, split, open_store(model, cache, share), instruction), pools)


def _source(
    model: EmbeddingModel,
    benchmark: Benchmark,
    split: str,
    store: EmbeddingStore,
    instruction: str | Mapping[str, str] | None,
) -> EmbeddingSource:
    """Return the source of vectors: files, if they were computed elsewhere; else the model."""
    if not isinstance(model, VectorFolder):
        return ModelSource(model, benchmark, split, store, instruction)
    if instruction is not None:
        hint = "leave out --instruction"
        raise InputError("vectors computed elsewhere take no instruction", where=model.name, got=instruction, hint=hint)
    return VectorSource(model, benchmark, split)


def _pools(
    benchmark: Benchmark,
    model: EmbeddingModel,
    tasks: list[str],
    *,
    split: str,
    pool: str,
    limit: int | None,
    seed: int,
) -> tuple[dict[str, str], dict[str, TaskPool]]:
    """Return for each task the reason why the model cannot take it, empty if it can; and the pools of those it can.

    Raises:
        NothingToScoreError: No task has anything to score.
    """
    distractors = None if limit is None else DISTRACTORS
    load = partial(load_pool, benchmark, split=split, pool=pool, limit=limit, distractors=distractors, seed=seed)
    reasons: dict[str, str] = {}
    pools: dict[str, TaskPool] = {}
    empty: list[NothingToScoreError] = []
    for task in tasks:
        try:
            reasons[task] = _why_not(model, benchmark.task(task), pool_modalities(benchmark, task, split, pool))
            if not reasons[task]:
                pools[task] = load(task)
        except NothingToScoreError as error:  # the other tasks have a right to their scores
            reasons[task] = error.statement
            empty.append(error)
    if empty and len(empty) == len(tasks):
        raise empty[0]
    return reasons, pools


def rescore(folder: str | Path, benchmark: Benchmark | str | Path, *, overlay: Overlay | None = None) -> Result:
    """Compute the scores of an evaluation again from its run, without the model.

    Args:
        folder: A folder that :func:`evaluate` wrote.
        benchmark: The benchmark that it was made on, or its spec.
        overlay: Further judgements; None takes the overlay of the evaluation, if it had one.

    Returns:
        The result with newly computed scores; times, environment and command are as written. The scores equal the
        written ones unless a file was changed.

    Raises:
        ResultError: The run or the result is malformed; they are of two evaluations; the benchmark is another one; or
            the run lacks the scores of some pairs of the overlay.
        InputError: The overlay concerns no task, or a task whose judgements are complete.
    """
    folder, benchmark = Path(folder), opened(benchmark)
    with advised(evaluate_again(folder, benchmark.spec), ResultError):
        return _rescored(folder, benchmark, overlay)


def _rescored(folder: Path, benchmark: Benchmark, overlay: Overlay | None) -> Result:
    written, run = read_result(folder / RESULT), read_run(folder)
    check_together(folder, written, run)
    split, pool = run.benchmark["split"], run.benchmark["pool"]
    known = set(benchmark.task_names) if run.benchmark["digest"] == benchmark.digest else set()
    pools = {
        name: load_pool(
            benchmark,
            name,
            split,
            pool=pool,
            limit=run.limit,
            distractors=run.benchmark.get("distractors"),
            seed=run.seed,
        )
        for name in run.tasks
        if name in known
    }
    results = score_run(run, benchmark, pools=pools)
    _laid(overlay, pools)
    scored: dict[str, TaskResult] = {}
    for name, task in add_overlay(results, run, pools, overlay).items():
        seconds = written.tasks[name].seconds if name in written.tasks else {}
        scored[name] = replace(task, seconds=seconds)
    return replace(written, tasks=scored)


def check_together(folder: Path, written: Result, run: Run) -> None:
    """Check that a result and a run are of the same evaluation.

    Args:
        folder: Where both are, for messages.
        written: The result.
        run: The run.

    Raises:
        ResultError: They name another model, benchmark, seed or limit, or other tasks.
    """
    for name in ("model", "benchmark", "seed", "limit"):
        if getattr(written, name) != getattr(run, name):
            raise ResultError(
                f"the run and the result are of two evaluations: another {name}",
                where=folder,
                got=getattr(written, name),
                accepted=getattr(run, name),
                hint=evaluate_again(folder),
            )
    for name, task in written.tasks.items():
        has = "scored" if name in run.tasks else "not supported" if name in run.not_supported else "missing"
        if has != task.status:
            what = f"the run and the result disagree on {name}"
            raise ResultError(what, where=folder, got=has, accepted=task.status, hint=evaluate_again(folder))


def _check_model(model: EmbeddingModel) -> None:
    """Raise :class:`ModelError` if an object is not an embedding model, or its attributes are impossible."""
    if not isinstance(model, EmbeddingModel):
        what, hint = "not an embedding model", "docs/howto/evaluate-your-own-model.md has an example"
        raise ModelError(what, got=type(model).__name__, accepted="the EmbeddingModel protocol", hint=hint)
    if is_multi_vector(model) and getattr(model, "additive", False):
        what = "a model of several vectors an item cannot be additive: such vectors are not added up"
        raise ModelError(what, where=model.name, got="additive = True", accepted="False")
    if not isinstance(model.dimension, int | np.integer) or model.dimension < 1:
        raise ModelError("malformed dimension", where=model.name, got=model.dimension, accepted="1 or more")
    if isinstance(model.modalities, str) or not set(model.modalities) <= set(MODALITIES):
        raise ModelError(
            "malformed modalities", where=model.name, got=model.modalities, accepted=f"a set of {', '.join(MODALITIES)}"
        )


def _chosen_tasks(
    benchmark: Benchmark, model: EmbeddingModel, tasks: Sequence[str] | None, split: str, pool: str
) -> list[str]:
    _check_model(model)
    if not benchmark.task_names:
        hint = benchmark.command("datasets", "check")
        raise BenchmarkError("the benchmark has no task", where=benchmark.folder, hint=hint)
    if tasks is not None and not tasks:
        raise InputError("no task", accepted=", ".join(benchmark.task_names))
    wanted = benchmark.task_names if tasks is None else tasks
    for task in wanted:
        with suppress(NothingToScoreError):
            pool_modalities(benchmark, task, split, pool)  # raises on an unknown name
    return [task for task in benchmark.task_names if task in wanted]


def _why_not(model: EmbeddingModel, task: Task, pool: tuple[str, ...]) -> str:
    """Return why the model cannot take a task over a pool, or an empty text."""
    lacking = [name for name in pool if name not in model.modalities]
    if task.query_modality not in model.modalities:
        lacking.insert(0, task.query_modality)
    if not lacking:
        return ""
    return "the model takes no " + " and no ".join(dict.fromkeys(name.replace(",", "+") for name in lacking))
