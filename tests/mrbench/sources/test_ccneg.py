"""CC-Neg from a table; its pickled original is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from known_models import check_controls, paint

from mrbench.errors import BenchmarkError, InputError
from mrbench.evaluation import evaluate
from mrbench.models.controls import RandomModel
from mrbench.sources import open_benchmark

ROWS = [("a.jpg", "a dog on grass", "a dog, but no grass"), ("b.jpg", "a red bus", "a bus that is not red")]


def write_jsonl(path: Path) -> Path:
    rows = [{"image": image, "caption": true, "negated": false} for image, true, false in ROWS]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    paint(path.parent, "a.jpg", "b.jpg")
    return path


def test_csv_and_jsonl_say_the_same(tmp_path: Path) -> None:
    lines = open_benchmark(f"ccneg:{write_jsonl(tmp_path / 'a.jsonl')}")
    (tmp_path / "a.csv").write_text("image,caption,negated\n" + "".join(f'{i},{t},"{f}"\n' for i, t, f in ROWS))
    table = open_benchmark(f"ccneg:{tmp_path / 'a.csv'}")
    for benchmark in (lines, table):
        assert [c.text for c in benchmark.corpus("text", "test")] == [text for _, *both in ROWS for text in both]
        judged = [(j.relevance, j.violates) for j in benchmark.judgements("i2t", "test")]
        assert judged == [(1, ()), (0, ("negation",))] * 2


def test_controls_have_their_values(tmp_path: Path) -> None:
    task = check_controls(open_benchmark(f"ccneg:{write_jsonl(tmp_path / 'a.jsonl')}"))["i2t"]
    assert task.chance["hit_rate@1"] == 0.5
    assert task.pair_accuracy["negation"].score == task.pair_accuracy["negation"].count / 2 == 1


@pytest.mark.parametrize("name", ["ccneg_preprocessed.pt", "a.pkl", "A.PTH"])
def test_a_pickled_file_is_not_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(BenchmarkError, match=r"a pickled file is not read.*accepted: a CSV or JSONL file"):
        open_benchmark(f"ccneg:{tmp_path / name}")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"image": "a.jpg", "caption": "x"}, "accepted: a key 'negated'"),
        ({"image": "a.jpg", "caption": "x", "negated": " "}, r"a text is empty.*a.jsonl:1, negated"),
        ({"image": 3, "caption": "x", "negated": "y"}, "another type"),
        ({"image": "/etc/passwd", "caption": "x", "negated": "y"}, "leaves the image folder"),
    ],
)
def test_a_fault_is_one_line(tmp_path: Path, row: dict, said: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(BenchmarkError, match=said):
        evaluate(open_benchmark(f"ccneg:{tmp_path / 'data' / 'a.jsonl'}"), RandomModel(), tmp_path / "r")
    with pytest.raises(InputError, match="unknown option"):
        open_benchmark(f"ccneg:{tmp_path / 'data' / 'a.jsonl'}?limit=3")
