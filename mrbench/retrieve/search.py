"""Exact cosine search over the whole pool, and what the measures need to know of every row of scores."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from mrbench.measures.ties import Ints
from mrbench.models.protocol import Embeddings
from mrbench.retrieve.pool import TaskPool
from mrbench.retrieve.run import CUTOFF, TaskRun

TILE, CHUNK = 32, 4096
_FLOATS = 1 << 26

Scores = np.ndarray[Any, np.dtype[np.float32]]
Columns = dict[str, list[np.ndarray[Any, Any]]]


def search(
    queries: Embeddings, candidates: Embeddings, pool: TaskPool, *, depth: int = 100, block: int | None = None
) -> TaskRun:
    """Score every query against every candidate of the pool.

    A score is the cosine of two float32 unit vectors: summed in float64, rounded once to float32. Candidates with
    the same vector are scored once, so that they tie exactly.

    Args:
        queries: Unit vectors, shape ``(num_queries, dimension)``, in the order of ``pool.query_ids``.
        candidates: Unit vectors, shape ``(num_candidates, dimension)``, stacked as ``pool.row`` has it.
        pool: The task.
        depth: Candidates per query that are kept, those of equal score by id. No measure depends on this order.
        block: Queries scored at a time; None takes what fits into 256 MiB. The result does not depend on it.

    Returns:
        The run of the task.
    """
    first, copy_of = _distinct(candidates)
    if len(first) < len(candidates):
        candidates = candidates[first]
    column = copy_of[pool.row]
    size = block or min(256, _FLOATS // len(column))
    tables: dict[str, Columns] = {name: {} for name in ("top", "ladder", "relevant", "gains")}
    with tqdm(total=len(queries), desc=f"{pool.task}: search", unit="query", leave=False, disable=None) as progress:
        for start, scores in _score_blocks(queries, candidates, max(1, size // TILE) * TILE):
            for offset, distinct in enumerate(scores):
                _note(tables, pool, start + offset, distinct[column], depth)
            progress.update(len(scores))
    return TaskRun(**{name: _table(columns, pool) for name, columns in tables.items()})


def _score_blocks(queries: Embeddings, candidates: Embeddings, size: int) -> Iterator[tuple[int, Scores]]:
    """Yield the first query of each block and its scores, shape ``(queries of the block, num_candidates)``.

    Every matrix product is of one tile of queries and one chunk of candidates, whatever the block: the last bit of
    a product depends on the shape of the matrices.
    """
    for start in range(0, len(queries), size):
        block = queries[start : start + size].astype(np.float64)
        scores = np.empty((len(block), len(candidates)), dtype=np.float32)
        for left in range(0, len(candidates), CHUNK):
            chunk = candidates[left : left + CHUNK].astype(np.float64).T
            for top in range(0, len(block), TILE):
                scores[top : top + TILE, left : left + CHUNK] = block[top : top + TILE] @ chunk
        yield start, scores


def _note(tables: dict[str, Columns], pool: TaskPool, query: int, scores: Scores, depth: int) -> None:
    """Append what is kept of one query's scores over the pool, which is sorted by id."""
    ascending = np.sort(scores)

    def greater(values: Scores) -> Ints:
        return len(ascending) - np.searchsorted(ascending, values, side="right")

    def equal(values: Scores) -> Ints:
        return len(ascending) - np.searchsorted(ascending, values, side="left") - greater(values)

    grades = pool.grades(query)
    top = _top(scores, ascending, depth)
    relevant = np.flatnonzero(grades == pool.number_of_grains(query))
    members = pool.ladders[query][1]
    into = np.flatnonzero(scores >= ascending[-min(CUTOFF, len(ascending))])
    values, group = np.unique(scores[into], return_inverse=True)
    gain = np.bincount(group, weights=grades[into]).astype(np.int64)
    _add(tables["top"], query, candidate=top, rank=np.arange(1, len(top) + 1), score=scores[top])
    _add(tables["ladder"], query, candidate=members, score=scores[members])
    found = scores[relevant]
    _add(tables["relevant"], query, candidate=relevant, score=found, greater=greater(found), equal=equal(found))
    _add(tables["gains"], query, score=values, greater=greater(values), equal=equal(values), gain=gain)


def _top(scores: Scores, ascending: Scores, depth: int) -> Ints:
    """Return the positions of the best, by falling score, the tied by id."""
    depth = min(depth, len(scores))
    last = ascending[-depth]
    above = np.flatnonzero(scores > last)
    tied = np.flatnonzero(scores == last)[: depth - len(above)]
    return np.concatenate([above[np.argsort(-scores[above], kind="stable")], tied])


def _add(columns: Columns, query: int, **values: np.ndarray[Any, Any]) -> None:
    length = len(next(iter(values.values())))
    for name, part in {"query": np.full(length, query), **values}.items():
        columns.setdefault(name, []).append(part)


def _table(columns: Columns, pool: TaskPool) -> pa.Table:
    arrays: dict[str, Any] = {name: np.concatenate(parts) for name, parts in columns.items()}
    named = {"query-id": pa.array(pool.query_ids[arrays.pop("query")].tolist(), pa.string())}
    if "candidate" in arrays:
        named["corpus-id"] = pa.array(pool.candidate_ids[arrays.pop("candidate")].tolist(), pa.string())
    return pa.table(named | {name: pa.array(values) for name, values in arrays.items()})


def _distinct(vectors: Embeddings) -> tuple[Ints, Ints]:
    """Return the first row of every distinct vector, and for each row the index of its vector among them."""
    seen: dict[bytes, int] = {}
    first: list[int] = []
    copy_of = np.empty(len(vectors), dtype=np.int64)
    width = vectors.shape[1] * vectors.itemsize
    for start in range(0, len(vectors), CHUNK):
        data = (vectors[start : start + CHUNK] + np.float32(0)).tobytes()  # -0 and 0 are one number
        for row in range(start, start + len(data) // width):
            key = hashlib.blake2b(data[(row - start) * width : (row - start + 1) * width], digest_size=16).digest()
            copy_of[row] = seen.setdefault(key, len(first))
            if copy_of[row] == len(first):
                first.append(row)
    return np.array(first, dtype=np.int64), copy_of
