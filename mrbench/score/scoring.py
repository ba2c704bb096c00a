"""Computes the scores of a run, without the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from time import perf_counter

import numpy as np

from mrbench import measures, statistics
from mrbench.arrays import Floats, Ints
from mrbench.benchmark import Benchmark, task_to_json
from mrbench.errors import ResultError
from mrbench.pools import TaskPool, load_pool
from mrbench.pools.cut_texts import CutTexts
from mrbench.pools.judgements import Listed
from mrbench.pools.pool import CUTOFF
from mrbench.records import PARTS, Task
from mrbench.results import TaskResult
from mrbench.runs.run import QUERY_VECTORS, Run, TaskRun
from mrbench.score.bounds import check_moments, check_variants
from mrbench.score.consistency import Rows, check_positive_ranks, check_run, read_rows
from mrbench.score.diagnose import diagnose
from mrbench.score.first_results import check_first_results
from mrbench.score.rounds import add_round_scores
from mrbench.score.run_rows import align
from mrbench.score.sensitivity import RESAMPLES

CUTOFFS = (1, 5, 10)
PER_QUERY = ("hit_rate@5", "all_grains_accuracy", "image_only_hit_rate@1", "text_only_hit_rate@1")
"""Measures whose values by query a result keeps: tests between models, and of queries solved by one half, need them."""
RANKED = ("top", "ladder", "relevant", "gains")


def score_run(run: Run, benchmark: Benchmark, *, pools: dict[str, TaskPool] | None = None) -> dict[str, TaskResult]:
    """Compute every score of a run from its tables and the benchmark.

    Args:
        run: The run.
        benchmark: The benchmark that it was made on.
        pools: The pools of its tasks, if already loaded; otherwise they are read from the benchmark.

    Returns:
        Scores by task, in the order of the benchmark.

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
            hint="name the benchmark that the run was made on",
        )
    split, pool_name = run.benchmark["split"], run.benchmark["pool"]
    results = {}
    for task in benchmark.task_names:
        if task in run.tasks:
            pool = (pools or {}).get(task) or load_pool(
                benchmark,
                task,
                split,
                pool=pool_name,
                limit=run.limit,
                distractors=run.benchmark.get("distractors"),
                seed=run.seed,
            )
            results[task] = _score_task(run.tasks[task], pool, run.depth, _parts(run, pool.definition))
        elif task in run.not_supported:
            described = task_to_json(benchmark.task(task))
            results[task] = TaskResult("not supported", run.not_supported[task], task=described)
    add_group_scores(results)
    add_round_scores(results)
    return results


def _parts(run: Run, task: Task) -> tuple[str, ...]:
    """Return which halves of a composed query, image or text, the model can embed alone."""
    modalities = run.model.get("modalities", ()) if task.query_modality == "image,text" else ()
    return tuple(part for part in PARTS if part in modalities)


def _score_task(run: TaskRun, pool: TaskPool, depth: int, parts: tuple[str, ...]) -> TaskResult:
    started = perf_counter()
    rows = {name: read_rows(name, getattr(run, name), pool) for name in RANKED}
    _check_relevant(rows["relevant"], pool)
    check_run(rows, pool, depth)
    run_rows = align(run, pool, parts)
    check_positive_ranks(rows, run_rows.queries.score, run_rows.queries.above, run_rows.queries.tied, pool)
    check_first_results(rows, run_rows, pool)
    check_moments(rows, run_rows.queries, pool)
    check_variants(run_rows, pool, one_vector=QUERY_VECTORS not in run.setting)
    clusters = statistics.cluster_codes(pool.clusters.tolist())
    cut = None if run.cut is None else CutTexts.from_table(run.cut, pool)
    diagnosis = diagnose(rows, run_rows, pool, clusters, cut or CutTexts.none(pool))
    ranked = rank_scores(rows, pool)
    values = ranked | diagnosis.per_query
    scores, intervals = summarise(values, clusters)
    scores |= diagnosis.scores
    return TaskResult(
        status="scored",
        queries=len(pool.query_ids),
        candidates=len(pool.candidate_ids),
        scores={name: scores[name] for name in measures.in_order(scores)},
        by_grain=diagnosis.by_grain,
        by_loss=diagnosis.by_loss,
        confusion=diagnosis.confusion,
        intervals=intervals | diagnosis.intervals,
        missing=diagnosis.missing,
        left_out=diagnosis.left_out,
        per_query={
            name: tuple(np.round(values[name], 6).tolist())
            for name in dict.fromkeys((*PER_QUERY, pool.definition.main))
            if name in values and np.isfinite(values[name]).all()
        },
        clusters=tuple(pool.clusters.tolist()),
        seconds={**run.seconds, "score": round(perf_counter() - started, 3)},
        task=task_to_json(pool.definition),
        setting=run.setting | _setting(pool),  # a run cannot say otherwise of the pool
        chance=chance_levels(ranked, pool),
        cut_texts={} if cut is None else cut.counts,
        cut_pairs=diagnosis.cut_pairs,
        pair_counts=diagnosis.pair_counts,
    )


