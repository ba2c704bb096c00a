"""Where the own positive of each query stands: for the query, for its variants, for its parts alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from mrbench.measures.ties import Ints
from mrbench.models.protocol import Embeddings
from mrbench.retrieve.exact import Scores
from mrbench.retrieve.pool import TaskPool
from mrbench.retrieve.row import places_of
from mrbench.retrieve.source import TaskEmbeddings

TILE = 32
Place = tuple[np.float32, int, int]


@dataclass(slots=True)
class Places:
    """Where the own positives stand: queries first, then variants, then parts.

    Attributes:
        rows: Score, candidates above and candidates beside it: those that are not relevant to the query.
        spread: Mean and standard deviation of the scores of each query.
        wrong: For each query the share of its first ten results of another modality than the task asks for.
        targets: For each variant the score of the candidate that it asks for, for each part that of the positive.
    """

    rows: list[Place] = field(default_factory=list)
    spread: list[tuple[float, float]] = field(default_factory=list)
    wrong: list[float] = field(default_factory=list)
    targets: list[np.float32] = field(default_factory=list)


def own_place(own: np.float32, greater: int, same: int, relevant: Scores) -> Place:
    """Return a positive's score, and how many of the candidates that are not relevant score higher, and the same.

    Args:
        own: Its score.
        greater: How many of all score higher.
        same: How many score the same, itself included.
        relevant: The scores of the relevant candidates.
    """
    above, beside = places_of(relevant, own)
    return own, greater - above, same - beside


def place_tables(embeddings: TaskEmbeddings, pool: TaskPool, places: Places) -> dict[str, pa.Table]:
    """Return the tables ``queries``, ``variants`` and ``parts`` of a run."""
    number, variants = len(pool.query_ids), pool.variants
    score, above, beside = (np.array(column) for column in zip(*places.rows, strict=True))
    ids = pool.query_ids

    def table(start: int, query: Ints, **columns: Any) -> pa.Table:
        part = slice(start, start + len(query))
        places = {"score": score[part], "above": above[part], "beside": beside[part]}
        return pa.table({"query-id": pa.array(ids[query].tolist(), pa.string()), **columns, **places})

    mean, deviation = np.array(places.spread).T
    far = unrelated(embeddings.queries, pool)
    moved = (embeddings.variants.astype(np.float64) - embeddings.queries[variants.query]) ** 2
    parts = list(embeddings.parts)
    every = np.arange(number)
    return {
        "queries": table(0, every, mean=mean, deviation=deviation, unrelated=far, wrong=places.wrong),
        "variants": table(
            number,
            variants.query,
            kind=pa.array(variants.kind.tolist(), pa.string()),
            grain=pa.array(variants.grain.tolist(), pa.string()),
            number=variants.number,
            distance=moved.sum(axis=1)
            / 2,  # half the squared chord of unit vectors is 1 - cosine, and exactly 0 for equals
            target=np.array(places.targets[: len(variants.query)], dtype=np.float32),
        ),
        "parts": table(
            number + len(variants.query),
            np.tile(every, len(parts)),
            part=pa.array(np.repeat(parts, number).tolist(), pa.string()),
        ),
    }


def unrelated(queries: Embeddings, pool: TaskPool) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return each query's mean cosine distance to the queries that share no grain with it, NaN where there is none.

    Args:
        queries: Unit vectors, shape ``(num_queries, dimension)``.
        pool: The task.
    """
    vectors = queries.astype(np.float64)
    found = np.full(len(queries), np.nan)
    for block, strangers in _strangers(pool):
        distance = np.maximum(1 - vectors[block] @ vectors.T, 0)  # rounding may leave -1e-8
        some = strangers.any(axis=1)
        found[block][some] = (distance * strangers).sum(axis=1)[some] / strangers.sum(axis=1)[some]
    return found


def has_unrelated(pool: TaskPool) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which queries have others that share no grain with them, shape ``(num_queries,)``."""
    return np.concatenate([strangers.any(axis=1) for _, strangers in _strangers(pool)])


def _strangers(pool: TaskPool) -> Iterator[tuple[slice, np.ndarray[Any, np.dtype[np.bool_]]]]:
    """Yield blocks of queries, and which of all queries share no grain with each of them."""
    grains = np.ascontiguousarray(pool.query_grains.T)
    for start in range(0, grains.shape[1], TILE):
        block = slice(start, start + TILE)
        strange = np.ones((len(grains[0, block]), grains.shape[1]), dtype=np.bool_)
        for codes in grains:
            strange &= (codes[block, None] != codes) | (codes < 0)
        yield block, strange
