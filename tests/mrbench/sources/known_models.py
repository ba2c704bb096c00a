"""Models that a data set must give known values: one that knows the judgements, and one that knows nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from PIL import Image

from mrbench.benchmark import Benchmark, decode
from mrbench.encode.batches import images_of
from mrbench.evaluation import evaluate, rescore
from mrbench.models.controls import ConstantModel
from mrbench.models.protocol import Item
from mrbench.pools import load_pool
from mrbench.records import MODALITIES
from mrbench.results import TaskResult
from mrbench.score.scoring import chance_level


def paint(folder: Path, *names: str) -> None:
    """Write images of one colour each, so different that JPEG keeps them apart; up to 216."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        colour = tuple(50 * (number // 6**place % 6) for place in range(3))
        Image.new("RGB", (8, 8), colour).save(path)


class Knowing:
    """One direction for each candidate; a query is the sum of those of its relevant candidates."""

    name, revision, device, dtype = "knowing", "1", "cpu", "float32"
    modalities = frozenset(MODALITIES)
    takes_several_images = True

    def __init__(self, benchmark: Benchmark, split: str = "test") -> None:
        records = [c for corpus in benchmark.corpora for c in benchmark.corpus(corpus, split)]
        at = {name: number for number, name in enumerate(dict.fromkeys(record.id for record in records))}
        self.dimension = len(at) + 1
        self._candidates: dict[object, set[int]] = {}
        self._queries: dict[object, set[int]] = {}
        for record in records:
            self._candidates.setdefault(_content(record.text, _shown(record)), set()).add(at[record.id])
        for task in benchmark.task_names:
            relevant: dict[str, set[int]] = {}
            for judgement in benchmark.judgements(task, split):
                if judgement.relevance:
                    relevant.setdefault(judgement.query_id, set()).add(at[judgement.candidate_id])
            for query in benchmark.queries(task, split):
                own = self._queries.setdefault(_content(query.text, _shown(query)), set())
                own |= relevant.get(query.id, set())

    def embed_queries(self, items: Sequence[Item], instruction: str) -> np.ndarray:
        return self._embed(items, self._queries)

    def embed_candidates(self, items: Sequence[Item]) -> np.ndarray:
        return self._embed(items, self._candidates)

    def _embed(self, items: Sequence[Item], known: dict[object, set[int]]) -> np.ndarray:
        found = np.zeros((len(items), self.dimension), dtype=np.float32)
        for row, item in enumerate(items):
            own = known[_content(item.text, item.images)]
            found[row, list(own)] = 1
            found[row, -1] = 0 if own else 1
        return found


def _shown(record) -> list[Image.Image]:
    return [decode(image, where=record.id) for image in images_of(record)]


def _content(text: str | None, images: Sequence[Image.Image]) -> object:
    return text, tuple(image.getpixel((1, 1)) for image in images)


def check_controls(benchmark: Benchmark, split: str = "test") -> dict[str, TaskResult]:
    """Evaluate both, expect perfect scores of one and chance of the other, and return the results of the first."""
    with TemporaryDirectory() as folder:
        return _check_controls(benchmark, Path(folder), split)


def _check_controls(benchmark: Benchmark, folder: Path, split: str) -> dict[str, TaskResult]:
    knowing = evaluate(benchmark, Knowing(benchmark, split), folder / "knowing", split=split)
    constant = evaluate(benchmark, ConstantModel(), folder / "constant", split=split)
    assert rescore(folder / "knowing", benchmark) == knowing
    for name, task in knowing.tasks.items():
        assert task.status == constant.tasks[name].status == "scored"
        for measure in benchmark.task(name).measures:
            assert task.scores[measure] == pytest.approx(1), (name, measure)
            if measure != "median_rank":
                assert constant.tasks[name].scores[measure] == pytest.approx(task.chance[measure]), (name, measure)
        assert 0 < task.chance["hit_rate@1"] < 1
    return knowing.tasks


def chance_of(benchmark: Benchmark, task: str, *measures: str, split: str = "test") -> list[float]:
    """The exact expected value of a random order, from annotations alone; images need not be there."""
    pool = load_pool(benchmark, task, split)
    return [round(chance_level(measure, pool), 6) for measure in measures]
