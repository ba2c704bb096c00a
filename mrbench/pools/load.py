"""Reads the pool of a task from a benchmark, without texts and images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mrbench.arrays import Bools, Ints, row_ends
from mrbench.benchmark import Benchmark, Records
from mrbench.errors import BenchmarkError, InputError
from mrbench.measures import refused_names
from mrbench.pools.grades import NONE, Codes
from mrbench.pools.ids import Names, check_unique, find, read_ids, sample
from mrbench.pools.judgements import FromGrains, Judgements
from mrbench.pools.listed import ListedPool, read_listed
from mrbench.pools.narrow import narrow, stacked
from mrbench.pools.pool import POOLS, Pairs, TaskPool, Variants
from mrbench.records import Modality, Task

_NOTHING = "no query or no candidate to score"
VALIDATE = "mrbench validate DIR"


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
        distractors: Number of candidates to keep beside those that the queries need, chosen as the queries are
            (:func:`mrbench.pools.narrow.narrow`). None keeps all.
        seed: Seed of both samples.

    Raises:
        InputError: Unknown task, split or pool, or a union asked of a task whose queries have lists.
        BenchmarkError: An unknown measure of the task; no query or no candidate; a malformed id, or one that is there
            twice; two grains of one type; a ladder, a list or a judgement that names what is not there; judgements that
            contradict each other, or, in a closed suite, the grains; or no query with a relevant candidate in the pool.
    """
    definition = benchmark.task(task)
    for refused in refused_names(definition):
        raise BenchmarkError(str(refused), where=f"{benchmark.folder}, measures and main of {task}") from refused
    if pool == "union" and definition.pool == "lists":
        raise InputError("a task whose queries have lists of candidates has no union pool", where=task, got=pool)
    names = pool_corpora(benchmark, task, split, pool)
    corpora = _read_corpora(benchmark, definition, split, names)
    columns = ["id", "grains", *(["cluster"] if definition.judgements == "partial" else [])]
    queries = benchmark.queries(task, split).table(columns)
    query_ids = read_ids(queries["id"], f"{split} queries of {task}")
    if not len(query_ids):
        raise BenchmarkError(_NOTHING, where=f"{benchmark.folder}, {split}, {task}", hint=VALIDATE)
    check_unique(np.sort(query_ids), f"{split} queries of {task}")
    chosen = sample(query_ids, limit, seed)
    read = _closed if definition.judgements == "complete" else _open
    whole = read(benchmark, definition, split, corpora, queries, query_ids, chosen)
    if distractors is None:
        return whole
    return narrow(whole, distractors, seed, {name: benchmark.count("corpus", name, split) for name in corpora.names})


def pool_corpora(benchmark: Benchmark, task: str, split: str, pool: str) -> tuple[str, ...]:
    """Return the names of the corpora that a task is searched in.

    Raises:
        InputError: Unknown task, split or pool.
        BenchmarkError: The split has no query or no candidate of the task.
    """
    if pool not in POOLS:
        raise InputError("unknown pool", got=pool, accepted=", ".join(POOLS))
    definition = benchmark.task(task)
    if split not in benchmark.splits:
        raise InputError("unknown split", where=benchmark.folder, got=split, accepted=", ".join(benchmark.splits))
    own = [name for name in definition.own_corpora if benchmark.count("corpus", name, split)]
    if not own or not benchmark.count("queries", task, split):
        lacking = [f"queries/{task}-{split}"] if own else [f"corpus/{n}-{split}" for n in definition.own_corpora]
        raise BenchmarkError(
            _NOTHING,
            where=f"{benchmark.folder}, {split}, {task}",
            got=f"no rows of {' and '.join(lacking)}",
            hint=f"mrbench datasets check {benchmark.folder}",
        )
    if pool == "task":
        return tuple(own)
    return tuple(sorted(name for name in benchmark.corpora if benchmark.count("corpus", name, split)))


