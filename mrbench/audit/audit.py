"""The audit: every check in turn."""

from __future__ import annotations

import numpy as np
from tqdm import tqdm

from mrbench.audit.blind import PAIR_MARGIN, audit_blind, like_the_query
from mrbench.audit.chance import audit_chance
from mrbench.audit.composed import audit_composed, audit_composed_ladders
from mrbench.audit.contamination import audit_contamination
from mrbench.audit.content import audit_balance, audit_pictures, audit_texts
from mrbench.audit.diagnosis import audit_diagnosis, audit_solvable
from mrbench.audit.findings import Check, Report, Row
from mrbench.audit.oracle import OracleSource
from mrbench.benchmark import Benchmark
from mrbench.encode import ModelSource
from mrbench.errors import InputError
from mrbench.models.histogram import ColourHistogram
from mrbench.models.protocol import supports
from mrbench.pools import TaskPool, load_pool
from mrbench.retrieve import run_tasks
from mrbench.runs import Run
from mrbench.score import score_run
from mrbench.statistics import cluster_codes, smallest_difference

SAMPLE = 10_000


def audit(benchmark: Benchmark, *, split: str | None = None, sample: int = SAMPLE, command: str = "") -> Report:
    """Ask of one split whether it can be solved blind, and whether what should be told apart can be.

    Of tasks with partial judgements the grains of candidates are not known: what needs them is not applicable.

    Args:
        benchmark: The benchmark.
        split: One of its splits; test by default, else validation, else train.
        sample: Most pictures of a corpus, and of a split's queries, to compare, 1 or more.
        command: The command to write into the report.

    Raises:
        InputError: Unknown split, or a number out of range.
        BenchmarkError: The benchmark is malformed.
    """
    if split is None:
        split = next(name for name in ("test", "validation", "train") if name in benchmark.splits)
    if split not in benchmark.splits:
        raise InputError("unknown split", where=benchmark.folder, got=split, accepted=", ".join(benchmark.splits))
    if sample < 1:
        raise InputError("malformed sample", got=sample, accepted="1 or more")
    tasks = [task for task in benchmark.task_names if benchmark.manifest.counts[split]["queries"].get(task)]
    pools = {task: load_pool(benchmark, task, split) for task in tasks}
    closed = all(pool.judgements.complete for pool in pools.values())
    checks: dict[str, tuple[Check, ...]] = {}
    with tqdm(total=5, desc="audit", leave=False, disable=None) as progress:
        checks["Can it be solved blind?"] = (*audit_blind(benchmark, split, pools), *_halves(benchmark, split, pools))
        progress.update()
        checks["Does a control that sees pixels solve it?"] = (
            _shallow(benchmark, split, pools),
            _file_size(benchmark, split, pools),
        )
        progress.update()
        checks["Do the measures find what a model is blind to?"] = (
            *((audit_solvable(benchmark, split, pools), audit_diagnosis(benchmark, split, pools)) if closed else ()),
            audit_chance(pools),
        )
        progress.update()
        pictures, cases = audit_pictures(benchmark, split, pools, sample)
        checks["Can a person tell what should be told apart?"] = (*pictures, *audit_texts(benchmark, split))
        progress.update()
        checks["Is it clean and balanced?"] = (
            *audit_contamination(benchmark, split, sample),
            audit_balance(pools),
            _power(pools),
        )
        progress.update()
    identity = {"name": benchmark.name, "title": benchmark.manifest.title, "digest": benchmark.digest, "split": split}
    return Report(identity, checks, cases, command)


def _halves(benchmark: Benchmark, split: str, pools: dict[str, TaskPool]) -> tuple[Check, ...]:
    composed = [task for task, pool in pools.items() if pool.definition.query_modality == "image,text"]
    return tuple(
        audit_composed(OracleSource(benchmark, split), pools[task])
        if pools[task].judgements.complete
        else audit_composed_ladders(benchmark, task, split)
        for task in composed
    )


def _shallow(benchmark: Benchmark, split: str, pools: dict[str, TaskPool]) -> Check:
    """Report what colours by quarter alone can tell."""
    model = ColourHistogram()
    mine = {task: pool for task, pool in pools.items() if supports(model, pool.definition)}
    if not mine:
        return Check("colour histogram", "not applicable", "no task asks with a picture for pictures")
    run = Run(
        model={"name": model.name},
        benchmark={"digest": benchmark.digest, "split": split, "pool": "task"},
        seed=0,
        limit=None,
        depth=100,
        tasks=run_tasks(ModelSource(model, benchmark, split), mine),
        not_supported={},
    )
    rows: list[Row] = []
    told = set()
    for task, result in score_run(run, benchmark, pools=mine).items():
        for kind, pair in result.pair_accuracy.items():
            low = pair.interval[0] if pair.interval else None
            if low is not None and low > 0.5:
                told.add(kind)
            rows.append((task, kind, pair.count, round(pair.score, 3), None if low is None else round(low, 3)))
        rows.append((task, "hit rate@5", result.queries, round(result.scores["hit_rate@5"], 3), None))
    names = ", ".join(sorted(told)) or "nothing"
    summary = f"colours by quarter tell: {names}; on the other grains they are not surely above chance"
    return Check("colour histogram", "reported", summary, ("task", "on", "count", "score", "95 % from"), tuple(rows))


def _file_size(benchmark: Benchmark, split: str, pools: dict[str, TaskPool]) -> Check:
    """Report what the size of the picture's file alone can tell, where the query is a picture too."""
    mine = [t for t, p in pools.items() if p.definition.query_modality == p.definition.candidate_modality == "image"]
    if not mine:
        return Check("file size", "not applicable", "no task asks with a picture for pictures")
    rows: list[Row] = []
    told = set()
    for task in mine:
        outcome = like_the_query(benchmark, task, split, pools[task])
        told |= {kind for kind, (score, _) in outcome.pairs.items() if score - 0.5 > PAIR_MARGIN}
        rows += [(task, kind, count, round(score, 3)) for kind, (score, count) in outcome.pairs.items()]
        rows.append((task, "hit rate@5", len(pools[task].query_ids), round(outcome.hit_rate, 3)))
    names = ", ".join(sorted(told)) or "nothing"
    summary = f"a file as large as the query's tells, by more than {PAIR_MARGIN:.2f} above chance: {names}"
    return Check("file size", "reported", summary, ("task", "on", "count", "score"), tuple(rows))


def _power(pools: dict[str, TaskPool]) -> Check:
    """Report which difference of two models the number of queries can show, for the worst case of clusters."""
    rows: list[Row] = []
    for task, pool in pools.items():
        clusters = cluster_codes(pool.clusters.tolist())
        sizes = np.bincount(clusters)
        for agreement in (0.0, 0.2):
            # Design effect of clusters of these sizes when hits within one agree as much as this.
            design = 1 + agreement * (float((sizes**2).sum() / sizes.sum()) - 1)
            for discordant in (0.1, 0.3):
                found = smallest_difference(len(clusters), deviation=discordant**0.5, design=design)
                rows.append((task, len(clusters), len(sizes), agreement, discordant, round(found, 3)))
    best, worst = (choose(float(str(row[5])) for row in rows) for choose in (min, max))
    summary = (
        f"a paired test at 5 % finds with 80 % power a difference in hit rate of {best:.3f} (models that disagree on "
        f"10 % of the queries) to {worst:.3f} (on 30 %, queries on one thing alike)"
    )
    columns = (
        "task",
        "queries",
        "clusters",
        "correlation in a cluster",
        "queries that disagree",
        "smallest difference",
    )
    return Check("power", "reported", summary, columns, tuple(rows))
