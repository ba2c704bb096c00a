"""Differences between two results by task, measure and grain type, paired over queries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from mrbench import statistics
from mrbench.arrays import Floats, Ints
from mrbench.errors import ResultError
from mrbench.leaderboard.data import shown_variant
from mrbench.measures import find_measure, in_order
from mrbench.results import Result, TaskResult, model_key
from mrbench.words import one_line

if TYPE_CHECKING:
    import pandas as pd

RESAMPLES = 10_000
LEVEL = 0.05
"""Below this corrected p-value a difference is marked."""
MOST = 4
"""Most models of one comparison: more are a leaderboard."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How far one model is from another on a measure of a task, or on one grain type of it.

    Attributes:
        task: The task.
        measure: The measure.
        grain: The grain type, or empty.
        first: Score of the first model, over the queries that both have.
        second: Score of the second model, over the same.
        difference: First less second.
        interval: 95 % interval of the difference, or None where all queries are of one cluster.
        p: Two-sided p-value of the paired randomisation test over clusters.
        p_holm: The same corrected for the number of tests between these two models (Holm); None before.
        wins: Queries on which the first model is better.
        ties: Queries on which both have the same value.
        losses: Queries on which the second model is better.
        left_out: Queries on which a grain type cannot be compared, because one of the models cut a text.
    """

    task: str
    measure: str
    grain: str
    first: float
    second: float
    difference: float
    interval: tuple[float, float] | None
    p: float
    wins: int
    ties: int
    losses: int
    left_out: int = 0
    p_holm: float | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Comparison:
    """Two models on one benchmark.

    Attributes:
        first: Name of the first model.
        second: Name of the second.
        benchmark: As in the results.
        differences: By task: the measures, then pair accuracy by grain type.
        absent: What only one of the two has, or what cannot be tested, a sentence each.
    """

    first: str
    second: str
    benchmark: dict[str, Any]
    differences: tuple[Difference, ...]
    absent: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as ``--json`` prints it."""
        return asdict(self)

    def table(self) -> pd.DataFrame:
        """Return one row for each difference, with the attributes of :class:`Difference`; bounds as low and high."""
        import pandas as pd

        nan = float("nan")
        rows = []
        for difference in self.differences:
            row = asdict(difference)
            row["low"], row["high"] = row.pop("interval") or (nan, nan)
            rows.append({"first_model": self.first, "second_model": self.second, **row})
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        sure = sum(d.p_holm is not None and d.p_holm < LEVEL for d in self.differences)
        about = f"{self.first} and {self.second} on {self.benchmark['title']}"
        return one_line(f"Comparison({about}: {len(self.differences)} differences, {sure} with p (Holm) below {LEVEL})")


def compare(*results: Result, resamples: int = RESAMPLES) -> list[Comparison]:
    """Compare every two of some results of one benchmark, query by query.

    The interval is that of a bootstrap over clusters of queries, the p-value that of a randomisation test over the same
    clusters; a leaderboard finds its groups with the same test. A measure is compared where both results hold its
    values by query and its score is their mean.

    Args:
        *results: Two to four, of one benchmark, split and pool.
        resamples: Draws of the bootstrap and of the test.

    Raises:
        ResultError: Fewer than two or more than four results, results of different benchmarks, or nothing in common.
    """
    if not 2 <= len(results) <= MOST:
        raise ResultError("a comparison needs two to four results", got=len(results), hint="mrbench leaderboard build")
    for other in results[1:]:
        check_comparable(results[0], other)
    names = _names(results)
    return [
        _compared(results[a], results[b], (names[a], names[b]), resamples)
        for a, b in combinations(range(len(results)), 2)
    ]


def check_comparable(one: Result, other: Result) -> None:
    """Raise where two results are not of the same queries and the same pool.

    Raises:
        ResultError: They differ in the benchmark's digest, the split, the pool, or how they were cut.
    """
    if one.setting == other.setting:
        return
    for what in ("digest", "split", "pool"):
        got, accepted = (_of(result, what) for result in (other, one))
        if got != accepted:
            raise ResultError(
                f"results of different {'benchmarks' if what == 'digest' else what + 's'} cannot be compared",
                where=f"{one.model['name']} and {other.model['name']}",
                got=got,
                accepted=accepted,
                hint="evaluate both on one benchmark",
            )
    raise ResultError(
        "results that were cut differently cannot be compared",
        where=f"{one.model['name']} and {other.model['name']}",
        got=f"--limit {other.limit}, seed {other.seed}",
        accepted=f"--limit {one.limit}, seed {one.seed}",
        hint=f"evaluate {other.model['name']} again with the accepted options",
    )


def _of(result: Result, what: str) -> str:
    about = result.benchmark
    return f"{about['name']} {about['digest'][:12]}" if what == "digest" else str(about[what])


def _names(results: Sequence[Result]) -> list[str]:
    """Return the names of the models, with the revision where two have one name, and the options where these differ."""
    keys = [model_key(result.model) for result in results]
    found = []
    for name, revision, *_, variant in keys:
        of_name = [key for key in keys if key[0] == name]
        label = f"{name} @ {revision}" if len(of_name) > 1 else name
        several = len({key[4] for key in of_name if key[1] == revision}) > 1
        found.append(f"{label} ({shown_variant(variant)})" if several else label)
    return found


