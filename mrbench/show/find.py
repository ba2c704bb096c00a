"""Finds a query in a benchmark, with its ladder, judgements and variants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mrbench.benchmark import Benchmark, Records
from mrbench.errors import BenchmarkError, InputError
from mrbench.records import Candidate, Grain, Judgement, Ladder, Query, Task, Variant


@dataclass(frozen=True, slots=True)
class Shown:
    """A query with its ladder, judgements and variants.

    Attributes:
        task: Its task.
        split: Its split.
        positive_id: The candidate that the ladder was made from, else the first relevant one; empty if there is none.
        steps: The members of the ladder with their judgements: the positive, then by falling grade. Without a ladder,
            at most 24 judged candidates by falling relevance.
        variants: Its variants: without a grain, with another value of it, or in other words.
        ladder: Whether ``steps`` is a ladder.
        judged: Number of candidates that are judged for the query.
    """

    query: Query
    task: Task
    split: str
    positive_id: str
    steps: tuple[tuple[Candidate, Judgement], ...]
    variants: tuple[Variant, ...]
    ladder: bool = True
    judged: int = 0


def find(benchmark: Benchmark, query_id: str) -> Shown:
    """Find a query by its id in any task and split.

    Raises:
        InputError: No query has this id.
        BenchmarkError: It has neither a ladder nor a judged candidate, or names an unknown candidate.
    """
    for split in benchmark.splits:
        for task in benchmark.task_names:
            query = benchmark.queries(task, split).find(query_id)
            if query is not None:
                return _gather(benchmark, query, split)
    queries = (query for task in benchmark.task_names for query in benchmark.queries(task, benchmark.default_split))
    some = next(queries, None)
    hint = f"{benchmark.command('show')} {some.id}" if some else benchmark.check_command
    raise InputError("unknown query", where=benchmark.folder, got=query_id, accepted="the id of a query", hint=hint)


MOST = 24


def _gather(benchmark: Benchmark, query: Query, split: str) -> Shown:
    task = benchmark.task(query.task)
    ladders = benchmark.ladders(task.name, split)
    ladder = ladders.find(query.id) if len(ladders) else None
    if ladder is None and task.judgements == "complete":
        raise BenchmarkError("a query has no ladder", where=query.id, hint=benchmark.check_command)
    judged = {j.candidate_id: j for j in _all_of(benchmark.judgements(task.name, split), query.id)}
    variants = tuple(_all_of(benchmark.variants(task.name, split), query.id))
    if ladder is None:
        chosen = sorted(judged.values(), key=lambda j: -j.relevance)[:MOST]
        if not chosen:
            raise BenchmarkError("a query has no judged candidate", where=query.id, hint=benchmark.check_command)
        found = tuple((_candidate(benchmark, task, split, j.candidate_id), j) for j in chosen)
        positive = chosen[0].candidate_id if chosen[0].relevance > 0 else ""
        return Shown(query, task, split, positive, found, variants, ladder=False, judged=len(judged))
    steps = _steps(benchmark, task, split, ladder, judged)
    order = [grain.type for grain in query.grains]

    def position(step: tuple[Candidate, Judgement]) -> tuple[bool, int, list[int]]:
        candidate, judgement = step
        lost = sorted(order.index(kind) if kind in order else len(order) for kind in judgement.violates or ())
        grade = judgement.relevance if judgement.grade is None else judgement.grade
        return candidate.id != ladder.positive_id, -grade, lost

    steps.sort(key=position)
    return Shown(query, task, split, ladder.positive_id, tuple(steps), variants, judged=len(judged))


def _steps(
    benchmark: Benchmark, task: Task, split: str, ladder: Ladder, judged: dict[str, Judgement]
) -> list[tuple[Candidate, Judgement]]:
    steps = []
    for candidate_id in ladder.candidate_ids:
        if candidate_id not in judged:
            what = "a member of a ladder is not judged"
            raise BenchmarkError(what, where=ladder.query_id, got=candidate_id, hint=benchmark.check_command)
        steps.append((_candidate(benchmark, task, split, candidate_id), judged[candidate_id]))
    return steps


def _candidate(benchmark: Benchmark, task: Task, split: str, candidate_id: str) -> Candidate:
    for name in task.own_corpora:
        corpus = benchmark.corpus(name, split)
        found = corpus.find(candidate_id) if len(corpus) else None
        if found is not None:
            return found
    what = "a judged candidate is in no corpus"
    raise BenchmarkError(what, where=task.name, got=candidate_id, hint=benchmark.check_command)


def _all_of(records: Records[Any], query_id: str) -> list[Any]:
    if len(records) == 0:
        return []
    return [records[int(row)] for row in np.flatnonzero(records.ids.to_numpy(zero_copy_only=False) == query_id)]


def as_json(shown: Shown) -> dict[str, Any]:
    """Return a query with its ladder (or judged candidates) and variants, ready for JSON."""
    query = shown.query
    steps = [_step_json(shown, candidate, judgement) for candidate, judgement in shown.steps]
    return {
        "query": {
            "id": query.id,
            "task": query.task,
            "title": shown.task.title,
            "split": shown.split,
            "modality": query.modality,
            "instruction": query.instruction,
            "text": query.text,
            "grains": [_grain_json(grain, query.text) for grain in query.grains],
            "image_grains": {grain.type: grain.value for grain in query.image_grains},
        },
        "positive": shown.positive_id,
        "ladder": steps if shown.ladder else [],
        "judged": [] if shown.ladder else steps,
        "judgements": shown.judged,
        "variants": [
            {"kind": variant.kind, "grain": variant.grain, "text": variant.text, "asks_for": variant.positive_id}
            for variant in shown.variants
        ],
    }


def _step_json(shown: Shown, candidate: Candidate, judgement: Judgement) -> dict[str, Any]:
    return {
        "id": candidate.id,
        "positive": candidate.id == shown.positive_id,
        "text": candidate.text,
        "relevance": judgement.relevance,
        "grade": judgement.grade,
        "of": judgement.asked if judgement.grade is None else judgement.asked or len(shown.query.grains),
        "violates": list(judgement.violates or ()),
        "grains": {grain.type: grain.value for grain in candidate.grains},
    }


def _grain_json(grain: Grain, text: str | None) -> dict[str, Any]:
    words = None if text is None or grain.start is None else text[grain.start : grain.end]
    return {"type": grain.type, "value": grain.value, "start": grain.start, "end": grain.end, "words": words}
