"""From a model and a benchmark to a folder of what was trained: check, read, train, test, write all or nothing."""

from __future__ import annotations

import platform
import shlex
import tempfile
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elva.mending.card import model_card
from elva.mending.data import Tell, read_data
from elva.mending.report import Report, compare, draw, table, to_json
from elva.mending.unfinished import unfinished
from elva.processes import Processes
from elva.tuning.data import Split
from elva.tuning.encoders import CARD, PLOT, load_encoder
from elva.tuning.method import Method
from elva.tuning.objectives import OBJECTIVES, grid
from elva.tuning.train import Plan, Trained, one_thread, train
from mrbench.benchmark import Benchmark
from mrbench.errors import InputError
from mrbench.evaluation.environment import environment
from mrbench.folders import FolderKind, check_replaceable, check_writable, replaced_folder
from mrbench.models.protocol import EmbeddingModel
from mrbench.sources.open import open_benchmark


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
        keep_image_root: Folder of those of ``keep``.
        cache: Folder of embeddings, for the report.
        device: Of the model that the report compares with.
        trust_remote_code: Whether the encoders that heads name may run code or call a server.
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
    keep_image_root: Path | None = None
    cache: Path | None = None
    device: str = "auto"
    trust_remote_code: bool = False
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
        raise InputError(
            "unknown objective",
            where="--objective",
            got=request.objective,
            accepted=known,
            hint=f"{' '.join(request.command.split()[:3]) or 'mrbench train head'} --help says what each does",
        )
    check_replaceable(request.out.absolute(), folder, overwrite=request.overwrite)
    check_writable(request.out.absolute())
    benchmark = open_benchmark(request.data, image_root=request.image_root)
    if "train" not in benchmark.splits:
        raise InputError(
            "the data has no training split",
            where=request.data,
            got=", ".join(benchmark.splits),
            accepted="train, and best validation and test",
            hint="mrbench build captions SPEC --shares 0.8,0.1,0.1 --output DIR; build a suite with --splits; or train "
            "on a whole file of captions with captions:FILE?as=train",
        )
    keep = open_benchmark(request.keep, image_root=request.keep_image_root) if request.keep else None
    _check_images(benchmark, "--data", "--image-root")
    if keep is not None:
        _check_images(keep, "--keep", "--keep-image-root")
    if keep is not None and keep.digest == benchmark.digest:
        raise InputError(
            "the benchmark to keep is the one that is trained on",
            where="--keep",
            got=request.keep,
            accepted="another benchmark",
            hint="leave --keep out: --guard then holds similarities on the training data",
        )
    return benchmark, keep


def _check_images(benchmark: Benchmark, named: str, option: str) -> None:
    """Raise where a benchmark references images outside of its folder, which the user has not named."""
    if not benchmark.images.allowed:
        raise InputError(
            "the images lie outside the benchmark folder",
            where=f"{named} {benchmark.folder}",
            got=str(benchmark.images.path),
            accepted=f"a folder that {option} names",
            hint=f"{option} {shlex.quote(str(benchmark.images.path))}",
        )


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
    data, validation, how = read_data(request.data, benchmark, keep, method, request.objective, tell)
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
    """Return the training plan of a request: the objective, the settings to try, and the limits."""
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
    before = load_encoder(job.method.before, device=request.device, trust_remote_code=request.trust_remote_code)
    names = (str(before.name), str(after.name))
    reports = []
    for held, split in tested:
        with tempfile.TemporaryDirectory() as scratch:
            changes = compare(held, before, after, split, Path(scratch), request.cache)
        title = f"{held.manifest.title} ({split})"
        reports.append((title, names, changes))
        tell("\n".join([title, *table(changes, names)]))
    return reports
