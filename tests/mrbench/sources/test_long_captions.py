"""Urban-1k and ShareGPT4V: one long caption an image, both ways."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from controls import write_json
from known_models import check_controls, paint

from mrbench.errors import BenchmarkError, InputError
from mrbench.evaluation import evaluate
from mrbench.models.controls import RandomModel
from mrbench.sources import long_captions, open_benchmark
from mrbench.sources.long_captions import first_records


def write_urban(root: Path) -> Path:
    (root / "caption").mkdir(parents=True)
    for number in (1, 2, 10):
        (root / "caption" / f"{number}.txt").write_text(f"A street, number {number}. It is long.\nnot read\n")
    paint(root / "image", "1.jpg", "2.png", "10.jpg")
    return root


def record(number: int, text: str = "") -> dict:
    turns = [{"from": "human", "value": "What is it?\n<image>"}, {"from": "gpt", "value": text or f"It is\n{number}."}]
    return {"id": str(number), "image": f"sam/{number}.jpg", "conversations": turns}


def write_share(root: Path, number: int = 5) -> Path:
    paint(root, *(f"sam/{n}.jpg" for n in range(number)))
    return write_json(root / "share.json", [record(n) for n in range(number)])


def test_urban_pairs_files_of_one_name(tmp_path: Path) -> None:
    benchmark = open_benchmark(f"urban1k:{write_urban(tmp_path)}")
    queries = {q.id: (q.text, q.cluster) for q in benchmark.queries("t2i", "test")}
    assert queries["10"] == ("A street, number 10. It is long.", "10.jpg")
    assert {j.query_id: j.candidate_id for j in benchmark.judgements("i2t", "test")} == {
        "1.jpg": "1",
        "10.jpg": "10",
        "2.png": "2",
    }


def test_share_takes_the_answers_of_the_first_records(tmp_path: Path) -> None:
    path = write_share(tmp_path)
    benchmark = open_benchmark(f"sharegpt4v:{path}?limit=3")
    assert [c.text for c in benchmark.corpus("text", "test")] == ["It is 0.", "It is 1.", "It is 2."]
    assert [c.id for c in benchmark.corpus("image", "test")] == ["sam/0.jpg", "sam/1.jpg", "sam/2.jpg"]
    assert len(open_benchmark(f"sharegpt4v:{path}?limit=all").corpus("image", "test")) == 5
    many = write_json(tmp_path / "many.json", [record(n) for n in range(1005)])
    assert len(open_benchmark(f"sharegpt4v:{many}").corpus("image", "test")) == 1000


@pytest.mark.parametrize("source", ["urban1k", "sharegpt4v"])
def test_controls_have_their_values(tmp_path: Path, source: str) -> None:
    location, number = (write_urban(tmp_path), 3) if source == "urban1k" else (write_share(tmp_path), 5)
    for task in check_controls(open_benchmark(f"{source}:{location}")).values():
        assert task.chance["hit_rate@1"] == pytest.approx(1 / number)


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize("limit", [None, 2, 9])
def test_a_list_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, limit: int | None) -> None:
    monkeypatch.setattr(long_captions, "_CHUNK", size)
    value = [{"a": 'é[]{},"'}, {}, {"b": [1, {"c": None}]}, {"d": "ü" * 5}]
    path = tmp_path / "a.json"
    path.write_text("\ufeff \n" + json.dumps(value, indent=1, ensure_ascii=False), encoding="utf-8")
    assert list(first_records(path, limit)) == value[:limit]


def test_the_rest_of_a_list_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_captions, "_CHUNK", 64)
    (tmp_path / "a.json").write_text('[{"a": 1}, {"b": 2}' + " " * 100 + "broken")
    assert list(first_records(tmp_path / "a.json", 2)) == [{"a": 1}, {"b": 2}]
    with pytest.raises(BenchmarkError, match=r"a file is not JSON; where: .*, record 2"):
        list(first_records(tmp_path / "a.json", 3))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({}, "not a JSON list"),
        ([3], "not a JSON object; where: .*record 0"),
        ([{"image": "a.jpg"}], "a key 'conversations'"),
        ([{"image": "a.jpg", "conversations": [{}]}], "no answer"),
        ([record(1), record(1)], "an image is there twice; where: .*record 1"),
        ([record(1, " ")], "a text is empty"),
        ([record(1) | {"image": "../a.jpg"}], "leaves the image folder"),
    ],
)
def test_a_fault_of_share_is_one_line(tmp_path: Path, value: object, said: str) -> None:
    path = write_json(tmp_path / "data" / "share.json", value)
    with pytest.raises(BenchmarkError, match=said):
        evaluate(open_benchmark(f"sharegpt4v:{path}"), RandomModel(), tmp_path / "r")


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"a folder is missing; where: .*caption; accepted: Urban-1k: the folders"):
        open_benchmark(f"urban1k:{tmp_path}")
    (tmp_path / "caption").mkdir()
    with pytest.raises(BenchmarkError, match="no caption in a folder"):
        open_benchmark(f"urban1k:{tmp_path}")
    with pytest.raises(BenchmarkError, match="missing"):
        open_benchmark(f"sharegpt4v:{tmp_path / 'no.json'}")
    with pytest.raises(InputError, match=r"where: \?limit="):
        open_benchmark(f"sharegpt4v:{write_share(tmp_path)}?limit=0")
    (tmp_path / "caption" / "1.txt").write_text("")
    benchmark = open_benchmark(f"urban1k:{tmp_path}")
    with pytest.raises(BenchmarkError, match=r"a text is empty.*1.txt"):
        len(benchmark.corpus("text", "test"))
    (tmp_path / "caption" / "1.txt").write_bytes("Straße".encode("latin-1"))
    with pytest.raises(BenchmarkError, match=r"not UTF-8.*1.txt:1"):
        len(benchmark.corpus("text", "test"))
