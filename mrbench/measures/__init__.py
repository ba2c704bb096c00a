"""Measures: formulas over ranks, grades and pairs. They see numbers only.

Candidates with the same score are *tied*, and their order means nothing. So rank measures are expected values over all
orders of tied candidates, in closed form, and a tied pair fails. If all embeddings are equal, every rank measure has
exactly the value of a random order, and pair accuracy is 0.

A rank measure returns one value per query, and :func:`mean` turns them into the score; it raises an error where there
is no value. A measure by grain returns ``{grain type: (value, number behind it)}``.

:func:`declared` returns the meaning of a score's name, :func:`rank_measure` the function behind it, and :func:`chance`
the value of a random order.
"""

from mrbench.measures.average_precision import average_precision, average_precision_at_r, capped_average_precision
from mrbench.measures.catalogue import CATALOGUE, declared, find_measure, fixed_chance, in_order, parse_name
from mrbench.measures.chance import RankMeasure, chance, chance_ndcg, rank_measure, refused_names
from mrbench.measures.consequence import (
    confusion,
    grain_coverage,
    hit_of_positive,
    hit_rate_slope,
    p_mrr,
    phrasing_flips,
    rank_change,
    unchanged_rate,
    worst_phrasing,
)
from mrbench.measures.declarations import DECLARATIONS, Measure, Need
from mrbench.measures.grain_distance import ByGrain, Moves, blindness_rate, grain_distance, mean_by_grain
from mrbench.measures.grain_sensitivity import calibrated_blindness_rate, grain_sensitivity, mean_scale
from mrbench.measures.group_score import Quadruples, candidate_score, group_score, query_score, winoground
from mrbench.measures.hit_rate import hit_rate
from mrbench.measures.judged import judged_share
from mrbench.measures.ladder import Ladders, concordance, grade_curve, kendall_tau, ladder_ndcg, strict_chain
from mrbench.measures.ndcg import Gain, GainGroups, dcg, gain_of, ideal_dcg, ideal_dcg_listed, ndcg
from mrbench.measures.negatives import above_positive, among_first, any_among_first
from mrbench.measures.pairs import (
    Pairs,
    all_grains_accuracy,
    all_positives_above,
    chance_of_all_above,
    margins,
    pair_accuracy,
    worst_grain,
)
from mrbench.measures.parts import chance_of_one_part, solved_by_one_part
from mrbench.measures.precision import precision, r_precision
from mrbench.measures.recall import capped_recall, recall
from mrbench.measures.reciprocal_rank import first_rank, reciprocal_rank
from mrbench.measures.reduce import mean, median
from mrbench.measures.rounds import hit_rate_so_far
from mrbench.measures.ties import TieGroups

__all__ = [
    "CATALOGUE",
    "DECLARATIONS",
    "ByGrain",
    "Gain",
    "GainGroups",
    "Ladders",
    "Measure",
    "Moves",
    "Need",
    "Pairs",
    "Quadruples",
    "RankMeasure",
    "TieGroups",
    "above_positive",
    "all_grains_accuracy",
    "all_positives_above",
    "among_first",
    "any_among_first",
    "average_precision",
    "average_precision_at_r",
    "blindness_rate",
    "calibrated_blindness_rate",
    "candidate_score",
    "capped_average_precision",
    "capped_recall",
    "chance",
    "chance_ndcg",
    "chance_of_all_above",
    "chance_of_one_part",
    "concordance",
    "confusion",
    "dcg",
    "declared",
    "find_measure",
    "first_rank",
    "fixed_chance",
    "gain_of",
    "grade_curve",
    "grain_coverage",
    "grain_distance",
    "grain_sensitivity",
    "group_score",
    "hit_of_positive",
    "hit_rate",
    "hit_rate_slope",
    "hit_rate_so_far",
    "ideal_dcg",
    "ideal_dcg_listed",
    "in_order",
    "judged_share",
    "kendall_tau",
    "ladder_ndcg",
    "margins",
    "mean",
    "mean_by_grain",
    "mean_scale",
    "median",
    "ndcg",
    "p_mrr",
    "pair_accuracy",
    "parse_name",
    "phrasing_flips",
    "precision",
    "query_score",
    "r_precision",
    "rank_change",
    "rank_measure",
    "recall",
    "reciprocal_rank",
    "refused_names",
    "solved_by_one_part",
    "strict_chain",
    "unchanged_rate",
    "winoground",
    "worst_grain",
    "worst_phrasing",
]