def pool_modalities(benchmark: Benchmark, task: str, split: str, pool: str) -> tuple[Modality, ...]:
    """Return the modalities of a task's candidates, in the order of :func:`pool_corpora`, each once.

    Raises:
        InputError: Unknown task, split or pool.
        BenchmarkError: The split has no query or no candidate of the task.
    """
    return tuple(dict.fromkeys(benchmark.corpora[name] for name in pool_corpora(benchmark, task, split, pool)))


@dataclass(frozen=True)
class _Corpora:
    """The candidates of a pool, sorted by id.

    Attributes:
        names: Of the corpora, in the order in which they are stacked.
        right_modality: Which are of a modality that the task asks for.
        tables: ``id`` and ``grains`` of each; only ``id`` with partial judgements.
        ids: Shape ``(num_candidates,)``, sorted.
        row: Row of each in the stacked corpora, without the rows that are there again in another corpus.
        corpus: Index of its corpus.
        rows: Rows of the corpora that are in several, by name.
    """

    names: tuple[str, ...]
    right_modality: Bools
    tables: list[pa.Table]
    ids: Names
    row: Ints
    corpus: Ints
    rows: dict[str, Ints]


def _read_corpora(benchmark: Benchmark, task: Task, split: str, names: tuple[str, ...]) -> _Corpora:
    closed = task.judgements == "complete"
    columns = ["id", "grains"] if closed else ["id"]
    tables = [benchmark.corpus(name, split).table(columns) for name in names]
    if not all(map(len, tables)):
        raise BenchmarkError(_NOTHING, where=f"{benchmark.folder}, {split}, {task.name}", hint=VALIDATE)
    parts = [read_ids(table["id"], f"{split} corpus {name}") for table, name in zip(tables, names, strict=True)]
    ids = np.concatenate(parts)
    corpus = np.repeat(np.arange(len(parts)), list(map(len, parts)))
    own = np.array([name in task.own_corpora for name in names])
    # A candidate may be in several corpora of an open union; it counts once, as one of the task's own where it is one.
    order = np.lexsort((corpus, ~own[corpus], ids)) if len(names) > 1 else np.argsort(ids, kind="stable")
    for part, name in zip(parts, names, strict=True):
        check_unique(np.sort(part), f"{split} corpus {name}")
    if closed:
        check_unique(ids[order], f"{split} corpus")
    else:
        first = np.ones(len(order), dtype=np.bool_)
        first[1:] = ids[order][1:] != ids[order][:-1]
        order = order[first]
    wanted = {benchmark.corpora[name] for name in task.own_corpora}
    right = np.array([benchmark.corpora[name] in wanted for name in names])
    row, left = stacked(order, list(map(len, parts)))
    rows = {name: some for name, some, part in zip(names, left, parts, strict=True) if len(some) < len(part)}
    return _Corpora(names, right, tables, ids[order], row, corpus[order], rows)


