"""From a run to scores, without the model."""

from __future__ import annotations

from time import perf_counter

import numpy as np

from mrbench import measures
from mrbench.benchmark import Benchmark
from mrbench.errors import BenchmarkError, ResultError
from mrbench.measures.ties import Floats, Ints
from mrbench.records import TASKS
from mrbench.results import PairScore, TaskResult
from mrbench.retrieve.check import Rows, check_run, read_rows
from mrbench.retrieve.pool import TaskPool, find, load_pool
from mrbench.retrieve.run import CUTOFF, TABLES, Run, TaskRun

CUTOFFS = (1, 5, 10)


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
        BenchmarkError: The judgements of the benchmark are not those that its grains ask for.
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
            results[task] = _score_task(run.tasks[task], pool, _judged(benchmark, task, split), run.depth)
        elif task in run.not_supported:
            results[task] = TaskResult("not supported", run.not_supported[task])
    return results


def _score_task(run: TaskRun, pool: TaskPool, judged: dict[str, set[str]], depth: int) -> TaskResult:
    started = perf_counter()
    rows = {name: read_rows(name, getattr(run, name), pool) for name in TABLES}
    counts = _check_relevant(rows["relevant"], pool, judged)
    check_run(rows, pool, depth)
    number = len(pool.query_ids)
    relevant, gains = rows["relevant"], rows["gains"]
    ties = measures.TieGroups.from_relevant(
        relevant.query, relevant.column("greater"), relevant.column("equal"), number
    )
    gain_groups = measures.GainGroups(
        gains.query, gains.column("greater"), gains.column("equal"), gains.column("gain"), number
    )
    pairs = _pairs(rows["ladder"], pool)
    by_grain = measures.pair_accuracy(pairs)
    values: dict[str, Floats] = {}
    for k in CUTOFFS:
        values[f"hit_rate@{k}"] = measures.hit_rate(ties, k)
    for k in CUTOFFS:
        values[f"recall@{k}"] = measures.recall(ties, k)
    values["mrr"] = measures.reciprocal_rank(ties)
    values[f"ndcg@{CUTOFF}"] = measures.ndcg(gain_groups, measures.ideal_dcg(counts, CUTOFF), CUTOFF)
    values["map"] = measures.average_precision(ties)
    values["pair_accuracy"] = np.array([score for score, _ in by_grain.values()])  # every grain type counts the same
    values["all_grains_accuracy"] = measures.all_grains_accuracy(pairs)
    return TaskResult(
        status="scored",
        queries=number,
        candidates=len(pool.candidate_ids),
        scores={name: measures.mean(value, name) for name, value in values.items()},
        pair_accuracy={grain: PairScore(*pair) for grain, pair in by_grain.items()},
        seconds={**run.seconds, "score": round(perf_counter() - started, 3)},
    )


def _judged(benchmark: Benchmark, task: str, split: str) -> dict[str, set[str]]:
    """Return the relevant candidates of every query as the benchmark states them."""
    table = benchmark.judgements(task, split).table(["query-id", "corpus-id", "score"])
    judged: dict[str, set[str]] = {}
    for query, candidate, relevance in zip(*(column.to_pylist() for column in table.columns), strict=True):
        if relevance:
            judged.setdefault(query, set()).add(candidate)
    return judged


def _check_relevant(relevant: Rows, pool: TaskPool, judged: dict[str, set[str]]) -> Ints:
    """Compare the run's relevant candidates with the benchmark's, and return how many candidates have each grade.

    Returns:
        Shape ``(num_queries, highest grade + 1)``.
    """
    number = len(pool.candidate_ids)
    counts = np.zeros((len(pool.query_ids), len(pool.grain_types) + 1), dtype=np.int64)
    bounds = np.searchsorted(relevant.query, np.arange(len(pool.query_ids) + 1))
    for query, name in enumerate(pool.query_ids.tolist()):
        grades = pool.grades(query)
        counts[query] = np.bincount(grades, minlength=counts.shape[1])
        expected = np.flatnonzero(grades == pool.number_of_grains(query))
        if set(pool.candidate_ids[expected].tolist()) != judged.get(name, set()):
            raise BenchmarkError(
                "the judgements are not those that the grains ask for",
                where=f"{pool.task} {name}",
                hint="mrbench validate DIR",
            )
        found = np.sort(relevant.key[bounds[query] : bounds[query + 1]] % number)
        if not np.array_equal(found, expected):
            raise ResultError("the relevant candidates are not the benchmark's", where=f"{pool.task}, relevant, {name}")
    return counts


def _pairs(ladder: Rows, pool: TaskPool) -> measures.Pairs:
    order = np.argsort(ladder.key)
    query, kind, position = pool.pairs
    positive = np.array([pool.ladders[number][0] for number in query], dtype=np.int64)
    scores = []
    for member in (positive, position):
        at = find(ladder.key[order], query * len(pool.candidate_ids) + member)
        if (at < 0).any():
            lacking = pool.query_ids[query[int(np.argmin(at))]]
            raise ResultError("the run lacks a member of a ladder", where=f"{pool.task}, ladder, {lacking}")
        scores.append(ladder.score[order[at]])
    return measures.Pairs(query, np.array(pool.grain_types)[kind], scores[0] > scores[1], len(pool.query_ids))
