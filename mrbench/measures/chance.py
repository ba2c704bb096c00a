"""Rank measures by name, and their values for a random order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mrbench.arrays import Floats, Ints
from mrbench.errors import ResultError
from mrbench.measures.average_precision import average_precision, average_precision_at_r, capped_average_precision
from mrbench.measures.catalogue import declared, parse_name
from mrbench.measures.hit_rate import hit_rate
from mrbench.measures.ndcg import Gain, GainGroups, gain_of, ideal_dcg, ndcg
from mrbench.measures.precision import precision, r_precision
from mrbench.measures.recall import capped_recall, recall
from mrbench.measures.reciprocal_rank import first_rank, reciprocal_rank
from mrbench.measures.ties import TieGroups
from mrbench.records import Task

RankMeasure = Callable[[TieGroups], Floats]
"""A function from tie groups to one value per query, shape ``(num_queries,)``."""

_WITHOUT_K: dict[str, RankMeasure] = {
    "mrr": reciprocal_rank,
    "map": average_precision,
    "map@r": average_precision_at_r,
    "r_precision": r_precision,
    "mean_rank": first_rank,
    "median_rank": first_rank,
}
_AT_K: dict[str, Callable[[TieGroups, int], Floats]] = {
    "hit_rate": hit_rate,
    "recall": recall,
    "capped_recall": capped_recall,
    "precision": precision,
    "mrr": reciprocal_rank,
    "map": average_precision,
    "capped_map": capped_average_precision,
}


def rank_measure(name: str) -> RankMeasure:
    """Return the function behind the name of a rank measure over binary relevance, any k.

    ``mrr``, ``map``, ``map@r``, ``r_precision``, ``mean_rank``, ``median_rank`` (the last two: the rank of the first
    relevant candidate, whose mean or median over queries is the score), and ``hit_rate@k``, ``recall@k``,
    ``capped_recall@k``, ``precision@k``, ``mrr@k``, ``map@k``, ``capped_map@k``.

    Raises:
        ResultError: The measure is unknown, or needs more than tie groups, like nDCG.

    >>> one_of_four_tied = TieGroups(np.array([0]), np.array([0]), np.array([4]), np.array([1]), 1)
    >>> rank_measure("hit_rate@2")(one_of_four_tied)
    array([0.5])
    """
    declared(name)  # the error for an unknown name lists similar names
    if name in _WITHOUT_K:
        return _WITHOUT_K[name]
    family, k = parse_name(name)
    if k is None or family not in _AT_K:
        accepted = ", ".join([*_WITHOUT_K, *(f"{known}@k" for known in _AT_K)])
        raise ResultError("not a rank measure over binary relevance", got=name, accepted=accepted)
    at_k, cutoff = _AT_K[family], k
    return lambda groups: at_k(groups, cutoff)


def refused_names(task: Task) -> list[ResultError]:
    """Return why names in a task's ``measures`` and ``main`` cannot be computed; empty where all can.

    ``measures`` takes rank measures and nDCG at a cutoff; ``main`` takes any measure that is declared.

    >>> task = Task("find", "Find", "text", "image", measures=("hit_rate@0", "ndcg@10"))
    >>> [str(error).split(";")[0] for error in refused_names(task)]
    ['unknown measure']
    """
    refused = []
    for name, find in [*((name, _any_rank_measure) for name in task.measures), (task.main, declared)]:
        try:
            find(name)
        except ResultError as error:
            refused.append(error)
    return refused


def _any_rank_measure(name: str) -> object:
    family, k = parse_name(name)
    return declared(name) if k and family in ("ndcg", "ndcg_exp") else rank_measure(name)


def chance(measure: str | RankMeasure, relevant: Ints, pool: int | Ints) -> Floats:
    """Return the exact expected value of a rank measure for a random order of the pool, by query.

    In a random order all candidates could as well have the same score. So the measure is computed on one tie group with
    the whole pool. The control ``random`` must come near its mean over queries, and ``constant`` must have it exactly.

    Args:
        measure: A name that :func:`rank_measure` knows, or a function over tie groups.
        relevant: Number of relevant candidates of each query, shape ``(num_queries,)``, 1 to ``pool``.
        pool: Number of candidates of each query, shape ``(num_queries,)``, or one number for all.

    Returns:
        Shape ``(num_queries,)``, in the range of the measure. Take the mean over queries. (For ``median_rank`` that is
        no chance level: the median of a random model's ranks is not the median of its expected ranks.)

    Raises:
        ResultError: The measure is unknown, or a query has no relevant candidate or more than its pool has.

    >>> chance("hit_rate@5", np.array([1, 2]), 10), chance("mrr", np.array([1]), 2)
    (array([0.5       , 0.77777778]), array([0.75]))
    """
    number = len(relevant)
    size = np.broadcast_to(np.asarray(pool, dtype=np.int64), (number,))
    wrong = (relevant < 1) | (relevant > size)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise ResultError(
            "a query has no chance level",
            where=f"query {at}",
            got=f"{int(relevant[at])} relevant of {int(size[at])}",
            accepted="1 relevant candidate or more, no more than the pool",
        )
    function = rank_measure(measure) if isinstance(measure, str) else measure
    return function(TieGroups(np.arange(number), np.zeros(number, dtype=np.int64), size, relevant, number))


def chance_ndcg(counts: Ints, k: int, gain: Gain = "linear") -> Floats:
    """Return the exact expected nDCG at k of a random order of the pool, by query.

    Args:
        counts: How many candidates of the pool have each relevance, shape ``(num_queries, highest relevance + 1)``;
            what is not judged counts as 0.
        k: Number of first results, 1 or more.
        gain: Gain of a relevance, see :func:`mrbench.measures.gain_of`.

    Returns:
        Shape ``(num_queries,)``, 0 to 1.

    Raises:
        ResultError: A query has no relevant candidate, the cutoff is below 1, or the gain is not known.

    >>> chance_ndcg(np.array([[1, 1]]), 2).round(4)
    array([0.8155])
    """
    number = len(counts)
    zero = np.zeros(number, dtype=np.int64)
    summed = counts @ gain_of(np.arange(counts.shape[1]), gain)
    groups = GainGroups(np.arange(number), zero, counts.sum(axis=1), summed, number)
    return ndcg(groups, ideal_dcg(counts, k, gain), k)
