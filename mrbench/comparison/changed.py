"""The queries on which two models differ most, with their ids."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mrbench.comparison.paired import check_comparable
from mrbench.errors import ResultError
from mrbench.results import Result, TaskResult
from mrbench.runs import Run, TaskRun

if TYPE_CHECKING:
    from mrbench.benchmark import Benchmark


@dataclass(frozen=True, slots=True)
class ChangedQuery:
    """A query on which two models differ.

    Attributes:
        task: Its task.
        query_id: Its id.
        measure: The main measure of the task.
        first: Value of the first model.
        second: Value of the second.
        ranks: Expected rank of the query's own positive among the candidates that are not relevant, of both models.
        gained: Grain types of which the first model gets more pairs right.
        lost: Grain types of which the second model does.
        text: Text of the query, where the benchmark was given and it has one.
    """

    task: str
    query_id: str
    measure: str
    first: float
    second: float
    ranks: tuple[float, float]
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    text: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        return asdict(self)


def changed_queries(
    results: tuple[Result, Result], runs: tuple[Run, Run], number: int, benchmark: Benchmark | None = None
) -> list[ChangedQuery]:
    """Return the queries of each task that changed most: by main measure, then by pairs, then by rank of the positive.

    Args:
        results: Two results of one benchmark.
        runs: Their runs, which know the ids of the queries.
        number: Queries of each task, at most.
        benchmark: The benchmark, for the texts.

    Raises:
        ResultError: A run is not that of its result, or the benchmark is another one.
    """
    check_comparable(*results)
    if benchmark is not None and benchmark.digest != results[0].benchmark["digest"]:
        raise ResultError(
            "the results are of another benchmark",
            where=benchmark.folder,
            got=benchmark.digest,
            accepted=results[0].benchmark["digest"],
            hint="name the benchmark that was evaluated",
        )
    found = []
    for task, part in results[0].tasks.items():
        other = results[1].tasks.get(task)
        if part.status == "scored" and other is not None and other.status == "scored":
            searched = [run.tasks.get(task) for run in runs]
            found += _of_task(task, (part, other), searched, number, results[0].benchmark["split"], benchmark)
    return found


def _of_task(
    task: str,
    parts: tuple[TaskResult, TaskResult],
    runs: list[TaskRun | None],
    number: int,
    split: str,
    benchmark: Benchmark | None,
) -> list[ChangedQuery]:
    measure = parts[0].definition(task).main
    if any(measure not in part.per_query for part in parts):
        return []
    ranks = [_ranks(run, part, task) for run, part in zip(runs, parts, strict=True)]
    if ranks[0].keys() != ranks[1].keys():
        raise ResultError("two runs of one benchmark have other queries", where=task, hint="evaluate both again")
    changed = []
    for at, query_id in enumerate(ranks[0]):
        first, second = (part.per_query[measure][at] for part in parts)
        right = [{grain: counts.right[at] for grain, counts in part.pair_counts.items()} for part in parts]
        shared = sorted(right[0].keys() & right[1].keys())
        gained = tuple(grain for grain in shared if right[0][grain] > right[1][grain])
        lost = tuple(grain for grain in shared if right[0][grain] < right[1][grain])
        if first != second or gained or lost:
            both = ranks[0][query_id], ranks[1][query_id]
            changed.append(ChangedQuery(task, query_id, measure, first, second, both, gained, lost))

    def size(query: ChangedQuery) -> tuple[float, int, float, str]:
        ratio = max(query.ranks) / min(query.ranks)
        return -abs(query.first - query.second), -len(query.gained) - len(query.lost), -ratio, query.query_id

    chosen = sorted(changed, key=size)[:number]
    if benchmark is None:
        return chosen
    queries = benchmark.queries(task, split)
    texts = {query.query_id: getattr(queries.find(query.query_id), "text", None) for query in chosen}
    return [ChangedQuery(**{**asdict(query), "text": texts[query.query_id]}) for query in chosen]


def _ranks(run: TaskRun | None, part: TaskResult, task: str) -> dict[str, float]:
    """Return the expected rank of the positive by query, in the order of the result.

    Raises:
        ResultError: The run is not that of the result.
    """
    if run is None or len(run.queries) != part.queries:
        raise ResultError("the run and the result are of two evaluations", where=task, hint="evaluate again")
    ids, above, tied = (run.queries[name].to_pylist() for name in ("query-id", "above", "tied"))
    return {query_id: 1 + a + t / 2 for query_id, a, t in zip(ids, above, tied, strict=True)}
