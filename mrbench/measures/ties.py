"""Tie groups: the ranks of the relevant candidates, up to the order of tied ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mrbench.arrays import Floats, Ints
from mrbench.errors import ResultError


@dataclass(frozen=True, slots=True)
class TieGroups:
    """The groups of tied candidates that hold a relevant one, as flat arrays of shape ``(num_groups,)``.

    An untied candidate is a group of one. The arrays are sorted by query, then by ``above``.

    These conventions hold for what is absent; those of trec_eval and MTEB follow in brackets where they differ:

    * A query without a relevant candidate has no rank measure: leave it out, and count it. (trec_eval: 0.)
    * A query without a row is refused. (Both drop a query that the run lacks from the mean.)
    * A relevant candidate that a cut list does not hold has an unknown rank: put all that were not retrieved into one
      group below the list. Measures at a k within the list are then those of trec_eval, which counts them as lost;
      beyond it, and over the full depth, trec_eval gives them 0, and the group gives them their expected value.
    * An unjudged candidate is not relevant, as in both. See :func:`mrbench.measures.judged_share`.

    Attributes:
        query: Index of the query, 0 to ``num_queries - 1``; every query occurs.
        above: Number of candidates that score strictly higher than the group.
        size: Number of candidates in the group, relevant or not.
        relevant: Number of relevant candidates in the group, 1 to ``size``.
        num_queries: Number of queries.
    """

    query: Ints
    above: Ints
    size: Ints
    relevant: Ints
    num_queries: int

    def __post_init__(self) -> None:
        order = np.diff(self.query) * (1 + self.above.max(initial=0)) + np.diff(self.above)
        malformed = (self.above < 0) | (self.relevant < 1) | (self.relevant > self.size)
        if malformed.any() or (order <= 0).any():
            raise ResultError("malformed tie groups", accepted="1 <= relevant <= size, sorted by query and rank")
        if not np.array_equal(np.unique(self.query), np.arange(self.num_queries)):
            raise ResultError("a query has no relevant candidate", accepted="one or more for every query")

    @classmethod
    def from_relevant(cls, query: Ints, above: Ints, equal: Ints, num_queries: int) -> TieGroups:
        """Group the relevant candidates by query and ``above``.

        Args:
            query: Query of each relevant candidate, shape ``(num_relevant,)``, in any order.
            above: How many candidates score strictly higher.
            equal: How many candidates have the same score, itself included.
            num_queries: Number of queries.

        Raises:
            ResultError: Two of one group disagree on its size, or a query has no relevant candidate.

        >>> TieGroups.from_relevant(np.array([0, 0]), np.array([3, 3]), np.array([5, 5]), 1).relevant
        array([2])
        """
        span = int(above.max(initial=0)) + 1
        keys, first, counts = np.unique(query * span + above, return_index=True, return_counts=True)
        if not np.array_equal(np.repeat(equal[first], counts), equal[np.argsort(query * span + above, kind="stable")]):
            raise ResultError("tied candidates disagree on the size of their group")
        return cls(keys // span, keys % span, equal[first], counts.astype(np.int64), num_queries)

    def best(self) -> tuple[Ints, Ints, Ints]:
        """Return ``above``, ``size`` and ``relevant`` of each query's highest group, each ``(num_queries,)``."""
        first = np.unique(self.query, return_index=True)[1]
        return self.above[first], self.size[first], self.relevant[first]

    def total(self) -> Floats:
        """Return the number of relevant candidates of each query, shape ``(num_queries,)``."""
        return self.sum(self.relevant)

    def inside(self, k: int | Ints) -> Ints:
        """Return how many members of each group are among the first k, shape ``(num_groups,)``.

        Args:
            k: Number of first results, 1 or more: one for all queries, or one for each, shape ``(num_queries,)``.

        >>> TieGroups(np.array([0, 0]), np.array([0, 3]), np.array([2, 4]), np.array([1, 1]), 1).inside(5)
        array([2, 2])
        """
        cutoff = k if isinstance(k, int) else k[self.query]
        members: Ints = np.clip(cutoff - self.above, 0, self.size)
        return members

    def relevant_above(self) -> Ints:
        """Return how many relevant candidates of its query are above each group, shape ``(num_groups,)``."""
        running: Ints = np.cumsum(self.relevant) - self.relevant
        first = np.unique(self.query, return_index=True)[1]
        return running - running[first][self.query]

    def sum(self, values: np.ndarray[Any, Any]) -> Floats:
        """Sum one value per group by query, to shape ``(num_queries,)``."""
        return np.bincount(self.query, weights=values, minlength=self.num_queries).astype(np.float64)


def check_cutoff(k: int) -> None:
    """Raise :class:`ResultError` unless the cutoff is a positive number."""
    if k < 1:
        raise ResultError("malformed cutoff", got=k, accepted="1 or more")
