"""Measures over ranked lists that are cut, with judgements of a few candidates, as trec_eval and MTEB have them.

For runs that keep no more than the best of each query. Candidates that nobody judged count as not relevant; what was
not retrieved counts as lost. The order of the list decides, so a tie is decided too: the measures over tie groups
(:mod:`mrbench.measures.ties`) are the ones to prefer where the whole pool was scored.

Only judged candidates that were retrieved enter the sums, so the cost does not grow with the number of measures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from mrbench.arrays import Floats, Ints
from mrbench.errors import ResultError
from mrbench.measures.ties import check_cutoff

_SLOTS = 1 << 16


@dataclass(frozen=True, slots=True)
class Judged:
    """Judgements as flat arrays of shape ``(num_judgements,)``, sorted by query.

    Attributes:
        query: Index of the query, 0 to ``num_queries - 1``.
        candidate: Row of the candidate, 0 or more.
        grade: 0 to ``2**31 - 1``; relevant above 0.
        num_queries: Number of queries; each has a relevant candidate.
    """

    query: Ints
    candidate: Ints
    grade: Ints
    num_queries: int

    def __post_init__(self) -> None:
        arrays = (self.query, self.candidate, self.grade)
        if any(array.shape != (len(self.query),) or array.dtype.kind not in "iu" for array in arrays):
            raise ResultError("malformed judgements", accepted="three arrays of integers, of one length")
        if any(array.size and array.min() < 0 for array in arrays) or self.grade.max(initial=0) >= 1 << 31:
            raise ResultError("malformed judgements", accepted=f"numbers of 0 or more, grades below {1 << 31}")
        if (self.query[1:] < self.query[:-1]).any() or self.query.max(initial=0) >= max(1, self.num_queries):
            raise ResultError("malformed judgements", accepted=f"sorted by query, 0 to {self.num_queries - 1}")
        order = np.lexsort((self.candidate, self.query))
        query, candidate = self.query[order], self.candidate[order]
        if ((query[1:] == query[:-1]) & (candidate[1:] == candidate[:-1])).any():
            raise ResultError("a candidate is judged twice", accepted="one judgement of a query and a candidate")
        if not np.array_equal(np.unique(self.query[self.grade > 0]), np.arange(self.num_queries)):
            raise ResultError("a query has no relevant candidate", accepted="one or more for every query")


@dataclass(frozen=True, slots=True)
class Hits:
    """The relevant candidates that were retrieved, as flat arrays sorted by query and rank.

    Attributes:
        query: Index of the query.
        rank: 1 is best.
        grade: 1 or more.
        depth: How many candidates of each query were kept; None where these were all there are.
    """

    query: Ints
    rank: Ints
    grade: Ints
    depth: int | None


def find_hits(rows: Ints, judged: Judged, num_candidates: int) -> Hits:
    """Look the retrieved candidates up in the judgements.

    Args:
        rows: Candidates by rank, no one twice, shape ``(num_queries, depth)``; -1 where nothing was found.
        judged: The judgements.
        num_candidates: Size of the pool.

    Raises:
        ResultError: Another shape, a candidate beyond the pool, or a relevant one that a query has twice.

    >>> hits = find_hits(np.array([[4, 2, 0]]), Judged(np.array([0]), np.array([2]), np.array([3]), 1), 5)
    >>> hits.rank, hits.grade
    (array([2]), array([3]))
    """
    if rows.ndim != 2 or rows.dtype.kind not in "iu" or len(rows) != judged.num_queries:
        raise ResultError(
            "malformed rankings",
            got=(str(rows.dtype), *rows.shape),
            accepted=f"integers, ({judged.num_queries}, depth)",
        )
    lowest, highest = int(rows.min(initial=0)), int(rows.max(initial=0))
    most = max(highest, int(judged.candidate.max(initial=0)))
    if lowest < -1 or most >= num_candidates:
        bad = lowest if lowest < -1 else most
        raise ResultError("a candidate is not in the pool", got=bad, accepted=f"0 to {num_candidates - 1}, or -1")
    query, place = np.nonzero(_maybe_judged(rows, judged))
    candidate = rows[query, place].astype(np.int64)
    pair, judged_pair = query * num_candidates + candidate, judged.query.astype(np.int64) * num_candidates
    judged_pair += judged.candidate.astype(np.int64)
    order = np.argsort(judged_pair)
    at = order[np.searchsorted(judged_pair, pair, sorter=order).clip(max=len(order) - 1)]
    kept = (candidate >= 0) & (judged_pair[at] == pair) & (judged.grade[at] > 0)
    query, place, pair, at = query[kept], place[kept], np.sort(pair[kept]), at[kept]
    if (pair[1:] == pair[:-1]).any():
        twice = int(pair[:-1][pair[1:] == pair[:-1]][0]) // num_candidates
        raise ResultError("a candidate is ranked twice", where=f"query {twice}", accepted="each candidate once")
    whole = rows.shape[1] == num_candidates and lowest >= 0
    return Hits(query, place + 1, judged.grade[at].astype(np.int64), None if whole else rows.shape[1])


def _maybe_judged(rows: Ints, judged: Judged) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Mark what may be judged for its query: all that is, and by the way of equal low bits a few more.

    A table of fixed size stays in the cache and does not grow with the pool.
    """
    marks, marked = np.empty(rows.shape, dtype=np.bool_), np.zeros(_SLOTS, dtype=np.bool_)
    slots, low = np.empty(rows.shape[1], dtype=np.int64), np.int64(_SLOTS - 1)
    judged_slots = judged.candidate.astype(np.int64) & low
    bounds = np.searchsorted(judged.query, np.arange(judged.num_queries + 1)).tolist()
    for number, (start, stop) in enumerate(pairwise(bounds)):
        known = judged_slots[start:stop]
        marked[known] = True
        np.bitwise_and(rows[number], low, out=slots, dtype=np.int64, casting="unsafe")
        np.take(marked, slots, out=marks[number], mode="clip")
        marked[known] = False
    return marks


