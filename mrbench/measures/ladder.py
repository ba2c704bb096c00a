"""Measures of whether the scores of a ladder follow its grades."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mrbench.arrays import Floats, Ints
from mrbench.errors import ResultError
from mrbench.measures.grain_distance import ByGrain, mean_by_grain
from mrbench.measures.ndcg import GainGroups, ideal_dcg, ndcg
from mrbench.measures.pairs import standardised

Flags = np.ndarray[Any, np.dtype[np.bool_]]
_BLOCK = 256
"""Queries compared at once: every pair of a ladder takes memory."""


@dataclass(frozen=True, slots=True)
class Ladders:
    """The candidates of every query's ladder as matrices of shape ``(num_queries, most members)``.

    Attributes:
        score: Scores.
        grade: Number of the query's grains kept.
        member: Whether this entry is a member; shorter ladders are padded.
    """

    score: Floats
    grade: Ints
    member: Flags

    @classmethod
    def from_rows(cls, query: Ints, score: Floats, grade: Ints, num_queries: int) -> Ladders:
        """Return the ladders of rows in any order.

        Raises:
            ResultError: A query has no row.
        """
        counts = np.bincount(query, minlength=num_queries)
        if not counts.all():
            raise ResultError("a query has no ladder", where=f"query {int(np.argmin(counts))}")
        order = np.argsort(query, kind="stable")
        slot = np.arange(len(query)) - np.repeat(np.cumsum(counts) - counts, counts)
        shape = (num_queries, int(counts.max()))
        scores, grades, member = np.zeros(shape), np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=bool)
        at = (query[order], slot)
        scores[at], grades[at], member[at] = score[order], grade[order], True
        return cls(scores, grades, member)


def concordance(ladders: Ladders) -> Floats:
    """Return the share of pairs of different grade that the scores order correctly, by query; a tie counts half.

    Shape ``(num_queries,)``, 0 to 1, higher is better; 1/2 for random scores. NaN for a ladder with a single grade.

    >>> ladder = Ladders.from_rows(np.zeros(3, int), np.array([0.9, 0.5, 0.7]), np.array([2, 1, 0]), 1)
    >>> concordance(ladder).round(3), kendall_tau(ladder).round(3), strict_chain(ladder)
    (array([0.667]), array([0.333]), array([0.]))
    """
    right, wrong, tied, _, _ = _pairs(ladders)
    total = right + wrong + tied
    return _ratio(right + tied / 2, total)


def kendall_tau(ladders: Ladders) -> Floats:
    """Return Kendall's tau-b of score and grade, by query.

    Shape ``(num_queries,)``, -1 to 1, higher is better. NaN where all grades or all scores are the same: there is no
    order to compare.

    Source: Kendall, The treatment of ties in ranking problems, Biometrika 1945.
    """
    right, wrong, _, score_differs, grade_differs = _pairs(ladders)
    below = np.sqrt(score_differs * grade_differs)
    return _ratio(right - wrong, below)


def strict_chain(ladders: Ladders) -> Floats:
    """Return 1 for each query whose candidates all score strictly above every candidate of lower grade, else 0.

    Shape ``(num_queries,)``. NaN for a ladder of one grade.
    """
    _, wrong, tied, _, grade_differs = _pairs(ladders)
    return np.where(grade_differs > 0, (wrong + tied == 0).astype(np.float64), np.nan)


def ladder_ndcg(ladders: Ladders) -> Floats:
    """Return the nDCG over grades of the ladder alone, all its places, by query: 0 to 1, higher is better.

    As :func:`mrbench.measures.ndcg`, expected over ties. NaN where no member keeps a grain.
    """
    rows: list[tuple[int, int, int, int]] = []
    most = int(ladders.grade.max(initial=0))
    counts = np.zeros((len(ladders.score), most + 1), dtype=np.int64)
    for query, (score, grade, member) in enumerate(zip(ladders.score, ladders.grade, ladders.member, strict=True)):
        counts[query] = np.bincount(grade[member], minlength=most + 1)
        _, group, size = np.unique(-score[member], return_inverse=True, return_counts=True)
        gain = np.bincount(group, weights=grade[member]).astype(np.int64)
        rows += zip([query] * len(size), (np.cumsum(size) - size).tolist(), size.tolist(), gain.tolist(), strict=True)
    slots = ladders.score.shape[1]
    ideal = ideal_dcg(counts, slots)
    table = np.array(rows, dtype=np.int64).T
    values = ndcg(
        GainGroups(table[0], table[1], table[2], table[3], len(counts)), np.where(ideal > 0, ideal, 1.0), slots
    )
    return np.where(ideal > 0, values, np.nan)


def grade_curve(lost: np.ndarray[Any, Any], score: Floats, mean: Floats, deviation: Floats) -> ByGrain:
    """Return the mean standardised score of candidates by the number of grains that they lose.

    ``(score - mean) / deviation``, with mean and standard deviation of the query's scores over the pool: any real
    number. For a model that uses all grains it falls from step to step. Queries whose scores are all equal are left
    out.

    Args:
        lost: Number of the query's grains that each candidate loses, as text, shape ``(num_candidates,)``.
        score: Its score.
        mean: Mean score of its query over the pool.
        deviation: Standard deviation of the scores of its query over the pool.

    Returns:
        ``{grains lost: (value, number of candidates)}``.

    Raises:
        ResultError: No candidate, or none left.

    >>> grade_curve(np.array(["0", "1"]), np.array([0.75, 0.5]), np.full(2, 0.25), np.full(2, 0.25))
    {'0': (2.0, 1), '1': (1.0, 1)}
    """
    return mean_by_grain(*standardised(lost, score - mean, deviation))


def _ratio(above: Floats, below: Floats) -> Floats:
    ratio: Floats = np.divide(above, below, out=np.full(len(below), np.nan), where=below > 0)
    return ratio


def _pairs(ladders: Ladders) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Return by query the numbers of pairs ordered right, ordered wrong, tied, of other score, of other grade."""
    counts = [np.zeros((0, 5))]
    for start in range(0, len(ladders.score), _BLOCK):
        rows = slice(start, start + _BLOCK)
        score, grade, member = ladders.score[rows], ladders.grade[rows], ladders.member[rows]
        both = np.triu(member[:, :, None] & member[:, None, :], 1)
        by_score = np.sign(score[:, :, None] - score[:, None, :]).astype(np.int8)
        by_grade = np.sign(grade[:, :, None] - grade[:, None, :]).astype(np.int8)
        agrees = by_score * by_grade
        kinds = (agrees > 0, agrees < 0, (by_score == 0) & (by_grade != 0), by_score != 0, by_grade != 0)
        counts.append(np.stack([(kind & both).sum(axis=(1, 2)) for kind in kinds], axis=1).astype(np.float64))
    right, wrong, tied, score_differs, grade_differs = np.concatenate(counts).T
    return right, wrong, tied, score_differs, grade_differs
