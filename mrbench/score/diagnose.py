"""Computes from the tables of a run every measure that is not a plain ranking measure, most of them about grains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mrbench import measures, statistics
from mrbench.arrays import Bools, Floats, Ints
from mrbench.errors import ResultError
from mrbench.pools.cut_texts import CutTexts
from mrbench.pools.pool import TaskPool
from mrbench.records import PARTS
from mrbench.results import GrainScore, PairCounts
from mrbench.score.consistency import Rows
from mrbench.score.findings import Diagnosis, scores_of
from mrbench.score.kinds import interval_over_kinds
from mrbench.score.run_rows import PositiveRanks, RunRows
from mrbench.score.sensitivity import add_sensitivity

_NEEDS = {
    "ladder": (
        *("concordance", "kendall_tau", "strict_chain", "ladder_ndcg", "standardised_score"),
        *("negatives_above", "negatives_in_top@10", "one_off_in_top@10"),
    ),
    "degrained": (
        *("grain_distance", "blindness_rate", "calibrated_blindness_rate", "grain_sensitivity"),
        *("rank_change", "unchanged_rate"),
    ),
    "flipped": ("p_mrr", "candidate_score", "query_score", "group_score"),
    "paraphrased": ("paraphrase_distance", "phrasing_flips@5", "worst_phrasing_hit_rate@5"),
}
COVERAGE, HIT, DELTA = 10, 5, 0.05
_CUT = "the model cut a text of every {}"
_OF_QUERIES = (
    "grain_distance",
    "blindness_rate",
    "calibrated_blindness_rate",
    "grain_sensitivity",
    "paraphrase_distance",
)


def diagnose(rows: Mapping[str, Rows], run_rows: RunRows, pool: TaskPool, clusters: Ints, cut: CutTexts) -> Diagnosis:
    """Return every measure that the run allows, and for the others the reason.

    Args:
        rows: The ranked tables of the run.
        run_rows: Its other tables.
        pool: The task.
        clusters: Cluster of each query.
        cut: The texts that the model cut. No measure of grains counts them: the model may not have seen the grain.
    """
    diagnosis = Diagnosis()
    _pairs(diagnosis, rows, run_rows, pool, clusters, cut)
    _ladder(diagnosis, rows["ladder"], run_rows, pool, cut)
    _variants(diagnosis, rows["ladder"], run_rows, pool, clusters, cut)
    _first_results(diagnosis, run_rows, pool, cut)
    _parts(diagnosis, run_rows.parts, pool)
    return diagnosis


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


def _pairs(
    diagnosis: Diagnosis, rows: Mapping[str, Rows], run_rows: RunRows, pool: TaskPool, clusters: Ints, cut: CutTexts
) -> None:
    query, position = pool.pairs.query, pool.pairs.position
    grain = np.array(pool.grain_types)[pool.pairs.kind]
    whole = ~(cut.queries[query] | cut.candidates[position] | cut.candidates[pool.positives[query]])
    lost, numbers = np.unique(grain[~whole], return_counts=True)
    diagnosis.cut_pairs = dict(zip(lost.tolist(), numbers.tolist(), strict=True))
    if not whole.any():
        reason = "no query has a judged candidate that differs from its positive in one grain alone"
        diagnosis.missing |= dict.fromkeys(
            ("pair_accuracy", "all_grains_accuracy", "worst_grain_accuracy", "margin"),
            _CUT.format("pair") if len(query) else reason,
        )
        return
    for name in np.setdiff1d(lost, grain[whole]).tolist():
        diagnosis.missing[f"pair_accuracy[{name}]"] = _CUT.format("pair")
    without = np.unique(query[~whole])
    query, position, grain = query[whole], position[whole], grain[whole]
    positive = run_rows.queries.score[query]
    other = ladder_scores(rows["ladder"], pool, query, position)
    pairs = measures.Pairs(query, grain, positive > other, len(pool.query_ids))
    by_grain = measures.pair_accuracy(pairs)
    diagnosis.by_grain["pair_accuracy"] = {
        name: GrainScore(value, count, _interval(pairs.right[grain == name], clusters[query[grain == name]]))
        for name, (value, count) in by_grain.items()
    }
    diagnosis.pair_counts = {name: _counts(pairs, name) for name in by_grain}
    diagnosis.leave_out("pair_accuracy", len(without))
    diagnosis.add_queries("all_grains_accuracy", lambda: _all_grains(pairs, without))
    diagnosis.scores["pair_accuracy"] = float(np.mean([value for value, _ in by_grain.values()]))  # every type the same
    diagnosis.add_interval("pair_accuracy", interval_over_kinds(pairs.right, grain, clusters[query]))
    diagnosis.scores["worst_grain_accuracy"] = measures.worst_grain(by_grain)[1]
    if pool.lists is not None:
        _all_positives(diagnosis, rows["relevant"], pairs, other, clusters, cut)
        diagnosis.missing["margin"] = "the scores of a list of candidates are no scale to measure on"
        return
    deviation = run_rows.queries.column("deviation")[query]
    diagnosis.add_measured_by_spread(
        "margin", lambda: measures.margins(grain, positive, other, deviation), query, deviation
    )
    diagnosis.leave_out("margin", len(without))


def _counts(pairs: measures.Pairs, grain: str) -> PairCounts:
    """Return by query the number of pairs of a grain type, and the number of right ones."""
    of = pairs.grain == grain
    total = np.bincount(pairs.query[of], minlength=pairs.num_queries)
    right = np.bincount(pairs.query[of & pairs.right], minlength=pairs.num_queries)
    return PairCounts(tuple(right.tolist()), tuple(total.tolist()))


def _all_grains(pairs: measures.Pairs, without: Ints) -> Floats:
    """Return all-grains accuracy by query; NaN for queries without a pair, and for those in ``without``."""
    queries, index = np.unique(pairs.query, return_inverse=True)
    values = np.full(pairs.num_queries, np.nan)
    values[queries] = measures.all_grains_accuracy(
        measures.Pairs(index.reshape(-1), pairs.grain, pairs.right, len(queries))
    )
    values[without] = np.nan
    return values


def _all_positives(
    diagnosis: Diagnosis,
    relevant: Rows,
    pairs: measures.Pairs,
    other: Floats,
    clusters: Ints,
    cut: CutTexts,
) -> None:
    """Add how often every relevant candidate beats the other of a pair, if queries have several relevant ones."""
    if len(relevant.query) == pairs.num_queries:
        return
    lowest = np.full(pairs.num_queries, np.inf)
    np.minimum.at(lowest, relevant.query, relevant.score.astype(np.float64))
    right = lowest[pairs.query] > other
    without = np.unique(relevant.query[cut.candidates[relevant.key % len(cut.candidates)]])
    whole = ~np.isin(pairs.query, without)
    if not whole.any():
        diagnosis.missing["all_positives_accuracy"] = _CUT.format("pair")
        return
    diagnosis.by_grain["all_positives_accuracy"] = {
        str(name): GrainScore(float(right[of].mean()), int(of.sum()), _interval(right[of], clusters[pairs.query[of]]))
        for name in np.unique(pairs.grain[whole])
        for of in [whole & (pairs.grain == name)]
    }
    diagnosis.leave_out("all_positives_accuracy", len(without))
    by_kind = [part.score for part in diagnosis.by_grain["all_positives_accuracy"].values()]
    diagnosis.scores["all_positives_accuracy"] = float(np.mean(by_kind))
    interval = interval_over_kinds(right[whole], pairs.grain[whole], clusters[pairs.query[whole]])
    diagnosis.add_interval("all_positives_accuracy", interval)


def _interval(right: Any, clusters: Ints) -> tuple[float, float] | None:
    try:
        return statistics.share_interval(
            np.asarray(right, dtype=np.float64), np.unique(clusters, return_inverse=True)[1]
        )
    except ResultError:  # one cluster tells nothing of the spread
        return None


def _ladder(diagnosis: Diagnosis, ladder: Rows, run_rows: RunRows, pool: TaskPool, cut: CutTexts) -> None:
    position = ladder.key % len(pool.candidate_ids)
    kept, asked = pool.judgements.kept_of(ladder.query, position)
    known = (kept >= 0) & (asked > 0)
    without = np.unique(ladder.query[known & (cut.queries[ladder.query] | cut.candidates[position])])
    if len(without) and np.isin(ladder.query[known], without).all():
        diagnosis.missing |= dict.fromkeys(_NEEDS["ladder"], _CUT.format("ladder"))
        return
    known &= ~np.isin(ladder.query, without)
    if not known.any():
        reason = "no ladder has a member whose grade is known" if len(kept) else "the benchmark has no ladders"
        diagnosis.missing |= dict.fromkeys(_NEEDS["ladder"], reason)
        return
    query, kept, number = ladder.query[known], kept[known], asked[known]
    score = ladder.score[known].astype(np.float64)
    having, index = np.unique(query, return_inverse=True)
    ladders = measures.Ladders.from_rows(index.reshape(-1), score, kept, len(having))

    def over_all(values: Floats) -> Floats:
        """Return values of the queries with a ladder as values of all queries; NaN for the others."""
        every = np.full(len(pool.query_ids), np.nan)
        every[having] = values
        return every

    diagnosis.add_queries("concordance", lambda: over_all(measures.concordance(ladders)))
    diagnosis.add_queries("kendall_tau", lambda: over_all(measures.kendall_tau(ladders)))
    diagnosis.add_queries("strict_chain", lambda: over_all(measures.strict_chain(ladders)))
    diagnosis.add_queries("ladder_ndcg", lambda: over_all(measures.ladder_ndcg(ladders)))
    lost = np.char.mod("%d", number - kept)
    mean, deviation = (run_rows.queries.column(name)[query] for name in ("mean", "deviation"))
    diagnosis.add_measured_by_spread(
        "standardised_score",
        lambda: measures.grade_curve(lost, score, mean, deviation),
        query,
        deviation,
        into="by_loss",
    )
    negative = kept < number
    positive = run_rows.queries.score[query]
    greater, equal = (ladder.counts[name][known] for name in ("greater", "equal"))
    diagnosis.add(
        "negatives_above",
        lambda: measures.above_positive(lost[negative], score[negative], positive[negative]),
        into="by_loss",
    )
    diagnosis.add(
        f"negatives_in_top@{COVERAGE}",
        lambda: measures.among_first(lost[negative], greater[negative], equal[negative], COVERAGE),
        into="by_loss",
    )
    one = number - kept == 1
    diagnosis.add_queries(
        f"one_off_in_top@{COVERAGE}",
        lambda: over_all(
            measures.any_among_first(index.reshape(-1)[one], greater[one], equal[one], COVERAGE, len(having))
        ),
    )
    for name in ("standardised_score", "negatives_above", f"negatives_in_top@{COVERAGE}"):
        diagnosis.leave_out(name, len(without))


def _variants(
    diagnosis: Diagnosis, ladder: Rows, run_rows: RunRows, pool: TaskPool, clusters: Ints, cut: CutTexts
) -> None:
    variants, variant_ranks, queries = pool.variants, run_rows.variants, run_rows.queries
    heard = ~(cut.variants | cut.queries[variants.query])  # for distances between queries
    whole = heard & ~(cut.candidates[pool.positives[variants.query]] | cut.candidates[variants.target])
    _distances(diagnosis, run_rows, pool, clusters, heard)
    dropped, flipped, reworded = (whole & (variants.kind == kind) for kind in ("degrained", "flipped", "paraphrased"))
    rank, ranks = queries.rank[variants.query], variant_ranks.rank
    grain = variants.grain[dropped]
    diagnosis.add("rank_change", lambda: measures.rank_change(grain, rank[dropped], ranks[dropped]))
    diagnosis.add("unchanged_rate", lambda: measures.unchanged_rate(grain, rank[dropped], ranks[dropped]))
    diagnosis.add("p_mrr", lambda: measures.p_mrr(variants.grain[flipped], rank[flipped], ranks[flipped]))
    _group(diagnosis, ladder, run_rows, pool, flipped)
    hit = measures.hit_of_positive(queries.above, queries.tied, HIT)
    again = measures.hit_of_positive(variant_ranks.above[reworded], variant_ranks.tied[reworded], HIT)
    who = variants.query[reworded]
    diagnosis.add_queries(f"phrasing_flips@{HIT}", lambda: measures.phrasing_flips(who, hit, again))
    diagnosis.add_queries(f"worst_phrasing_hit_rate@{HIT}", lambda: measures.worst_phrasing(who, hit, again))
    _say_what_is_lacking(diagnosis, pool, heard, whole)
    number = (pool.query_grains >= 0).sum(axis=1)
    if not number.any():
        diagnosis.missing |= dict.fromkeys(
            ("unrelated_distance", f"hit_rate_slope@{HIT}"), "no query has a known grain"
        )
        return
    try:
        diagnosis.scores[f"hit_rate_slope@{HIT}"] = measures.hit_rate_slope(number, hit)
    except ResultError as error:
        diagnosis.missing[f"hit_rate_slope@{HIT}"] = str(error)


def _distances(diagnosis: Diagnosis, run_rows: RunRows, pool: TaskPool, clusters: Ints, heard: Bools) -> None:
    """Add the measures on embeddings of queries, over the variants whose texts were not cut."""
    variants, distance, number = pool.variants, run_rows.variants.column("distance"), len(pool.query_ids)
    reworded = heard & (variants.kind == "paraphrased")
    count = np.bincount(variants.query[reworded], minlength=number)
    summed = np.bincount(variants.query[reworded], weights=distance[reworded], minlength=number)
    noise = np.divide(summed, count, out=np.full(len(count), np.nan), where=count > 0)
    scale = run_rows.queries.column("unrelated")

    def moves(some: Bools) -> measures.Moves:
        return measures.Moves(variants.query[some], variants.grain[some], distance[some])

    probes = heard & (variants.kind == "degrained")
    diagnosis.add("grain_distance", lambda: measures.grain_distance(moves(probes)))
    diagnosis.add("blindness_rate", lambda: measures.blindness_rate(moves(probes), DELTA))
    lost = np.setdiff1d(variants.query[(variants.kind == "paraphrased") & ~heard], variants.query[reworded])
    tied = moves(probes & ~np.isin(variants.query, lost))  # without queries whose paraphrases were all cut
    diagnosis.add("calibrated_blindness_rate", lambda: measures.calibrated_blindness_rate(tied, noise))
    add_sensitivity(diagnosis, tied, noise, scale, clusters)
    diagnosis.add_queries("paraphrase_distance", lambda: noise)
    diagnosis.add_queries("unrelated_distance", lambda: scale)


def _say_what_is_lacking(diagnosis: Diagnosis, pool: TaskPool, heard: Bools, whole: Bools) -> None:
    """Add the reasons for missing measures of variants: there are none, or all are cut. Count the queries left out.

    Args:
        diagnosis: The scores to add to.
        pool: The task.
        heard: Variants that were not cut, and whose queries were not.
        whole: Those of them whose candidates were not cut either.
    """
    variants = pool.variants
    for kind, names in _NEEDS.items():
        there = variants.kind == kind
        for name in names if kind != "ladder" else ():
            used = heard if name in _OF_QUERIES else whole
            if not there.any():
                if name in diagnosis.missing:
                    diagnosis.missing[name] = f"the benchmark has no {kind} queries"
            elif not (there & used).any():
                diagnosis.missing[name] = _CUT.format(f"{kind} query")
            else:
                for grain in np.setdiff1d(variants.grain[there], variants.grain[there & used]).tolist():
                    diagnosis.missing.setdefault(f"{name}[{grain}]", _CUT.format(f"{kind} query"))
                if name in diagnosis.by_grain:
                    diagnosis.leave_out(name, len(np.unique(variants.query[there & ~used])))


def _group(diagnosis: Diagnosis, ladder: Rows, run_rows: RunRows, pool: TaskPool, flipped: Any) -> None:
    rows = np.flatnonzero(flipped)
    query = pool.variants.query[rows]
    quads = measures.Quadruples(
        pool.variants.grain[rows],
        run_rows.queries.score[query],
        ladder_scores(ladder, pool, query, pool.variants.target[rows]),
        run_rows.variants.score[rows],
        run_rows.variants.column("target")[rows],
    )
    diagnosis.add("candidate_score", lambda: measures.candidate_score(quads))
    diagnosis.add("query_score", lambda: measures.query_score(quads))
    diagnosis.add("group_score", lambda: measures.group_score(quads))


def _first_results(diagnosis: Diagnosis, run_rows: RunRows, pool: TaskPool, cut: CutTexts) -> None:
    if not pool.right_modality.all():
        diagnosis.per_query[f"wrong_modality@{COVERAGE}"] = run_rows.queries.column("wrong")
    if not pool.judgements.complete:
        diagnosis.missing[f"grain_coverage@{COVERAGE}"] = "the grains of the candidates are not known"
        return
    query, kind = np.nonzero(pool.query_grains >= 0)
    kept, lost = run_rows.first
    whole = ~cut.queries
    grain = np.array(pool.grain_types)[kind]
    diagnosis.add(
        f"grain_coverage@{COVERAGE}", lambda: measures.grain_coverage(grain[whole[query]], kept[whole[query]])
    )
    if not whole.any():
        diagnosis.missing[f"grain_coverage@{COVERAGE}"] = _CUT.format("query")
        return
    diagnosis.leave_out(f"grain_coverage@{COVERAGE}", int(cut.queries.sum()))
    table = np.zeros(pool.query_grains.shape)
    table[query, kind] = lost
    asked_and_lost = measures.confusion(pool.query_grains[whole] >= 0, table[whole], pool.grain_types)
    diagnosis.confusion = {asked: scores_of(row) for asked, row in asked_and_lost.items()}


def _parts(diagnosis: Diagnosis, parts: Mapping[str, PositiveRanks], pool: TaskPool) -> None:
    if pool.definition.query_modality != "image,text":
        return
    for part in PARTS:
        for k in (1, HIT):
            name = f"{part}_only_hit_rate@{k}"
            if part in parts:
                ranks = parts[part]
                diagnosis.per_query[name] = measures.hit_of_positive(ranks.above, ranks.tied, k)
            else:
                diagnosis.missing[name] = f"the model takes no {part} alone"
    if len(parts) == len(PARTS):
        alone = np.array([diagnosis.per_query[f"{part}_only_hit_rate@1"] for part in PARTS])
        diagnosis.per_query["solved_by_one_part"] = measures.solved_by_one_part(alone)
    else:
        diagnosis.missing["solved_by_one_part"] = "the model does not take both parts alone"
