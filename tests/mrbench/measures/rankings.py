"""From plain score matrices to the tie groups that the measures take, the slow way."""

from __future__ import annotations

import numpy as np

from mrbench.measures import GainGroups, TieGroups, ideal_dcg


def tie_groups(scores: np.ndarray, relevant: np.ndarray) -> TieGroups:
    """Scores and relevance of shape (queries, candidates)."""
    query, candidate = np.nonzero(relevant)
    mine = scores[query, candidate][:, None]
    above = (scores[query] > mine).sum(axis=1)
    equal = (scores[query] == mine).sum(axis=1)
    return TieGroups.from_relevant(query, above, equal, len(scores))


def gain_groups(scores: np.ndarray, grades: np.ndarray) -> GainGroups:
    rows = [
        (query, (row > value).sum(), (row == value).sum(), grades[query][row == value].sum())
        for query, row in enumerate(scores)
        for value in np.unique(row)
    ]
    return GainGroups(*np.array(rows).T, num_queries=len(scores))


def ideal(grades: np.ndarray, k: int) -> np.ndarray:
    counts = np.array([np.bincount(row, minlength=grades.max() + 1) for row in grades])
    return ideal_dcg(counts, k)
