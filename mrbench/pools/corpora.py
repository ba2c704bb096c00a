"""The candidates of a pool: its corpora, and the ids of all candidates in one order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from mrbench.arrays import Bools, Ints
from mrbench.benchmark import Benchmark
from mrbench.errors import BenchmarkError, InputError, NothingToScoreError
from mrbench.pools.ids import Names, check_unique, read_ids
from mrbench.pools.narrow import stacked
from mrbench.pools.pool import POOLS
from mrbench.records import Modality, Task

NOTHING = "no query or no candidate to score"


def pool_corpora(benchmark: Benchmark, task: str, split: str, pool: str) -> tuple[str, ...]:
    """Return the names of the corpora that a task is searched in.

    Raises:
        InputError: Unknown task, split or pool.
        NothingToScoreError: The split has no query or no candidate of the task.
    """
    if pool not in POOLS:
        raise InputError("unknown pool", got=pool, accepted=", ".join(POOLS))
    definition = benchmark.task(task)
    if split not in benchmark.splits:
        accepted, hint = ", ".join(benchmark.splits), f"--split {benchmark.default_split}"
        raise InputError("unknown split", where=benchmark.folder, got=split, accepted=accepted, hint=hint)
    own = [name for name in definition.own_corpora if benchmark.count("corpus", name, split)]
    if not own or not benchmark.count("queries", task, split):
        lacking = [f"queries/{task}-{split}"] if own else [f"corpus/{n}-{split}" for n in definition.own_corpora]
        raise NothingToScoreError(
            NOTHING,
            where=f"{benchmark.folder}, {split}, {task}",
            got=f"no rows of {' and '.join(lacking)}",
            hint=benchmark.command("datasets", "check"),
        )
    if pool == "task":
        return tuple(own)
    return tuple(sorted(name for name in benchmark.corpora if benchmark.count("corpus", name, split)))


def pool_modalities(benchmark: Benchmark, task: str, split: str, pool: str) -> tuple[Modality, ...]:
    """Return the modalities of a task's candidates, in the order of :func:`pool_corpora`, each once.

    Raises:
        InputError: Unknown task, split or pool.
        NothingToScoreError: The split has no query or no candidate of the task.
    """
    return tuple(dict.fromkeys(benchmark.corpora[name] for name in pool_corpora(benchmark, task, split, pool)))


@dataclass(frozen=True)
class Corpora:
    """The candidates of a pool, sorted by id.

    Attributes:
        names: Names of the corpora, in the order in which they are stacked.
        right_modality: Which corpora have a modality that the task asks for.
        tables: Columns ``id`` and ``grains`` of each corpus; only ``id`` with partial judgements.
        ids: Ids of the candidates, sorted, shape ``(num_candidates,)``.
        row: Row of each candidate in the stacked corpora, from which repeated candidates are left out.
        corpus: Index of each candidate's corpus.
        rows: Rows that are kept of a corpus, by its name, where it repeats candidates of another corpus.
    """

    names: tuple[str, ...]
    right_modality: Bools
    tables: list[pa.Table]
    ids: Names
    row: Ints
    corpus: Ints
    rows: dict[str, Ints]


def read_corpora(benchmark: Benchmark, task: Task, split: str, names: tuple[str, ...]) -> Corpora:
    """Return the candidates of some corpora.

    Raises:
        BenchmarkError: A corpus is empty, or an id is malformed or there twice.
    """
    closed = task.judgements == "complete"
    columns = ["id", "grains"] if closed else ["id"]
    tables = [benchmark.corpus(name, split).table(columns) for name in names]
    if not all(map(len, tables)):
        raise BenchmarkError(NOTHING, where=f"{benchmark.folder}, {split}, {task.name}")
    parts = [read_ids(table["id"], f"{split} corpus {name}") for table, name in zip(tables, names, strict=True)]
    ids = np.concatenate(parts)
    corpus = np.repeat(np.arange(len(parts)), list(map(len, parts)))
    own = np.array([name in task.own_corpora for name in names])
    # A candidate in several corpora of an open union counts once, as one of the task's own corpora if possible.
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
    return Corpora(names, right, tables, ids[order], row, corpus[order], rows)
