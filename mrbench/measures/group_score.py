"""Scores on quadruples of two queries and two candidates that differ in one grain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mrbench.arrays import Floats
from mrbench.errors import ResultError
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

    @classmethod
    def from_matrices(cls, kind: np.ndarray[Any, Any], scores: Floats) -> Quadruples:
        """Take items of two texts and two images, text 0 belonging to image 0 and text 1 to image 1.

        The texts become the queries: :func:`query_score` is then Winoground's text score, :func:`candidate_score` its
        image score. For the value of each item see :func:`winoground`.

        Args:
            kind: Kind of each item, shape ``(num_items,)``.
            scores: ``scores[item, text, image]``, shape ``(num_items, 2, 2)``.

        Raises:
            ResultError: Another shape, or a score that is not a number.
        """
        _check(scores)
        if kind.shape != scores.shape[:1]:
            raise ResultError("kinds and items differ in number", got=kind.shape, accepted=scores.shape[:1])
        return cls(kind, scores[:, 0, 0], scores[:, 0, 1], scores[:, 1, 0], scores[:, 1, 1])


def winoground(scores: Floats) -> dict[str, Floats]:
    """Return Winoground's text, image and group score of each item: 1 where right, else 0; a tie fails.

    ``text_score``: each image scores its own text above the other. ``image_score``: each text scores its own image
    above the other. ``group_score``: both. Random scores get 1/4, 1/4 and 1/6; scores that are all the same get 0.

    Args:
        scores: ``scores[item, text, image]``, shape ``(num_items, 2, 2)``; text 0 belongs to image 0, text 1 to
            image 1.

    Returns:
        By measure, shape ``(num_items,)``, higher is better. For means by kind see
        :func:`mrbench.measures.mean_by_grain`.

    Raises:
        ResultError: Another shape, no item, or a score that is not a number.

    Source: Winoground, arXiv 2204.03162, equations 1 to 3.

    >>> {name: float(value[0]) for name, value in winoground(np.array([[[0.9, 0.5], [0.6, 0.55]]])).items()}
    {'text_score': 1.0, 'image_score': 0.0, 'group_score': 0.0}
    """
    _check(scores)
    quads = Quadruples.from_matrices(np.zeros(len(scores)), scores)
    text, image = _queries(quads), _candidates(quads)
    return {"text_score": text, "image_score": image, "group_score": text * image}


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


def _check(scores: Floats) -> None:
    if scores.ndim != 3 or scores.shape[1:] != (2, 2) or not len(scores):
        raise ResultError("malformed quadruples", got=scores.shape, accepted="(one item or more, 2, 2)")
    if not np.isfinite(scores).all():
        raise ResultError("a score is not a number", accepted="finite scores")
