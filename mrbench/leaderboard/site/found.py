"""Runs on disk, and what a run found: for each query its first ten results, and where the answer stood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mrbench.arrays import Bools, Floats, Ints
from mrbench.errors import ResultError
from mrbench.pools import TaskPool
from mrbench.results import Result, model_key
from mrbench.runs import read_header, read_table

SHOWN = 10
"""Results of a query that are shown."""


def by_contestant(runs: Sequence[Path]) -> dict[tuple[Any, ...], Path]:
    """Return the folders of runs by what :func:`contestant_of` says of their results.

    Raises:
        ResultError: Not a run.
    """
    found = {}
    for folder in runs:
        raw = read_header(folder)
        try:
            found[_key(raw["model"], raw["benchmark"], raw["limit"], raw["seed"])] = folder
        except (KeyError, TypeError, AttributeError) as error:
            got = f"{type(error).__name__}: {error}"
            raise ResultError("malformed run", where=folder, got=got, hint="evaluate again") from error
    return found


def contestant_of(result: Result) -> tuple[Any, ...]:
    """Return what a result and its run have in common, and no other result."""
    return _key(result.model, result.benchmark, result.limit, result.seed)


def _key(model: dict[str, Any], benchmark: dict[str, Any], limit: int | None, seed: int) -> tuple[Any, ...]:
    about = tuple(benchmark[part] for part in ("digest", "split", "pool"))
    cut = (limit, benchmark.get("distractors"), seed) if limit is not None else ()
    return (*about, *cut, *model_key(model))


@dataclass(frozen=True, slots=True)
class Found:
    """What a model found on one task; rows are the queries of the pool.

    Attributes:
        position: The first results, shape ``(num_queries, 10)``; -1 where there are fewer.
        score: Their scores, the same shape.
        rank: Expected rank of the first relevant candidate over all orders of tied ones, shape ``(num_queries,)``.
        margin: Score of the best relevant candidate less that of the best other one, shape ``(num_queries,)``; NaN
            where the run holds no other one.
    """

    position: Ints
    score: Floats
    rank: Floats
    margin: Floats


def read_found(folder: Path, pool: TaskPool) -> Found:
    """Return what a run found on a task.

    Raises:
        ResultError: The run was altered, or is of other queries or candidates.
    """
    digests = dict(read_header(folder).get("files", {}))
    top = read_table(folder, pool.task, "top", digests)
    relevant = read_table(folder, pool.task, "relevant", digests)
    query, position = _places(top, pool, folder)
    rank, score = top["rank"].to_numpy() - 1, top["score"].to_numpy().astype(np.float64)
    number = len(pool.query_ids)
    shown = (rank >= 0) & (rank < SHOWN)
    positions = np.full((number, SHOWN), -1, dtype=np.int64)
    scores = np.zeros((number, SHOWN))
    positions[query[shown], rank[shown]] = position[shown]
    scores[query[shown], rank[shown]] = score[shown]

    other = ~is_relevant(pool, query, position)
    best_other = np.full(number, -np.inf)
    np.maximum.at(best_other, query[other], score[other])
    own_query, _ = _places(relevant, pool, folder)
    own = relevant["score"].to_numpy().astype(np.float64)
    best_own = np.full(number, -np.inf)
    np.maximum.at(best_own, own_query, own)
    best = own == best_own[own_query]
    ties = np.bincount(own_query[best], minlength=number)  # relevant ones that share the best score
    ranks = np.full(number, np.inf)
    greater, equal = (relevant[name].to_numpy()[best] for name in ("greater", "equal"))
    others = equal - ties[own_query[best]]
    ranks[own_query[best]] = greater + 1 + others / (ties[own_query[best]] + 1)
    with np.errstate(invalid="ignore"):
        margin = best_own - best_other
    return Found(positions, scores, ranks, np.where(np.isfinite(margin), margin, np.nan))


def is_relevant(pool: TaskPool, query: Ints, position: Ints) -> Bools:
    """Return whether each pair is relevant, shape ``(num_pairs,)``."""
    size = len(pool.candidate_ids)
    of, at = pool.relevant
    return np.isin(query * size + position, of * size + at)


def _places(table: pa.Table, pool: TaskPool, folder: Path) -> tuple[Ints, Ints]:
    """Return query and position of every row."""
    found = []
    for column, names in pool.names.items():
        chunk = table[column].combine_chunks()
        chunk = chunk.chunk(0) if isinstance(chunk, pa.ChunkedArray) else chunk
        known = {name: number for number, name in enumerate(names.to_pylist())}
        numbers = np.array([known.get(name, -1) for name in chunk.dictionary.to_pylist()], dtype=np.int64)
        rows = numbers[chunk.indices.to_numpy()] if len(numbers) else np.empty(0, dtype=np.int64)
        if (rows < 0).any():
            name = chunk.dictionary[int(chunk.indices[int(np.argmin(rows))].as_py())].as_py()
            where, hint = f"{folder}, {pool.task}", "evaluate again on the benchmark of --benchmarks"
            raise ResultError("a run names what the benchmark does not have", where=where, got=name, hint=hint)
        found.append(rows)
    return found[0], found[1]
