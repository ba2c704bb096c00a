"""Reads the pool of a task from a benchmark, without texts and images."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mrbench.arrays import Ints
from mrbench.benchmark import Benchmark
from mrbench.errors import BenchmarkError, InputError, advised
from mrbench.measures import refused_names
from mrbench.pools.corpora import NOTHING, Corpora, pool_corpora, read_corpora
from mrbench.pools.grades import NONE
from mrbench.pools.ids import Names, check_unique, find, read_ids, sample
from mrbench.pools.judgements import FromGrains, Judgements
from mrbench.pools.listed import ListedPool, read_listed
from mrbench.pools.narrow import narrow
from mrbench.pools.pool import Pairs, TaskPool
from mrbench.pools.tables import grain_codes, read_ladders, read_variants
from mrbench.records import Task


def load_pool(
    benchmark: Benchmark,
    task: str,
    split: str,
    *,
    pool: str = "task",
    limit: int | None = None,
    distractors: int | None = None,
    seed: int = 0,
) -> TaskPool:
    """Read a task's queries, candidates and judgements, without texts and images.

    Args:
        benchmark: The benchmark.
        task: One of its tasks.
        split: One of its splits.
        pool: ``task``: the candidates of the task's own corpora; ``union``: of all corpora of the benchmark.
        limit: Number of queries to keep: those whose ids, hashed with the seed, come first. None keeps all.
        distractors: Number of candidates to keep besides those that the queries need, sampled in the same way
            (:func:`mrbench.pools.narrow.narrow`). None keeps all.
        seed: Seed of both samples.

    Raises:
        InputError: The task, split or pool is unknown, or the pool is ``union`` and the task's queries have lists.
        BenchmarkError: The task has an unknown measure; there is no query or no candidate; an id is malformed or occurs
            twice; a record has two grains of one type; a ladder, list or judgement names an unknown id; judgements
            contradict each other or, in a closed suite, the grains; or no query has a relevant candidate in the pool.
    """
    with advised(benchmark.check_command, BenchmarkError):
        whole = _read_pool(benchmark, task, split, pool, limit, seed)
    if distractors is None:
        return whole
    sizes = {name: benchmark.count("corpus", name, split) for name in whole.corpora}
    return narrow(whole, distractors, seed, sizes)


def _read_pool(benchmark: Benchmark, task: str, split: str, pool: str, limit: int | None, seed: int) -> TaskPool:
    definition = benchmark.task(task)
    for refused in refused_names(definition):
        raise BenchmarkError(str(refused), where=f"{benchmark.folder}, measures and main of {task}") from refused
    if pool == "union" and definition.pool == "lists":
        raise InputError(
            "a task whose queries have lists of candidates has no union pool", where=task, got=pool, accepted="task"
        )
    names = pool_corpora(benchmark, task, split, pool)
    corpora = read_corpora(benchmark, definition, split, names)
    columns = ["id", "grains", *(["cluster"] if definition.judgements == "partial" else [])]
    queries = benchmark.queries(task, split).table(columns)
    query_ids = read_ids(queries["id"], f"{split} queries of {task}")
    if not len(query_ids):
        raise BenchmarkError(NOTHING, where=f"{benchmark.folder}, {split}, {task}")
    check_unique(np.sort(query_ids), f"{split} queries of {task}")
    chosen = sample(query_ids, limit, seed)
    read = _closed if definition.judgements == "complete" else _open
    return read(benchmark, definition, split, corpora, queries, query_ids, chosen)


def _closed(
    benchmark: Benchmark,
    task: Task,
    split: str,
    corpora: Corpora,
    queries: pa.Table,
    query_ids: Names,
    chosen: Ints,
) -> TaskPool:
    """Return the pool of a task whose judgements follow from the grains."""
    own = corpora.names.index(task.own_corpora[0])
    grain_types, (query_grains, own_grains) = grain_codes(
        [queries["grains"], corpora.tables[own]["grains"]], f"{split}, {task.name}"
    )
    sizes = [len(table) for table in corpora.tables]
    start = sum(sizes[:own])
    grains = np.full((len(grain_types), len(corpora.ids)), NONE, dtype=np.int32)
    grains[:, start : start + own_grains.shape[1]] = own_grains
    judgements = FromGrains(
        query_grains.T[chosen],
        grains[:, corpora.row],
        np.char.add(f"{task.name} ", query_ids[chosen]),
        grain_types,
    )
    positives, ladder = read_ladders(
        benchmark.ladders(task.name, split), task.name, query_ids[chosen], corpora.ids, every=True
    )
    task_pool = TaskPool(
        definition=task,
        corpora=corpora.names,
        query_ids=query_ids[chosen],
        query_grains=judgements.query_grains,
        candidate_ids=corpora.ids,
        row=corpora.row,
        corpus=corpora.corpus,
        right_modality=corpora.right_modality,
        grain_types=grain_types,
        judgements=judgements,
        positives=positives,
        ladder=ladder,
        variants=read_variants(benchmark, task.name, split, query_ids[chosen], corpora.ids),
        clusters=_clusters(benchmark, queries["grains"], query_ids)[chosen],
    )
    _check_judgements(benchmark, split, task_pool)
    return task_pool


def _open(
    benchmark: Benchmark,
    task: Task,
    split: str,
    corpora: Corpora,
    queries: pa.Table,
    query_ids: Names,
    chosen: Ints,
) -> TaskPool:
    """Return the pool of a task whose judgements are listed."""
    listed: ListedPool = read_listed(benchmark, task, split, query_ids, corpora.ids, chosen)
    kept = listed.queries
    types, (codes,) = grain_codes([queries["grains"]], f"{split}, {task.name}", more_types=listed.violated_types)
    judgements: Judgements = listed.judgements(types)
    ids = query_ids[kept]
    positives, ladder = read_ladders(benchmark.ladders(task.name, split), task.name, ids, corpora.ids, every=False)
    _check_positives(judgements, positives, ids, task.name)
    if not len(ladder.query) and listed.lists is not None:  # a list of judged candidates serves as a ladder
        judged = judgements.judged_of(listed.lists.query, listed.lists.position)
        ladder = Pairs(listed.lists.query[judged], listed.lists.position[judged])
    clusters = np.array(queries["cluster"].to_pylist(), dtype=np.str_)[kept]
    return TaskPool(
        definition=task,
        corpora=corpora.names,
        query_ids=ids,
        query_grains=codes.T[kept],
        candidate_ids=corpora.ids,
        row=corpora.row,
        corpus=corpora.corpus,
        right_modality=corpora.right_modality,
        grain_types=types,
        judgements=judgements,
        positives=np.where(positives >= 0, positives, listed.first_relevant),
        ladder=ladder,
        variants=read_variants(benchmark, task.name, split, ids, corpora.ids),
        clusters=np.where(clusters == "", ids, clusters),
        lists=listed.lists,
        excluded=listed.excluded,
        unanswerable=len(chosen) - len(kept),
        corpus_rows=corpora.rows,
    )


def _check_positives(judgements: Judgements, positives: Ints, ids: Names, task: str) -> None:
    """Check that the positive of every ladder is judged relevant."""
    has = np.flatnonzero(positives >= 0)
    wrong = has[judgements.gains_of(has, positives[has]) < 1]
    if len(wrong):
        raise BenchmarkError("the positive of a ladder is not judged relevant", where=f"{task} {ids[wrong[0]]}")


def _clusters(benchmark: Benchmark, grains: pa.ChunkedArray, query_ids: Names) -> Names:
    """Return each query's cluster: its value of the grain type that the builder names for this, else the query's id."""
    kind = benchmark.manifest.builder.get("cluster_grain")
    values = [next((g["value"] for g in row if g["type"] == kind), None) for row in grains.to_pylist()]
    return np.array([value or name for value, name in zip(values, query_ids.tolist(), strict=True)], dtype=np.str_)


def _check_judgements(benchmark: Benchmark, split: str, pool: TaskPool) -> None:
    """Check that the relevant candidates that a closed suite lists are those that follow from the grains."""
    table = benchmark.judgements(pool.task, split).table(["query-id", "corpus-id", "score"])
    table = table.filter(pc.greater(table["score"], 0))
    order = np.argsort(pool.query_ids)
    at = find(pool.query_ids[order], np.array(table["query-id"].to_pylist(), dtype=np.str_))
    asked = at >= 0
    candidates = np.array(table["corpus-id"].filter(pa.array(asked)).to_pylist(), dtype=np.str_)
    number = len(pool.candidate_ids) + 1  # one more for missing candidates
    stated = order[at[asked]] * number + find(pool.candidate_ids, candidates) % number
    query, position = pool.relevant
    wrong = np.setxor1d(stated, query * number + position)
    positive = np.arange(len(pool.query_ids)) * number + pool.positives
    wrong = np.concatenate([wrong, np.setdiff1d(positive, query * number + position)])
    if len(wrong):
        raise BenchmarkError(
            "the judgements are not those that the grains ask for",
            where=f"{pool.task} {pool.query_ids[wrong[0] // number]}",
        )
    _ = pool.pairs  # checks every ladder, and is cached
