"""What is trained on: the items of a split, and for each task who asks, what answers, and its ladders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from mrbench.arrays import Bools, Ints, row_ends
from mrbench.pools import TaskPool
from mrbench.pools.judgements import FromGrains, Judgements
from mrbench.records import Modality

PARTS: tuple[Modality, ...] = ("image", "text", "image,text")
"""What is embedded by itself. Items of two parts have a row of the last, or one of each of the first two."""

Table = np.ndarray[Any, Any]
"""Items of one part, a row each: unit vectors of a frozen encoder, ``(num_items, dimension)``, or objects to embed."""


@dataclass(frozen=True)
class Lists:
    """Some candidates of each query, as arrays by query.

    Attributes:
        position: The candidates, shape ``(num_members,)``.
        ends: Where the candidates of query ``n`` begin and end: ``ends[n]`` and ``ends[n + 1]``.
    """

    position: Ints
    ends: Ints

    @classmethod
    def of(cls, query: Ints, position: Ints, num_queries: int) -> Lists:
        """Return lists from pairs, sorted by query."""
        order = np.argsort(query, kind="stable")
        return cls(position[order], row_ends(np.bincount(query, minlength=num_queries)))

    @property
    def query(self) -> Ints:
        """The query of every member, shape ``(num_members,)``."""
        return np.repeat(np.arange(len(self.ends) - 1), np.diff(self.ends))

    def draw(self, queries: Ints, number: int, rng: np.random.Generator) -> Ints:
        """Return random members of each query's list, with repeats, ``(len(queries), number)``; -1 for empty lists."""
        sizes = self.ends[queries + 1] - self.ends[queries]
        at = (rng.random((len(queries), number)) * sizes[:, None]).astype(np.int64) + self.ends[queries][:, None]
        if not len(self.position):
            return np.full(at.shape, -1)
        return np.where(sizes[:, None] > 0, self.position[np.minimum(at, len(self.position) - 1)], -1)


@dataclass(frozen=True)
class TrainTask:
    """A task: its queries and candidates as rows of tables, and what is known of each pair.

    Attributes:
        name: Name of the task.
        queries: Rows of the queries in the table of each of :data:`PARTS`, -1 for none; ``(num_queries, 3)``.
        candidates: The same of the candidates, ``(num_candidates, 3)``.
        query_rows: Index of each query in the pool.
        candidate_rows: Position of each candidate in the pool.
        relevant: The relevant candidates of each query.
        ladder: Its known negatives.
        pairs: Query, grain type and position of every negative that differs in one grain alone.
        pool: The pool: judgements, grains.
    """

    name: str
    queries: Ints
    candidates: Ints
    query_rows: Ints
    candidate_rows: Ints
    relevant: Lists
    ladder: Lists
    pairs: tuple[Ints, Ints, Ints]
    pool: TaskPool

    @property
    def judgements(self) -> Judgements:
        """What candidates are worth."""
        return self.pool.judgements

    def kept_of(self, query: Ints, position: Ints) -> tuple[Ints, Ints]:
        """Return how many grains each pair keeps and how many were asked; -1 where not known."""
        return self.judgements.kept_of(self.query_rows[query], self.candidate_rows[position])

    def relevant_to(self, queries: Ints, candidates: Ints) -> Bools:
        """Return which candidates answer which queries, shape ``(len(queries), len(candidates))``."""
        wanted = queries[:, None] * len(self.candidates) + candidates
        at = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        found: Bools = self._keys[at] == wanted
        return found

    @cached_property
    def _keys(self) -> Ints:
        return self.relevant.query * len(self.candidates) + self.relevant.position

    def alike(self, queries: Ints) -> Bools:
        """Return whose grains hold all of whose: what answers the second answers the first, judged or not.

        Returns:
            Shape ``(len(queries), len(queries))``: first and second. All false in a closed world, where judgements say
            so already, and for queries without a known grain.
        """
        codes = self.pool.query_grains[self.query_rows[queries]]
        if isinstance(self.judgements, FromGrains) or not codes.size:
            return np.zeros((len(queries), len(queries)), dtype=np.bool_)
        held = [(column[:, None] < 0) | (column[:, None] == column) for column in codes.T]
        found: Bools = np.logical_and.reduce(held) & (codes >= 0).any(axis=1, keepdims=True)
        return found

    def some(self, queries: Bools, candidates: Bools) -> TrainTask:
        """Return the task with some of its queries, those that keep a relevant candidate, and some candidates."""
        new = np.where(candidates, np.cumsum(candidates) - 1, -1)
        answered = np.bincount(self.relevant.query[candidates[self.relevant.position]], minlength=len(queries)) > 0
        queries = queries & answered
        row = np.where(queries, np.cumsum(queries) - 1, -1)

        def kept(query: Ints, position: Ints) -> Bools:
            return queries[query] & candidates[position]

        lists = []
        for held in (self.relevant, self.ladder):
            some = kept(held.query, held.position)
            lists.append(Lists.of(row[held.query[some]], new[held.position[some]], int(queries.sum())))
        query, kind, position = self.pairs
        some = kept(query, position)
        return replace(
            self,
            queries=self.queries[queries],
            candidates=self.candidates[candidates],
            query_rows=self.query_rows[queries],
            candidate_rows=self.candidate_rows[candidates],
            relevant=lists[0],
            ladder=lists[1],
            pairs=(row[query[some]], kind[some], new[position[some]]),
        )


@dataclass(frozen=True)
class Split:
    """The items of a split and its tasks.

    Attributes:
        tables: Its items by part: vectors, or texts and encoded images.
        tasks: Its tasks that have a query.
        skipped: Tasks that the encoders cannot take, with the reason.
    """

    tables: Mapping[Modality, Table]
    tasks: tuple[TrainTask, ...]
    skipped: Mapping[str, str]