def _setting(pool: TaskPool) -> dict[str, str | int]:
    """Return the setting of a task: how its candidates were chosen, and who judged."""
    setting: dict[str, str | int] = {
        "corpora": ", ".join(pool.corpora),
        "excluded candidates": 0 if pool.excluded is None else len(pool.excluded.query),
        "queries without a relevant candidate": pool.unanswerable,
    }
    if pool.left_out:
        kept = len(pool.candidate_ids)
        setting["pool"] = (
            f"{kept:,} of {kept + pool.left_out:,} candidates: those that the queries need and a sample of the others"
        )
    if pool.lists is not None:
        least, most = int(pool.sizes.min()), int(pool.sizes.max())
        setting["candidates per query"] = str(least) if least == most else f"{least} to {most}"
    if isinstance(pool.judgements, Listed):
        setting["judgements"] = ", ".join(f"{n:,} by {origin}" for origin, n in sorted(pool.judgements.origins.items()))
    return setting


def rank_scores(rows: Mapping[str, Rows], pool: TaskPool) -> dict[str, Floats]:
    """Return the rank measures of a task, and with partial judgements judged@k for each k, by query.

    Args:
        rows: The ranked tables of a run.
        pool: The task.

    Returns:
        Values of shape ``(num_queries,)`` by measure.
    """
    number, relevant, gains = len(pool.query_ids), rows["relevant"], rows["gains"]
    listed = relevant.query, relevant.counts["greater"], relevant.counts["equal"]
    ties = measures.TieGroups.from_relevant(*listed, number)
    names = _measure_names(pool)
    values = {name: measures.rank_measure(name)(ties) for name in names if not name.startswith("ndcg")}
    if pool.judgements.complete:
        groups = measures.GainGroups(
            gains.query, gains.counts["greater"], gains.counts["equal"], gains.counts["gain"], number
        )
        values[f"ndcg@{CUTOFF}"] = measures.ndcg(
            groups, measures.ideal_dcg(pool.judgements.gain_counts, CUTOFF), CUTOFF
        )
        return {name: values[name] for name in names}
    worth = pool.judgements.gains_of(relevant.query, relevant.key % len(pool.candidate_ids))
    for name in (name for name in names if name.startswith("ndcg")):
        family, k = measures.parse_name(name)
        gain: measures.Gain = "exponential" if family == "ndcg_exp" else "linear"
        groups = measures.GainGroups.from_listed(*listed, measures.gain_of(worth, gain), number)
        ideal = measures.ideal_dcg_listed(relevant.query, worth, number, k or CUTOFF, gain)
        values[name] = measures.ndcg(groups, ideal, k or CUTOFF)
    judged = measures.GainGroups(
        gains.query, gains.counts["greater"], gains.counts["equal"], gains.counts["judged"], number
    )
    depths = sorted({k for name in names if (k := measures.parse_name(name)[1])})
    return {name: values[name] for name in names} | {
        f"judged@{k}": measures.judged_share(judged, k, pool.sizes) for k in depths
    }


