"""From encoders and a benchmark to a folder of trained heads: check, embed, train, test, write all or nothing."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from elva.heads.card import model_card
from elva.heads.contents import HELD_OUT, held_out, keys_of, shared_texts
from elva.heads.data import Encoders, Split, TrainTask, read_split
from elva.heads.folder import CARD, FOLDER, PLOT, facts_of, load_encoder, parts_of, write_heads
from elva.heads.model import HeadModel
from elva.heads.objectives import NEED_LADDERS, OBJECTIVES, grid
from elva.heads.report import Change, compare, draw, table, to_json
from elva.heads.train import Plan, Trained, train
from mrbench.benchmark import Benchmark
from mrbench.errors import InputError
from mrbench.evaluation.environment import environment
from mrbench.folders import check_replaceable, check_writable, replaced_folder
from mrbench.models.protocol import EmbeddingModel
from mrbench.records import Modality
from mrbench.sources.open import open_benchmark

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """What to train, on what, and where to.

    Attributes:
        specs: Encoder of each part; of one model that is mended, the same for all of its parts.
        mend: Whether heads start as the identity over one model.
        data: Spec of the benchmark.
        out: Folder to write.
        objective: One of :data:`elva.heads.objectives.OBJECTIVES`.
        dimension: Length of an embedding; a mended model keeps its own.
        before: Spec of the model that the report compares with; None for the model that is mended.
        keep: Spec of a benchmark on which the model should stay as it is.
        guard: Weight of what holds a mended model to its similarities.
        steps: Most steps.
        rate: Learning rate in the place of the grid's.
        seed: Decides every draw.
        image_root: Folder of the images of ``data``.
        cache: Folder of embeddings.
        device: Of the encoders.
        overwrite: Whether an earlier folder of heads may be replaced.
        command: To be written down.
    """

    specs: Mapping[Modality, str]
    mend: bool
    data: str
    out: Path
    objective: str = "infonce"
    dimension: int = 256
    before: str | None = None
    keep: str | None = None
    guard: float = 0.0
    steps: int = 800
    rate: float | None = None
    seed: int = 0
    image_root: Path | None = None
    cache: Path | None = None
    device: str = "auto"
    overwrite: bool = False
    command: str = ""


def train_heads(request: Request, tell: Tell) -> dict[str, Any]:
    """Train heads, test them once on the test split, and write the folder.

    Args:
        request: What to do.
        tell: Takes a line about what happens.

    Returns:
        What ``head.json`` says.

    Raises:
        InputError: The data cannot be trained on, or an option is not of the accepted form.
        ModelError: An encoder is none or cannot take the data, or training diverged.
        OutputError: The folder cannot be written, or holds something else.
    """
    if request.objective not in OBJECTIVES:
        known = ", ".join(OBJECTIVES)
        raise InputError("unknown objective", where="--objective", got=request.objective, accepted=known)
    check_replaceable(request.out.absolute(), FOLDER, overwrite=request.overwrite)
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
    encoders = _encoders(request)
    data, validation, how = _data(benchmark, keep, encoders, request, tell)
    plan = Plan(
        objective=request.objective,
        dimension=next(iter(encoders.values())).dimension if request.mend else request.dimension,
        grid=grid(request.objective, identity=request.mend, rate=request.rate),
        identity=request.mend,
        steps=request.steps,
        drop=0.0 if request.mend else Plan.drop,
        guard=request.guard if request.mend else 0.0,
        seed=request.seed,
    )
    held = None
    if plan.guard and keep is not None and "train" in keep.splits:
        held = read_split(keep, "train", encoders, request.cache)
    trained = train(data, validation, plan, held)
    tell(f"picked on validation data: {trained.setting}, step {trained.step}")
    if not trained.step:
        tell("no step was better on the validation data than the model as it is: the heads are the identity")
    facts = _facts(request, benchmark, encoders, plan, how, data)
    return _write(request, trained, plan, facts, benchmark, keep, tell)


def _encoders(request: Request) -> Encoders:
    if request.mend:
        return parts_of(load_encoder(next(iter(request.specs.values())), device=request.device))
    return {part: load_encoder(spec, part, device=request.device) for part, spec in request.specs.items()}


def _data(
    benchmark: Benchmark, keep: Benchmark | None, encoders: Encoders, request: Request, tell: Tell
) -> tuple[Split, Split, str]:
    """Return what to train on, what validates, and where the latter comes from."""
    tested = [(benchmark, "test")] if "test" in benchmark.splits else []
    tested += [(keep, keep.default_split)] if keep is not None else []
    shared = shared_texts(benchmark, tested)
    data = read_split(benchmark, "train", encoders, request.cache)
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
        return data, read_split(benchmark, "validation", encoders, request.cache), "its validation split"
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
        if len(rows) < 2 or not (rows != rows[0]).any():
            raise InputError(
                f"all {part}s of the training split are equal, or the encoder embeds them alike",
                where=where,
                got=f"{len(rows)} rows, one embedding",
                accepted="two that differ, or more",
            )


def _facts(
    request: Request, benchmark: Benchmark, encoders: Encoders, plan: Plan, how: str, data: Split
) -> dict[str, Any]:
    specs = {part: request.specs.get(part, next(iter(request.specs.values()))) for part in encoders}
    names = dict.fromkeys(str(model.name) for model in encoders.values())
    return {
        "name": f"{'mended' if request.mend else 'head'}-{'+'.join(names)}-{request.objective}"[:100],
        "encoders": facts_of(encoders, specs),
        "dimension": plan.dimension,
        "data": {
            "spec": request.data,
            "title": benchmark.manifest.title,
            "name": benchmark.name,
            "digest": benchmark.digest,
            "licence": benchmark.manifest.licence,
            "queries": {task.name: len(task.queries) for task in data.tasks},
            "skipped": dict(data.skipped),
            "validation": how,
            "keep": request.keep,
        },
        "environment": {**environment(), "machine": platform.machine()},
        "command": request.command,
    }


def _write(
    request: Request,
    trained: Trained,
    plan: Plan,
    facts: dict[str, Any],
    benchmark: Benchmark,
    keep: Benchmark | None,
    tell: Tell,
) -> dict[str, Any]:
    with replaced_folder(request.out, FOLDER, overwrite=request.overwrite) as folder:
        write_heads(folder, trained, plan, facts)
        after = HeadModel(str(folder), device=request.device)
        reports = _reports(request, after, benchmark, keep, tell)
        facts = facts | {"report": {title: to_json(changes) for title, _, changes in reports}}
        written = write_heads(folder, trained, plan, facts)
        (folder / CARD).write_text(model_card(written, reports), encoding="utf-8")
        if reports:
            draw(reports, folder / PLOT)
    return written


def _reports(
    request: Request, after: EmbeddingModel, benchmark: Benchmark, keep: Benchmark | None, tell: Tell
) -> list[tuple[str, tuple[str, str], list[Change]]]:
    """Test once, and return for each benchmark its title, the names of both models and the changes."""
    tested = [(benchmark, "test")] if "test" in benchmark.splits else []
    tested += [(keep, keep.default_split)] if keep is not None else []
    if "test" not in benchmark.splits:
        tell("the data has no test split: what training changed is not reported")
    if not tested:
        return []
    before = load_encoder(request.before or next(iter(request.specs.values())), device=request.device)
    names = (str(before.name), str(after.name))
    reports = []
    for held, split in tested:
        with tempfile.TemporaryDirectory() as scratch:
            changes = compare(held, before, after, split, Path(scratch), request.cache)
        title = f"{held.manifest.title} ({split})"
        reports.append((title, names, changes))
        tell("\n".join([title, *table(changes, names)]))
    return reports
