"""Exact cosine search over the whole pool, and what the measures need to know of every row of scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from mrbench.measures.ties import Ints
from mrbench.models.protocol import Embeddings
from mrbench.retrieve.exact import Scores, exact_products
from mrbench.retrieve.places import Place, Places, own_place, place_tables
from mrbench.retrieve.pool import TaskPool
from mrbench.retrieve.products import one_thread
from mrbench.retrieve.row import Row, places_of
from mrbench.retrieve.run import CUTOFF, TaskRun
from mrbench.retrieve.source import EmbeddingSource, TaskEmbeddings
from mrbench.retrieve.store import room
from mrbench.workers import cores, ordered_map

CHUNK = 1024  # candidates in one product
_FLOATS = 1 << 26  # scores that all threads hold together
_FEWEST = 16  # queries in one block: fewer would convert candidates to float64 more than they multiply

T = TypeVar("T")
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


def search(
    embeddings: TaskEmbeddings,
    pool: TaskPool,
    *,
    depth: int = 100,
    block: int | None = None,
    threads: int | None = None,
) -> TaskRun:
    """Score every query, variant and part against every candidate of the pool.

    A score is the exact sum of the products of two float32 unit vectors, rounded
    (:mod:`mrbench.retrieve.exact`): nothing else shows in it. Candidates with the same vector are scored once.

    Args:
        embeddings: Unit vectors.
        pool: The task.
        depth: Candidates per query that are kept, those of equal score by id. No measure depends on this order.
        block: Queries that a thread scores at a time; None takes as many as fit into 256 MiB with those of the other
            threads, but 16 at least.
        threads: Threads that search, each for its own queries; None takes one a core, fewer where 256 MiB do not hold
            so many, but two at least. Neither block nor threads change the result.

    Returns:
        The run of the task.
    """
    scorer = _Scorer(embeddings.candidates, pool)
    threads = threads or max(2, min(cores(), _FLOATS // (_FEWEST * scorer.width)))
    own, every = pool.positives, np.arange(len(pool.query_ids))
    again = [(embeddings.variants, pool.variants.query, pool.variants.target)]
    again += [(vectors, every, own) for vectors in embeddings.parts.values()]
    relevant: list[Ints] = []  # of each query, once it has been asked
    tables: dict[str, Columns] = {name: {} for name in ("top", "ladder", "relevant", "gains", "first")}
    places = Places()

    def ask(part: slice) -> list[_Note]:
        rows = enumerate(scorer.rows(embeddings.queries[part]), part.start)
        return [_note(pool, query, Row(scores, max(depth, CUTOFF)), depth) for query, scores in rows]

    def ask_again(part: slice, vectors: Embeddings, query: Ints, target: Ints) -> list[tuple[Place, np.float32]]:
        found = []
        for scores, of, to in zip(scorer.rows(vectors[part]), query[part].tolist(), target[part].tolist(), strict=True):
            value = scores[own[of]]
            found.append((own_place(value, *places_of(scores, value), scores[relevant[of]]), scores[to]))
        return found

    number = len(own) + sum(len(query) for _, query, _ in again)
    bar = tqdm(total=number, desc=f"{pool.task}: search", leave=False, disable=None)
    with one_thread(), ThreadPoolExecutor(threads) as pool_of_threads, bar as progress:

        def each(work: Callable[[slice], list[T]], number: int) -> Iterator[T]:
            size = block or _block(number, scorer.width, threads)
            parts = (slice(start, min(start + size, number)) for start in range(0, number, size))
            for found in ordered_map(work, parts, pool_of_threads, chunk=1, in_flight=2 * threads):
                progress.update(len(found))
                yield from found

        for note in each(ask, len(own)):
            relevant.append(note.relevant)
            for name, values in note.tables.items():
                _add(tables[name], **values)
            places.rows.append(note.place)
            places.spread.append(note.spread)
            places.wrong.append(note.wrong)
        for vectors, query_of, target in again:
            work = partial(ask_again, vectors=vectors, query=query_of, target=target)
            for place, score in each(work, len(query_of)):
                places.rows.append(place)
                places.targets.append(score)
    named = {name: _table(columns, pool) for name, columns in tables.items()}
    return TaskRun(**named, **place_tables(embeddings, pool, places))


class _Scorer:
    """Scores over the pool; candidates with the same vector are scored once.

    Attributes:
        width: Scores that are computed for a query.
    """

    def __init__(self, candidates: Embeddings, pool: TaskPool) -> None:
        self._candidates = candidates
        self._first, copy_of = _distinct(candidates)
        self._column = copy_of[pool.row]
        self._in_order = np.array_equal(self._column, np.arange(len(self._first)))
        self.width = len(self._first)

    def rows(self, queries: Embeddings) -> Iterator[Scores]:
        """Yield the scores of each query over the pool, in the order of ids, shape ``(num_candidates,)``."""
        scores = np.empty((len(queries), self.width), dtype=np.float32)
        for left in range(0, self.width, CHUNK):
            part = slice(left, left + CHUNK)
            exact_products(queries, self._candidates[self._first[part]], scores[:, part])
        for row in scores:
            yield row if self._in_order else row[self._column]


def _block(number: int, width: int, threads: int) -> int:
    """Return how many queries a thread scores at a time: as many as fit, and no thread is left without."""
    return max(_FEWEST, min(256, _FLOATS // (width * threads), -(-number // threads)))


@dataclass(frozen=True, slots=True)
class _Note:
    """What is kept of a query's scores: rows of the tables, and what :class:`Places` has of it."""

    tables: dict[str, dict[str, Any]]
    relevant: Ints
    place: Place
    spread: tuple[float, float]
    wrong: float