def _compared(one: Result, other: Result, names: tuple[str, str], resamples: int) -> Comparison:
    found: list[Difference] = []
    absent: list[str] = []
    for task in dict.fromkeys((*one.tasks, *other.tasks)):
        part, partner = one.tasks.get(task), other.tasks.get(task)
        if part is None or partner is None or part.status != "scored" or partner.status != "scored":
            found_none = ((part, names[0]), (partner, names[1]))
            absent += [
                _why_no_task(task, *pair) for pair in found_none if pair[0] is None or pair[0].status != "scored"
            ]
            continue
        # an entry calls clusters by their number
        if statistics.cluster_codes(part.clusters).tolist() != statistics.cluster_codes(partner.clusters).tolist():
            where = f"{task}, {' and '.join(names)}"
            raise ResultError(
                "results of one benchmark disagree on its queries", where=where, hint="evaluate both again"
            )
        found += _of_task(task, part, partner, resamples)
        absent += _only_one(task, part, partner, names)
    if not found:
        raise ResultError(
            "two results have no scores by query in common",
            where=" and ".join(names),
            got="; ".join(absent) or None,
            hint="compare models that take one task",
        )
    corrected = statistics.holm({(0, number): difference.p for number, difference in enumerate(found)})
    sure = tuple(replace(difference, p_holm=corrected[0, number]) for number, difference in enumerate(found))
    return Comparison(*names, dict(one.benchmark), sure, tuple(absent))


def _why_no_task(task: str, part: TaskResult | None, name: str) -> str:
    return f"{task}: not evaluated for {name}" if part is None else f"{task}: not supported by {name}, {part.reason}"


def _of_task(task: str, one: TaskResult, other: TaskResult, resamples: int) -> list[Difference]:
    """Compare all that two results of a task have by query; every interval is over the same draws of clusters."""
    rows = [*_measures(one, other), *_grains(one, other)]
    if not rows:
        return []
    clusters = statistics.cluster_codes(one.clusters)
    moved = np.array([row.values[0] - row.values[1] for row in rows])
    weights = np.array([row.weight for row in rows])
    drawn = statistics.bootstrap_means(moved, weights, clusters, resamples=resamples)
    return [_difference(task, row, clusters, drawn[:, at], resamples) for at, row in enumerate(rows)]


@dataclass(frozen=True, slots=True)
class _Row:
    """Sums by query of both models, shape ``(2, num_queries)``, and the number that divides each."""

    measure: str
    grain: str
    values: Floats
    weight: Floats
    left_out: int = 0


def _measures(one: TaskResult, other: TaskResult) -> Iterator[_Row]:
    for measure in in_order(one.per_query.keys() & other.per_query.keys()):
        if _tested(measure):
            values = np.array([one.per_query[measure], other.per_query[measure]])
            yield _Row(measure, "", values, np.ones(values.shape[1]))


def _grains(one: TaskResult, other: TaskResult) -> Iterator[_Row]:
    """Yield the grain types over the queries of which both models have read all pairs."""
    for grain in sorted(one.pair_counts.keys() & other.pair_counts.keys()):
        counts = one.pair_counts[grain], other.pair_counts[grain]
        totals = np.array([part.total for part in counts], dtype=np.float64)
        weight = np.where(totals[0] == totals[1], totals[0], 0.0)
        if weight.any():
            values = np.array([part.right for part in counts]) * (weight > 0)
            yield _Row("pair_accuracy", grain, values, weight, int((totals[0] != totals[1]).sum()))


def _tested(measure: str) -> bool:
    """Return whether a measure is a mean over queries of which high or low values are good."""
    known = find_measure(measure)
    return known is None or (known.over_queries == "mean" and known.higher_is_better is not None)


def _difference(task: str, row: _Row, clusters: Ints, drawn: Floats, resamples: int) -> Difference:
    """Return the difference in a row, its interval from the draws, and its test."""
    known = find_measure(row.measure)
    better = -1.0 if known is not None and known.higher_is_better is False else 1.0
    counted = row.weight > 0
    moved = (row.values[0] - row.values[1])[counted]
    first, second = row.values.sum(axis=1) / row.weight.sum()
    codes = np.unique(clusters[counted], return_inverse=True)[1]
    number = int(codes.max()) + 1
    return Difference(
        task=task,
        measure=row.measure,
        grain=row.grain,
        first=float(first),
        second=float(second),
        difference=float(moved.sum() / row.weight.sum()),
        interval=statistics.bootstrap_interval(drawn, number) if number > 1 else None,
        p=statistics.paired_p_values(row.values[:, counted], codes, resamples=resamples)[0, 1],
        wins=int((better * moved > 0).sum()),
        ties=int((moved == 0).sum()),
        losses=int((better * moved < 0).sum()),
        left_out=row.left_out,
    )


def _only_one(task: str, one: TaskResult, other: TaskResult, names: tuple[str, str]) -> Iterator[str]:
    """Return the measures and grain types that only one result has, with the reason where the other gives one."""
    for has, lacks, name in ((one, other, names[1]), (other, one, names[0])):
        for measure in in_order(has.scores.keys() - lacks.scores.keys()):
            yield f"{task}: {name} has no {measure}" + (f", {why}" if (why := lacks.missing.get(measure)) else "")
        for grain in sorted(has.pair_accuracy.keys() - lacks.pair_accuracy.keys()):
            yield f"{task}: {name} has no pair accuracy of {grain}"
        if has.pair_accuracy and lacks.pair_accuracy and not lacks.pair_counts:
            yield f"{task}: {name} has no pairs by query: no grain is compared; mrbench rescore --overwrite adds them"
    for measure in in_order(one.per_query.keys() & other.per_query.keys()):
        if not _tested(measure):
            yield f"{task}: {measure} is not tested: it is no mean over queries, or neither high nor low is good"
