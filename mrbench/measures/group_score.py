"""Scores on quadruples of two queries and two candidates that differ in one grain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mrbench.arrays import Floats
from mrbench.measures.grain_distance import ByGrain, mean_by_grain


@dataclass(frozen=True, slots=True)
class Quadruples:
    """Scores of a query and of the query with one grain flipped, arrays of shape ``(num_quadruples,)``.

    Attributes:
        grain: The type that was flipped.
        own_own: Score of the query with its positive.
        own_other: Score of the query with the candidate that has the flipped grain.
        other_own: Score of the flipped query with the positive of the first.
        other_other: Score of the flipped query with the candidate that it asks for.
    """

    grain: np.ndarray[Any, Any]
    own_own: Floats
    own_other: Floats
    other_own: Floats
    other_other: Floats


def candidate_score(quads: Quadruples) -> ByGrain:
    """Return how often both queries prefer their own candidate, by grain type: 0 to 1, higher is better; ties fail.

    For text → image this is Winoground's image score (arXiv 2204.03162, equation 2). A model that guesses gets 1/4.

    >>> quads = Quadruples(np.array(["count"]), *map(np.array, ([2.0], [1.0], [1.5], [1.8])))
    >>> candidate_score(quads), query_score(quads), group_score(quads)
    ({'count': (1.0, 1)}, {'count': (1.0, 1)}, {'count': (1.0, 1)})
    """
    return mean_by_grain(quads.grain, _candidates(quads))


def query_score(quads: Quadruples) -> ByGrain:
    """Return how often both candidates prefer their own query, by grain type: 0 to 1, higher is better; ties fail.

    For text → image this is Winoground's text score (arXiv 2204.03162, equation 1). A model that guesses gets 1/4.
    """
    return mean_by_grain(quads.grain, _queries(quads))


def group_score(quads: Quadruples) -> ByGrain:
    """Return how often both hold, by grain type: 0 to 1, higher is better; ties fail.

    Source: Winoground, arXiv 2204.03162, equation 3. A model that guesses gets 1/6.
    """
    return mean_by_grain(quads.grain, _candidates(quads) * _queries(quads))


def _candidates(q: Quadruples) -> Floats:
    return ((q.own_own > q.own_other) & (q.other_other > q.other_own)).astype(np.float64)


def _queries(q: Quadruples) -> Floats:
    return ((q.own_own > q.other_own) & (q.other_other > q.own_other)).astype(np.float64)