def _closed(
    benchmark: Benchmark,
    task: Task,
    split: str,
    corpora: _Corpora,
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
    found = TaskPool(
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
    _check_judgements(benchmark, split, found)
    return found


def _open(
    benchmark: Benchmark,
    task: Task,
    split: str,
    corpora: _Corpora,
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
    if not len(ladder.query) and listed.lists is not None:  # a list of judged candidates is a ladder
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
    """Raise where a ladder's positive is not judged relevant."""
    has = np.flatnonzero(positives >= 0)
    wrong = has[judgements.gains_of(has, positives[has]) < 1]
    if len(wrong):
        raise BenchmarkError(
            "the positive of a ladder is not judged relevant", where=f"{task} {ids[wrong[0]]}", hint=VALIDATE
        )


def grain_codes(
    columns: list[pa.ChunkedArray], where: str, more_types: tuple[str, ...] = ()
) -> tuple[tuple[str, ...], list[Codes]]:
    """Return the names of the grain types, sorted, and for each column the codes, ``(num_types, num_records)``.

    Args:
        columns: Lists of grains.
        where: What to name in an error.
        more_types: Types that no record of the columns has.

    Raises:
        BenchmarkError: A record has two grains of one type.
    """
    lists = [column.combine_chunks() for column in columns]
    types = [pc.struct_field(grains.flatten(), "type") for grains in lists]
    values = [pc.struct_field(grains.flatten(), "value") for grains in lists]
    names = sorted({*pc.unique(pa.chunked_array(types, pa.string())).to_pylist(), *more_types})
    known = pc.unique(pa.chunked_array(values, pa.string()))
    coded = []
    for grains, kind, value in zip(lists, types, values, strict=True):
        codes = np.full((len(names), len(grains)), NONE, dtype=np.int32)
        record = np.repeat(np.arange(len(grains)), pc.list_value_length(grains).to_numpy(zero_copy_only=False))
        kind_index = pc.index_in(kind, pa.array(names, pa.string())).to_numpy(zero_copy_only=False)
        codes[kind_index, record] = pc.index_in(value, known).to_numpy(zero_copy_only=False)
        if np.count_nonzero(codes != NONE) < len(record):
            twice = np.bincount(record * len(names) + kind_index).argmax()
            raise BenchmarkError(
                "two grains of one type", where=f"{where}, row {twice // len(names)}", got=names[twice % len(names)]
            )
        coded.append(codes)
    return tuple(names), coded


def read_lists(
    table: pa.Table, column: str, what: str, where: str, query_ids: Names, candidate_ids: Names, *, hint: str = VALIDATE
) -> tuple[Ints, Ints, Ints, Ints]:
    """Return the rows of a table of lists of candidates, in the order of the queries.

    Args:
        table: ``query-id`` and a column of lists of candidate ids.
        column: That column.
        what: What to call a list in an error.
        where: What to name in an error.
        query_ids: The queries wanted.
        candidate_ids: The pool, sorted.
        hint: The next command.

    Returns:
        For each query wanted the row of its list, -1 where it has none; and of all lists that are wanted, by query, the
        query and the position of each member, -1 where it is not in the pool; and the row of the list.

    Raises:
        BenchmarkError: A query has two lists, or a list names a candidate twice.
    """
    lists = table[column].combine_chunks()
    ends = row_ends(pc.list_value_length(lists).to_numpy(zero_copy_only=False))
    of_query = {name: number for number, name in enumerate(table["query-id"].to_pylist())}
    if len(of_query) < len(table):
        raise BenchmarkError(f"a query has two {what}s", where=where, hint=hint)
    rows = np.array([of_query.get(name, -1) for name in query_ids.tolist()], dtype=np.int64)
    some = np.flatnonzero(rows >= 0)
    counts = ends[rows[some] + 1] - ends[rows[some]]
    query = np.repeat(some, counts)
    at = np.repeat(ends[rows[some]] - row_ends(counts)[:-1], counts) + np.arange(int(counts.sum()))
    members = np.array(lists.flatten().take(pa.array(at)).to_pylist(), dtype=np.str_)
    position = find(candidate_ids, members)
    keys = np.sort(np.unique(members, return_inverse=True)[1] + query * (len(members) + 1))
    if (keys[1:] == keys[:-1]).any():
        twice = int(keys[1:][keys[1:] == keys[:-1]][0] // (len(members) + 1))
        raise BenchmarkError(f"a {what} names a candidate twice", where=f"{where}, {query_ids[twice]}", hint=hint)
    return rows, query, position, at


def read_ladders(
    ladders: Records[Any], task: str, query_ids: Names, candidate_ids: Names, *, every: bool
) -> tuple[Ints, Pairs]:
    """Return the position of each query's positive, -1 where it has no ladder, and the members of all ladders.

    Args:
        ladders: The ladders of the task.
        task: Its name, for errors.
        query_ids: The queries wanted.
        candidate_ids: The pool, sorted.
        every: Whether every query has to have a ladder.

    Raises:
        BenchmarkError: A query has no ladder or two; a ladder names a candidate twice, or one that is not in the pool,
            or lacks its positive.
    """
    if not every and not len(ladders):
        return np.full(len(query_ids), -1, dtype=np.int64), Pairs.none()
    table = ladders.table(["query-id", "positive-id", "corpus-ids"])
    rows, query, position, _ = read_lists(table, "corpus-ids", "ladder", f"ladders of {task}", query_ids, candidate_ids)
    if every and (rows < 0).any():
        lacking = query_ids[int(np.argmin(rows))]
        raise BenchmarkError("a query has no ladder", where=f"{task} {lacking}", hint=VALIDATE)
    stated = find(candidate_ids, np.array(table["positive-id"].to_pylist(), dtype=np.str_))
    positives = np.where(rows >= 0, stated[rows] if len(stated) else -1, -1)
    own = np.zeros(len(query_ids), dtype=np.bool_)
    own[query[position == positives[query]]] = True
    wrong = np.zeros(len(query_ids), dtype=np.bool_)
    wrong[query[position < 0]] = True
    wrong |= (rows >= 0) & ((positives < 0) | ~own)
    if wrong.any():
        lacking = query_ids[int(np.argmax(wrong))]
        raise BenchmarkError("a ladder names a candidate that is not there", where=f"{task} {lacking}", hint=VALIDATE)
    return positives, Pairs(query, position)


def read_variants(benchmark: Benchmark, task: str, split: str, query_ids: Names, candidate_ids: Names) -> Variants:
    """Return the variants of some queries.

    Raises:
        BenchmarkError: A variant asks for a candidate that is not in the pool, or is there twice.
    """
    records = benchmark.variants(task, split)
    if not len(records):
        return Variants.none()
    columns = records.table(["query-id", "kind", "grain", "number", "positive-id"])
    ids, kind, grain, positive = (
        np.array(columns[name].to_pylist(), dtype=np.str_) for name in ("query-id", "kind", "grain", "positive-id")
    )
    order = np.argsort(query_ids)
    at = find(query_ids[order], ids)
    row = np.flatnonzero(at >= 0)
    target = find(candidate_ids, positive[row])
    if (target < 0).any():
        lost = int(np.argmin(target))
        raise BenchmarkError(
            "a variant asks for a candidate that is not there",
            where=f"{task} {ids[row[lost]]}",
            got=str(positive[row[lost]]),
            hint=VALIDATE,
        )
    number = np.array(columns["number"].to_pylist(), dtype=np.int64)
    keys = zip(at[row].tolist(), kind[row].tolist(), grain[row].tolist(), number[row].tolist(), strict=True)
    if len(set(keys)) < len(row):
        raise BenchmarkError("a variant is there twice", where=f"{split}, {task}", hint=VALIDATE)
    return Variants(order[at[row]], kind[row], grain[row], number[row], target, row)


def _clusters(benchmark: Benchmark, grains: pa.ChunkedArray, query_ids: Names) -> Names:
    """Return the value of the grain that the builder names as what ties queries together, else the query's own id."""
    kind = benchmark.manifest.builder.get("cluster_grain")
    values = [next((g["value"] for g in row if g["type"] == kind), None) for row in grains.to_pylist()]
    return np.array([value or name for value, name in zip(values, query_ids.tolist(), strict=True)], dtype=np.str_)


def _check_judgements(benchmark: Benchmark, split: str, pool: TaskPool) -> None:
    """Compare the relevant candidates that a closed suite states with those that its grains ask for."""
    table = benchmark.judgements(pool.task, split).table(["query-id", "corpus-id", "score"])
    table = table.filter(pc.greater(table["score"], 0))
    order = np.argsort(pool.query_ids)
    at = find(pool.query_ids[order], np.array(table["query-id"].to_pylist(), dtype=np.str_))
    asked = at >= 0
    candidates = np.array(table["corpus-id"].filter(pa.array(asked)).to_pylist(), dtype=np.str_)
    number = len(pool.candidate_ids) + 1  # one more for a candidate that is not there
    stated = order[at[asked]] * number + find(pool.candidate_ids, candidates) % number
    query, position = pool.relevant
    wrong = np.setxor1d(stated, query * number + position)
    positive = np.arange(len(pool.query_ids)) * number + pool.positives
    wrong = np.concatenate([wrong, np.setdiff1d(positive, query * number + position)])
    if len(wrong):
        raise BenchmarkError(
            "the judgements are not those that the grains ask for",
            where=f"{pool.task} {pool.query_ids[wrong[0] // number]}",
            hint=VALIDATE,
        )
    _ = pool.pairs  # kept, and every ladder is looked at
