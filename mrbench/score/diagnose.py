"""From the tables of a run to what it says about grains: every measure that is not a plain ranking measure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mrbench import measures, statistics
from mrbench.arrays import Floats, Ints
from mrbench.errors import ResultError
from mrbench.pools.pool import TaskPool
from mrbench.records import PARTS, TASKS
from mrbench.results import GrainScore
from mrbench.score.consistency import Rows
from mrbench.score.findings import Diagnosis, scores_of
from mrbench.score.run_rows import Aligned, Places
from mrbench.score.sensitivity import add_sensitivity

_NEEDS = {
    "degrained": (
        *("grain_distance", "blindness_rate", "calibrated_blindness_rate", "grain_sensitivity"),
        *("rank_change", "unchanged_rate"),
    ),
    "flipped": ("p_mrr", "candidate_score", "query_score", "group_score"),
    "paraphrased": ("paraphrase_distance", "phrasing_flips@5", "worst_phrasing_hit_rate@5"),
}
COVERAGE, HIT, DELTA = 10, 5, 0.05


def diagnose(rows: Mapping[str, Rows], aligned: Aligned, pool: TaskPool, clusters: Ints) -> Diagnosis:
    """Compute every measure that the run allows, and say of the others why not.

    Args:
        rows: The ranked tables of the run.
        aligned: Its other tables.
        pool: The task.
        clusters: Cluster of each query.
    """
    found = Diagnosis()
    _pairs(found, rows["ladder"], aligned, pool, clusters)
    _ladder(found, rows["ladder"], aligned, pool)
    _variants(found, rows["ladder"], aligned, pool, clusters)
    _first_results(found, aligned, pool)
    _parts(found, aligned.parts, pool)
    return found


def ladder_scores(ladder: Rows, pool: TaskPool, query: Ints, position: Ints) -> Floats:
    """Return the scores of members of ladders.

    Raises:
        ResultError: The run lacks one.
    """
    at = ladder.row_of(query * len(pool.candidate_ids) + position)
    if (at < 0).any():
        name = pool.query_ids[query[int(np.argmin(at))]]
        raise ResultError("the run lacks a member of a ladder", where=f"{pool.task}, ladder, {name}")
    return ladder.score[at].astype(np.float64)


def _pairs(found: Diagnosis, ladder: Rows, aligned: Aligned, pool: TaskPool, clusters: Ints) -> None:
    query, kind, position = pool.pairs
    grain = np.array(pool.grain_types)[kind]
    positive = ladder_scores(ladder, pool, query, pool.positives[query])
    other = ladder_scores(ladder, pool, query, position)
    pairs = measures.Pairs(query, grain, positive > other, len(pool.query_ids))
    by_grain = measures.pair_accuracy(pairs)
    found.by_grain["pair_accuracy"] = {
        name: GrainScore(value, count, _interval(pairs.right[grain == name], clusters[query[grain == name]]))
        for name, (value, count) in by_grain.items()
    }
    found.per_query["all_grains_accuracy"] = measures.all_grains_accuracy(pairs)
    found.scores["pair_accuracy"] = float(np.mean([value for value, _ in by_grain.values()]))  # every type the same
    found.scores["worst_grain_accuracy"] = measures.worst_grain(by_grain)[1]
    deviation = aligned.queries.column("deviation")[query]
    found.add_measured_by_spread(
        "margin", lambda: measures.margins(grain, positive, other, deviation), query, deviation
    )


def _interval(right: Any, clusters: Ints) -> tuple[float, float] | None:
    try:
        return statistics.share_interval(
            np.asarray(right, dtype=np.float64), np.unique(clusters, return_inverse=True)[1]
        )
    except ResultError:  # one cluster tells nothing of the spread
        return None


def _ladder(found: Diagnosis, ladder: Rows, aligned: Aligned, pool: TaskPool) -> None:
    query, position = ladder.query, ladder.key % len(pool.candidate_ids)
    kept = pool.grades_of(query, position)
    number = (pool.query_grains[query] >= 0).sum(axis=1)
    ladders = measures.Ladders.from_rows(query, ladder.score.astype(np.float64), kept, len(pool.query_ids))
    found.add_queries("concordance", lambda: measures.concordance(ladders))
    found.add_queries("kendall_tau", lambda: measures.kendall_tau(ladders))
    found.add_queries("strict_chain", lambda: measures.strict_chain(ladders))
    found.add_queries("ladder_ndcg", lambda: measures.ladder_ndcg(ladders))
    lost = np.char.mod("%d", number - kept)
    score = ladder.score.astype(np.float64)
    mean, deviation = (aligned.queries.column(name)[query] for name in ("mean", "deviation"))
    found.add_measured_by_spread(
        "standardised_score",
        lambda: measures.grade_curve(lost, score, mean, deviation),
        query,
        deviation,
        into="by_loss",
    )
    negative = kept < number
    positive = aligned.queries.score[query]
    greater, equal = ladder.counts["greater"], ladder.counts["equal"]
    found.add(
        "negatives_above",
        lambda: measures.above_positive(lost[negative], score[negative], positive[negative]),
        into="by_loss",
    )
    found.add(
        "negatives_in_top@10",
        lambda: measures.among_first(lost[negative], greater[negative], equal[negative], COVERAGE),
        into="by_loss",
    )
    one = number - kept == 1
    found.add_queries(
        f"one_off_in_top@{COVERAGE}",
        lambda: measures.any_among_first(query[one], greater[one], equal[one], COVERAGE, len(pool.query_ids)),
    )


def _variants(found: Diagnosis, ladder: Rows, aligned: Aligned, pool: TaskPool, clusters: Ints) -> None:
    variants, places, queries = pool.variants, aligned.variants, aligned.queries
    distance = places.column("distance")
    dropped, flipped, reworded = (variants.kind == kind for kind in ("degrained", "flipped", "paraphrased"))
    moves = measures.Moves(variants.query[dropped], variants.grain[dropped], distance[dropped])
    count = np.bincount(variants.query[reworded], minlength=len(pool.query_ids))
    summed = np.bincount(variants.query[reworded], weights=distance[reworded], minlength=len(pool.query_ids))
    noise = np.divide(summed, count, out=np.full(len(count), np.nan), where=count > 0)
    scale = queries.column("unrelated")
    found.add("grain_distance", lambda: measures.grain_distance(moves))
    found.add("blindness_rate", lambda: measures.blindness_rate(moves, DELTA))
    found.add("calibrated_blindness_rate", lambda: measures.calibrated_blindness_rate(moves, noise))
    add_sensitivity(found, moves, noise, scale, clusters)
    found.add_queries("paraphrase_distance", lambda: noise)
    found.add_queries("unrelated_distance", lambda: scale)
    rank, ranks = queries.rank[variants.query], places.rank
    found.add("rank_change", lambda: measures.rank_change(moves.grain, rank[dropped], ranks[dropped]))
    found.add("unchanged_rate", lambda: measures.unchanged_rate(moves.grain, rank[dropped], ranks[dropped]))
    found.add("p_mrr", lambda: measures.p_mrr(variants.grain[flipped], rank[flipped], ranks[flipped]))
    _group(found, ladder, aligned, pool, flipped)
    hit = measures.hit_of_positive(queries.above, queries.beside, HIT)
    again = measures.hit_of_positive(places.above[reworded], places.beside[reworded], HIT)
    who = variants.query[reworded]
    found.add_queries(f"phrasing_flips@{HIT}", lambda: measures.phrasing_flips(who, hit, again))
    found.add_queries(f"worst_phrasing_hit_rate@{HIT}", lambda: measures.worst_phrasing(who, hit, again))
    _say_what_is_lacking(
        found, degrained=bool(dropped.any()), flipped=bool(flipped.any()), paraphrased=bool(reworded.any())
    )
    try:
        number = (pool.query_grains >= 0).sum(axis=1)
        found.scores[f"hit_rate_slope@{HIT}"] = measures.hit_rate_slope(number, hit)
    except ResultError as error:
        found.missing[f"hit_rate_slope@{HIT}"] = str(error)


def _say_what_is_lacking(found: Diagnosis, **present: bool) -> None:
    """Where a suite has no variants of a kind, say that rather than what a formula says of nothing."""
    for kind, there in present.items():
        if not there:
            for name in _NEEDS[kind]:
                if name in found.missing:
                    found.missing[name] = f"the benchmark has no {kind} queries"


def _group(found: Diagnosis, ladder: Rows, aligned: Aligned, pool: TaskPool, flipped: Any) -> None:
    rows = np.flatnonzero(flipped)
    query = pool.variants.query[rows]
    quads = measures.Quadruples(
        pool.variants.grain[rows],
        aligned.queries.score[query],
        ladder_scores(ladder, pool, query, pool.variants.target[rows]),
        aligned.variants.score[rows],
        aligned.variants.column("target")[rows],
    )
    found.add("candidate_score", lambda: measures.candidate_score(quads))
    found.add("query_score", lambda: measures.query_score(quads))
    found.add("group_score", lambda: measures.group_score(quads))


def _first_results(found: Diagnosis, aligned: Aligned, pool: TaskPool) -> None:
    query, kind = np.nonzero(pool.query_grains >= 0)
    kept, lost = aligned.first
    grain = np.array(pool.grain_types)[kind]
    found.add(f"grain_coverage@{COVERAGE}", lambda: measures.grain_coverage(grain, kept))
    table = np.zeros(pool.query_grains.shape)
    table[query, kind] = lost
    asked_and_lost = measures.confusion(pool.query_grains >= 0, table, pool.grain_types)
    found.confusion = {asked: scores_of(row) for asked, row in asked_and_lost.items()}
    if len(pool.modalities) > 1:
        found.per_query[f"wrong_modality@{COVERAGE}"] = aligned.queries.column("wrong")


def _parts(found: Diagnosis, parts: Mapping[str, Places], pool: TaskPool) -> None:
    if TASKS[pool.task].query_modality != "image,text":
        return
    for part in PARTS:
        for k in (1, HIT):
            name = f"{part}_only_hit_rate@{k}"
            if part in parts:
                places = parts[part]
                found.per_query[name] = measures.hit_of_positive(places.above, places.beside, k)
            else:
                found.missing[name] = f"the model takes no {part} alone"
    if len(parts) == len(PARTS):
        alone = np.array([found.per_query[f"{part}_only_hit_rate@1"] for part in PARTS])
        found.per_query["solved_by_one_part"] = measures.solved_by_one_part(alone)
    else:
        found.missing["solved_by_one_part"] = "the model does not take both parts alone"
