"""What known controls get on a task, from the records of a reader alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from mrbench.benchmark import Benchmark
from mrbench.measures import hit_rate
from mrbench.measures.ties import TieGroups


def write_json(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def pool_sizes(benchmark: Benchmark, task: str, split: str) -> dict[str, tuple[int, int]]:
    """Number of candidates and of relevant candidates of every query, after lists and exclusions."""
    ids = {
        name for corpus in benchmark.task(task).own_corpora for name in benchmark.corpus(corpus, split).ids.to_pylist()
    }
    lists = {row.query_id: set(row.candidate_ids) for row in benchmark.lists(task, split)}
    gone = {row.query_id: set(row.candidate_ids) for row in benchmark.exclusions(task, split)}
    assert all(members <= ids for members in [*lists.values(), *gone.values()])
    relevant: dict[str, set[str]] = {}
    for judgement in benchmark.judgements(task, split):
        assert judgement.candidate_id in ids
        if judgement.relevance:
            relevant.setdefault(judgement.query_id, set()).add(judgement.candidate_id)
    found = {}
    for query in benchmark.queries(task, split):
        pool = lists.get(query.id, ids) - gone.get(query.id, set())
        found[query.id] = len(pool), len(relevant[query.id] & pool)
    return found


def constant_hit_rates(benchmark: Benchmark, task: str, split: str) -> list[float]:
    """The hit rates of a model that gives everything one vector, which are those of a random order."""
    sizes = np.array(list(pool_sizes(benchmark, task, split).values()))
    number = len(sizes)
    ties = TieGroups(np.arange(number), np.zeros(number, dtype=np.int64), sizes[:, 0], sizes[:, 1], number)
    cutoffs = [int(name.partition("@")[2]) for name in benchmark.task(task).measures]
    return [float(hit_rate(ties, k).mean()) for k in cutoffs]
