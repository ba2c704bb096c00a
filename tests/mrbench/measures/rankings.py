"""From plain score matrices and runs to the tie groups that the measures take, the slow way."""

from __future__ import annotations

import numpy as np

from mrbench.measures import Gain, GainGroups, TieGroups, gain_of, ideal_dcg, ideal_dcg_listed

Run = dict[str, dict[str, float]]
Qrels = dict[str, dict[str, int]]


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


def judged_rows(run: Run, qrels: Qrels) -> np.ndarray:
    """Query, number above, number equal, relevance of every judged candidate, shape (4, judgements).

    What was judged and not retrieved stands below the list, all in one group.
    """
    rows = []
    for number, (query, judgements) in enumerate(qrels.items()):
        scores = dict.fromkeys(judgements, -np.inf) | run[query]
        values = np.array(list(scores.values()))
        rows += [(number, (values > scores[c]).sum(), (values == scores[c]).sum(), r) for c, r in judgements.items()]
    return np.array(rows).T


def groups_of_run(run: Run, qrels: Qrels) -> TieGroups:
    query, above, equal, relevance = judged_rows(run, qrels)
    kept = relevance > 0
    return TieGroups.from_relevant(query[kept], above[kept], equal[kept], len(qrels))


def gains_of_run(run: Run, qrels: Qrels, k: int, gain: Gain = "linear") -> tuple[GainGroups, np.ndarray]:
    """The groups and the ideal of nDCG."""
    query, above, equal, relevance = judged_rows(run, qrels)
    groups = GainGroups.from_listed(query, above, equal, gain_of(relevance, gain), len(qrels))
    return groups, ideal_dcg_listed(query, relevance, len(qrels), k, gain)
