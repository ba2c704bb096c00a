"""Where the own positive of each query stands: for the query, for its variants, for its parts alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from mrbench.measures.ties import Ints
from mrbench.models.protocol import Embeddings
from mrbench.retrieve.pool import TaskPool
from mrbench.retrieve.source import TaskEmbeddings

TILE = 32
Scores = np.ndarray[Any, np.dtype[np.float32]]


class Places:
    """Where the own positive of each query stands, for everything that was asked in turn.

    Attributes:
        rows: Score, candidates above and candidates beside it: those that are not relevant to the query.
        spread: Mean and standard deviation of the scores of each query.
        targets: For each variant the score of the candidate that it asks for.
    """

    def __init__(self, pool: TaskPool) -> None:
        self._own, self._target = pool.positives, pool.variants.target
        self._relevant: list[Ints] = []
        self.rows: list[tuple[np.float32, int, int]] = []
        self.spread: list[tuple[float, float]] = []
        self.targets: list[np.float32] = []

    def ask(self, query: int, scores: Scores, relevant: Ints, ascending: Scores) -> None:
        """Note a query: its scores over the pool, the positions of its relevant candidates, and the sorted scores."""
        self._relevant.append(relevant)
        # Summed in sorted order, so that the order of the candidates does not show in the last digit.
        self.spread.append((float(ascending.mean(dtype=np.float64)), float(ascending.std(dtype=np.float64))))
        self._add(query, scores)

    def ask_again(self, query: int, scores: Scores) -> None:
        """Note the next variant or part of a query: variants first, in their order."""
        if len(self.targets) < len(self._target):
            self.targets.append(scores[self._target[len(self.targets)]])
        self._add(query, scores)

    def _add(self, query: int, scores: Scores) -> None:
        own, relevant = scores[self._own[query]], scores[self._relevant[query]]
        above = int((scores > own).sum()) - int((relevant > own).sum())
        beside = int((scores == own).sum()) - int((relevant == own).sum())
        self.rows.append((own, above, beside))


def place_tables(embeddings: TaskEmbeddings, pool: TaskPool, places: Places, wrong: Any) -> dict[str, pa.Table]:
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
        "queries": table(0, every, mean=mean, deviation=deviation, unrelated=far, wrong=wrong),
        "variants": table(
            number,
            variants.query,
            kind=pa.array(variants.kind.tolist(), pa.string()),
            grain=pa.array(variants.grain.tolist(), pa.string()),
            number=variants.number,
            distance=moved.sum(axis=1)
            / 2,  # half the squared chord of unit vectors is 1 - cosine, and exactly 0 for equals
            target=np.array(places.targets, dtype=np.float32),
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
    grains = pool.query_grains
    for start in range(0, len(grains), TILE):
        block = slice(start, start + TILE)
        yield block, ~((grains[block, None] == grains[None]) & (grains[None] >= 0)).any(axis=2)
