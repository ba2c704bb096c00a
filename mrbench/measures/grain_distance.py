"""Grain distance and blindness rate: the move of an embedding when a grain is dropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mrbench.arrays import Floats, Ints
from mrbench.errors import ResultError

ByGrain = dict[str, tuple[float, int]]
"""``{grain type: (value, number of probes or pairs behind it)}``, sorted by type."""


@dataclass(frozen=True, slots=True)
class Moves:
    """The moves of query embeddings when a grain is dropped, arrays of shape ``(num_probes,)``.

    Attributes:
        query: Index of the query.
        grain: The type that was dropped.
        distance: Cosine distance ``1 - cos`` between the query and the query without the grain, 0 to 2.
    """

    query: Ints
    grain: np.ndarray[Any, Any]
    distance: Floats


def grain_distance(moves: Moves) -> ByGrain:
    """Return the mean distance by grain type: ``mean d(f(q), f(q without g))``, 0 to 2, higher is more sensitive.

    It cannot be compared between models: if all embeddings of a model are close, all its distances are small.
    :func:`mrbench.measures.grain_sensitivity` can be compared.

    Source: ELVA, arXiv 2606.20280, definition 2.

    Raises:
        ResultError: There is no query without a grain.

    >>> grain_distance(Moves(np.array([0, 1]), np.array(["count", "count"]), np.array([0.1, 0.3])))
    {'count': (0.2, 2)}
    """
    return mean_by_grain(moves.grain, moves.distance)


def blindness_rate(moves: Moves, threshold: float) -> ByGrain:
    """Return the share of probes whose distance is below a threshold, by grain type: 0 to 1, lower is better.

    Source: ELVA, arXiv 2606.20280, definition 2, ``d(f(q), f(q without g)) < delta``. The paper gives no delta.

    Args:
        moves: The probes.
        threshold: The paper's delta, a cosine distance above 0.

    Raises:
        ResultError: There is no query without a grain, or the threshold is not above 0.

    >>> blindness_rate(Moves(np.array([0, 1]), np.array(["count", "count"]), np.array([0.1, 0.3])), 0.2)
    {'count': (0.5, 2)}
    """
    if not threshold > 0:
        raise ResultError("malformed threshold", got=threshold, accepted="above 0")
    return mean_by_grain(moves.grain, (moves.distance < threshold).astype(np.float64))


def mean_by_grain(grain: np.ndarray[Any, Any], values: Floats) -> ByGrain:
    """Return mean and number of the values of each grain type.

    Raises:
        ResultError: There is no value, or one is not a number.
    """
    if not len(values):
        raise ResultError("nothing to score", accepted="one probe or more")
    if not np.isfinite(values).all():
        raise ResultError("a value is not a number", where=str(grain[~np.isfinite(values)][0]))
    return {str(kind): (float(values[grain == kind].mean()), int((grain == kind).sum())) for kind in np.unique(grain)}
