"""Runs and judgements as trec_eval, ir_measures and ranx read them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from mrbench.benchmark import Benchmark
from mrbench.errors import ResultError
from mrbench.evaluation import RESULT, check_together
from mrbench.export.targets import exported_folder, safe_name
from mrbench.pools import TaskPool, load_pool
from mrbench.results import Result, read_result
from mrbench.runs import RUN, Run, read_run

HOLDS = r"[^/]+\.(qrels|run)|[^/]+/[^/]+\.run"


def write_trec(folders: Sequence[Path], benchmark: Benchmark, output: Path, *, overwrite: bool = False) -> list[str]:
    """Write ``TASK.qrels``, and for each model ``MODEL/TASK.run``.

    The judgements are those of the pool that was searched: relevant candidates with their relevance and, in open data,
    candidates judged not relevant with 0. Runs hold as many candidates per query as the evaluation kept. White space
    and ``%`` in ids are percent-encoded.

    Args:
        folders: Folders of ``evaluate``.
        benchmark: The benchmark that they were made on.
        output: The folder to write.
        overwrite: Whether an earlier export may be replaced.

    Returns:
        The paths of the files below the folder.

    Raises:
        ResultError: A folder has no run, is of another benchmark, or the pools of two differ.
        OutputError: The folder cannot be written, or holds something else.
    """
    read = [(folder, *_read(folder, benchmark)) for folder in folders]
    first = read[0][1]
    if any(result.setting != first.setting for _, result, _ in read):
        got = ", ".join(sorted({" ".join(map(str, result.setting)) for _, result, _ in read}))
        hint = "export each split and pool into a folder of its own"
        raise ResultError("runs over several splits or pools", got=got, accepted="one", hint=hint)
    names = [safe_name(f"{result.model['name']}") for _, result, _ in read]
    if len(set(names)) < len(names):
        names = [safe_name(f"{result.model['name']}-{result.model['revision']}") for _, result, _ in read]
    if len(set(names)) < len(names):
        raise ResultError("two runs of one model", got=", ".join(names), hint="name one folder of each model")
    written = []
    with exported_folder(output, "trec", HOLDS, overwrite=overwrite) as target:
        for task in dict.fromkeys(task for *_, run in read for task in run.tasks):
            lines = _qrels(_pool(benchmark, task, read[0][2]), benchmark, first.benchmark["split"])
            (target / f"{task}.qrels").write_text("".join(lines), encoding="utf-8")
            written.append(f"{task}.qrels")
        for name, (folder, _, run) in zip(names, read, strict=True):
            (target / name).mkdir()
            for task in run.tasks:
                shutil.copyfile(folder / f"{task}.trec", target / name / f"{task}.run")
                written.append(f"{name}/{task}.run")
    return sorted(written)


def _read(folder: Path, benchmark: Benchmark) -> tuple[Result, Run]:
    if not (folder / RUN).is_file():
        raise ResultError("no run beside the result", where=folder, hint="name a folder that mrbench evaluate wrote")
    result, run = read_result(folder / RESULT), read_run(folder)
    check_together(folder, result, run)
    if run.benchmark["digest"] != benchmark.digest:
        raise ResultError(
            "the run was made on another benchmark",
            where=folder,
            got=run.benchmark["digest"],
            accepted=benchmark.digest,
            hint="name the benchmark of the run with --benchmark",
        )
    return result, run


def _pool(benchmark: Benchmark, task: str, run: Run) -> TaskPool:
    about = run.benchmark
    few = about.get("distractors")
    return load_pool(
        benchmark, task, about["split"], pool=about["pool"], limit=run.limit, distractors=few, seed=run.seed
    )


def _qrels(pool: TaskPool, benchmark: Benchmark, split: str) -> list[str]:
    """Return the lines of the judgements, sorted by query and candidate."""
    queries, candidates = set(pool.query_ids.tolist()), set(pool.candidate_ids.tolist())
    found = {
        (judgement.query_id, judgement.candidate_id): judgement.relevance
        for judgement in benchmark.judgements(pool.task, split)
        if judgement.query_id in queries and judgement.candidate_id in candidates
    }
    if pool.judgements.complete:  # relevant candidates follow from the grains, listed or not
        query, position = pool.relevant
        ids = zip(pool.query_ids[query].tolist(), pool.candidate_ids[position].tolist(), strict=True)
        found |= {pair: max(1, found.get(pair, 1)) for pair in ids}
    return [f"{_id(query)} 0 {_id(candidate)} {found[query, candidate]}\n" for query, candidate in sorted(found)]


def _id(text: str) -> str:
    return re.sub(r"[\s%]", lambda character: quote(character[0]), text)
