"""Exact cosine search over the whole pool, and what the measures need to know of every row of scores."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from mrbench.measures.ties import Ints
from mrbench.models.protocol import Embeddings
from mrbench.retrieve.exact import exact_products
from mrbench.retrieve.places import TILE, Places, Scores, place_tables
from mrbench.retrieve.pool import TaskPool
from mrbench.retrieve.run import CUTOFF, TaskRun
from mrbench.retrieve.source import EmbeddingSource, TaskEmbeddings
from mrbench.retrieve.store import room
from mrbench.workers import ordered_map

CHUNK = 4096
_FLOATS = 1 << 25
_FEWEST = 16  # queries in one block: fewer would convert candidates to float64 more than they multiply

Columns = dict[str, list[np.ndarray[Any, Any]]]


def run_tasks(
    source: EmbeddingSource, pools: Mapping[str, TaskPool], *, depth: int = 100, folder: Path | None = None
) -> dict[str, TaskRun]:
    """Embed and search every task; each corpus is embedded once, whatever the number of tasks that search it.

    Args:
        source: Where vectors come from.
        pools: By task.
        depth: As in :func:`search`.
        folder: Where a large pool of two modalities is put together; None does it in memory.
    """
    corpora: dict[str, Embeddings] = {}
    runs = {}
    for task, pool in pools.items():
        clock = [perf_counter()]
        for modality in pool.modalities:
            if modality not in corpora:
                corpora[modality] = source.corpus(modality)
        clock.append(perf_counter())  # 0 where an earlier task embedded them
        stacked = [corpora[modality] for modality in pool.modalities]
        candidates = stacked[0]
        if len(stacked) > 1:
            candidates = room(sum(map(len, stacked)), candidates.shape[1], folder)
            np.concatenate(stacked, out=candidates)
        queries = source.queries(pool)
        clock.append(perf_counter())
        variants, parts = source.variants(pool), source.parts(pool)
        clock.append(perf_counter())
        run = search(TaskEmbeddings(candidates, queries, variants, parts), pool, depth=depth)
        clock.append(perf_counter())
        steps = ("embed candidates", "embed queries", "embed variants", "search")
        seconds = {step: round(b - a, 3) for step, (a, b) in zip(steps, pairwise(clock), strict=True)}
        runs[task] = replace(run, seconds=seconds)
    return runs


def embed_tasks(source: EmbeddingSource, pools: Mapping[str, TaskPool]) -> None:
    """Have everything embedded that :func:`run_tasks` asks for, in the same order, and search nothing."""
    done: set[str] = set()
    for pool in pools.values():
        for modality in pool.modalities:
            if modality not in done:
                source.corpus(modality)
                done.add(modality)
        source.queries(pool)
        source.variants(pool)
        source.parts(pool)


def search(embeddings: TaskEmbeddings, pool: TaskPool, *, depth: int = 100, block: int | None = None) -> TaskRun:
    """Score every query, variant and part against every candidate of the pool.

    A score is the exact sum of the products of two float32 unit vectors, rounded
    (:mod:`mrbench.retrieve.exact`): nothing else shows in it. Candidates with the same vector are scored once.

    Args:
        embeddings: Unit vectors.
        pool: The task.
        depth: Candidates per query that are kept, those of equal score by id. No measure depends on this order.
        block: Queries scored at a time; None takes what fits into 128 MiB, twice, but 16 at least. The result does
            not depend on it.

    Returns:
        The run of the task.
    """
    candidates = embeddings.candidates
    first, copy_of = _distinct(candidates)
    column = copy_of[pool.row]
    size = block or max(_FEWEST, min(256, _FLOATS // len(column) // TILE * TILE))
    asked = (embeddings.queries, embeddings.variants, *embeddings.parts.values())
    tables: dict[str, Columns] = {name: {} for name in ("top", "ladder", "relevant", "gains", "first", "wrong")}
    places = Places(pool)
    with tqdm(total=sum(map(len, asked)), desc=f"{pool.task}: search", leave=False, disable=None) as progress:
        for kind, vectors in enumerate(asked):
            for start, scores in _score_blocks(vectors, candidates, first, size):
                for number, distinct in enumerate(scores, start):
                    row = distinct[column]
                    if kind == 0:
                        places.ask(number, row, *_note(tables, pool, number, row, depth))
                    else:
                        places.ask_again(pool.variants.query[number] if kind == 1 else number, row)
                progress.update(len(scores))
    wrong = np.concatenate(tables.pop("wrong")["wrong"])
    named = {name: _table(columns, pool) for name, columns in tables.items()}
    return TaskRun(**named, **place_tables(embeddings, pool, places, wrong))


def _score_blocks(queries: Embeddings, candidates: Embeddings, rows: Ints, size: int) -> Iterator[tuple[int, Scores]]:
    """Yield the first query of each block and its scores over some rows of the candidates, one block ahead.

    Scores have the shape ``(queries of the block, len(rows))``.
    """

    def score(start: int) -> tuple[int, Scores]:
        block = queries[start : start + size]
        scores = np.empty((len(block), len(rows)), dtype=np.float32)
        for left in range(0, len(rows), CHUNK):
            part = slice(left, left + CHUNK)
            scores[:, part] = exact_products(block, candidates[rows[part]])
        return start, scores

    with ThreadPoolExecutor(1) as thread:
        yield from ordered_map(score, range(0, len(queries), size), thread, chunk=1, in_flight=2)


def _note(tables: dict[str, Columns], pool: TaskPool, query: int, scores: Scores, depth: int) -> tuple[Ints, Scores]:
    """Append what is kept of one query's scores over the pool, which is sorted by id.

    Returns:
        Positions of the relevant candidates, and the scores in ascending order.
    """
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
    steps = scores[members]
    _add(tables["ladder"], query, candidate=members, score=steps, greater=greater(steps), equal=equal(steps))
    found = scores[relevant]
    _add(tables["relevant"], query, candidate=relevant, score=found, greater=greater(found), equal=equal(found))
    _add(tables["gains"], query, score=values, greater=greater(values), equal=equal(values), gain=gain)
    weight = np.clip((CUTOFF - greater(scores[into])) / equal(scores[into]), 0, 1)  # how surely it is in the first ten
    best = scores[into] == ascending[-1]
    kinds = np.flatnonzero(pool.query_grains[query] >= 0)
    keeps = pool.candidate_grains[kinds][:, into] == pool.query_grains[query][kinds, None]
    kept, lost = (keeps * weight).sum(axis=1) / weight.sum(), (~keeps & best).sum(axis=1) / best.sum()
    _add(tables["first"], query, grain=kinds, kept=kept, lost=lost)
    _add(tables["wrong"], query, wrong=[((pool.modality[into] != pool.own_modality) * weight).sum() / weight.sum()])
    return relevant, ascending


def _top(scores: Scores, ascending: Scores, depth: int) -> Ints:
    """Return the positions of the best, by falling score, the tied by id."""
    depth = min(depth, len(scores))
    last = ascending[-depth]
    above = np.flatnonzero(scores > last)
    tied = np.flatnonzero(scores == last)[: depth - len(above)]
    return np.concatenate([above[np.argsort(-scores[above], kind="stable")], tied])


def _add(columns: Columns, query: int, **values: Any) -> None:
    length = len(next(iter(values.values())))
    for name, part in {"query": np.full(length, query), **values}.items():
        columns.setdefault(name, []).append(part)


def _table(columns: Columns, pool: TaskPool) -> pa.Table:
    arrays: dict[str, Any] = {name: np.concatenate(parts) for name, parts in columns.items()}
    named = {"query-id": pa.array(pool.query_ids[arrays.pop("query")].tolist(), pa.string())}
    if "grain" in arrays:
        named["grain"] = pa.array(np.array(pool.grain_types)[arrays.pop("grain")].tolist(), pa.string())
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
