"""Every score that a result may hold: its name, its range, which way is better, and what chance gives."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure as results name it.

    Attributes:
        title: For people.
        meaning: What a value says, in a phrase.
        low: Lowest value, or None.
        high: Highest value, or None.
        higher_is_better: False: lower is better; None: neither.
        chance: What a model that guesses gets, or None where that depends on the pool or is not defined.
    """

    title: str
    meaning: str
    low: float | None = 0.0
    high: float | None = 1.0
    higher_is_better: bool | None = True
    chance: float | None = None


CATALOGUE: dict[str, Measure] = {
    **{
        f"hit_rate@{k}": Measure(f"hit rate@{k}", f"queries with a relevant candidate in the first {k}")
        for k in (1, 5, 10)
    },
    **{f"recall@{k}": Measure(f"recall@{k}", f"share of the relevant in the first {k}") for k in (1, 5, 10)},
    "mrr": Measure("MRR", "1 / rank of the first relevant candidate"),
    "ndcg@10": Measure("nDCG@10", "grades of the first 10, discounted by rank"),
    "map": Measure("MAP", "precision at every relevant candidate"),
    "pair_accuracy": Measure(
        "pair accuracy", "positive above the candidate that differs only in this grain", chance=0.5
    ),
    "all_grains_accuracy": Measure("all-grains accuracy", "queries with every pair right"),
    "worst_grain_accuracy": Measure("worst grain", "lowest pair accuracy over the grain types", chance=0.5),
    "margin": Measure(
        "margin", "score of the positive over the one-off, in deviations of the pool", None, None, True, 0.0
    ),
    "candidate_score": Measure("candidate score", "both queries prefer their own candidate", chance=0.25),
    "query_score": Measure("query score", "both candidates prefer their own query", chance=0.25),
    "group_score": Measure("group score", "both", chance=1 / 6),
    "grain_distance": Measure("grain distance", "cosine distance of a query to itself without the grain", 0.0, 2.001),
    "blindness_rate": Measure("blindness rate", "probes with a grain distance below 0.05", 0.0, 1.0, False),
    "grain_sensitivity": Measure(
        "grain sensitivity", "0: dropping moves as little as rewording, 1: as an unrelated query", None, None
    ),
    "calibrated_blindness_rate": Measure(
        "calibrated blindness", "probes that move no more than a rewording", 0.0, 1.0, False
    ),
    "paraphrase_distance": Measure(
        "paraphrase distance", "cosine distance of a query to its rewordings", 0.0, 2.001, None
    ),
    "unrelated_distance": Measure(
        "unrelated distance", "cosine distance of queries that share no grain", 0.0, 2.001, None
    ),
    "concordance": Measure("concordance", "pairs of the ladder in the order of their grades", chance=0.5),
    "kendall_tau": Measure("Kendall tau-b", "rank correlation of score and grade on the ladder", -1.0, 1.0, True, 0.0),
    "strict_chain": Measure("strict chain", "ladders wholly in the order of their grades"),
    "ladder_ndcg": Measure("ladder nDCG", "nDCG over grades of the ladder alone"),
    "standardised_score": Measure(
        "standardised score", "score in deviations from the pool's mean, by grains lost", None, None, None
    ),
    "rank_change": Measure("rank change", "log2 of rank without the grain over rank with it", None, None, True, 0.0),
    "unchanged_rate": Measure("unchanged rate", "dropping the grain leaves the rank as it was", 0.0, 1.0, False),
    "p_mrr": Measure("p-MRR", "fall of the old positive when the grain is flipped", -1.0, 1.0, True, 0.0),
    "grain_coverage@10": Measure("grain coverage@10", "first 10 results that keep the grain"),
    "phrasing_flips@5": Measure("phrasing flips@5", "queries whose hit depends on the wording", 0.0, 1.0, False),
    "worst_phrasing_hit_rate@5": Measure("worst phrasing@5", "hit rate under each query's worst wording"),
    "hit_rate_slope@5": Measure("slope@5", "change of hit rate@5 per further grain", None, None, None),
    "negatives_above": Measure("negatives above", "ladder negatives that beat the positive", 0.0, 1.0, False, 0.5),
    "negatives_in_top@10": Measure("negatives in top 10", "ladder negatives among the first 10", 0.0, 1.0, False),
    "one_off_in_top@10": Measure(
        "one-off in top 10", "queries with a candidate among the first 10 that loses one grain", 0.0, 1.0, False
    ),
    "image_only_hit_rate@1": Measure("image only@1", "hit rate@1 with the picture of the query alone", 0.0, 1.0, None),
    "text_only_hit_rate@1": Measure("text only@1", "hit rate@1 with the text of the query alone", 0.0, 1.0, None),
    "image_only_hit_rate@5": Measure("image only@5", "hit rate@5 with the picture of the query alone", 0.0, 1.0, None),
    "text_only_hit_rate@5": Measure("text only@5", "hit rate@5 with the text of the query alone", 0.0, 1.0, None),
    "solved_by_one_part": Measure(
        "solved by one part", "queries that picture or text alone puts first", 0.0, 1.0, None
    ),
    "wrong_modality@10": Measure(
        "wrong modality@10", "first 10 results of a modality that the task does not ask for", 0.0, 1.0, False
    ),
}