def _note(pool: TaskPool, query: int, row: Row, depth: int) -> _Note:
    grades, members = pool.grades(query), pool.ladders[query][1]
    relevant = np.flatnonzero(grades == pool.number_of_grains(query))
    top = row.best[:depth]
    tenth = row.scores[row.best[min(CUTOFF, len(row.best)) - 1]]
    into = np.sort(row.best[row.scores[row.best] >= tenth])
    values, group = np.unique(row.scores[into], return_inverse=True)

    steps, found, own = row.scores[members], row.scores[relevant], row.scores[pool.positives[query]]
    greater, equal = row.places(np.concatenate([steps, found, values, [own]]))
    ends = np.cumsum([len(steps), len(found), len(values)])
    (above, above_found, above_values, _), (same, same_found, same_values, _) = (
        np.split(counts, ends) for counts in (greater, equal)
    )
    # How surely a candidate is among the first ten: the tied share the places that are left.
    weight = np.clip((CUTOFF - above_values[group]) / same_values[group], 0, 1)
    best = group == len(values) - 1
    kinds = np.flatnonzero(pool.query_grains[query] >= 0)
    keeps = pool.candidate_grains[kinds][:, into] == pool.query_grains[query][kinds, None]
    kept, lost = (keeps * weight).sum(axis=1) / weight.sum(), (~keeps & best).sum(axis=1) / best.sum()
    gain = np.bincount(group, weights=grades[into]).astype(np.int64)
    tables: dict[str, dict[str, Any]] = {
        "top": {"candidate": top, "rank": np.arange(1, len(top) + 1), "score": row.scores[top]},
        "ladder": {"candidate": members, "score": steps, "greater": above, "equal": same},
        "relevant": {"candidate": relevant, "score": found, "greater": above_found, "equal": same_found},
        "gains": {"score": values, "greater": above_values, "equal": same_values, "gain": gain},
        "first": {"grain": kinds, "kept": kept, "lost": lost},
    }
    wrong = ((pool.modality[into] != pool.own_modality) * weight).sum() / weight.sum()
    place = own_place(own, int(greater[-1]), int(equal[-1]), found)
    return _Note(tables, relevant, place, row.spread(), float(wrong))


def _add(columns: Columns, **values: Any) -> None:
    for name, part in {"rows": [len(next(iter(values.values())))], **values}.items():
        columns.setdefault(name, []).append(part)


def _table(columns: Columns, pool: TaskPool) -> pa.Table:
    arrays: dict[str, Any] = {name: np.concatenate(parts) for name, parts in columns.items()}
    named = {"query-id": _named(pool.query_ids, np.repeat(np.arange(len(pool.query_ids)), arrays.pop("rows")))}
    if "grain" in arrays:
        named["grain"] = _named(np.array(pool.grain_types), arrays.pop("grain"))
    if "candidate" in arrays:
        named["corpus-id"] = _named(pool.candidate_ids, arrays.pop("candidate"))
    return pa.table(named | {name: pa.array(values) for name, values in arrays.items()})


def _named(names: np.ndarray[Any, np.dtype[np.str_]], at: Ints) -> pa.Array:
    return pa.array(names.tolist(), pa.string()).take(pa.array(at))


def _distinct(vectors: Embeddings) -> tuple[Ints, Ints]:
    """Return the first row of every distinct vector, and for each row the index of its vector among them.

    Rows are grouped by a number that is drawn for their bits; whether those of a group are equal is looked at.
    """
    rng, numbers = np.random.default_rng(0), np.empty(len(vectors), dtype=np.uint64)
    while True:
        factors = rng.integers(1 << 64, size=vectors.shape[1], dtype=np.uint64)
        for start in range(0, len(vectors), CHUNK):
            part = vectors[start : start + CHUNK] + np.float32(0)  # -0 and 0 are one number
            numbers[start : start + CHUNK] = (part.view(np.uint32) * factors).sum(axis=1)
        _, first, group = np.unique(numbers, return_index=True, return_inverse=True)
        copies = np.flatnonzero(first[group] != np.arange(len(vectors)))
        blocks = (copies[start : start + CHUNK] for start in range(0, len(copies), CHUNK))
        if all(np.array_equal(vectors[rows], vectors[first[group[rows]]]) for rows in blocks):
            order = np.argsort(first)
            place = np.empty(len(order), dtype=np.int64)
            place[order] = np.arange(len(order))
            return first[order], place[group]
