"""Calibrated grain sensitivity: the move of an embedding on a scale between two distances of the same model."""

from __future__ import annotations

import numpy as np

from mrbench.arrays import Floats, Ints
from mrbench.errors import ResultError
from mrbench.measures.grain_distance import ByGrain, Moves, mean_by_grain


def grain_sensitivity(moves: Moves, noise: Floats, scale: Floats) -> tuple[ByGrain, dict[str, str]]:
    """Return how far dropping a grain moves a query, from a rewording (0) to an unrelated query (1), by grain type.

    ``(mean d(q, q without g) - mean d(q, q reworded)) / (mean d(q, unrelated) - mean d(q, q reworded))`` over the
    queries with the probe. It is a ratio of means, because queries with a denominator near zero would dominate a mean
    of ratios. It is about 0 for a grain that the model ignores, below 0 where rewording moves the embedding more, and
    higher for more sensitivity. Rotating or scaling all embeddings changes nothing. Adding one vector to all of them
    changes it little, but can make the raw distance arbitrarily small.

    Args:
        moves: The probes.
        noise: For each query its mean distance to its paraphrases, shape ``(num_queries,)``.
        scale: For each query its mean distance to queries that share no grain, NaN where there is none; the same shape.

    Returns:
        ``{grain type: (value, number of probes)}``, and ``{grain type: reason}`` for types that have no value: a query
        without paraphrase, no unrelated query, or unrelated queries that are not farther than paraphrases by more than
        three standard errors, so that the model has no scale. Queries without unrelated ones count for the distances
        alone.

    Raises:
        ResultError: No probe.

    Source: ours.

    >>> moves = Moves(np.array([0, 1]), np.array(["count", "count"]), np.array([0.1, 0.3]))
    >>> found, missing = grain_sensitivity(moves, np.full(2, 0.1), np.full(2, 0.6))
    >>> {kind: (round(value, 3), number) for kind, (value, number) in found.items()}, missing
    ({'count': (0.2, 2)}, {})
    """
    found, missing = {}, {}
    for kind, (moved, number) in mean_by_grain(moves.grain, moves.distance).items():
        queries = moves.query[moves.grain == kind]
        try:
            floor, top = float(noise[queries].mean()), mean_scale(scale[queries])
        except ResultError as error:
            missing[kind] = str(error)
            continue
        if not np.isfinite(floor):
            missing[kind] = "a query has no paraphrase"
        elif top <= floor:
            missing[kind] = f"unrelated queries are no farther apart than paraphrases: {top:.3g} <= {floor:.3g}"
        elif not _told_apart(noise, scale, queries):
            missing[kind] = f"unrelated queries are not surely farther apart than paraphrases: {top:.3g}, {floor:.3g}"
        else:
            found[kind] = ((moved - floor) / (top - floor), number)
    return found, missing


def _told_apart(noise: Floats, scale: Floats, queries: Ints) -> bool:
    """Return whether scale and noise differ by more than three standard errors; otherwise the unit would be chance."""
    difference = (scale - noise)[np.unique(queries)]
    known = difference[np.isfinite(difference)]
    error = known.std(ddof=1) / np.sqrt(len(known)) if len(known) > 1 else 0.0
    return bool(known.mean() > 3 * error)


def mean_scale(scale: Floats) -> float:
    """Return the mean over the queries that have unrelated ones.

    Raises:
        ResultError: No query has any.
    """
    known = scale[np.isfinite(scale)]
    if not len(known):
        raise ResultError("no two queries share no grain")  # the reason beside the score: no message to a user
    return float(known.mean())


def calibrated_blindness_rate(moves: Moves, noise: Floats) -> ByGrain:
    """Return the share of probes that move the embedding no more than a paraphrase of the same query, by grain type.

    The blindness of ELVA's definition 2 with each query's own paraphrase distance as delta: 0 to 1, lower is better.

    Args:
        moves: The probes.
        noise: For each query its mean distance to its paraphrases, shape ``(num_queries,)``.

    Raises:
        ResultError: No probe, or no paraphrase.

    >>> moves = Moves(np.array([0, 1]), np.array(["count", "count"]), np.array([0.1, 0.3]))
    >>> calibrated_blindness_rate(moves, np.array([0.2, 0.2]))
    {'count': (0.5, 2)}
    """
    floor = noise[moves.query]
    if not np.isfinite(floor).all():
        raise ResultError("a query has no paraphrase")
    return mean_by_grain(moves.grain, (moves.distance <= floor).astype(np.float64))
