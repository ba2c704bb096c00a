"""From a model and a benchmark to a folder of what was trained: check, read, train, test, write all or nothing."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from elva.mending.card import model_card
from elva.mending.report import Report, compare, draw, table, to_json
from elva.mending.unfinished import unfinished
from elva.processes import Processes
from elva.tuning.contents import HELD_OUT, held_out, keys_of, shared_texts
from elva.tuning.data import Split, TrainTask
from elva.tuning.encoders import CARD, PLOT, load_encoder
from elva.tuning.method import Method
from elva.tuning.objectives import NEED_LADDERS, OBJECTIVES, grid
from elva.tuning.read import Picture
from elva.tuning.train import Plan, Trained, one_thread, train
from mrbench.benchmark import Benchmark
from mrbench.errors import InputError
from mrbench.evaluation.environment import environment
from mrbench.folders import FolderKind, check_replaceable, check_writable, replaced_folder
from mrbench.models.protocol import EmbeddingModel
from mrbench.sources.open import open_benchmark

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """What to train on, how long, and where to.

    Attributes:
        data: Spec of the benchmark.
        out: Folder to write.
        objective: One of :data:`elva.tuning.objectives.OBJECTIVES`.
        keep: Spec of a benchmark on which the model should stay as it is.
        guard: Weight of what holds a model to its similarities; for methods that start from a model as it is.
        steps: Most steps.
        batch: Queries of a step.
        rate: Learning rate in the place of the grid's.
        seed: Decides every draw.
        image_root: Folder of the images of ``data``.
        cache: Folder of embeddings, for the report.
        device: Of the model that the report compares with.
        overwrite: Whether an earlier result may be replaced, and an interrupted run dropped.
        resume: Whether to go on with an interrupted run.
        command: To be written down.
    """

    data: str
    out: Path
    objective: str = "infonce"
    keep: str | None = None
    guard: float = 0.0
    steps: int = 800
    batch: int = 128
    rate: float | None = None
    seed: int = 0
    image_root: Path | None = None
    cache: Path | None = None
    device: str = "auto"
    overwrite: bool = False
    resume: bool = False
    command: str = ""


@dataclass(frozen=True)
class Job:
    """All that is known before the first step.

    Attributes:
        request: What was asked for.
        method: What is trained.
        benchmark: What it is trained on.
        keep: The benchmark to keep, if there is one.
        data: The training items.
        validation: What validates.
        how: Where that comes from.
        plan: How it is trained.
    """

    request: Request
    method: Method
    benchmark: Benchmark
    keep: Benchmark | None
    data: Split
    validation: Split
    how: str
    plan: Plan


def check(request: Request, folder: FolderKind) -> tuple[Benchmark, Benchmark | None]:
    """Return the benchmark to train on and the one to keep; nothing is embedded.

    Raises:
        InputError: The data cannot be trained on, or an option is not of the accepted form.
        OutputError: The folder cannot be written, or holds something else.
    """
    if request.objective not in OBJECTIVES:
        known = ", ".join(OBJECTIVES)
        raise InputError("unknown objective", where="--objective", got=request.objective, accepted=known)
    check_replaceable(request.out.absolute(), folder, overwrite=request.overwrite)
    check_writable(request.out.absolute())
    benchmark = open_benchmark(request.data, image_root=request.image_root)
    if "train" not in benchmark.splits:
        raise InputError(
            "the data has no training split",
            where=request.data,
            got=", ".join(benchmark.splits),
            accepted="train, and best validation and test",
            hint="mrbench build captions SPEC --shares 0.8,0.1,0.1 --output DIR, or build a suite with --splits",
        )
    keep = open_benchmark(request.keep) if request.keep else None
    if keep is not None and keep.digest == benchmark.digest:
        raise InputError("the benchmark to keep is the one that is trained on", where="--keep", got=request.keep)
    return benchmark, keep


def train_and_write(
    request: Request,
    method: Method,
    benchmark: Benchmark,
    keep: Benchmark | None,
    tell: Tell,
    processes: Processes | None = None,
) -> dict[str, Any]:
    """Train, test once on the test split, and write the folder.

    Args:
        request: What to do.
        method: What is trained.
        benchmark: What it is trained on.
        keep: The benchmark to keep, if there is one.
        tell: Takes a line about what happens.
        processes: Who else trains; the first of them tests and writes.

    Returns:
        What the result's JSON file says; of other processes than the first, nothing.

    Raises:
        InputError: The data cannot be trained on, or an interrupted run was started otherwise.
        ModelError: Training diverged.
        OutputError: The folder is in use, or an interrupted run is beside it.
    """
    data, validation, how = _data(benchmark, keep, method, request, tell)
    job = Job(request, method, benchmark, keep, data, validation, how, plan_of(request, method))
    processes = processes or Processes()
    with unfinished(job, processes, tell) as states:
        held = None
        if job.plan.guard and job.keep is not None and "train" in job.keep.splits:
            held = job.method.read(job.keep, "train")
        start = job.method.start(job.data, job.plan.seed)
        with one_thread() if job.method.one_thread else nullcontext():
            trained = train(job.data, job.validation, job.plan, start, held, states, writes=processes.first)
        if not processes.first:
            return {}
        tell(f"picked on validation data: {trained.setting}, step {trained.step}")
        if not trained.step:
            tell("no step was better on the validation data than the model as it is: nothing is changed")
        return _write(job, trained, tell)


def plan_of(request: Request, method: Method) -> Plan:
    """Return how to train."""
    settings = grid(request.objective, identity=method.identity, rate=request.rate, temperature=method.temperature)
    return Plan(
        objective=request.objective,
        grid=settings,
        identity=method.identity,
        steps=request.steps,
        batch=request.batch,
        guard=request.guard if method.identity else 0.0,
        seed=request.seed,
    )


def _data(
    benchmark: Benchmark, keep: Benchmark | None, method: Method, request: Request, tell: Tell
) -> tuple[Split, Split, str]:
    """Return what to train on, what validates, and where the latter comes from."""
    tested = [(benchmark, "test")] if "test" in benchmark.splits else []
    tested += [(keep, keep.default_split)] if keep is not None else []
    shared = shared_texts(benchmark, tested)
    data = method.read(benchmark, "train")
    for name, reason in data.skipped.items():
        tell(f"{name} is not trained on: {reason}")
    _check_varied(data, request.data)
    if request.objective in NEED_LADDERS and not any(len(task.ladder.position) for task in data.tasks):
        raise InputError(
            f"the objective {request.objective} needs ladders of graded negatives, and the training split has none",
            where=request.data,
            accepted="--objective infonce",
            hint="mrbench build captions SPEC --shares 0.8,0.1,0.1 --output DIR makes ladders",
        )
    own = "validation" in benchmark.splits
    keys = {} if own and not shared else {task.name: _keys(benchmark, task) for task in data.tasks}
    if shared:
        tell(f"{len(shared)} texts of the training split are in the test data word for word, and are left out")
        data = _some(
            data, {name: (_unlike(asked, shared), _unlike(found, shared)) for name, (asked, found) in keys.items()}
        )
        keys = {} if own else {task.name: _keys(benchmark, task) for task in data.tasks}
    if own:
        shared_texts(benchmark, tested, "validation")
        return data, method.read(benchmark, "validation"), "its validation split"
    return (*_divided(data, keys), f"{HELD_OUT:.0%} of the training split, held out with all that belongs together")


def _divided(data: Split, keys: dict[str, tuple[list[str], list[str]]]) -> tuple[Split, Split]:
    out = held_out({task.name: task for task in data.tasks}, keys)
    inside = {name: (~queries, ~candidates) for name, (queries, candidates) in out.items()}
    return _some(data, inside), _some(data, out)


def _some(data: Split, masks: dict[str, tuple[Any, Any]]) -> Split:
    tasks = [task.some(*masks[task.name]) for task in data.tasks]
    return replace(data, tasks=tuple(task for task in tasks if len(task.queries)))


def _unlike(keys: list[str], shared: set[str]) -> Any:
    return np.array([key not in shared for key in keys], dtype=np.bool_)


def _keys(benchmark: Benchmark, task: TrainTask) -> tuple[list[str], list[str]]:
    """Return the key of every query and of every candidate of a task, in the order of its pool."""
    pool = task.pool
    asked = keys_of(benchmark, "queries", task.name, "train", pool.definition.query_modality)
    found: dict[str, str] = {}
    for name in pool.corpora:
        found |= keys_of(benchmark, "corpus", name, "train", benchmark.corpora[name])
    queries, candidates = pool.query_ids[task.query_rows], pool.candidate_ids[task.candidate_rows]
    return [asked[name] for name in queries.tolist()], [found[name] for name in candidates.tolist()]


def _check_varied(data: Split, where: str) -> None:
    """Raise where all texts, or all images, have one embedding: nothing can be learned from them."""
    for part, rows in data.tables.items():
        pictures = rows.dtype == object and isinstance(rows[0], Picture)
        varied = len(rows) > 1 if pictures else len(rows) > 1 and bool((rows != rows[0]).any())
        if not varied:
            raise InputError(
                f"all {part}s of the training split are equal, or the encoder embeds them alike",
                where=where,
                got=f"{len(rows)} rows, one embedding" if rows.dtype != object else f"{len(rows)} rows",
                accepted="two that differ, or more",
            )


def _facts(job: Job) -> dict[str, Any]:
    benchmark, said = job.benchmark, job.method.facts()
    names = dict.fromkeys(part["name"] for part in said["encoders"].values())
    start = "mended" if job.method.identity else "head"
    return {
        "name": f"{start}-{'+'.join(names)}-{job.plan.objective}".replace("/", "-")[:100],
        **said,
        "data": {
            "spec": job.request.data,
            "title": benchmark.manifest.title,
            "name": benchmark.name,
            "digest": benchmark.digest,
            "licence": benchmark.manifest.licence,
            "queries": {task.name: len(task.queries) for task in job.data.tasks},
            "skipped": dict(job.data.skipped),
            "validation": job.how,
            "keep": job.request.keep,
        },
        "environment": {**environment(), "machine": platform.machine()},
        "command": job.request.command,
    }


def _write(job: Job, trained: Trained, tell: Tell) -> dict[str, Any]:
    method, facts = job.method, _facts(job)
    with replaced_folder(job.request.out, method.folder, overwrite=job.request.overwrite) as folder:
        method.write(folder, trained, job.plan, facts)
        reports = _reports(job, method.load(folder), tell)
        facts = facts | {"report": {title: to_json(changes) for title, _, changes in reports}}
        written = method.write(folder, trained, job.plan, facts)
        card = model_card(written, method.usage(written), reports, f"{method.prefix}:FOLDER")
        (folder / CARD).write_text(card, encoding="utf-8")
        if reports:
            draw(reports, folder / PLOT)
    return written


def _reports(job: Job, after: EmbeddingModel, tell: Tell) -> list[Report]:
    """Test once, and return for each benchmark its title, the names of both models and the changes."""
    benchmark, keep, request = job.benchmark, job.keep, job.request
    tested = [(benchmark, "test")] if "test" in benchmark.splits else []
    tested += [(keep, keep.default_split)] if keep is not None else []
    if "test" not in benchmark.splits:
        tell("the data has no test split: what training changed is not reported")
    if not tested:
        return []
    before = load_encoder(job.method.before, device=request.device)
    names = (str(before.name), str(after.name))
    reports = []
    for held, split in tested:
        with tempfile.TemporaryDirectory() as scratch:
            changes = compare(held, before, after, split, Path(scratch), request.cache)
        title = f"{held.manifest.title} ({split})"
        reports.append((title, names, changes))
        tell("\n".join([title, *table(changes, names)]))
    return reports
