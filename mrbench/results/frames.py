"""Results as pandas tables, with one row for each number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from mrbench.measures import in_order

if TYPE_CHECKING:
    import pandas as pd

    from mrbench.results.records import Result

ABOUT = ("model", "revision", "benchmark", "split", "task")
SCORES = (*ABOUT, "measure", "score", "low", "high", "chance", "queries", "reason")
PER_QUERY = (*ABOUT, "query", "cluster", "measure", "score")
PER_GRAIN = (*ABOUT, "measure", "grain", "score", "low", "high", "count")


def scores(result: Result) -> pd.DataFrame:
    """Return a row for each task and measure. A measure without a score has NaN and the reason."""
    return _frame(_scores(result), SCORES)


def per_query(result: Result) -> pd.DataFrame:
    """Return a row for each task, query and measure. ``query`` is the index of the query in its task, from 0.

    The measure ``pair_accuracy[grain]`` is the pair accuracy of one grain type, for the queries with such a pair.
    """
    return _frame(_per_query(result), PER_QUERY)


def per_grain(result: Result) -> pd.DataFrame:
    """Return a row for each task, measure and grain type, or number of grains lost."""
    return _frame(_per_grain(result), PER_GRAIN)


def stacked(results: Iterable[Result], table: Callable[[Result], pd.DataFrame]) -> pd.DataFrame:
    """Return the tables of several results as one table.

    Args:
        results: The results.
        table: :func:`scores`, :func:`per_query` or :func:`per_grain`.
    """
    import pandas as pd

    found = [part for part in map(table, results) if len(part)]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def _frame(rows: Iterator[tuple[Any, ...]], columns: tuple[str, ...]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(list(rows), columns=list(columns))


def _about(result: Result, task: str) -> tuple[str, ...]:
    return result.model["name"], result.model["revision"], result.benchmark["name"], result.benchmark["split"], task


def _scores(result: Result) -> Iterator[tuple[Any, ...]]:
    nan = float("nan")
    for name, part in result.tasks.items():
        about = _about(result, name)
        if part.status != "scored":
            yield (*about, part.definition(name).main, nan, nan, nan, nan, 0, f"not supported: {part.reason}")
        for measure in in_order({*part.scores, *part.missing}):
            low, high = part.intervals.get(measure, (nan, nan))
            reason = "" if measure in part.scores else part.missing[measure]
            score, chance = part.scores.get(measure, nan), part.chance.get(measure, nan)
            yield (*about, measure, score, low, high, chance, part.queries, reason)


def _per_query(result: Result) -> Iterator[tuple[Any, ...]]:
    for name, part in result.tasks.items():
        about = _about(result, name)
        for measure, values in part.per_query.items():
            for query, (cluster, value) in enumerate(zip(part.clusters, values, strict=True)):
                yield (*about, query, cluster, measure, value)
        for grain, counts in part.pair_counts.items():
            for query, (right, total) in enumerate(zip(counts.right, counts.total, strict=True)):
                if total:
                    yield (*about, query, part.clusters[query], f"pair_accuracy[{grain}]", right / total)


def _per_grain(result: Result) -> Iterator[tuple[Any, ...]]:
    nan = float("nan")
    for name, part in result.tasks.items():
        for measure, by_grain in (part.by_grain | part.by_loss).items():
            for grain, found in by_grain.items():
                low, high = found.interval or (nan, nan)
                yield (*_about(result, name), measure, grain, found.score, low, high, found.count)
