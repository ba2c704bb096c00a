"""Judgements: the relevance of candidates to queries, derived from grains or listed by a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from mrbench.arrays import Bools, Ints
from mrbench.errors import BenchmarkError
from mrbench.pools import grades
from mrbench.pools.grades import NONE, Codes
from mrbench.pools.ids import find

UNKNOWN = -1
"""A grade or a number of grains that is not known."""
_MOST_GAINS = 1 << 10  # highest relevance: a table of counts has a column for each


@dataclass(frozen=True, slots=True)
class LadderPairs:
    """Ladder members that differ from their query's positive in one grain alone, arrays of shape ``(num_pairs,)``.

    Attributes:
        query: Index of the query, ascending.
        kind: Index of the grain type in the pool's ``grain_types``.
        position: Position of the member in the pool.
    """

    query: Ints
    kind: Ints
    position: Ints


class Judgements(Protocol):
    """The relevance of candidates to queries, as arrays; positions are those of the pool."""

    @property
    def complete(self) -> bool:
        """Whether every pair is judged."""
        ...

    @property
    def relevant(self) -> tuple[Ints, Ints]:
        """Query and position of every relevant candidate, by query and position, each of shape ``(num_relevant,)``."""
        ...

    @property
    def gain_counts(self) -> Ints:
        """The number of candidates with each gain 0, 1, ... for each query, ``(num_queries, highest gain + 1)``."""
        ...

    def gains_of(self, query: Ints, position: Ints) -> Ints:
        """Return the gain of each pair, shape ``(num_pairs,)``; 0 where it is not judged."""
        ...

    def judged_of(self, query: Ints, position: Ints) -> Bools:
        """Return whether each pair is judged, shape ``(num_pairs,)``."""
        ...

    def kept_of(self, query: Ints, position: Ints) -> tuple[Ints, Ints]:
        """Return the grains that each pair keeps and those that its query has, ``(num_pairs,)``; -1 where unknown."""
        ...

    def violates_of(self, query: Ints, position: Ints) -> Ints:
        """Return the grain types that each pair violates as a bit mask over the pool's types, ``(num_pairs,)``."""
        ...

    def pairs(self, ladder_query: Ints, ladder_position: Ints, positives: Ints) -> LadderPairs:
        """Return the ladder members that differ from their query's positive in one grain alone.

        Args:
            ladder_query: Query of each member of a ladder, ascending.
            ladder_position: Its position.
            positives: Position of each query's own positive, shape ``(num_queries,)``.
        """
        ...

    def within(self, kept: Ints, sizes: Ints) -> Judgements:
        """Return the judgements in a smaller pool.

        Args:
            kept: Positions of the candidates that are left, ascending; every judged one is.
            sizes: Number of candidates that each query is searched among there, shape ``(num_queries,)``.
        """
        ...


@dataclass(frozen=True)
class FromGrains:
    """Judgements of a closed suite: the grains of all candidates are known, and judgements follow from them.

    A grain is stored as a code: the index of its value in a list over all records; -1 if a record has no grain of the
    type. The gain of a candidate is its grade.

    Attributes:
        query_grains: Codes, shape ``(num_queries, num_types)``.
        candidate_grains: Codes, shape ``(num_types, num_candidates)``; all -1 for candidates of other corpora than the
            task's own, which are never relevant.
        names: Name of each query for error messages, shape ``(num_queries,)``.
        types: Names of the grain types.
    """

    query_grains: Codes
    candidate_grains: Codes
    names: np.ndarray[Any, np.dtype[np.str_]]
    types: tuple[str, ...]
    complete: bool = True

    @cached_property
    def relevant(self) -> tuple[Ints, Ints]:
        """Query and position of every candidate that keeps all grains of a query."""
        return grades.relevant(self.query_grains, self.candidate_grains)

    @cached_property
    def gain_counts(self) -> Ints:
        """The number of candidates with each grade for each query, shape ``(num_queries, num_types + 1)``."""
        return grades.counts(self.query_grains, self.candidate_grains)

    def gains_of(self, query: Ints, position: Ints) -> Ints:
        """Return the grade of each pair."""
        return grades.grades_of(self.query_grains, self.candidate_grains, query, position)

    def judged_of(self, query: Ints, position: Ints) -> Bools:
        """Return True for every pair."""
        return np.ones(len(query), dtype=np.bool_)

    def kept_of(self, query: Ints, position: Ints) -> tuple[Ints, Ints]:
        """Return the grade of each pair, and the number of its query's grains."""
        return self.gains_of(query, position), (self.query_grains[query] != NONE).sum(axis=1)

    def violates_of(self, query: Ints, position: Ints) -> Ints:
        """Return the types of its query's grains that each pair does not keep."""
        lost = np.zeros(len(query), dtype=np.int64)
        for kind, (have, want) in enumerate(zip(self.candidate_grains, self.query_grains.T, strict=True)):
            asked = want[query]
            lost |= ((asked != NONE) & (have[position] != asked)).astype(np.int64) << kind
        return lost

    def grades(self, query: int) -> np.ndarray[Any, np.dtype[np.int16]]:
        """Return how many grains of one query each candidate keeps, shape ``(num_candidates,)``."""
        return grades.grades(self.query_grains[query], self.candidate_grains)

    def pairs(self, ladder_query: Ints, ladder_position: Ints, positives: Ints) -> LadderPairs:
        """Return the members that differ from the positive in exactly one of the query's grains.

        Raises:
            BenchmarkError: A query lacks such a member for one of its grains.
        """
        own = self.candidate_grains[:, positives[ladder_query]]
        members = self.candidate_grains[:, ladder_position]
        differs = members != own
        kind = differs.argmax(axis=0)
        asked = self.query_grains != NONE
        single = differs.sum(axis=0) == 1
        single &= asked[ladder_query, kind] & (members[kind, np.arange(len(kind))] != NONE)
        has = np.zeros(asked.shape, dtype=np.bool_)
        has[ladder_query[single], kind[single]] = True
        lacking = np.argwhere(asked & ~has)
        if len(lacking):
            query, missing = lacking[0]
            raise BenchmarkError(
                f"a ladder has no candidate that differs only in {self.types[missing]}",
                where=self.names[query],
            )
        return LadderPairs(ladder_query[single], kind[single], ladder_position[single])

    def within(self, kept: Ints, sizes: Ints) -> FromGrains:
        """Return the judgements in a smaller pool."""
        return replace(self, candidate_grains=self.candidate_grains[:, kept])


