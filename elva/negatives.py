"""Balanced negative sampling: half of the negatives hard, half random (ELVA, arXiv 2606.20280)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from elva.config import Sampling
from mrbench.arrays import Embeddings, Ints, Scores
from mrbench.errors import InputError
from mrbench.records import Grain, grain_values

CHUNK = 1 << 24  # scores in memory at a time


def code_grains(queries: Sequence[Sequence[Grain]], candidates: Sequence[Sequence[Grain]]) -> tuple[Ints, Ints]:
    """Return the grains as numbers: shapes ``(num_queries, num_types)`` and ``(num_candidates, num_types)``.

    One column a type, one number a value; -1 in a query where it does not ask, -2 in a candidate that has none.

    >>> code_grains([[Grain("count", "one")]], [[Grain("count", "two")], [Grain("size", "big")]])
    (array([[ 0, -1]]), array([[ 1, -2],
           [-2,  0]]))
    """
    types: dict[str, int] = {}
    values: list[dict[str, int]] = []
    for grain in (g for row in (*queries, *candidates) for g in row):
        column = types.setdefault(grain.type, len(types))
        if column == len(values):
            values.append({})
        values[column].setdefault(grain.value, len(values[column]))
    coded = []
    for rows, empty in ((queries, -1), (candidates, -2)):
        table = np.full((len(rows), len(types)), empty, dtype=np.int64)
        for number, row in enumerate(rows):
            for kind, value in grain_values(row).items():
                table[number, types[kind]] = values[types[kind]][value]
        coded.append(table)
    return coded[0], coded[1]


def grades(query_grains: Ints, candidate_grains: Ints) -> Ints:
    """Return how many of the query's grains each candidate keeps, shape ``(num_queries, num_candidates)``.

    >>> grades(np.array([[0, 1, -1]]), np.array([[0, 1, 5], [0, 2, 5], [-2, -2, -2]]))
    array([[2, 1, 0]])
    """
    kept: Ints = np.zeros((len(query_grains), len(candidate_grains)), dtype=np.int64)
    for asked, has in zip(query_grains.T, candidate_grains.T, strict=True):
        kept += asked[:, None] == has
    return kept


def sample_negatives(
    query_embeddings: Embeddings,
    candidate_embeddings: Embeddings,
    query_grains: Ints,
    candidate_grains: Ints,
    positives: Ints,
    sampling: Sampling,
    *,
    seed: int,
    refresh: int = 0,
    names: Sequence[str] | None = None,
) -> Ints:
    """Draw the negatives of every query: candidates over the threshold are dropped, the most similar of the rest are
    the hard ones, the others are drawn from the rest of the pool.

    A candidate that keeps all grains of the query is never drawn. Which of equal scores is taken is decided by the
    seed. A query's draw depends on its own place, the seed and ``refresh`` alone, so shards may sample apart when
    they keep ``query_embeddings`` whole.

    Args:
        query_embeddings: Of the current model, unit length, shape ``(num_queries, dimension)``.
        candidate_embeddings: Same, shape ``(num_candidates, dimension)``; all of the modality that the task asks for.
        query_grains: From :func:`code_grains`.
        candidate_grains: From :func:`code_grains`.
        positives: Index of each query's positive, -1 for none; shape ``(num_queries,)``.
        sampling: How many of each, and the threshold.
        seed: Decides the random ones and ties.
        refresh: 0, 1, ...: how often negatives were mined before.
        names: Query ids, for messages.

    Returns:
        Candidate indices, shape ``(num_queries, hard + random)``, the hard ones first, best first; no repeats.

    Raises:
        InputError: A query has no positive or fewer negatives than asked for, or none is asked for.
    """
    wanted = sampling.hard + sampling.random
    if not wanted:
        raise InputError(
            "no negative is asked for",
            where="stage3.sampling",
            accepted="hard + random of 1 or more",
            hint="raise stage3.sampling.hard or .random",
        )
    names = [str(number) for number in range(len(positives))] if names is None else names
    lacking = np.flatnonzero((positives < 0) | (positives >= len(candidate_embeddings)))
    if len(lacking):
        raise InputError("a query has no positive", where=f"query {names[lacking[0]]}", hint="mrbench validate DIR")
    shuffled = np.random.default_rng([seed, refresh]).permutation(len(candidate_embeddings))  # so that ties are luck
    pool, pool_grains = candidate_embeddings[shuffled], candidate_grains[shuffled]
    asked = (query_grains >= 0).sum(1)
    drawn = np.empty((len(positives), wanted), dtype=np.int64)
    for part in _chunks(len(positives), max(1, CHUNK // max(1, len(pool)))):
        scores = query_embeddings[part] @ pool.T
        allowed = grades(query_grains[part], pool_grains) < asked[part, None]
        near = scores if sampling.against == "query" else candidate_embeddings[positives[part]] @ pool.T
        allowed &= shuffled != positives[part, None]
        under = (
            allowed & (near <= sampling.threshold) if sampling.threshold < 1 else allowed
        )  # 1 + rounding is near too
        hard = _hardest(np.where(under, scores, -np.inf), sampling.hard)
        for row, query in enumerate(range(part.start, part.stop)):
            picked = hard[row][hard[row] >= 0]
            allowed[row, picked] = False
            left = np.flatnonzero(allowed[row])
            _check_enough(len(picked), len(left), sampling, names[query])
            rng = np.random.default_rng([seed, refresh, query])
            drawn[query] = np.concatenate([picked, rng.choice(left, sampling.random, replace=False)])
    return shuffled[drawn]


def _hardest(scores: Scores, number: int) -> Ints:
    """Return the indices of the highest scores of each row, best first; -1 where only dropped ones are left."""
    number = min(number, scores.shape[1])
    if not number:
        return np.empty((len(scores), 0), dtype=np.int64)
    top = np.argpartition(-scores, number - 1, axis=1)[:, :number]
    found = np.take_along_axis(scores, top, axis=1)
    order = np.argsort(-found, axis=1, kind="stable")
    top, found = np.take_along_axis(top, order, axis=1), np.take_along_axis(found, order, axis=1)
    return np.where(found > -np.inf, top, -1)


def _check_enough(hard: int, left: int, sampling: Sampling, name: str) -> None:
    if hard < sampling.hard or left < sampling.random:
        raise InputError(
            "fewer negatives than asked",
            where=f"query {name}",
            got=f"{hard} hard under the threshold, {left} more in the pool",
            accepted=f"{sampling.hard} hard, {sampling.random} random",
            hint="lower stage3.sampling.hard or .random, or raise .threshold",
        )


def _chunks(total: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, total)) for start in range(0, total, size))
