"""Small data sets in other people's layouts, written for a test."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from mrbench.benchmark import Benchmark
from mrbench.sources.open import open_benchmark


def write_photos(folder: Path, *names: str) -> Path:
    """Photos of one colour each, in the order of their names."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6), (40 * number % 256, 10 * number % 256, 200)).save(path)
    return folder


def write_json(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_csv(path: Path, header: Sequence[str], *rows: Sequence[object], delimiter: str = ",") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, delimiter=delimiter).writerows([header, *rows])
    return path


def opened(source: str, path: object, options: str = "", image_root: Path | None = None) -> Benchmark:
    return open_benchmark(f"{source}:{path}" + (f"?{options}" if options else ""), image_root=image_root)


def texts(benchmark: Benchmark, corpus: str, split: str = "test") -> dict[str, str | None]:
    return {candidate.id: candidate.text for candidate in benchmark.corpus(corpus, split)}


def relevant(benchmark: Benchmark, task: str, split: str = "test") -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for judgement in benchmark.judgements(task, split):
        if judgement.relevance > 0:
            found.setdefault(judgement.query_id, set()).add(judgement.candidate_id)
    return found


def chance(benchmark: Benchmark, task: str, measure: str, split: str = "test") -> float:
    """The exact expected value of a hit rate for a random order, over the pool or the lists of a task."""
    k = int(measure.partition("@")[2])
    pool = sum(len(benchmark.corpus(name, split)) for name in benchmark.task(task).own_corpora)
    sizes = {record.query_id: len(record.candidate_ids) for record in benchmark.lists(task, split)}
    values = []
    for query, found in relevant(benchmark, task, split).items():
        size = sizes.get(query, pool)
        # No hit: all first k places go to the others.
        missed = 1.0
        for place in range(min(k, size)):
            missed *= max(0, size - len(found) - place) / (size - place)
        values.append(1 - missed)
    return sum(values) / len(values)
