"""NegBench: retrieval with captions that negate, and questions with four answers."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

import pytest
from known_models import chance_of, check_controls, paint
from realdata import realdata

from mrbench.benchmark import Benchmark
from mrbench.errors import BenchmarkError, InputError
from mrbench.evaluation import evaluate
from mrbench.models.controls import RandomModel
from mrbench.sources import open_benchmark

QUESTIONS = "COCO_val_mcq_llama3.1_rephrased.csv"
RETRIEVAL = "COCO_val_negated_retrieval_llama3.1_rephrased_affneg_true.csv"
HEADER = "image_path,correct_answer,caption_0,caption_1,caption_2,caption_3,correct_answer_template"


def write_negbench(root: Path) -> Path:
    root.mkdir(exist_ok=True)
    (root / QUESTIONS).write_text(
        f"{HEADER}\n"
        'data/coco/a.jpg,0,"A cat, no dog",A dog,A cat and a dog,No cat,hybrid\n'
        "data/coco/a.jpg,2,No cat,A dog,A cat,No fur,positive\n"
        "data/coco/b.jpg,0,No car,A car,A car and a bus,A bus,negative\n"
    )
    (root / RETRIEVAL).write_text(
        "positive_objects,negative_objects,filepath,image_id,captions\n"
        '"[\'cat\']","[\'dog\']",data/coco/a.jpg,1,"[\'A cat, no dog.\', ""There\'s a cat""]"\n'
        "\"['bus']\",\"['car']\",data/coco/b.jpg,2,\"['No car but a bus.', '']\"\n"
        "\"['sea']\",\"['car']\",data/coco/c.jpg,3,\"['The sea']\"\n"
    )
    paint(root, "a.jpg", "b.jpg", "c.jpg")
    return root


def opened(path: Path) -> Benchmark:
    return open_benchmark(f"negbench:{path}?strip=data/coco/")


def test_each_file_is_a_task_of_its_kind(tmp_path: Path) -> None:
    benchmark = opened(write_negbench(tmp_path))
    assert benchmark.task_names == ("coco_negated_retrieval_t2i", "coco_negated_retrieval_i2t", "coco_mcq")
    assert opened(tmp_path / QUESTIONS).task_names == ("coco_mcq",)
    texts = [q.text for q in benchmark.queries("coco_negated_retrieval_t2i", "test")]
    assert texts == ["A cat, no dog.", "There's a cat", "No car but a bus.", "The sea"]  # the empty one is left out
    lists = {row.query_id: row.candidate_ids for row in benchmark.lists("coco_mcq", "test")}
    assert lists["coco_mcq-1"] == tuple(f"coco_mcq-1#{n}" for n in range(4))
    judged = {(j.query_id, j.candidate_id): (j.relevance, j.violates) for j in benchmark.judgements("coco_mcq", "test")}
    assert judged["coco_mcq-1", "coco_mcq-1#2"] == (1, ())
    assert judged["coco_mcq-1", "coco_mcq-1#0"] == (0, ("positive",))
    assert len(judged) == 12
    assert [q.cluster for q in benchmark.queries("coco_mcq", "test")] == ["a.jpg", "a.jpg", "b.jpg"]


def test_controls_have_their_values(tmp_path: Path) -> None:
    only = write_negbench(tmp_path)
    tasks = check_controls(opened(only / RETRIEVAL))
    assert tasks["coco_negated_retrieval_t2i"].chance["hit_rate@1"] == pytest.approx(1 / 3)
    # Of two questions on one image the model knows both answers, so each is asked by itself.
    rows = (only / QUESTIONS).read_text().splitlines()
    (only / QUESTIONS).write_text("\n".join([rows[0], rows[1], rows[3]]) + "\n")
    task = check_controls(opened(only / QUESTIONS))["coco_mcq"]
    assert task.chance["hit_rate@1"] == pytest.approx(0.25)
    assert task.scores["all_grains_accuracy"] == 1
    assert {kind: part.count for kind, part in task.pair_accuracy.items()} == {"hybrid": 3, "negative": 3}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (QUESTIONS, f"{HEADER}\na.jpg,4,a,b,c,d,x\n", r"malformed correct_answer; where: .*:2; got: '4'"),
        (QUESTIONS, f"{HEADER}\na.jpg,0,a,,c,d,x\n", r"a text is empty.*:2, caption_1"),
        (QUESTIONS, f"{HEADER}\na.jpg,0,a\n", "another number of cells"),
        (QUESTIONS, f"{HEADER}\n../a.jpg,0,a,b,c,d,x\n", r"leaves the image folder.*:2"),
        (QUESTIONS, f"{HEADER}\n", "a table has no row"),
        (QUESTIONS, "image,text\na.jpg,x\n", "a table of another layout"),
        (RETRIEVAL, "filepath,captions\na.jpg,a plain text\n", r"no list of texts; where: .*:2"),
        (RETRIEVAL, "filepath,captions\na.jpg,\"__import__('os').getcwd()\"\n", "no list of texts"),
        (RETRIEVAL, "filepath,captions\na.jpg,['x']\na.jpg,['y']\n", r"an image is there twice; where: .*:3"),
    ],
)
def test_a_fault_is_one_line(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / name).write_text(text)
    with pytest.raises(BenchmarkError, match=said):
        evaluate(opened(tmp_path / "data" / name), RandomModel(), tmp_path / "r")


def test_files_and_options_are_checked(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="no CSV file in a folder"):
        opened(tmp_path)
    with pytest.raises(BenchmarkError, match="missing"):
        opened(tmp_path / "a.csv")
    write_negbench(tmp_path)
    with pytest.raises(InputError, match="unknown option"):
        open_benchmark(f"negbench:{tmp_path}?x=1")
    plain = tmp_path / QUESTIONS
    (tmp_path / f"{QUESTIONS}.gz").write_bytes(gzip.compress(plain.read_bytes()))
    with pytest.raises(BenchmarkError, match=r"two files have one name; .*got: 'coco_mcq'"):
        opened(tmp_path)


def test_real_counts_and_chance(tmp_path: Path) -> None:
    benchmark = open_benchmark(f"negbench:{realdata('negbench')}", image_root=tmp_path)
    assert sorted(benchmark.task_names) == [
        "coco_mcq",
        "coco_negated_retrieval_i2t",
        "coco_negated_retrieval_t2i",
        "coco_retrieval_i2t",
        "coco_retrieval_t2i",
        "voc2007_mcq",
    ]
    kinds = Counter(j.violates[0] for j in benchmark.judgements("coco_mcq", "test") if j.relevance == 0 and j.violates)
    assert kinds == {"positive": 3 * 2032, "hybrid": 3 * 2012, "negative": 3 * 1870}
    assert len(benchmark.queries("coco_mcq", "test")) == 5914
    assert len({query.cluster for query in benchmark.queries("coco_mcq", "test")}) == 3926
    assert len(benchmark.queries("voc2007_mcq", "test")) == 5031
    assert len(benchmark.queries("coco_retrieval_t2i", "test")) == 25_014
    assert len(benchmark.queries("coco_negated_retrieval_t2i", "test")) == 25_013  # one of 25,014 is empty
    assert len(benchmark.corpus("coco_retrieval_image", "test")) == 5000
    for task in ("coco_mcq", "voc2007_mcq"):
        assert chance_of(benchmark, task, "hit_rate@1") == [0.25]
    assert chance_of(benchmark, "coco_negated_retrieval_t2i", "hit_rate@1", "hit_rate@5") == [0.0002, 0.001]