@dataclass(frozen=True)
class Listed:
    """Judgements that a data set lists, arrays of shape ``(num_judged,)`` by query and position; each pair once.

    Other pairs are unjudged and have gain 0. The gain of a candidate is its relevance.

    Attributes:
        query: Index of the query.
        position: Position of the candidate.
        relevance: 0 for not relevant, 1 or more for relevant.
        grade: Number of the query's grains that the candidate keeps; -1 where unknown.
        asked: Number of grains that the grade counts from; -1 where unknown.
        violates: The violated grain types as a bit mask over the pool's ``grain_types``; 0 where none is known.
        num_queries: Number of queries.
        sizes: Number of candidates that each query is searched among, shape ``(num_queries,)``.
        num_candidates: Size of the pool.
        origins: Number of judgements by origin; see :class:`mrbench.records.Judgement`.
    """

    query: Ints
    position: Ints
    relevance: Ints
    grade: Ints
    asked: Ints
    violates: Ints
    num_queries: int
    sizes: Ints
    num_candidates: int
    origins: Mapping[str, int]
    complete: bool = False

    @cached_property
    def _keys(self) -> Ints:
        return self.query * self.num_candidates + self.position

    def _row_of(self, query: Ints, position: Ints) -> Ints:
        """Return the row of each pair, -1 where it is not judged."""
        wanted = query * self.num_candidates + position
        if not len(self._keys):
            return np.full(len(wanted), -1, dtype=np.int64)
        at = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        return np.where(self._keys[at] == wanted, at, -1).astype(np.int64)

    @cached_property
    def relevant(self) -> tuple[Ints, Ints]:
        """Query and position of every candidate of relevance 1 or more."""
        some = self.relevance > 0
        return self.query[some], self.position[some]

    @cached_property
    def gain_counts(self) -> Ints:
        """The number of candidates with each relevance for each query; unjudged ones have 0."""
        most = min(int(self.relevance.max(initial=0)), _MOST_GAINS)
        counts = np.zeros((self.num_queries, most + 1), dtype=np.int64)
        some = self.relevance > 0
        np.add.at(counts, (self.query[some], np.minimum(self.relevance[some], most)), 1)
        counts[:, 0] = self.sizes - counts.sum(axis=1)
        return counts

    def gains_of(self, query: Ints, position: Ints) -> Ints:
        """Return the relevance of each pair, 0 where it is not judged."""
        row = self._row_of(query, position)
        return np.where(row < 0, 0, self.relevance[row] if len(self.relevance) else 0)

    def judged_of(self, query: Ints, position: Ints) -> Bools:
        """Return whether each pair is listed."""
        return self._row_of(query, position) >= 0

    def kept_of(self, query: Ints, position: Ints) -> tuple[Ints, Ints]:
        """Return grade and number of grains of each pair as listed, -1 where not known."""
        row = self._row_of(query, position)
        if not len(self.grade):
            return row, row
        return np.where(row < 0, UNKNOWN, self.grade[row]), np.where(row < 0, UNKNOWN, self.asked[row])

    def violates_of(self, query: Ints, position: Ints) -> Ints:
        """Return the types that each pair violates as listed, 0 where none is known."""
        row = self._row_of(query, position)
        return np.where(row < 0, 0, self.violates[row] if len(self.violates) else 0)

    def pairs(self, ladder_query: Ints, ladder_position: Ints, positives: Ints) -> LadderPairs:
        """Return the members that are judged not relevant and violate exactly one grain type.

        If the grade of a member is known, it must keep all other grains.
        """
        row = self._row_of(ladder_query, ladder_position)
        if not len(self.violates):
            return LadderPairs(*np.empty((3, 0), dtype=np.int64))
        mask = np.where(row < 0, 0, self.violates[row])
        one = (mask != 0) & (mask & (mask - 1) == 0) & (self.relevance[row] == 0)
        known = (self.grade[row] >= 0) & (self.asked[row] >= 0)
        one &= ~known | (self.grade[row] == self.asked[row] - 1)
        kind = np.round(np.log2(np.maximum(mask[one], 1))).astype(np.int64)
        return LadderPairs(ladder_query[one], kind, ladder_position[one])

    def within(self, kept: Ints, sizes: Ints) -> Listed:
        """Return the judgements in a smaller pool."""
        return replace(self, position=find(kept, self.position), sizes=sizes, num_candidates=len(kept))
