"""Measures: formulas over ranks, grades and pairs. Sees records only.

Candidates of one score are *tied*, and their order means nothing. The rank measures are therefore expected values
over all orders of the tied, in closed form; a pair that is tied fails. Embeddings that are all the same get exactly
the value of a random order on every rank measure, and 0 on pairs.

Every function returns one value per query; :func:`mean` makes the score, and refuses to make one of nothing.
"""

from mrbench.measures.average_precision import average_precision
from mrbench.measures.catalogue import CATALOGUE, Measure
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
from mrbench.measures.grain_distance import ByGrain, Moves, blindness_rate, grain_distance, mean_by_grain
from mrbench.measures.grain_sensitivity import calibrated_blindness_rate, grain_sensitivity, mean_scale
from mrbench.measures.group_score import Quadruples, candidate_score, group_score, query_score
from mrbench.measures.hit_rate import hit_rate
from mrbench.measures.ladder import Ladders, concordance, grade_curve, kendall_tau, ladder_ndcg, strict_chain
from mrbench.measures.ndcg import GainGroups, dcg, ideal_dcg, ndcg
from mrbench.measures.negatives import above_positive, among_first, any_among_first
from mrbench.measures.pairs import Pairs, all_grains_accuracy, margins, pair_accuracy, worst_grain
from mrbench.measures.parts import chance_of_one_part, solved_by_one_part
from mrbench.measures.recall import recall
from mrbench.measures.reciprocal_rank import reciprocal_rank
from mrbench.measures.reduce import mean
from mrbench.measures.ties import TieGroups

__all__ = [
    "CATALOGUE",
    "ByGrain",
    "GainGroups",
    "Ladders",
    "Measure",
    "Moves",
    "Pairs",
    "Quadruples",
    "TieGroups",
    "above_positive",
    "all_grains_accuracy",
    "among_first",
    "any_among_first",
    "average_precision",
    "blindness_rate",
    "calibrated_blindness_rate",
    "candidate_score",
    "chance_of_one_part",
    "concordance",
    "confusion",
    "dcg",
    "grade_curve",
    "grain_coverage",
    "grain_distance",
    "grain_sensitivity",
    "group_score",
    "hit_of_positive",
    "hit_rate",
    "hit_rate_slope",
    "ideal_dcg",
    "kendall_tau",
    "ladder_ndcg",
    "margins",
    "mean",
    "mean_by_grain",
    "mean_scale",
    "ndcg",
    "p_mrr",
    "pair_accuracy",
    "phrasing_flips",
    "query_score",
    "rank_change",
    "recall",
    "reciprocal_rank",
    "solved_by_one_part",
    "strict_chain",
    "unchanged_rate",
    "worst_grain",
    "worst_phrasing",
]
