"""Known controls on whole evaluations: an oracle is perfect, a constant gets the exact chance level of each measure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from photos import chance, opened, write_jsonl
from PIL import Image

from mrbench.benchmark import Benchmark
from mrbench.evaluation import evaluate
from mrbench.models.protocol import Item
from mrbench.records import MODALITIES
from mrbench.results import Result

COLOURS = {"red": (220, 0, 0), "green": (0, 220, 0), "blue": (0, 0, 220), "grey": (110, 110, 110)}


class Oracle:
    """Reads the colour of a photo and of a text: a one-hot vector. A constant one sees nothing."""

    revision, device, dtype = "1", "cpu", "float32"
    modalities = frozenset(MODALITIES)
    dimension = len(COLOURS)

    def __init__(self, name: str, *, blind: bool = False) -> None:
        self.name, self._blind = name, blind

    def embed_queries(self, items: Sequence[Item], instruction: str) -> np.ndarray:
        return self.embed_candidates(items)

    def embed_candidates(self, items: Sequence[Item]) -> np.ndarray:
        return np.array([self._embed(item) for item in items], dtype=np.float32)

    def _embed(self, item: Item) -> list[float]:
        if self._blind:
            return [1.0] * len(COLOURS)
        if item.image is not None:
            return [float(item.image.getpixel((0, 0)) == colour) for colour in COLOURS.values()]
        return [float(name in (item.text or "")) for name in COLOURS]


def photos(folder: Path) -> Path:
    for name, colour in COLOURS.items():
        Image.new("RGB", (8, 8), colour).save(folder / f"{name}.png")
    return folder


def scored(benchmark: Benchmark, model: Oracle, folder: Path) -> Result:
    return evaluate(benchmark, model, folder / model.name)


def captions(folder: Path) -> Benchmark:
    rows = [{"image": f"{name}.png", "captions": [f"a {name} wall {n}" for n in range(5)]} for name in COLOURS]
    return opened("captions", write_jsonl(photos(folder) / "c.jsonl", rows))


def pairs(folder: Path) -> Benchmark:
    false = dict(zip(COLOURS, [*list(COLOURS)[1:], "red"], strict=True))
    rows = [
        {"image": f"{a}.png", "true": [f"{a} wall", f"wall, {a}"], "false": f"{b} wall", "kind": f"kind {n % 2}"}
        for n, (a, b) in enumerate(false.items())
    ]
    return opened("pairs", write_jsonl(photos(folder) / "p.jsonl", rows))


def groups(folder: Path) -> Benchmark:
    rows = [
        {"image_0": f"{a}.png", "image_1": f"{b}.png", "caption_0": f"a {a} wall", "caption_1": f"a {b} wall"}
        for a, b in (("red", "green"), ("blue", "grey"))
    ]
    return opened("pairs", write_jsonl(photos(folder) / "g.jsonl", rows))


@pytest.mark.parametrize("make", [captions, pairs, groups])
def test_an_oracle_is_perfect_and_a_constant_gets_chance(make, tmp_path: Path) -> None:
    benchmark = make(tmp_path)
    perfect = scored(benchmark, Oracle("oracle"), tmp_path / "out")
    constant = scored(benchmark, Oracle("constant", blind=True), tmp_path / "out")
    for name in benchmark.task_names:
        for measure in benchmark.task(name).measures:
            assert perfect.tasks[name].scores[measure] == pytest.approx(1, abs=1e-12)
        expected = chance(benchmark, name, "hit_rate@1")
        assert constant.tasks[name].scores["hit_rate@1"] == pytest.approx(expected, abs=1e-12)
        assert constant.tasks[name].chance["hit_rate@1"] == pytest.approx(expected, abs=1e-12)


def test_pair_accuracy_is_by_kind_and_both_true_texts_count(tmp_path: Path) -> None:
    benchmark = pairs(tmp_path)
    perfect = scored(benchmark, Oracle("oracle"), tmp_path / "out").tasks["i2t"]
    assert {kind: pair.score for kind, pair in perfect.pair_accuracy.items()} == {"kind 0": 1.0, "kind 1": 1.0}
    assert perfect.scores["all_positives_accuracy"] == 1.0
    constant = scored(benchmark, Oracle("constant", blind=True), tmp_path / "out").tasks["i2t"]
    # A tie is no win.
    assert constant.scores["all_positives_accuracy"] == 0.0


def test_a_group_is_right_when_all_four_are(tmp_path: Path) -> None:
    benchmark = groups(tmp_path)
    perfect = scored(benchmark, Oracle("oracle"), tmp_path / "out")
    constant = scored(benchmark, Oracle("constant", blind=True), tmp_path / "out")
    found = {name: task.scores for name, task in perfect.tasks.items()}
    assert any(scores.get("group_score") == 1.0 for scores in found.values()), found
    assert all(task.scores.get("group_score", 0.0) == 0.0 for task in constant.tasks.values())
