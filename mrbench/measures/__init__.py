"""Measures: formulas over ranks, grades and pairs. Sees records only.

Candidates of one score are *tied*, and their order means nothing. The rank measures are therefore expected values
over all orders of the tied, in closed form; a pair that is tied fails. Embeddings that are all the same get exactly
the value of a random order on every rank measure, and 0 on pairs.

Every function returns one value per query; :func:`mean` makes the score, and refuses to make one of nothing.
"""

from mrbench.measures.average_precision import average_precision
from mrbench.measures.hit_rate import hit_rate
from mrbench.measures.ndcg import GainGroups, dcg, ideal_dcg, ndcg
from mrbench.measures.pairs import Pairs, all_grains_accuracy, pair_accuracy
from mrbench.measures.recall import recall
from mrbench.measures.reciprocal_rank import reciprocal_rank
from mrbench.measures.reduce import mean
from mrbench.measures.ties import TieGroups

__all__ = [
    "GainGroups",
    "Pairs",
    "TieGroups",
    "all_grains_accuracy",
    "average_precision",
    "dcg",
    "hit_rate",
    "ideal_dcg",
    "mean",
    "ndcg",
    "pair_accuracy",
    "recall",
    "reciprocal_rank",
]