def _measure_names(pool: TaskPool) -> list[str]:
    """Return the names of the rank measures of a task: its own, or the default ones.

    Raises:
        ResultError: The task names an unknown measure.
    """
    if pool.definition.measures and not pool.judgements.complete:
        return measures.in_order(dict.fromkeys((*pool.definition.measures, *_ranked_main(pool))))
    cutoffs = [k for k in CUTOFFS if pool.lists is None or k == 1 or k < pool.sizes.max()]
    names = [f"{family}@{k}" for family in ("hit_rate", "recall") for k in cutoffs]
    return [*names, "mrr", f"ndcg@{CUTOFF}", "map"]


def _ranked_main(pool: TaskPool) -> tuple[str, ...]:
    declared = measures.declared(pool.definition.main)
    return (pool.definition.main,) if declared.needs == ("judgements",) else ()


def chance_levels(names: Iterable[str], pool: TaskPool) -> dict[str, float]:
    """Return the chance level of each measure that has one; judged@k and the median rank have none."""
    return {
        name: chance_level(name, pool) for name in names if not name.startswith("judged@") and name != "median_rank"
    }


def chance_level(name: str, pool: TaskPool) -> float:
    """Return the mean over queries of a rank measure's exact expected value for a random order."""
    if name.startswith("ndcg"):
        family, k = measures.parse_name(name)
        gain: measures.Gain = "exponential" if family == "ndcg_exp" else "linear"
        counts, index = np.unique(pool.judgements.gain_counts, axis=0, return_inverse=True)
        return float(measures.chance_ndcg(counts, k or CUTOFF, gain)[index.reshape(-1)].mean())
    relevant = np.bincount(pool.relevant[0], minlength=len(pool.query_ids))
    cases, index = np.unique(np.stack([relevant, pool.sizes]), axis=1, return_inverse=True)
    return float(measures.chance(name, cases[0], cases[1])[index.reshape(-1)].mean())


def add_group_scores(results: dict[str, TaskResult]) -> None:
    """Add text, image and group score if an i2t and a t2i task have the same groups of two pairs, as in Winoground.

    The text score of a group is 1 where each of its images prefers its own text, the image score where each of its
    texts prefers its own image, the group score where both hold.
    """
    by_cluster: dict[str, dict[str, float]] = {}
    for name, result in results.items():
        values = result.per_query.get("all_grains_accuracy", ())
        sizes = Counter(result.clusters)
        if result.task.get("pool") != "lists" or set(sizes.values()) != {2}:
            continue
        if result.cut_pairs and not values:
            result.missing["group_score"] = "the model cut texts of some groups"
        elif values:
            by_cluster[name] = {}
            for cluster, value in zip(result.clusters, values, strict=True):
                by_cluster[name][cluster] = min(value, by_cluster[name].get(cluster, 1.0))
    for name, groups in by_cluster.items():
        category = str(results[name].task["category"])
        kind = {"i2t": "text_score", "t2i": "image_score"}.get(category)
        for other, partner in by_cluster.items():
            pair = {str(results[other].task["category"]), category}
            if kind and pair == {"i2t", "t2i"} and partner.keys() == groups.keys():
                both = sum(min(value, partner[cluster]) for cluster, value in groups.items())
                results[name].scores[kind] = sum(groups.values()) / len(groups)
                results[name].scores["group_score"] = both / len(groups)
                results[name].missing.pop("group_score", None)


def summarise(values: Mapping[str, Floats], clusters: Ints) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Return the mean of every measure over the queries on which it is defined, and its interval."""
    scores, intervals = {}, {}
    for name, all_values in values.items():
        known = np.isfinite(all_values)
        value, codes = all_values[known], np.unique(clusters[known], return_inverse=True)[1]
        measure = measures.declared(name)
        share = (measure.low, measure.high) == (0.0, 1.0)
        if measure.over_queries == "median":
            scores[name] = measures.median(value, name)
            continue
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
    """Check that the run's relevant candidates are the benchmark's."""
    query, position = pool.relevant
    differ = np.setxor1d(relevant.key, query * len(pool.candidate_ids) + position)
    if len(differ):
        name = pool.query_ids[differ[0] // len(pool.candidate_ids)]
        where = f"{pool.task}, relevant, {name}"
        raise ResultError("the relevant candidates are not the benchmark's", where=where)
