"""Read what is trained on and what validates; refuse what leaks or cannot teach anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from elva.tuning.contents import HELD_OUT, held_out, keys_of, shared_texts
from elva.tuning.data import Split, TrainTask
from elva.tuning.method import Method
from elva.tuning.objectives import NEED_LADDERS
from elva.tuning.read import Picture
from mrbench.benchmark import Benchmark
from mrbench.errors import InputError

Tell = Callable[[str], None]


def read_data(
    spec: str, benchmark: Benchmark, keep: Benchmark | None, method: Method, objective: str, tell: Tell
) -> tuple[Split, Split, str]:
    """Return what to train on, what validates, and where the latter comes from.

    Args:
        spec: Names the data in messages.
        benchmark: The data.
        keep: A second benchmark that will be tested on.
        method: Reads it.
        objective: Name of the objective.
        tell: Takes a line about what is left out.

    Raises:
        InputError: It cannot be trained on.
    """
    tested = [(benchmark, "test")] if "test" in benchmark.splits else []
    tested += [(keep, keep.default_split)] if keep is not None else []
    shared = shared_texts(benchmark, tested)
    data = method.read(benchmark, "train")
    for name, reason in data.skipped.items():
        tell(f"{name} is not trained on: {reason}")
    _check_varied(data, spec)
    if objective in NEED_LADDERS and not any(len(task.ladder.position) for task in data.tasks):
        raise InputError(
            f"the objective {objective} needs ladders of graded negatives, and the training split has none",
            where=spec,
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
                hint="check the captions, or name another encoder",
            )
