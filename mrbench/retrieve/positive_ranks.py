"""The rank of each query's own positive: for the query, for its variants, and for its parts alone."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import Any

import numpy as np
import pyarrow as pa

from mrbench.arrays import Floats, Ints, Rows, Scores
from mrbench.encode.source import TaskEmbeddings
from mrbench.pools.pool import TaskPool
from mrbench.pools.unrelated import has_unrelated, unrelated_queries
from mrbench.search.distances import distances_to, row_distances
from mrbench.search.requests import ScoreRequest
from mrbench.workers import ordered_map

PositiveRank = tuple[Scores, Ints, Ints]
"""Score, candidates above and candidates tied it of each asked: those that are not relevant to its query."""


def ranks_of_positives(own: ScoreRequest, relevant: ScoreRequest) -> PositiveRank:
    """Return score, candidates above and candidates tied of each positive, among candidates that are not relevant.

    Args:
        own: The positives, counted, one for each query, variant or part.
        relevant: The relevant candidates of each of them.
    """
    higher, same = (
        np.bincount(relevant.query, weights=true, minlength=len(own.query)).astype(np.int64)
        for true in (relevant.score > own.score[relevant.query], relevant.score == own.score[relevant.query])
    )
    return own.score, own.greater - higher, own.equal - same


def rank_tables(
    embeddings: TaskEmbeddings, pool: TaskPool, ranks: list[PositiveRank], targets: Scores, more: dict[str, Floats]
) -> dict[str, pa.Table]:
    """Return the tables ``queries``, ``variants`` and ``parts`` of a run.

    Args:
        embeddings: The vectors that were searched.
        pool: The task.
        ranks: Ranks of the positives: first of queries, then of variants, then of parts.
        targets: For each variant the score of the candidate that it asks for.
        more: The other columns of ``queries``, each of shape ``(num_queries,)``.
    """
    number, variants = len(pool.query_ids), pool.variants
    score, above, tied = (np.concatenate(column) for column in zip(*ranks, strict=True))
    ids = pool.names["query-id"]

    def table(start: int, query: Ints, **columns: Any) -> pa.Table:
        part = slice(start, start + len(query))
        ranks = {"score": score[part], "above": above[part], "tied": tied[part]}
        return pa.table({"query-id": ids.take(pa.array(query)), **columns, **ranks})

    parts = list(embeddings.parts)
    every = np.arange(number)
    return {
        "queries": table(0, every, **more),
        "variants": table(
            number,
            variants.query,
            kind=pa.array(variants.kind.tolist(), pa.string()),
            grain=pa.array(variants.grain.tolist(), pa.string()),
            number=variants.number,
            distance=row_distances(embeddings.variants, embeddings.queries[variants.query]),
            target=targets,
        ),
        "parts": table(
            number + len(variants.query),
            np.tile(every, len(parts)),
            part=pa.array(np.repeat(parts, number).tolist(), pa.string()),
        ),
    }


def unrelated(queries: Rows, pool: TaskPool, executor: Executor | int = 1) -> Floats:
    """Return each query's mean distance to the queries that share no grain with it, NaN where there is none.

    Args:
        queries: Unit vectors.
        pool: The task.
        executor: Threads to use; 1 uses none.
    """
    if not has_unrelated(pool).any():
        return np.full(len(pool.query_ids), np.nan)
    distances = distances_to(queries)

    def mean(item: tuple[slice, np.ndarray[Any, np.dtype[np.bool_]]]) -> Floats:
        block, strangers = item
        with np.errstate(invalid="ignore"):
            mean: Floats = np.einsum("ij,ij->i", distances(block), strangers) / strangers.sum(axis=1)
        return mean

    return np.concatenate(list(ordered_map(mean, unrelated_queries(pool), executor, chunk=1, in_flight=4)))
