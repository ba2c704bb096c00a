"""Which measures a task of partial judgements supports, and what the others lack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Holds:
    """What a task has.

    Attributes:
        relevant: Some candidate is relevant.
        graded: Some relevance is above 1.
        kinds: Some judgement says what a candidate violates.
        ladders: There are ladders.
        variants: The kinds of variants that there are.
        parts: Queries have an image and a text.
        several: The pool has candidates of several modalities.
        groups: Two queries of this task share a cluster with two of another, two texts and two images.
    """

    relevant: bool = False
    graded: bool = False
    kinds: bool = False
    ladders: bool = False
    variants: frozenset[str] = frozenset()
    parts: bool = False
    several: bool = False
    groups: bool = False


@dataclass(frozen=True, slots=True)
class Support:
    """Measures that a task supports, and the reason by name for the others."""

    supported: tuple[str, ...]
    lacking: Mapping[str, str]


def support(holds: Holds) -> Support:
    """Return which measures can be computed.

    >>> support(Holds(relevant=True)).supported[0], support(Holds(relevant=True)).lacking["pair_accuracy"]
    ('hit_rate@k', 'no judgement says what a candidate violates')
    """
    rules: tuple[tuple[tuple[str, ...], bool, str], ...] = (
        (
            *(("hit_rate@k", "recall@k", "mrr", "map", "r_precision", "ndcg@k", "judged@k"), holds.relevant),
            "no candidate is relevant",
        ),
        (("ndcg_exp@k",), holds.graded, "relevance is not graded: the same as ndcg@k"),
        (("pair_accuracy",), holds.kinds, "no judgement says what a candidate violates"),
        (("concordance", "kendall_tau", "strict_chain", "ladder_ndcg"), holds.ladders, "no ladders"),
        (("blindness_rate", "rank_change"), "degrained" in holds.variants, "no queries without one of their grains"),
        (
            *(("grain_sensitivity",), {"degrained", "paraphrased"} <= holds.variants),
            "no queries without one of their grains, or none in other words",
        ),
        (("phrasing_flips@k",), "paraphrased" in holds.variants, "no queries in other words"),
        (("p_mrr",), "flipped" in holds.variants, "no queries with another value of a grain"),
        (
            *(("query_score", "candidate_score", "group_score"), holds.groups or "flipped" in holds.variants),
            "no groups of two queries and two candidates",
        ),
        (("solved_by_one_part",), holds.parts, "queries are not of an image and a text"),
        (("wrong_modality@k",), holds.several, "all candidates are of one modality"),
    )
    supported = tuple(name for names, has, _ in rules if has for name in names)
    return Support(supported, {name: why for names, has, why in rules if not has for name in names})
