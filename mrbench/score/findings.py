"""Collects the scores of a run by measure, or the reason why a measure has no score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from mrbench.arrays import Floats, Ints
from mrbench.errors import ResultError
from mrbench.measures import ByGrain
from mrbench.results import GrainScore, PairCounts


@dataclass
class Diagnosis:
    """The collected scores; the attributes are those of :class:`mrbench.results.TaskResult`."""

    per_query: dict[str, Floats] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    by_grain: dict[str, dict[str, GrainScore]] = field(default_factory=dict)
    by_loss: dict[str, dict[str, GrainScore]] = field(default_factory=dict)
    confusion: dict[str, dict[str, GrainScore]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    cut_pairs: dict[str, int] = field(default_factory=dict)
    pair_counts: dict[str, PairCounts] = field(default_factory=dict)

    def add(self, name: str, compute: Callable[[], ByGrain], *, into: str = "by_grain") -> None:
        """Compute and add a measure by grain, or add the reason why it has no value."""
        try:
            computed = compute()
        except ResultError as error:
            self.missing[name] = str(error)
            return
        table: dict[str, dict[str, GrainScore]] = getattr(self, into)
        table[name] = scores_of(computed)

    def add_measured_by_spread(
        self, name: str, compute: Callable[[], ByGrain], query: Ints, deviation: Floats, *, into: str = "by_grain"
    ) -> None:
        """Add a measure like :meth:`add`, and count the queries whose scores do not vary."""
        self.add(name, compute, into=into)
        flat = len(np.unique(query[~(deviation > 0)]))
        self.leave_out(name, flat)

    def leave_out(self, name: str, queries: int) -> None:
        """Record the number of queries that a score leaves out, if there is a score."""
        if queries and name not in self.missing:
            self.left_out[name] = self.left_out.get(name, 0) + queries

    def add_interval(self, name: str, interval: tuple[float, float] | None) -> None:
        """Add the interval of a score, if there is one."""
        if interval is not None:
            self.intervals[name] = interval

    def add_queries(self, name: str, compute: Callable[[], Floats]) -> None:
        """Compute and add a measure with one value per query; NaN where it is not defined."""
        try:
            values = compute()
        except ResultError as error:
            self.missing[name] = str(error)
            return
        if np.isfinite(values).any():
            self.per_query[name] = values
            if without := int((~np.isfinite(values)).sum()):
                self.left_out[name] = without
        else:
            self.missing[name] = "not defined for any query"


def scores_of(by_grain: ByGrain) -> dict[str, GrainScore]:
    """Return values and counts by grain as :class:`GrainScore` records."""
    return {grain: GrainScore(value, count) for grain, (value, count) in by_grain.items()}
