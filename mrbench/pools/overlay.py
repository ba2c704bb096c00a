"""Overlays: further judgements for a data set, such as known false negatives, corrections or a review by people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from mrbench.arrays import Ints
from mrbench.errors import BenchmarkError, InputError
from mrbench.pools.ids import Names, find
from mrbench.pools.judgements import UNKNOWN, Listed
from mrbench.pools.pool import Pairs, TaskPool, Variants


@dataclass(frozen=True)
class Overlay:
    """Judgements of pairs, as arrays of shape ``(num_rows,)``.

    Attributes:
        name: Name of its file, or of the data set that it comes from.
        sha256: Digest of its file, or of that data set.
        task: The task of each row; empty for all tasks that have its query and its candidate.
        query: Ids of queries.
        candidate: Ids of candidates.
        relevance: 0 or more.
        origin: Origin of the judgement, as in :class:`mrbench.records.Judgement`.
    """

    name: str
    sha256: str
    task: Names
    query: Names
    candidate: Names
    relevance: Ints
    origin: Names

    def on(self, pool: TaskPool) -> OverlayPairs:
        """Return the judgements of the pairs that are searched in a pool.

        Raises:
            InputError: The judgements of the task are complete.
            BenchmarkError: Two rows of one pair differ.
        """
        if not isinstance(pool.judgements, Listed):
            raise InputError(
                "an overlay cannot change complete judgements",
                where=pool.task,
                got=self.name,
                accepted="tasks with partial judgements",
                hint="name other tasks with --task",
            )
        order = np.argsort(pool.query_ids)
        at = find(pool.query_ids[order], self.query)
        query = np.where(at >= 0, order[at], -1)
        position = find(pool.candidate_ids, self.candidate)
        some = np.flatnonzero((query >= 0) & (position >= 0) & ((self.task == "") | (self.task == pool.task)))
        keys = query[some] * len(pool.candidate_ids) + position[some]
        inside = _searched(pool, keys)
        some, keys = some[inside], keys[inside]
        unique, first, back = np.unique(keys, return_index=True, return_inverse=True)
        differs = self.relevance[some] != self.relevance[some][first][back.reshape(-1)]
        if differs.any():
            row = some[int(np.argmax(differs))]
            raise BenchmarkError(
                "two judgements of one pair differ",
                where=f"{self.name}, {self.query[row]} {self.candidate[row]}",
                accepted="one judgement of each pair",
                hint="remove one of the two rows",
            )
        rows = some[first]
        names, counts = np.unique(self.origin[rows], return_counts=True)
        origins = dict(zip(names.tolist(), counts.tolist(), strict=True))
        return OverlayPairs(*np.divmod(unique, len(pool.candidate_ids)), self.relevance[rows], origins)


@dataclass(frozen=True)
class OverlayPairs:
    """The judgements of an overlay that concern one pool, arrays of shape ``(num_pairs,)`` by query and position.

    Attributes:
        query: Index of the query.
        position: Position of the candidate.
        relevance: 0 or more.
        origins: Number of judgements by origin.
    """

    query: Ints
    position: Ints
    relevance: Ints
    origins: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class OverlaidPool:
    """A pool whose judgements are replaced by those of an overlay where the overlay has one.

    Attributes:
        pool: The new pool, without the queries that no longer have a relevant candidate.
        queries: Index in the old pool of each query of the new pool, ascending.
        beneath: The old pool.
        pairs: The judgements of the overlay.
    """

    pool: TaskPool
    queries: Ints
    beneath: TaskPool
    pairs: OverlayPairs

    @cached_property
    def index(self) -> Ints:
        """The new index of every query of the old pool, -1 for those that are left out."""
        index = np.full(len(self.beneath.query_ids), -1, dtype=np.int64)
        index[self.queries] = np.arange(len(self.queries))
        return index

    @cached_property
    def changed(self) -> Ints:
        """Rows of ``pairs`` whose candidate becomes relevant, or stops being relevant."""
        before = self.beneath.judgements.gains_of(self.pairs.query, self.pairs.position)
        return np.flatnonzero((before > 0) != (self.pairs.relevance > 0))

    @cached_property
    def newly_judged(self) -> Ints:
        """Rows of ``pairs`` that the old pool does not judge."""
        return np.flatnonzero(~self.beneath.judgements.judged_of(self.pairs.query, self.pairs.position))


def lay_over(pool: TaskPool, pairs: OverlayPairs) -> OverlaidPool:
    """Return a pool with the judgements of an overlay, which replace the pool's own judgements of the same pairs.

    Raises:
        BenchmarkError: No query has a relevant candidate left.
    """
    judgements = pool.judgements
    if not isinstance(judgements, Listed):
        raise InputError(
            "an overlay needs partial judgements", where=pool.task, accepted="tasks with partial judgements"
        )
    number, size = len(pool.query_ids), len(pool.candidate_ids)
    own = judgements.query * size + judgements.position
    over = pairs.query * size + pairs.position
    keys = np.concatenate([over, own])  # np.unique keeps the first of equal keys
    relevance = np.concatenate([pairs.relevance, judgements.relevance])
    unique, first = np.unique(keys, return_index=True)
    query, position = np.divmod(unique, size)
    relevance = relevance[first]
    has = np.zeros(number, dtype=np.bool_)
    has[query[relevance > 0]] = True
    kept = np.flatnonzero(has)
    if not len(kept):
        what, hint = "with the overlay no query has a relevant candidate", "check the relevance column of the overlay"
        raise BenchmarkError(what, where=pool.task, hint=hint)
    index = np.cumsum(has) - 1
    some = has[query]
    unknown = np.full(int(some.sum()), UNKNOWN, dtype=np.int64)
    merged = Listed(
        query=index[query[some]],
        position=position[some],
        relevance=relevance[some],
        grade=unknown,
        asked=unknown,
        violates=np.zeros(len(unknown), dtype=np.int64),
        num_queries=len(kept),
        sizes=pool.sizes[kept],
        num_candidates=size,
        origins={},
    )
    narrowed = replace(
        pool,
        query_ids=pool.query_ids[kept],
        query_grains=pool.query_grains[kept],
        judgements=merged,
        positives=pool.positives[kept],
        ladder=Pairs.none(),
        variants=Variants.none(),
        clusters=pool.clusters[kept],
        lists=_narrowed(pool.lists, has, index),
        excluded=_narrowed(pool.excluded, has, index),
        unanswerable=pool.unanswerable + number - len(kept),
    )
    return OverlaidPool(narrowed, kept, pool, pairs)


def _searched(pool: TaskPool, keys: Ints) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which pairs of a query and a candidate are searched and not excluded."""
    inside = np.ones(len(keys), dtype=np.bool_)
    if pool.lists is not None:
        inside &= np.isin(keys, pool.lists.query * len(pool.candidate_ids) + pool.lists.position)
    if pool.excluded is not None:
        inside &= ~np.isin(keys, pool.excluded.query * len(pool.candidate_ids) + pool.excluded.position)
    return inside


def _narrowed(pairs: Pairs | None, has: np.ndarray[Any, np.dtype[np.bool_]], index: Ints) -> Pairs | None:
    if pairs is None:
        return None
    some = has[pairs.query]
    return Pairs(index[pairs.query[some]], pairs.position[some])
