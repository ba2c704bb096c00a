"""Winoground: the group scores of two images and two captions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from known_models import check_controls, paint
from PIL import Image

from mrbench.errors import BenchmarkError
from mrbench.evaluation import evaluate
from mrbench.models.controls import ConstantModel, RandomModel
from mrbench.models.protocol import Item
from mrbench.sources import open_benchmark


def row(number: int, **changes: object) -> dict:
    captions = {"caption_0": f"a over b {number}", "caption_1": f"b over a {number}"}
    images = {f"image_{n}": f"ex_{number}_img_{n}" for n in (0, 1)}
    return {"id": number, **images, **captions, "collapsed_tag": "Object" if number % 2 else "Relation"} | changes


def write_winoground(root: Path, rows: Sequence[dict]) -> Path:
    (root / "data").mkdir(parents=True)
    (root / "data" / "examples.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    paint(root / "data" / "images", *(f"ex_{n}_img_{m}.png" for n in range(4) for m in (0, 1)))
    return root


def test_four_queries_of_an_example_share_a_cluster(tmp_path: Path) -> None:
    benchmark = open_benchmark(f"winoground:{write_winoground(tmp_path, [row(n) for n in range(3)])}")
    for task in ("i2t", "t2i"):
        assert [q.cluster for q in benchmark.queries(task, "test")] == ["0", "0", "1", "1", "2", "2"]
        assert {len(r.candidate_ids) for r in benchmark.lists(task, "test")} == {2}
    judged = {(j.query_id, j.candidate_id): (j.relevance, j.violates) for j in benchmark.judgements("i2t", "test")}
    assert judged["1#image0", "1#true0"] == judged["1#image1", "1#true1"] == (1, ())
    assert judged["1#image0", "1#true1"] == (0, ("Object",))
    assert benchmark.corpus("image", "test")[0].image.name == "ex_0_img_0.png"


def test_controls_have_their_values(tmp_path: Path) -> None:
    benchmark = open_benchmark(f"winoground:{write_winoground(tmp_path / 'data', [row(n) for n in range(4)])}")
    tasks = check_controls(benchmark)
    assert {task.chance["hit_rate@1"] for task in tasks.values()} == {0.5}
    assert tasks["i2t"].scores["text_score"] == tasks["t2i"].scores["image_score"] == 1
    assert tasks["i2t"].scores["group_score"] == tasks["t2i"].scores["group_score"] == 1
    blind = evaluate(benchmark, ConstantModel(), tmp_path / "r").tasks  # a tie is wrong
    assert blind["i2t"].scores["text_score"] == blind["t2i"].scores["group_score"] == 0


def test_what_a_random_order_gives(tmp_path: Path) -> None:
    rows = [row(n) for n in range(300)]
    root = write_winoground(tmp_path / "data", rows)
    for n, name in enumerate(f"ex_{n}_img_{m}.png" for n in range(300) for m in (0, 1)):
        Image.new("RGB", (2, 2), (n % 256, n // 256, 9)).save(root / "data" / "images" / name)
    tasks = evaluate(open_benchmark(f"winoground:{root}"), RandomModel(), tmp_path / "r").tasks
    for name in ("i2t", "t2i"):
        assert tasks[name].scores["hit_rate@1"] == pytest.approx(0.5, abs=4 * (0.25 / 600) ** 0.5)
    assert tasks["i2t"].scores["text_score"] == pytest.approx(0.25, abs=0.1)
    assert tasks["t2i"].scores["image_score"] == pytest.approx(0.25, abs=0.1)
    # The control draws other vectors for queries than for candidates, so that the two directions are independent.
    assert tasks["i2t"].scores["group_score"] == pytest.approx(0.0625, abs=0.056)


class Table:
    """Scores of image n with caption m as given: image vectors are one-hot, caption vectors hold the scores."""

    name, revision, device, dtype, dimension = "table", "1", "cpu", "float32", 3
    modalities = frozenset({"text", "image"})

    def __init__(self, scores: Sequence[Sequence[float]]) -> None:
        self._scores = np.array(scores)

    def embed_queries(self, items: Sequence[Item], instruction: str) -> np.ndarray:
        return self.embed_candidates(items)

    def embed_candidates(self, items: Sequence[Item]) -> np.ndarray:
        found = np.zeros((len(items), 3), dtype=np.float32)
        for at, item in enumerate(items):
            if item.text is None:
                found[at, 0 if item.image.getpixel((0, 0)) == (0, 0, 0) else 1] = 1
            else:
                own = self._scores[:, 0 if item.text.startswith("a") else 1]
                found[at] = [*own, np.sqrt(1 - (own**2).sum())]
        return found


@pytest.mark.parametrize(
    ("scores", "text", "image", "group"),
    [
        ([[0.5, 0.1], [0.2, 0.6]], 1, 1, 1),
        ([[0.5, 0.4], [0.6, 0.7]], 1, 0, 0),  # images prefer their captions, caption 0 prefers image 1
        ([[0.5, 0.6], [0.1, 0.7]], 0, 1, 0),
        ([[0.5, 0.6], [0.6, 0.5]], 0, 0, 0),
    ],
)
def test_group_scores_by_hand(tmp_path: Path, scores, text: int, image: int, group: int) -> None:
    benchmark = open_benchmark(f"winoground:{write_winoground(tmp_path / 'data', [row(0)])}")
    tasks = evaluate(benchmark, Table(scores), tmp_path / "r").tasks
    assert tasks["i2t"].scores["text_score"] == text
    assert tasks["t2i"].scores["image_score"] == image
    assert tasks["i2t"].scores["group_score"] == tasks["t2i"].scores["group_score"] == group


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"image_1": None}, "another type"),
        ({"caption_0": ""}, r"a text is empty.*examples.jsonl:2, caption_0"),
        ({"id": 0}, r"an example is there twice; where: .*examples.jsonl:2"),
        ({"image_0": "../x.png"}, r"leaves the image folder.*examples.jsonl:2"),
    ],
)
def test_a_fault_is_one_line(tmp_path: Path, changes: dict, said: str) -> None:
    root = write_winoground(tmp_path / "data", [row(0), row(1, **changes)])
    with pytest.raises(BenchmarkError, match=said):
        open_benchmark(f"winoground:{root}")


def test_a_folder_without_examples(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"examples.jsonl is missing; .*accepted: data/examples.jsonl"):
        open_benchmark(f"winoground:{tmp_path}")