def ranked_measures(hits: Hits, judged: Judged, cutoffs: Sequence[int]) -> dict[str, Floats]:
    """Compute every measure at every cutoff.

    ``ndcg@k`` (gain is the grade, discount ``1 / log2(rank + 1)``, over the best order of all judged), ``map@k``
    (precision at the ranks of the relevant up to k, over the number of relevant), ``recall@k``, ``precision@k``,
    ``hit_rate@k`` (is one relevant among the first k) and ``mrr@k``.

    Args:
        hits: What was retrieved.
        judged: What could have been.
        cutoffs: Numbers of places, 1 to the depth that was kept; any where the whole pool was.

    Returns:
        By name, shape ``(num_queries,)``, 0 to 1, higher is better.

    Raises:
        ResultError: A cutoff is below 1, or beyond what was kept: the rest is unknown, not lost.

    Source: trec_eval's ndcg_cut, map_cut, recall, P, success; MTEB's MRR.

    >>> judged = Judged(np.array([0, 0]), np.array([7, 9]), np.array([1, 1]), 1)
    >>> values = ranked_measures(Hits(np.array([0]), np.array([2]), np.array([1]), 10), judged, [10])
    >>> {name: round(float(value[0]), 4) for name, value in values.items()}  # doctest: +NORMALIZE_WHITESPACE
    {'ndcg@10': 0.3869, 'map@10': 0.25, 'recall@10': 0.5, 'precision@10': 0.1, 'hit_rate@10': 1.0, 'mrr@10': 0.5}
    """
    number = judged.num_queries
    for k in cutoffs:
        check_cutoff(k)
        if hits.depth is not None and k > hits.depth:
            raise ResultError("a cutoff is beyond the depth that was kept", got=k, accepted=f"1 to {hits.depth}")
    nth = _place(hits.query)
    best = np.lexsort((-judged.grade, judged.query))
    ideal, place = judged.grade[best] / np.log2(_place(judged.query) + 1), _place(judged.query)
    total = np.bincount(judged.query, weights=judged.grade > 0, minlength=number)
    gain, precision, reciprocal = hits.grade / np.log2(hits.rank + 1), nth / hits.rank, (nth == 1) / hits.rank
    values: dict[str, Floats] = {}
    for k in cutoffs:
        inside = hits.rank <= k

        def summed(weights: Floats, inside: np.ndarray[tuple[int], np.dtype[np.bool_]] = inside) -> Floats:
            return np.bincount(hits.query[inside], weights=weights[inside], minlength=number).astype(np.float64)

        count = summed(np.ones(len(nth)))
        values[f"ndcg@{k}"] = summed(gain) / np.bincount(
            judged.query[place <= k], weights=ideal[place <= k], minlength=number
        )
        values[f"map@{k}"] = summed(precision) / total
        values[f"recall@{k}"] = count / total
        values[f"precision@{k}"] = count / k
        values[f"hit_rate@{k}"] = (count > 0).astype(np.float64)
        values[f"mrr@{k}"] = summed(reciprocal)
    return values


def _place(query: Ints) -> Ints:
    """Return 1, 2, ... for the entries of each query, which are sorted."""
    first = np.flatnonzero(np.append(True, query[1:] != query[:-1])[: len(query)])
    places: Ints = np.arange(1, len(query) + 1) - np.repeat(first, np.diff(np.append(first, len(query))))
    return places
