"""Dialogues on images: the more rounds, the longer the text; the pool stays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from controls import write_json
from known_models import check_controls, paint
from PIL import Image

from mrbench.errors import BenchmarkError, InputError
from mrbench.evaluation import evaluate, rescore
from mrbench.models.controls import RandomModel
from mrbench.sources import open_benchmark

DIALOGUES = [
    {"img": "u/1.jpg", "dialog": ["a dog", "is it big? no", "is it wet? yes"]},
    {"img": "u/2.jpg", "dialog": ["a cat", "is it big? yes"]},
    {"img": "u/1.jpg", "dialog": ["an animal", "is it a dog? yes", "in a park? yes"]},
]


def write_visdial(root: Path) -> Path:
    paint(root, *(f"u/{n}.jpg" for n in range(1, 6)))
    write_json(root / "corpus.json", [f"u/{n}.jpg" for n in range(1, 6)])
    return write_json(root / "dialogues.json", DIALOGUES)


def test_each_number_of_rounds_is_a_task(tmp_path: Path) -> None:
    path = write_visdial(tmp_path)
    benchmark = open_benchmark(f"visdial:{path}?corpus={tmp_path / 'corpus.json'}")
    assert benchmark.task_names == ("round0", "round1", "round2")
    assert len(benchmark.corpus("image", "test")) == 5
    texts = {task: [q.text for q in benchmark.queries(task, "test")] for task in benchmark.task_names}
    assert texts["round0"] == ["a dog", "a cat", "an animal"]
    assert texts["round2"][:2] == ["a dog, is it big? no, is it wet? yes", "a cat, is it big? yes"]
    assert [q.id for q in benchmark.queries("round1", "test")] == ["0:u/1.jpg", "1:u/2.jpg", "2:u/1.jpg"]
    other = open_benchmark(f"visdial:{path}?separator=%20%7C%20")
    assert other.queries("round1", "test")[0].text == "a dog | is it big? no"
    assert len(other.corpus("image", "test")) == 2  # without a search space: what is asked for


def test_controls_have_their_values(tmp_path: Path) -> None:
    tasks = check_controls(open_benchmark(f"visdial:{write_visdial(tmp_path)}?corpus={tmp_path / 'corpus.json'}"))
    assert [task.chance["hit_rate@1"] for task in tasks.values()] == pytest.approx([0.2] * 3)
    assert [task.chance["hit_rate@10"] for task in tasks.values()] == pytest.approx([1.0] * 3)


class Rounds:
    """Finds the first dialogue in round 0 only, the second in round 1, the third never."""

    name, revision, device, dtype, dimension = "rounds", "1", "cpu", "float32", 2
    modalities = frozenset({"text", "image"})

    def embed_queries(self, items, instruction: str) -> np.ndarray:
        right = [item.text in ("a dog", "a cat, is it big? yes") for item in items]
        return np.array([[1, 0] if one else [-1, 0] for one in right], dtype=np.float32)

    def embed_candidates(self, items) -> np.ndarray:
        asked = [item.image.getpixel((0, 0)) in self.asked for item in items]
        return np.array([[1, 0] if one else [0, 1] for one in asked], dtype=np.float32)


def test_a_dialogue_that_was_found_stays_found(tmp_path: Path) -> None:
    path = write_visdial(tmp_path / "data")
    names = [f"u/{n}.jpg" for n in range(1, 21)]
    paint(path.parent, *names)
    benchmark = open_benchmark(f"visdial:{path}?corpus={write_json(path.parent / 'many.json', names)}")
    model = Rounds()
    model.asked = {Image.open(path.parent / name).getpixel((0, 0)) for name in ("u/1.jpg", "u/2.jpg")}
    tasks = evaluate(benchmark, model, tmp_path / "r").tasks
    assert [task.scores["hit_rate@10"] for task in tasks.values()] == pytest.approx([1 / 3, 1 / 3, 1 / 3])
    assert [task.per_query["hit_rate@10"] for task in tasks.values()] == [(1, 0, 0), (0, 1, 0), (0, 1, 0)]
    assert [task.scores["hit_rate_so_far@10"] for task in tasks.values()] == pytest.approx([1 / 3, 2 / 3, 2 / 3])
    assert rescore(tmp_path / "r", benchmark).tasks == tasks
    alone = evaluate(benchmark, model, tmp_path / "one", tasks=["round1"]).tasks["round1"]
    assert "hit_rate_so_far@10" not in alone.scores


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({}, "not a JSON list"),
        ([], "no dialogue"),
        ([3], "a dialogue is not a JSON object; where: .*dialogue 0"),
        ([{"img": "a.jpg", "dialog": "text"}], "another type; where: .*dialogue 0, dialog"),
        ([{"img": "a.jpg", "dialog": []}], "no caption"),
        ([{"img": "a.jpg", "dialog": ["x", 3]}], "a text is empty"),
        ([{"img": "../a.jpg", "dialog": ["x"]}], r"leaves the image folder.*dialogue 0"),
        ([{"img": "", "dialog": ["x"]}], "an image has no path"),
    ],
)
def test_a_fault_is_one_line(tmp_path: Path, value: object, said: str) -> None:
    with pytest.raises(BenchmarkError, match=said):
        open_benchmark(f"visdial:{write_json(tmp_path / 'a.json', value)}")


def test_an_image_that_is_not_in_the_search_space_is_counted(tmp_path: Path) -> None:
    path = write_visdial(tmp_path / "data")
    corpus = write_json(tmp_path / "data" / "few.json", ["u/1.jpg", "u/3.jpg"])
    with pytest.raises(BenchmarkError, match=r"1 image that dialogues ask for is not.*got: 'u/2.jpg'"):
        evaluate(open_benchmark(f"visdial:{path}?corpus={corpus}"), RandomModel(), tmp_path / "r")
    with pytest.raises(BenchmarkError, match="missing"):
        open_benchmark(f"visdial:{path}?corpus={tmp_path / 'no.json'}")
    with pytest.raises(InputError, match="unknown option"):
        open_benchmark(f"visdial:{path}?rounds=3")


def own_layout(**changes: object) -> dict:
    dialogs = [
        {"image_id": 7, "caption": "a dog", "dialog": [{"question": 0, "answer": 1}, {"question": 1}]},
        {"image_id": 185565, "caption": "a cat", "dialog": [{"question": 0, "answer": 0}]},
    ]
    texts = {"questions": ["is it big", "is it wet ?"], "answers": ["yes", "no"]}
    return {"version": "1.0", "split": "val2018", "data": {**texts, "dialogs": dialogs}} | changes


@pytest.mark.parametrize("folder", ["", "VisualDialog_val2018/"])
def test_the_data_sets_own_json_is_read(folder: str, tmp_path: Path) -> None:
    names = [f"{folder}VisualDialog_val2018_{number:012d}.jpg" for number in (7, 185565)]
    paint(tmp_path, *names)
    benchmark = open_benchmark(f"visdial:{write_json(tmp_path / 'visdial_1.0_val.json', own_layout())}")
    assert benchmark.task_names == ("round0", "round1", "round2")
    assert [query.text for query in benchmark.queries("round2", "test")] == [
        "a dog, is it big? no, is it wet?",
        "a cat, is it big? yes",
    ]
    assert [candidate.id for candidate in benchmark.corpus("image", "test")] == names
    assert all(candidate.image.data for candidate in benchmark.corpus("image", "test"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"split": "train"}, "a split whose images are not known.*'train'.*val or test"),
        ({"data": []}, "another type; where: .*data"),
        ({"data": {"questions": [], "answers": [], "dialogs": [{"image_id": "x"}]}}, "another type.*image_id"),
        (
            {
                "data": {
                    "questions": [],
                    "answers": [],
                    "dialogs": [{"image_id": 1, "caption": "a", "dialog": [{"question": 3}]}],
                }
            },
            r"no such question; where: .*, dialogue 0; got: 3",
        ),
    ],
)
def test_faults_of_the_own_json_are_one_line(changes: dict, said: str, tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=said):
        open_benchmark(f"visdial:{write_json(tmp_path / 'v.json', own_layout(**changes))}")
