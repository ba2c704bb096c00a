"""From a run to scores, without the model."""

from __future__ import annotations

from time import perf_counter

import numpy as np

from mrbench import measures, statistics
from mrbench.arrays import Floats, Ints
from mrbench.benchmark import Benchmark
from mrbench.errors import ResultError
from mrbench.pools.pool import TaskPool, load_pool
from mrbench.records import PARTS, TASKS
from mrbench.results import TaskResult
from mrbench.runs.run import CUTOFF, Run, TaskRun
from mrbench.score.consistency import Rows, check_places, check_run, read_rows
from mrbench.score.diagnose import diagnose
from mrbench.score.run_rows import align
from mrbench.score.sensitivity import RESAMPLES

CUTOFFS = (1, 5, 10)
PER_QUERY = ("hit_rate@5", "all_grains_accuracy", "image_only_hit_rate@1", "text_only_hit_rate@1")
"""What tests between models are made on, and what tells which queries any model solves with one half."""
RANKED = ("top", "ladder", "relevant", "gains")


def score_run(run: Run, benchmark: Benchmark, *, pools: dict[str, TaskPool] | None = None) -> dict[str, TaskResult]:
    """Compute every score of a run from its tables and the benchmark.

    Args:
        run: The run.
        benchmark: The benchmark that it was made on.
        pools: The pools of its tasks, where they are at hand; they are read from the benchmark otherwise.

    Returns:
        Scores by task, in the order of :data:`mrbench.records.TASKS`.

    Raises:
        ResultError: The run belongs to another benchmark, lacks a query, or contradicts itself.
        BenchmarkError: The benchmark is malformed.
    """
    if run.benchmark["digest"] != benchmark.digest:
        raise ResultError(
            "the run was made on another benchmark",
            where=benchmark.folder,
            got=run.benchmark["digest"],
            accepted=benchmark.digest,
        )
    split, pool_name = run.benchmark["split"], run.benchmark["pool"]
    results = {}
    for task in TASKS:
        if task in run.tasks:
            pool = (pools or {}).get(task) or load_pool(
                benchmark, task, split, pool=pool_name, limit=run.limit, seed=run.seed
            )
            results[task] = _score_task(run.tasks[task], pool, run.depth, _parts(run, task))
        elif task in run.not_supported:
            results[task] = TaskResult("not supported", run.not_supported[task])
    return results


def _parts(run: Run, task: str) -> tuple[str, ...]:
    """Return the parts of composed queries that the model takes alone."""
    modalities = run.model.get("modalities", ()) if TASKS[task].query_modality == "image,text" else ()
    return tuple(part for part in PARTS if part in modalities)


def _score_task(run: TaskRun, pool: TaskPool, depth: int, parts: tuple[str, ...]) -> TaskResult:
    started = perf_counter()
    rows = {name: read_rows(name, getattr(run, name), pool) for name in RANKED}
    _check_relevant(rows["relevant"], pool)
    check_run(rows, pool, depth)
    aligned = align(run, pool, parts)
    check_places(rows, aligned.queries.score, aligned.queries.above, aligned.queries.beside, pool)
    clusters = statistics.cluster_codes(pool.clusters.tolist())
    found = diagnose(rows, aligned, pool, clusters)
    values = ranking(rows, pool.grade_counts) | found.per_query
    scores, intervals = _summary(values, clusters)
    return TaskResult(
        status="scored",
        queries=len(pool.query_ids),
        candidates=len(pool.candidate_ids),
        scores={name: score for name in measures.CATALOGUE if (score := (scores | found.scores).get(name)) is not None},
        by_grain=found.by_grain,
        by_loss=found.by_loss,
        confusion=found.confusion,
        intervals=intervals,
        missing=found.missing,
        left_out=found.left_out,
        per_query={name: tuple(np.round(values[name], 6).tolist()) for name in PER_QUERY if name in values},
        clusters=tuple(pool.clusters.tolist()),
        seconds={**run.seconds, "score": round(perf_counter() - started, 3)},
    )


def ranking(rows: dict[str, Rows], counts: Ints) -> dict[str, Floats]:
    """Return the ranked measures of every query, each of shape ``(num_queries,)``.

    Args:
        rows: The ranked tables of a run.
        counts: How many candidates have each grade, as :attr:`TaskPool.grade_counts` has them.
    """
    number, relevant, gains = len(counts), rows["relevant"], rows["gains"]
    ties = measures.TieGroups.from_relevant(
        relevant.query, relevant.counts["greater"], relevant.counts["equal"], number
    )
    groups = measures.GainGroups(
        gains.query, gains.counts["greater"], gains.counts["equal"], gains.counts["gain"], number
    )
    return {
        **{f"hit_rate@{k}": measures.hit_rate(ties, k) for k in CUTOFFS},
        **{f"recall@{k}": measures.recall(ties, k) for k in CUTOFFS},
        "mrr": measures.reciprocal_rank(ties),
        f"ndcg@{CUTOFF}": measures.ndcg(groups, measures.ideal_dcg(counts, CUTOFF), CUTOFF),
        "map": measures.average_precision(ties),
    }


def _summary(values: dict[str, Floats], clusters: Ints) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Return the mean of every measure over the queries on which it is defined, and its interval."""
    scores, intervals = {}, {}
    for name, all_values in values.items():
        known = np.isfinite(all_values)
        value, codes = all_values[known], np.unique(clusters[known], return_inverse=True)[1]
        share = (measures.CATALOGUE[name].low, measures.CATALOGUE[name].high) == (0.0, 1.0)
        scores[name] = measures.mean(value, name) if share else float(value.mean())
        if codes.max() > 0:
            if share:
                intervals[name] = statistics.share_interval(np.clip(value, 0.0, 1.0), codes)
            else:
                columns = np.column_stack([np.ones(len(value)), value])
                drawn = statistics.bootstrap(columns, codes, lambda s: s[:, 1] / s[:, 0], resamples=RESAMPLES)
                intervals[name] = statistics.bootstrap_interval(drawn, int(codes.max()) + 1)
    return scores, intervals


def _check_relevant(relevant: Rows, pool: TaskPool) -> None:
    """Compare the run's relevant candidates with the benchmark's."""
    query, position = pool.relevant
    differ = np.setxor1d(relevant.key, query * len(pool.candidate_ids) + position)
    if len(differ):
        name = pool.query_ids[differ[0] // len(pool.candidate_ids)]
        raise ResultError("the relevant candidates are not the benchmark's", where=f"{pool.task}, relevant, {name}")
