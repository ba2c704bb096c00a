"""The folder beside the result in which a run keeps its states until it is finished."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elva.processes import Processes
from elva.runs import MARKER, claim, look
from mrbench.errors import MRBenchError, OutputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from elva.mending.run import Job

_SAME = {"data": "data", "model": "model", "plan": "option"}


def folder_of(out: Path) -> Path:
    """Return the folder in which the run of a result keeps its states."""
    return out.absolute().with_name(f"{out.absolute().name}.unfinished")


@contextmanager
def unfinished(job: Job, processes: Processes, tell: Callable[[str], None]) -> Iterator[Path]:
    """Yield the folder of states, which no other run uses meanwhile.

    It is removed where the run ends, well or with an error that is known. It stays where the run is interrupted.

    Raises:
        InputError: ``--resume``, and the run was started with other data, options or another model.
        OutputError: An interrupted run is there, or another one is at it.
    """
    folder, facts = folder_of(job.request.out), _facts(job)
    if job.request.overwrite and not job.request.resume and (folder / MARKER).exists() and processes.first:
        shutil.rmtree(folder)
    look(folder, facts, resume=job.request.resume, same=_SAME)
    if job.request.resume and not (folder / MARKER).exists():
        tell(f"nothing to go on with in {folder}: the run starts anew")
    begun = False
    try:
        with claim(folder, facts, processes, resume=job.request.resume, same=_SAME):
            begun = True
            yield folder
    except OutputError:  # a full disk, or another run: what was computed stays
        raise
    except MRBenchError:
        if processes.first and begun:
            shutil.rmtree(folder)
        raise
    except KeyboardInterrupt:
        tell(f"stopped; the same command with --resume goes on from {folder}")
        raise
    if processes.first:
        shutil.rmtree(folder)


def _facts(job: Job) -> dict[str, Any]:
    keep = None if job.keep is None else job.keep.digest
    return {
        "data": {"train": job.benchmark.digest, "keep": keep},
        "model": dict(job.method.options),
        # The options that decide the grid come first: where they differ, they are what a message names.
        "plan": {
            "objective": job.plan.objective,
            "rate": job.request.rate,
            **asdict(job.plan),
            "grid": [asdict(setting) for setting in job.plan.grid],
        },
        "versions": {name: version(name) for name in ("mrbench", "torch", "transformers")},
        "start": "",
    }
