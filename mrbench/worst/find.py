"""Finds the queries whose right answer stands worst, and what a model ranks above it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mrbench.arrays import Floats, Ints
from mrbench.benchmark import Benchmark
from mrbench.errors import InputError, ResultError
from mrbench.evaluation import RESULT, check_together
from mrbench.pools import TaskPool, load_pool
from mrbench.pools.cut_texts import CutTexts
from mrbench.records import Candidate, Judgement, Query, judge
from mrbench.results import read_result
from mrbench.runs import Run, TaskRun, read_run
from mrbench.score.consistency import read_rows
from mrbench.score.diagnose import ladder_scores
from mrbench.score.run_rows import align

SHOWN = 4
"""Candidates above the right answer that are looked at, for each query."""


@dataclass(frozen=True, slots=True)
class Above:
    """A candidate that is not relevant, and scores as high as the right answer or higher.

    Attributes:
        candidate: The candidate.
        score: Its score.
        rank: Its rank, or None where it is not among the candidates that the run kept.
        judgement: What it is worth; None where nobody judged it.
    """

    candidate: Candidate
    score: float
    rank: int | None
    judgement: Judgement | None

    @property
    def lost(self) -> tuple[str, ...] | None:
        """The grain types of the query that it does not keep; None where that is not known."""
        return None if self.judgement is None else self.judgement.violates

    def to_json(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        lost = None if self.lost is None else list(self.lost)
        about = {"id": self.candidate.id, "text": self.candidate.text, "score": self.score, "rank": self.rank}
        return {**about, "lost": lost}


@dataclass(frozen=True, slots=True)
class WorstQuery:
    """A query and where its right answer stands.

    Attributes:
        query: The query.
        positive: Its own positive: the right answer that its ladder names, else the first relevant candidate.
        score: Score of the positive.
        rank: Its expected rank among the candidates that are not relevant, 1 is best.
        margin: With a grain type, the score of the positive less that of the candidate that loses this grain alone; in
            standard deviations of the query's scores over the pool, of a list of candidates as the model scores. None
            without one.
        above: What is ranked above it, by falling score; with a grain type that candidate first.
    """

    query: Query
    positive: Candidate
    score: float
    rank: float
    margin: float | None
    above: tuple[Above, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        query, positive = self.query, self.positive
        return {
            "task": query.task,
            "query": {"id": query.id, "text": query.text, "grains": [asdict(grain) for grain in query.grains]},
            "positive": {"id": positive.id, "text": positive.text, "score": self.score},
            "rank": self.rank,
            "margin": self.margin,
            "above": [above.to_json() for above in self.above],
        }


def worst_queries(
    folder: Path, benchmark: Benchmark, *, grain: str | None = None, task: str | None = None, number: int = 20
) -> list[WorstQuery]:
    """Return the queries of an evaluation that the model answers worst.

    With a grain type they are those of the lowest margin over the candidate that loses this grain alone, and without
    one those whose right answer has the highest rank. Pairs with a text that the model cut are left out.

    Args:
        folder: A folder of ``evaluate``.
        benchmark: The benchmark that it was made on.
        grain: A grain type.
        task: A task; None takes all that were evaluated.
        number: Queries to return, at most.

    Raises:
        InputError: The task was not evaluated, or no pair differs in the grain type.
        ResultError: The run is malformed, altered, or of another benchmark.
    """
    result, run = read_result(folder / RESULT), read_run(folder)
    check_together(folder, result, run)
    if run.benchmark["digest"] != benchmark.digest:
        got, accepted = run.benchmark["digest"], benchmark.digest
        hint = "name the benchmark that the run was made on, or evaluate again"
        raise ResultError("the run was made on another benchmark", where=folder, got=got, accepted=accepted, hint=hint)
    if task is not None and task not in run.tasks:
        hint = benchmark.command("evaluate", "--model", "MODEL", "--task", task)
        accepted = ", ".join(run.tasks)
        raise InputError("the task was not evaluated", where=folder, got=task, accepted=accepted, hint=hint)
    tasks = {name: part for name, part in run.tasks.items() if task in (None, name)}
    pools = {name: _pool(benchmark, name, run) for name in tasks}
    types = sorted({kind for pool in pools.values() for kind in np.array(pool.grain_types)[pool.pairs.kind].tolist()})
    if grain is not None and grain not in types:
        accepted = ", ".join(types) or "none: this benchmark has no pairs"
        raise InputError("no candidate loses this grain alone", where="--grain", got=grain, accepted=accepted)
    found = [_Ranked.of(part, pools[name], grain) for name, part in tasks.items()]
    keyed = [(value, ranked, row) for ranked in found for row, value in ranked.by_badness()]
    keyed.sort(key=lambda one: (one[0], one[1].pool.task, one[2]))
    return [ranked.query(row, benchmark, run.benchmark["split"]) for _, ranked, row in keyed[:number]]


def _pool(benchmark: Benchmark, task: str, run: Run) -> TaskPool:
    about = run.benchmark
    few = about.get("distractors")
    return load_pool(
        benchmark, task, about["split"], pool=about["pool"], limit=run.limit, distractors=few, seed=run.seed
    )


@dataclass(frozen=True)
class _Ranked:
    """Ranks of the positives of a task, and for each query the pair of lowest margin; NaN and -1 without one."""

    run: TaskRun
    pool: TaskPool
    score: Floats
    rank: Floats
    margin: Floats
    other: Ints
    other_score: Floats
    grain: str | None

    @classmethod
    def of(cls, run: TaskRun, pool: TaskPool, grain: str | None) -> _Ranked:
        queries = align(run, pool).queries
        number = len(pool.query_ids)
        margin, other, other_score = np.full(number, np.nan), np.full(number, -1), np.full(number, np.nan)
        if grain is not None and grain in pool.grain_types:
            cut = CutTexts.none(pool) if run.cut is None else CutTexts.from_table(run.cut, pool)
            query, position = pool.pairs.query, pool.pairs.position
            whole = ~(cut.queries[query] | cut.candidates[position] | cut.candidates[pool.positives[query]])
            chosen = whole & (pool.pairs.kind == pool.grain_types.index(grain))
            query, position = query[chosen], position[chosen]
            scores = ladder_scores(read_rows("ladder", run.ladder, pool), pool, query, position)
            spread = np.ones(number) if pool.lists is not None else queries.column("deviation")
            by = np.where(spread > 0, spread, 1.0)[query]
            margins = (queries.score[query] - scores) / by
            for at in np.argsort(-margins, kind="stable"):  # the lowest is written last
                margin[query[at]], other[query[at]], other_score[query[at]] = margins[at], position[at], scores[at]
        return cls(run, pool, queries.score, queries.rank, margin, other, other_score, grain)

    def by_badness(self) -> Iterator[tuple[int, float]]:
        """Yield the row of each query that counts, and a value that is lower the worse it is answered."""
        values = -self.rank if self.grain is None else self.margin
        yield from ((int(row), float(values[row])) for row in np.flatnonzero(np.isfinite(values)))

    def query(self, row: int, benchmark: Benchmark, split: str) -> WorstQuery:
        """Return a query with its records."""
        pool, query_id = self.pool, str(self.pool.query_ids[row])
        query = benchmark.queries(pool.task, split).find(query_id)
        positive = _candidate(benchmark, pool, split, int(pool.positives[row]))
        if query is None or positive is None:
            what, hint = "the run has a query that the benchmark lacks", "evaluate again"
            raise ResultError(what, where=pool.task, got=query_id, hint=hint)
        margin = None if self.grain is None else float(self.margin[row])
        above = tuple(self._above(row, query, benchmark, split))
        return WorstQuery(query, positive, float(self.score[row]), float(self.rank[row]), margin, above)

    def _above(self, row: int, query: Query, benchmark: Benchmark, split: str) -> Iterator[Above]:
        pool = self.pool
        ids = pool.candidate_ids
        relevant = {str(ids[at]) for at in pool.relevant[1][pool.relevant[0] == row]}
        judgements = {j.candidate_id: j for j in _of_query(benchmark.judgements(pool.task, split), query.id)}
        top = _of_query_rows(self.run.top, query.id)
        ranks = {name: rank for name, rank, _ in top}
        named = [(name, score) for name, _, score in top if name not in relevant and score >= self.score[row]]
        if self.other[row] >= 0:
            first = str(ids[self.other[row]]), float(self.other_score[row])
            named = [first, *(pair for pair in named if pair[0] != first[0])]
        for name, score in named[:SHOWN]:
            candidate = _candidate(benchmark, pool, split, int(np.searchsorted(ids, name)))
            if candidate is not None:
                known = judge(query, candidate) if pool.judgements.complete else judgements.get(name)
                yield Above(candidate, score, ranks.get(name), known)


def _candidate(benchmark: Benchmark, pool: TaskPool, split: str, position: int) -> Candidate | None:
    name = str(pool.candidate_ids[position])
    return benchmark.corpus(pool.corpora[int(pool.corpus[position])], split).find(name)


def _of_query(records: Any, query_id: str) -> Iterator[Any]:
    if len(records):
        found = records.ids.to_numpy(zero_copy_only=False) == query_id
        yield from (records[int(row)] for row in np.flatnonzero(found))


def _of_query_rows(top: Any, query_id: str) -> list[tuple[str, int, float]]:
    """Return id, rank and score of the best candidates of a query, by rank."""
    import pyarrow.compute as pc

    rows = top.filter(pc.equal(top["query-id"], query_id))
    found = zip(*(rows[name].to_pylist() for name in ("corpus-id", "rank", "score")), strict=True)
    return sorted(found, key=lambda row: row[1])
