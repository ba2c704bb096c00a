"""Rows by query for Every Eval Ever: the query, its relevant candidates, and what the run found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mrbench.benchmark import Benchmark
from mrbench.errors import ResultError
from mrbench.evaluation import RESULT, check_together
from mrbench.records import Query
from mrbench.results import read_result
from mrbench.runs import read_run

FIRST = 10


class QueryRows:
    """The rows of an evaluation, one for each query and score.

    Args:
        folder: A folder of ``evaluate``.
        benchmark: The benchmark that it was made on, for the texts of the queries.

    Raises:
        ResultError: There is no run, it is not that of the result, or it is of another benchmark.
    """

    def __init__(self, folder: Path, benchmark: Benchmark) -> None:
        self.result, self._run, self._benchmark = read_result(folder / RESULT), read_run(folder), benchmark
        check_together(folder, self.result, self._run)
        if benchmark.digest != self._run.benchmark["digest"]:
            raise ResultError(
                "the run was made on another benchmark",
                where=folder,
                got=self._run.benchmark["digest"],
                accepted=benchmark.digest,
                hint="name the benchmark of the run with --benchmark",
            )
        self._asked: dict[str, dict[str, Query]] = {}
        self._found: dict[str, dict[str, list[str]]] = {}
        self._relevant: dict[str, dict[str, list[str]]] = {}
        self._ids: dict[str, list[str]] = {}

    def queries(self) -> Iterator[tuple[str, int]]:
        """Yield the task of every query, and its row in the run."""
        for task, part in self._run.tasks.items():
            split = self._run.benchmark["split"]
            self._ids[task] = part.queries["query-id"].to_pylist()
            if len(self._ids[task]) != self.result.tasks[task].queries:
                got, accepted = self.result.tasks[task].queries, f"{len(self._ids[task])} queries, as in the run"
                raise ResultError(
                    "the run and the result are of two evaluations", where=task, got=got, accepted=accepted
                )
            wanted = set(self._ids[task])
            self._asked[task] = {q.id: q for q in self._benchmark.queries(task, split) if q.id in wanted}
            columns = ("query-id", "corpus-id", "rank")
            self._found[task] = _by_query(zip(*(part.top[name].to_pylist() for name in columns), strict=True))
            relevant = zip(*(part.relevant[name].to_pylist() for name in columns[:2]), strict=True)
            self._relevant[task] = _by_query((query, candidate, 0) for query, candidate in relevant)
            yield from ((task, query) for query in range(len(self._ids[task])))

    def scores(self, task: str, query: int) -> Iterator[tuple[str, str, float]]:
        """Yield measure, grain type and value of all that the result holds of a query."""
        part = self.result.tasks[task]
        for name, values in part.per_query.items():
            yield name, "", values[query]
        for grain, counts in part.pair_counts.items():
            if counts.total[query]:
                yield "pair_accuracy", grain, counts.right[query] / counts.total[query]

    def row(self, task: str, query: int) -> dict[str, Any]:
        """Return what the rows of a query have in common."""
        query_id = self._ids[task][query]
        asked, found = self._asked[task][query_id], self._found[task].get(query_id, [])
        attribution = {"turn_idx": 0, "source": "output.raw", "extraction_method": "first result", "is_terminal": True}
        return {
            "sample_id": f"{task}/{query_id}",
            "interaction_type": "single_turn",
            "input": {"raw": _said(asked), "reference": self._relevant[task].get(query_id, [])},
            "output": {"raw": found},
            "answer_attribution": [{**attribution, "extracted_value": found[0]}] if found else [],
            "metadata": {"task": task, "modality": asked.modality},
        }


def _said(query: Query) -> str:
    """Return the words of a query: its instruction, its text, and where a picture stands."""
    return " ".join(filter(None, (query.instruction, "[image]" if query.image else "", query.text)))


def _by_query(rows: Any) -> dict[str, list[str]]:
    """Return the first candidates of each query, in the order of their ranks."""
    found: dict[str, list[tuple[int, str]]] = {}
    for query, candidate, rank in rows:
        found.setdefault(query, []).append((rank, candidate))
    return {query: [c for _, c in sorted(ranked, key=lambda pair: pair[0])[:FIRST]] for query, ranked in found.items()}
