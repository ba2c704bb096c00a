"""The pool of a task as integer arrays: queries, candidates, judgements, ladders and variants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from mrbench.arrays import Bools, Ints
from mrbench.errors import InputError
from mrbench.pools.grades import Codes
from mrbench.pools.judgements import FromGrains, Judgements, LadderPairs
from mrbench.records import Task

PoolName = Literal["task", "union"]
POOLS: tuple[PoolName, ...] = ("task", "union")
CUTOFF = 10
Names = np.ndarray[Any, np.dtype[np.str_]]


@dataclass(frozen=True)
class Variants:
    """The variants of a task's queries in file order, arrays of shape ``(num_variants,)``.

    Attributes:
        query: Index of the query in the pool.
        kind: ``degrained``, ``flipped`` or ``paraphrased``.
        grain: The grain type that was dropped or flipped; empty for a paraphrase.
        number: 0, 1, ... among variants of one query, kind and grain.
        target: Position of the candidate that the variant asks for.
        row: Row in the benchmark's table.
    """

    query: Ints
    kind: Names
    grain: Names
    number: Ints
    target: Ints
    row: Ints

    @classmethod
    def none(cls) -> Variants:
        """Return no variants."""
        nothing, no_name = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.str_)
        return cls(nothing, no_name, no_name, nothing, nothing, nothing)


@dataclass(frozen=True)
class Pairs:
    """Some candidates of each query, arrays of shape ``(num_pairs,)``.

    Attributes:
        query: Index of the query, ascending.
        position: Position of the candidate in the pool.
    """

    query: Ints
    position: Ints

    @classmethod
    def none(cls) -> Pairs:
        """Return no pairs."""
        return cls(*np.empty((2, 0), dtype=np.int64))


@dataclass(frozen=True)
class TaskPool:
    """One task of one split: its queries, and the candidates they are searched among, sorted by id.

    Attributes:
        definition: The task.
        corpora: Names of the corpora, in the order in which their embeddings are stacked.
        query_ids: Shape ``(num_queries,)``, in file order, without queries that have no relevant candidate in the pool.
        query_grains: A code for each query and grain type, shape ``(num_queries, num_types)``; -1 for none.
        candidate_ids: Shape ``(num_candidates,)``, sorted.
        row: Row of each candidate in the stacked embeddings of ``corpus_rows``, shape ``(num_candidates,)``.
        corpus: Index of each candidate's corpus in ``corpora``, the same shape.
        right_modality: Which of ``corpora`` have a modality that the task asks for, shape ``(num_corpora,)``.
        grain_types: The names of the types, sorted.
        judgements: The relevance of candidates.
        positives: Position of each query's own positive, shape ``(num_queries,)``: the one that its ladder names, else
            the first relevant candidate in file order.
        ladder: The members of all ladders, including positives. A query may have no ladder.
        variants: The variants of the queries.
        clusters: Name of each query's cluster: queries of one cluster are not independent.
        lists: Candidates that each query is searched among; None if that is the whole pool.
        excluded: Candidates excluded for some queries; None if there are none.
        unanswerable: Number of queries left out because the pool has no relevant candidate for them.
        corpus_rows: Rows of a corpus that are in the pool, ascending, by its name. A corpus without an entry is whole.
        left_out: Number of candidates that a quick look left out.
    """

    definition: Task
    corpora: tuple[str, ...]
    query_ids: Names
    query_grains: Codes
    candidate_ids: Names
    row: Ints
    corpus: Ints
    right_modality: Bools
    grain_types: tuple[str, ...]
    judgements: Judgements
    positives: Ints
    ladder: Pairs
    variants: Variants
    clusters: Names
    lists: Pairs | None = None
    excluded: Pairs | None = None
    unanswerable: int = 0
    corpus_rows: Mapping[str, Ints] = field(default_factory=dict)
    left_out: int = 0

    @property
    def task(self) -> str:
        """The name of the task."""
        return self.definition.name

    @property
    def candidate_grains(self) -> Codes:
        """The grains of all candidates, shape ``(num_types, num_candidates)``.

        Raises:
            InputError: They are unknown, because the judgements are partial.
        """
        if not isinstance(self.judgements, FromGrains):
            raise InputError("the grains of the candidates are not known", where=self.task, accepted="a closed suite")
        return self.judgements.candidate_grains

    @cached_property
    def sizes(self) -> Ints:
        """Number of candidates that each query is searched among, shape ``(num_queries,)``."""
        number = len(self.query_ids)
        if self.lists is not None:
            return np.bincount(self.lists.query, minlength=number)
        sizes = np.full(number, len(self.candidate_ids), dtype=np.int64)
        return sizes if self.excluded is None else sizes - np.bincount(self.excluded.query, minlength=number)

    @cached_property
    def names(self) -> dict[str, pa.Array]:
        """The ids as Arrow arrays, by the column of a run that refers to them."""
        return {
            "query-id": pa.array(self.query_ids.tolist(), pa.string()),
            "corpus-id": pa.array(self.candidate_ids.tolist(), pa.string()),
        }

    @property
    def relevant(self) -> tuple[Ints, Ints]:
        """Query and position of every relevant candidate, by query and position."""
        return self.judgements.relevant

    @cached_property
    def pairs(self) -> LadderPairs:
        """Every ladder member that differs from its query's positive in one grain alone, sorted by query.

        Raises:
            BenchmarkError: A query of a closed suite lacks such a candidate for one of its grains.
        """
        return self.judgements.pairs(self.ladder.query, self.ladder.position, self.positives)

    @cached_property
    def cutoff(self) -> int:
        """Number of first results whose tie groups a run keeps: as many as nDCG and judged@k need."""
        ends = (name.rpartition("@")[2] for name in (*self.definition.measures, self.definition.main))
        return max((CUTOFF, *(int(end) for end in ends if end.isdecimal())))  # map@r has no number
