"""Searches tasks by vectors and makes their runs: everything that the measures need from the whole pool."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from mrbench.arrays import Ints, Ragged, Rows
from mrbench.encode.ragged_store import stacked
from mrbench.encode.source import EmbeddingSource, TaskEmbeddings
from mrbench.pools.overlay import OverlayPairs
from mrbench.pools.pool import TaskPool
from mrbench.retrieve.positive_ranks import rank_tables, ranks_of_positives, unrelated
from mrbench.retrieve.top_results import first_results
from mrbench.runs.run import CANDIDATE_VECTORS, QUERY_VECTORS, TaskRun
from mrbench.search.distinct import Vectors
from mrbench.search.excluding_searcher import ExcludingSearcher
from mrbench.search.list_searcher import ListSearcher
from mrbench.search.maxsim_searcher import MaxSimSearcher
from mrbench.search.pairs import PairList
from mrbench.search.products import one_thread
from mrbench.search.requests import ScoreRequest
from mrbench.search.searcher import PoolSearcher, Searcher
from mrbench.search.vectors import check_units
from mrbench.workers import cores


def run_tasks(
    source: EmbeddingSource,
    pools: Mapping[str, TaskPool],
    *,
    depth: int = 100,
    folder: Path | None = None,
    device: str = "cpu",
    overlays: Mapping[str, OverlayPairs] | None = None,
) -> dict[str, TaskRun]:
    """Embed and search every task, and return the runs. Each corpus is embedded once, however many tasks search it.

    Args:
        source: The source of vectors.
        pools: The pools by task.
        depth: As in :func:`search_task`.
        folder: Folder for the file in which a large pool of several corpora is stacked; None stacks in memory.
        device: As in :func:`search_task`.
        overlays: Overlays by task, whose pairs are scored too.
    """
    corpora = _Corpora(source)
    runs = {}
    for task, pool in pools.items():
        clock = [perf_counter()]
        parts_of_pool = corpora.of(pool)
        clock.append(perf_counter())  # about 0 s if an earlier task embedded them
        candidates = stacked(parts_of_pool, folder)
        queries = source.queries(pool)
        clock.append(perf_counter())
        variants, parts = source.variants(pool), source.parts(pool)
        clock.append(perf_counter())
        cut = source.cut_texts(pool)
        clock.append(perf_counter())
        embedded = TaskEmbeddings(candidates, queries, variants, parts)
        overlay = (overlays or {}).get(task)
        run = search_task(embedded, pool, depth=depth, device=device, overlay=overlay)
        clock.append(perf_counter())
        steps = ("embed candidates", "embed queries", "embed variants", "find cut texts", "search")
        seconds = {step: round(b - a, 3) for step, (a, b) in zip(steps, pairwise(clock), strict=True)}
        table = None if cut is None else cut.to_table(pool)
        setting = source.setting(pool) | _vectors_per_item(embedded)
        runs[task] = replace(run, seconds=seconds, setting=setting, cut=table)
    return runs


def embed_tasks(source: EmbeddingSource, pools: Mapping[str, TaskPool]) -> None:
    """Embed everything that :func:`run_tasks` needs, in the same order, without searching."""
    corpora = _Corpora(source)
    for pool in pools.values():
        corpora.of(pool)
        source.queries(pool)
        source.variants(pool)
        source.parts(pool)


def _vectors_per_item(embedded: TaskEmbeddings) -> dict[str, str]:
    """Return the mean number of vectors of a query and of a candidate; empty unless a model returns several."""
    sides = {QUERY_VECTORS: embedded.queries, CANDIDATE_VECTORS: embedded.candidates}
    return {name: f"{rows.counts.mean():.1f}" for name, rows in sides.items() if isinstance(rows, Ragged)}


class _Corpora:
    """The vectors of corpora. Each corpus, or the rows of it that pools have, is embedded once."""

    def __init__(self, source: EmbeddingSource) -> None:
        self._source = source
        self._found: dict[tuple[str, bytes | None], Rows] = {}

    def of(self, pool: TaskPool) -> list[Rows]:
        """Return the vectors of each corpus of a pool, without the rows that are not in the pool."""
        found = []
        for name in pool.corpora:
            rows = pool.corpus_rows.get(name)
            key = name, None if rows is None else rows.tobytes()
            if key not in self._found:
                self._found[key] = self._source.corpus(name, rows)
            found.append(self._found[key])
        return found


def search_task(
    embeddings: TaskEmbeddings,
    pool: TaskPool,
    *,
    depth: int = 100,
    block: int | None = None,
    threads: int | None = None,
    device: str = "cpu",
    overlay: OverlayPairs | None = None,
) -> TaskRun:
    """Search every query, variant and part of a task, and return its run.

    A score is the exact sum of the products of two float32 unit vectors, rounded to float64 and then to float32
    (:mod:`mrbench.search.exact`). For items with several vectors it is their MaxSim (:mod:`mrbench.search.maxsim`).
    Only the requested pairs and the best candidates are scored exactly; the others are counted
    (:mod:`mrbench.search.counts`).

    Args:
        embeddings: Unit vectors.
        pool: The task.
        depth: Candidates per query to keep, ties by id. No measure depends on this order.
        block: Queries in one product; None takes at most 256, equally many for each thread.
        threads: Threads that search, each for its own queries; None takes one a core.
        device: ``cpu``, or a device of torch, for example ``cuda``. Device, block and threads do not change the result,
            except that a device may change the last digit of means and deviations.
        overlay: Overlay of the task, whose pairs are scored too.

    Returns:
        The run of the task.

    Raises:
        InputError: The vectors are not float32, or differ in dimension; or torch has no such device.
        ModelError: A vector is not of length 1.
    """
    vectors_of = {"query": embeddings.queries, "variant": embeddings.variants, "candidate": embeddings.candidates}
    check_units(**vectors_of, **embeddings.parts)
    number = len(pool.query_ids)
    own, every = pool.positives, np.arange(number)
    length = min(max(depth, pool.cutoff + 1), int(pool.sizes.max()))  # one more shows whether ties continue
    ladder = (pool.ladder.query, pool.ladder.position)
    again = [(embeddings.variants, pool.variants.query)]
    again += [(vectors, every) for vectors in embeddings.parts.values()]
    target = ScoreRequest(np.arange(len(pool.variants.target)), pool.variants.target)
    with _searching(pool, number + sum(len(query) for _, query in again), threads) as (executor, progress):
        searcher = _searcher(embeddings.candidates, pool, executor, threads or cores(), block, progress, device)
        laid = (np.empty(0, np.int64),) * 2 if overlay is None else (overlay.query, overlay.position)
        members, relevant, positive, over = (
            ScoreRequest(*pairs, counted=True) for pairs in (ladder, pool.relevant, (every, own), laid)
        )
        requests = [members, relevant, positive, *([over] if len(over.query) else [])]
        top, scores = searcher.search(embeddings.queries, requests, length)
        first = first_results(pool, searcher, embeddings.queries, top, scores)
        mean, deviation = searcher.moments(embeddings.queries)
        far = unrelated(embeddings.queries, pool, executor)
        ranks = [ranks_of_positives(positive, relevant)]
        for more, query_of in again:
            positive = ScoreRequest(np.arange(len(query_of)), own[query_of], counted=True)
            known = relevant.for_queries(query_of)
            requests = [positive, known, *([target] if more is embeddings.variants else [])]
            searcher.search(more, requests, of=query_of)
            ranks.append(ranks_of_positives(positive, known))
    one = ~np.isnan(first.only)  # all candidates have one score: sums would be off in the last bits
    mean[one], deviation[one] = first.only[one], 0.0
    kept = top[:, : min(depth, length)] >= 0
    query, column = np.nonzero(kept)
    tables = {
        "top": {"query": query, "candidate": top[query, column], "rank": column + 1, "score": scores[query, column]},
        "ladder": members.columns(),
        "relevant": relevant.columns(),
        "gains": first.gains,
        "first": first.grains,
    }
    if overlay is not None and len(overlay.query):
        tables["overlay"] = {**over.columns(), "relevance": overlay.relevance}
    named = {name: _table(columns, pool) for name, columns in tables.items()}
    of_queries = {"mean": mean, "deviation": deviation, "unrelated": far, "wrong": first.wrong}
    return TaskRun(**named, **rank_tables(embeddings, pool, ranks, target.score, of_queries))


def _searcher(
    candidates: Rows,
    pool: TaskPool,
    executor: ThreadPoolExecutor,
    threads: int,
    block: int | None,
    progress: Any,
    device: str,
) -> PoolSearcher[Any]:
    """Return the searcher for the whole pool, for the pool without excluded candidates, or for lists."""
    lists, excluded = (
        None if pairs is None else PairList(pairs.query, pairs.position) for pairs in (pool.lists, pool.excluded)
    )
    if isinstance(candidates, Ragged):
        among: Any = {"lists": lists, "excluded": excluded, "threads": threads, "block": block}
        return MaxSimSearcher(candidates, pool.row, executor, progress, **among)
    vectors = Vectors(candidates, pool.row)
    if lists is not None:
        return ListSearcher(vectors, lists, executor, progress, threads=threads, block=block, device=device)
    searcher = Searcher(vectors, executor, threads, block, progress, device)
    return searcher if excluded is None else ExcludingSearcher(searcher, excluded)


@contextmanager
def _searching(pool: TaskPool, number: int, threads: int | None) -> Iterator[tuple[ThreadPoolExecutor, Any]]:
    bar = tqdm(total=number, desc=f"{pool.task}: search", leave=False, disable=None)
    with one_thread(), ThreadPoolExecutor(threads or cores()) as executor, bar as progress:
        yield executor, progress


def _table(columns: dict[str, Any], pool: TaskPool) -> pa.Table:
    named = {"query-id": _named(pool.names["query-id"], columns.pop("query"))}
    if "grain" in columns:
        named["grain"] = _named(pa.array(pool.grain_types, pa.string()), columns.pop("grain"))
    if "candidate" in columns:
        named["corpus-id"] = _named(pool.names["corpus-id"], columns.pop("candidate"))
    return pa.table(named | {name: pa.array(values) for name, values in columns.items()})


def _named(names: pa.Array, at: Ints) -> pa.Array:
    if len(at) < len(names):  # only the names that are used
        used, at = np.unique(at, return_inverse=True)
        names = names.take(pa.array(used))
    return pa.DictionaryArray.from_arrays(pa.array(at.astype(np.int32)), names)
