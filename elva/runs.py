"""The folder of a run: whose it is, and that one run at a time writes to it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from elva.config import Recipe
from elva.processes import Processes
from mrbench.benchmark import Benchmark
from mrbench.errors import InputError, OutputError
from mrbench.files import output_error, read_versioned_json, write_json_atomic
from mrbench.models.common import weights_digest

try:
    import fcntl
except ImportError:  # not on Windows: there nothing keeps two runs apart
    fcntl = None  # type: ignore[assignment]

MARKER = "run.json"
FORMAT, FORMAT_VERSION = "mrbench-elva-run", 1
SAME = {"digest": "recipe", "data": "data", "pairs": "file of pairs", "start": "start", "weights": "weights"}


def facts_of(recipe: Recipe, benchmarks: Sequence[Benchmark], pairs: str | None, start: Path | None) -> dict[str, Any]:
    """Return what decides a run; ``pairs`` is the digest of their file, ``start`` the model that it starts from."""
    return {
        "recipe": asdict(recipe),
        "digest": recipe.digest,
        "data": {b.name: b.digest for b in benchmarks},
        "pairs": pairs,
        "start": None if start is None else str(start.resolve() if start.is_dir() else start),
        "weights": _weights(start or (None if recipe.base is None else Path(recipe.base))),
        "versions": {name: version(name) for name in ("mrbench", "torch", "transformers", "peft", "accelerate")},
    }


def _weights(folder: Path | None) -> str | None:
    """Return the digest of the weights in a folder and below; None for a model of the hub, which has its revision."""
    if folder is None or not folder.is_dir():
        return None
    return weights_digest(sorted(folder.rglob("*.safetensors")))


def look(out: Path, facts: Mapping[str, Any], *, resume: bool, same: Mapping[str, str] = SAME) -> dict[str, Any]:
    """Return the facts of the run in a folder, or these, where it is new; nothing is written.

    Args:
        out: Folder of the run.
        facts: From :func:`facts_of`; a ``start`` of None takes the known one.
        resume: Whether to go on with what is there.
        same: Facts that have to be those of the run that is there, and what messages call them.

    Raises:
        OutputError: The folder is in use.
        InputError: It is no run, or one that was started with something else.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return dict(facts)
    if not resume:
        raise OutputError("the output folder is in use", where=out, hint="add --resume, or choose another --out")
    known = read_versioned_json(out / MARKER, what="run", name=FORMAT, newest=FORMAT_VERSION, error=InputError)
    if facts["start"] is None and known.get("start") is not None:
        facts = {**facts, "start": known["start"], "weights": _weights(Path(known["start"]))}
    for name, what in same.items():
        if known.get(name) != facts[name]:
            differs, was, now = difference(known.get(name), facts[name])
            raise InputError(
                f"the run was started with another {what}{f', {differs}' if differs else ''}",
                where=out,
                got="none" if now is None else now,
                accepted="none" if was is None else was,
                hint="give the same again, or choose another --out",
            )
    return known


def difference(known: Any, now: Any) -> tuple[str, Any, Any]:
    """Return the name of the first setting in which two facts differ, empty where they have no names, and both values.

    >>> difference({"seed": 0, "grid": [{"rate": 0.1}]}, {"seed": 0, "grid": [{"rate": 0.2}]})
    ('grid 1 rate', 0.1, 0.2)
    """
    if isinstance(known, Mapping) and isinstance(now, Mapping):
        pairs = [(str(name), known.get(name), now.get(name)) for name in dict.fromkeys([*now, *known])]
    elif isinstance(known, list) and isinstance(now, list) and len(known) == len(now):
        pairs = [(str(number), *pair) for number, pair in enumerate(zip(known, now, strict=True), 1)]
    else:
        return "", known, now
    name, was, value = next(pair for pair in pairs if pair[1] != pair[2])
    deeper, was, value = difference(was, value)
    return f"{name} {deeper}".strip(), was, value


@contextmanager
def claim(
    out: Path, facts: Mapping[str, Any], processes: Processes, *, resume: bool, same: Mapping[str, str] = SAME
) -> Iterator[None]:
    """Make the folder if it is new, and keep every other run out of it for a while, also if this one is killed.

    Raises:
        OutputError: It cannot be written, or another run is at it.
    """
    processes.wait()  # until all have looked
    if not processes.first:
        processes.wait()
        yield
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
        handle = os.open(out, os.O_RDONLY)
    except OSError as error:
        raise output_error(error, out) from error
    try:
        _lock(handle, out)
        look(out, facts, resume=resume, same=same)  # another run may have come and gone meanwhile
        if not (out / MARKER).exists():
            write_json_atomic(out / MARKER, {"format": FORMAT, "format_version": FORMAT_VERSION, **facts})
        for left in (*out.glob(".stage*.partial-*"), *out.glob(".model.partial-*")):  # of a run that was killed
            shutil.rmtree(left, ignore_errors=True)
        for left in (*out.glob(".state*.safetensors.*"), *out.glob(".metrics.jsonl.*")):
            left.unlink(missing_ok=True)
        processes.wait()
        yield
    finally:
        os.close(handle)


def _lock(handle: int, out: Path) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OutputError("another run is at this folder", where=out, hint="wait, or choose another --out") from error
    except OSError:  # a file system without locks
        return
