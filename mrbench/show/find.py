"""Finds a query in a benchmark, with everything that belongs to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mrbench.benchmark import Benchmark, Records
from mrbench.errors import BenchmarkError, InputError
from mrbench.records import Candidate, Grain, Judgement, Query, Variant


@dataclass(frozen=True, slots=True)
class Shown:
    """A query with what belongs to it.

    Attributes:
        split: The split that it is in.
        positive_id: The candidate that the ladder was made from.
        steps: The members of the ladder with their judgements: the positive, then by falling grade.
        variants: The query in other forms: without a grain, with another value of it, in other words.
    """

    query: Query
    split: str
    positive_id: str
    steps: tuple[tuple[Candidate, Judgement], ...]
    variants: tuple[Variant, ...]


def find(benchmark: Benchmark, query_id: str) -> Shown:
    """Find a query by its id in any task and split.

    Raises:
        InputError: No query has this id.
        BenchmarkError: It has no ladder.
    """
    for split in benchmark.splits:
        for task in benchmark.task_names:
            query = benchmark.queries(task, split).find(query_id)
            if query is not None:
                return _gather(benchmark, query, split)
    raise InputError("unknown query", where=benchmark.folder, got=query_id, accepted="an id of data/queries")


def _gather(benchmark: Benchmark, query: Query, split: str) -> Shown:
    ladder = benchmark.ladders(query.task, split).find(query.id)
    if ladder is None:
        raise BenchmarkError("query without ladder", where=query.id, hint=f"mrbench validate {benchmark.folder}")
    judged = {j.candidate_id: j for j in _all_of(benchmark.judgements(query.task, split), query.id)}
    corpus = benchmark.corpus(benchmark.task(query.task).own_corpora[0], split)
    steps = []
    for candidate_id in ladder.candidate_ids:
        candidate = corpus.find(candidate_id)
        if candidate is None or candidate_id not in judged:
            raise BenchmarkError(
                "malformed ladder", where=query.id, got=candidate_id, hint=f"mrbench validate {benchmark.folder}"
            )
        steps.append((candidate, judged[candidate_id]))
    order = [grain.type for grain in query.grains]
    steps.sort(key=lambda s: (s[0].id != ladder.positive_id, -s[1].grade, sorted(map(order.index, s[1].violates))))
    variants = _all_of(benchmark.variants(query.task, split), query.id)
    return Shown(query, split, ladder.positive_id, tuple(steps), tuple(variants))


def _all_of(records: Records[Any], query_id: str) -> list[Any]:
    if len(records) == 0:
        return []
    return [records[int(row)] for row in np.flatnonzero(records.ids.to_numpy(zero_copy_only=False) == query_id)]


def as_json(shown: Shown) -> dict[str, Any]:
    """Return what belongs to a query, ready for JSON."""
    query = shown.query
    return {
        "query": {
            "id": query.id,
            "task": query.task,
            "split": shown.split,
            "modality": query.modality,
            "instruction": query.instruction,
            "text": query.text,
            "grains": [_grain_json(grain, query.text) for grain in query.grains],
            "image_grains": {grain.type: grain.value for grain in query.image_grains},
        },
        "positive": shown.positive_id,
        "ladder": [
            {
                "id": candidate.id,
                "positive": candidate.id == shown.positive_id,
                "text": candidate.text,
                "grade": judgement.grade,
                "of": len(query.grains),
                "violates": list(judgement.violates or ()),
                "grains": {grain.type: grain.value for grain in candidate.grains},
            }
            for candidate, judgement in shown.steps
        ],
        "variants": [
            {"kind": variant.kind, "grain": variant.grain, "text": variant.text, "asks_for": variant.positive_id}
            for variant in shown.variants
        ],
    }


def _grain_json(grain: Grain, text: str | None) -> dict[str, Any]:
    words = None if text is None or grain.start is None else text[grain.start : grain.end]
    return {"type": grain.type, "value": grain.value, "start": grain.start, "end": grain.end, "words": words}
