"""The declarations of all measures, in the order in which boards show them.

:mod:`mrbench.measures.catalogue` reads them. In texts ``{k}`` stands for the number of places, and ``{among}`` for
"among the first five". A meaning goes on after "title:", so it begins in lower case and has no full stop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Need = Literal[
    "judgements",
    "partial judgements",
    "grains",
    "ladder",
    "pairs",
    "quadruples",
    "degrained queries",
    "flipped queries",
    "paraphrased queries",
    "image and text queries",
    "a pool of several modalities",
]
"""A need of a measure: data that it requires. Pairs come from ladders or from lists of true and false texts; quadruples
come from flipped queries or from two texts and two images."""

RANDOM_ORDER = "that of a random order, known from the number of relevant candidates and the size of the pool"
"""Computed by :func:`mrbench.measures.chance`."""
RANDOM_GAINS = "that of a random order, known from the number of candidates of each relevance"
"""Computed by :func:`mrbench.measures.chance_ndcg`."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure as results name it.

    Attributes:
        title: The name that people read.
        meaning: What a value says: a phrase that goes on after the title and a colon.
        low: Lowest value, or None.
        high: Highest value, or None.
        higher_is_better: False: lower is better; None: neither.
        chance: What a model that guesses gets on any data; None where that depends on the data or is not defined.
        chance_rule: Where it depends on the data: how to compute it. Empty where it is a number or not defined.
        needs: What the data must have, all of it.
        others: What other papers or tools call the same number. Empty where they call it the same or have none.
        over_queries: How values by query become the score.
    """

    title: str
    meaning: str
    low: float | None = 0.0
    high: float | None = 1.0
    higher_is_better: bool | None = True
    chance: float | None = None
    chance_rule: str = ""
    needs: tuple[Need, ...] = ("judgements",)
    others: str = ""
    over_queries: Literal["mean", "median"] = "mean"


def _ranked(title: str, meaning: str, others: str = "") -> Measure:
    return Measure(title, meaning, chance_rule=RANDOM_ORDER, others=others)


def _distance(title: str, meaning: str, better: bool | None, *needs: Need) -> Measure:
    return Measure(title, meaning, 0.0, 2.001, better, needs=needs)


def _half(part: str, name: str) -> Measure:
    return Measure(
        f"{part} only hit rate@{{k}}",
        f"the share of queries with the positive {{among}} when the model sees the {name} of the query alone",
        higher_is_better=None,
        chance_rule=RANDOM_ORDER,
        needs=("judgements", "image and text queries"),
    )


DECLARATIONS: dict[str, Measure] = {
    "hit_rate@k": _ranked(
        "hit rate@{k}",
        "the share of queries with a relevant candidate {among}",
        "Recall@{k} in UniIR, M-BEIR, MMEB, CIRR and the ELVA paper, success@{k} in trec_eval",
    ),
    "hit_rate_so_far@k": Measure(
        "hit rate so far@{k}",
        "the share of queries with a relevant candidate {among} in this round of a dialogue or one before it",
        others="Hits@{k} in ChatIR",
    ),
    "recall@k": _ranked("recall@{k}", "the share of a query's relevant candidates that are {among}"),
    "capped_recall@k": _ranked(
        "capped recall@{k}",
        "the number of relevant candidates {among}, over the most that there can be",
        "R_cap@{k} in BEIR",
    ),
    "precision@k": _ranked("precision@{k}", "the share of relevant candidates {among}", "P@{k} in trec_eval"),
    "r_precision": _ranked(
        "R-precision", "the share of relevant candidates among the first R, R the number of relevant ones of the query"
    ),
    "mrr": _ranked("MRR", "1 / rank of the first relevant candidate"),
    "mrr@k": _ranked("MRR@{k}", "1 / rank of the first relevant candidate, 0 where none is {among}"),
    "mean_rank": Measure(
        "mean rank",
        "the rank of the first relevant candidate, its mean over queries",
        1.0,
        None,
        False,
        chance_rule=RANDOM_ORDER,
        others="MeanR",
    ),
    "median_rank": Measure(
        "median rank",
        "the rank of the first relevant candidate, its median over queries",
        1.0,
        None,
        False,
        chance_rule="about candidates x (1 - 2^(-1/relevant)) for a random order",
        others="MedR",
        over_queries="median",
    ),
    "ndcg@k": Measure(
        "nDCG@{k}",
        "the relevance of the candidates {among}, discounted by rank, over that of the best order",
        chance_rule=RANDOM_GAINS,
        others="ndcg_cut_{k} in trec_eval, NDCG@{k} in MTEB (linear gain)",
    ),
    "ndcg_exp@k": Measure(
        "nDCG@{k}, exponential gain",
        "2 to the power of the relevance, less 1, of the candidates {among}, discounted by rank, over that of the best "
        "order",
        chance_rule=RANDOM_GAINS,
        others="NDCG@{k} in work on learning to rank",
    ),
    "map": _ranked("MAP", "the precision at the rank of every relevant candidate, averaged over them"),
    "map@k": _ranked(
        "MAP@{k}",
        "the precision at the rank of each relevant candidate {among}, summed, over the number of relevant ones",
        "map_cut_{k} in trec_eval, MAP@{k} in MTEB",
    ),
    "capped_map@k": _ranked(
        "capped MAP@{k}",
        "the precision at the rank of each relevant candidate {among}, summed, over the most that there can be",
        "mAP@{k} in CIRCO",
    ),
    "map@r": _ranked(
        "MAP@R",
        "the precision at the rank of each relevant candidate among the first R, summed, over R, the number of "
        "relevant ones",
        "mAP@R in ECCV Caption",
    ),
    "judged@k": Measure(
        "judged@{k}",
        "the share of the results {among} that have a judgement; the rest counts as not relevant",
        higher_is_better=None,
        chance_rule="judged candidates over candidates",
        needs=("judgements", "partial judgements"),
    ),
    "pair_accuracy": Measure(
        "pair accuracy",
        "the share of pairs in which the positive scores above the candidate that differs in one respect only",
        chance=0.5,
        needs=("pairs",),
    ),
    "all_positives_accuracy": Measure(
        "all-positives accuracy",
        "the share of items whose every true text scores above every false one",
        chance_rule="1 / C(true + false, true), for two true texts and a false one 1/3",
        needs=("pairs",),
        others="image-to-text accuracy in SugarCrepe++",
    ),
    "all_grains_accuracy": Measure(
        "all-grains accuracy",
        "the share of queries with every pair right",
        chance_rule="1 / (1 + the query's pairs)",
        needs=("pairs", "grains"),
    ),
    "worst_grain_accuracy": Measure(
        "worst grain accuracy",
        "the lowest pair accuracy over the grain types",
        chance_rule="somewhat below 1/2: the lowest of several shares that are near it",
        needs=("pairs", "grains"),
    ),
    "margin": Measure(
        "margin",
        "the score of the positive less that of the candidate that differs in one grain, in standard deviations of the "
        "query's scores over the pool",
        None,
        None,
        chance=0.0,
        needs=("judgements", "pairs"),
    ),
    "candidate_score": Measure(
        "candidate score",
        "how often both queries prefer their own candidate",
        chance=0.25,
        needs=("quadruples",),
        others="image score in Winoground, for text to image",
    ),
    "query_score": Measure(
        "query score",
        "how often both candidates prefer their own query",
        chance=0.25,
        needs=("quadruples",),
        others="text score in Winoground, for text to image",
    ),
    "text_score": Measure(
        "text score", "how often both images prefer their own text", chance=0.25, needs=("quadruples",)
    ),
    "image_score": Measure(
        "image score", "how often both texts prefer their own image", chance=0.25, needs=("quadruples",)
    ),
    "group_score": Measure(
        "group score",
        "how often both queries prefer their own candidate and both candidates their own query",
        chance=1 / 6,
        needs=("quadruples",),
    ),
    "concordance": Measure(
        "concordance",
        "the share of pairs on a ladder that the scores put in the order of their grades",
        chance=0.5,
        needs=("ladder",),
    ),
    "kendall_tau": Measure(
        "Kendall tau-b", "the rank correlation of score and grade on a ladder", -1.0, chance=0.0, needs=("ladder",)
    ),
    "strict_chain": Measure(
        "strict chain",
        "the share of ladders that the scores put wholly in the order of their grades",
        chance_rule="the product of n_g! over N!, for a ladder of N members, n_g of them of grade g",
        needs=("ladder",),
    ),
    "ladder_ndcg": Measure(
        "ladder nDCG", "nDCG over grades, of a ladder alone", chance_rule=RANDOM_GAINS, needs=("ladder",)
    ),
    "phrasing_flips@k": Measure(
        "phrasing flips@{k}",
        "the share of queries whose hit {among} depends on the wording",
        higher_is_better=False,
        needs=("judgements", "paraphrased queries"),
    ),
    "worst_phrasing_hit_rate@k": Measure(
        "worst phrasing hit rate@{k}",
        "the hit rate@{k} under each query's worst wording",
        needs=("judgements", "paraphrased queries"),
    ),
    "hit_rate_slope@k": Measure(
        "hit rate slope@{k}",
        "the change of the hit rate@{k} for each further grain of a query",
        None,
        None,
        None,
        needs=("judgements", "grains"),
    ),
    "image_only_hit_rate@k": _half("image", "picture"),
    "text_only_hit_rate@k": _half("text", "text"),
    "solved_by_one_part": Measure(
        "solved by one part",
        "the share of queries whose answer comes first for the picture or the text of the query alone",
        higher_is_better=None,
        chance_rule="1 - (1 - 1/candidates)^solvers",
        needs=("judgements", "image and text queries"),
    ),
    "wrong_modality@k": Measure(
        "wrong modality@{k}",
        "the share of the results {among} that are of a modality that the task does not ask for",
        higher_is_better=False,
        chance_rule="the share of such candidates in the pool",
        needs=("a pool of several modalities",),
    ),
    "paraphrase_distance": _distance(
        "paraphrase distance", "the cosine distance of a query to its rewordings", None, "paraphrased queries"
    ),
    "unrelated_distance": _distance(
        "unrelated distance", "the cosine distance of queries that share no grain", None, "grains"
    ),
    "grain_distance": _distance(
        "grain distance",
        "the cosine distance of a query to the same query without the grain",
        True,
        "grains",
        "degrained queries",
    ),
    "blindness_rate": Measure(
        "blindness rate",
        "the share of dropped grains that move the embedding by less than 0.05",
        higher_is_better=False,
        needs=("grains", "degrained queries"),
    ),
    "grain_sensitivity": Measure(
        "grain sensitivity",
        "how far dropping a grain moves the embedding of the query: 0 is as far as another wording moves it, 1 as far "
        "as an unrelated query, below 0 less than another wording",
        None,
        None,
        needs=("grains", "degrained queries", "paraphrased queries"),
    ),
    "calibrated_blindness_rate": Measure(
        "calibrated blindness rate",
        "the share of dropped grains that move the embedding no more than another wording does",
        higher_is_better=False,
        needs=("grains", "degrained queries", "paraphrased queries"),
    ),
    "standardised_score": Measure(
        "standardised score",
        "the score of candidates by the number of grains that they lose, in standard deviations from the pool's mean",
        None,
        None,
        None,
        needs=("grains", "ladder"),
    ),
    "rank_change": Measure(
        "rank change",
        "the logarithm to base 2 of the positive's rank without the grain over its rank with it",
        None,
        None,
        chance=0.0,
        needs=("judgements", "grains", "degrained queries"),
    ),
    "unchanged_rate": Measure(
        "unchanged rate",
        "the share of dropped grains that leave the rank of the positive as it was",
        higher_is_better=False,
        needs=("judgements", "grains", "degrained queries"),
    ),
    "p_mrr": Measure(
        "p-MRR",
        "how far the old positive falls when the query asks for another value of the grain",
        -1.0,
        chance=0.0,
        needs=("judgements", "grains", "flipped queries"),
    ),
    "grain_coverage@k": Measure(
        "grain coverage@{k}",
        "the share of the results {among} that keep a grain of the query",
        chance_rule="the share of such candidates in the pool",
        needs=("grains",),
    ),
    "negatives_above": Measure(
        "negatives above",
        "the share of a ladder's negatives that score above its positive",
        higher_is_better=False,
        chance=0.5,
        needs=("ladder",),
    ),
    "negatives_in_top@k": Measure(
        "negatives in top {k}",
        "the share of a ladder's negatives {among}",
        higher_is_better=False,
        chance_rule="{k} / candidates",
        needs=("ladder",),
    ),
    "one_off_in_top@k": Measure(
        "one-off in top {k}",
        "the share of queries with a candidate {among} that loses one grain",
        higher_is_better=False,
        chance_rule="1 - C(candidates - n, {k}) / C(candidates, {k}), for n such candidates of the query",
        needs=("ladder",),
    ),
}

STANDARD = (
    *(f"{family}@{k}" for family in ("hit_rate", "recall") for k in (1, 5, 10)),
    "mrr",
    "ndcg@10",
    "map",
    "pair_accuracy",
    "all_grains_accuracy",
    "worst_grain_accuracy",
    "margin",
    "candidate_score",
    "query_score",
    "group_score",
    "grain_distance",
    "blindness_rate",
    "grain_sensitivity",
    "calibrated_blindness_rate",
    "paraphrase_distance",
    "unrelated_distance",
    "concordance",
    "kendall_tau",
    "strict_chain",
    "ladder_ndcg",
    "standardised_score",
    "rank_change",
    "unchanged_rate",
    "p_mrr",
    "grain_coverage@10",
    "phrasing_flips@5",
    "worst_phrasing_hit_rate@5",
    "hit_rate_slope@5",
    "negatives_above",
    "negatives_in_top@10",
    "one_off_in_top@10",
    "image_only_hit_rate@1",
    "text_only_hit_rate@1",
    "image_only_hit_rate@5",
    "text_only_hit_rate@5",
    "solved_by_one_part",
    "wrong_modality@10",
)
"""Names of the scores of a suite with grains, in the order of a result file."""
