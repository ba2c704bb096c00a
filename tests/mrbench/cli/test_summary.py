"""What evaluate prints of a result."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from open_benchmarks import write_open
from tiny_benchmark import Guess, Oracle

from mrbench.benchmark import Benchmark, write_benchmark
from mrbench.cli.summary import summary
from mrbench.evaluation import evaluate
from mrbench.models.zoo import load_model
from mrbench.records import Candidate, Grain, Judgement, Ladder, Query, Task


def lines(benchmark: Benchmark, model: object, folder: Path) -> list[str]:
    return [line.strip() for line in summary(evaluate(benchmark, model, folder)).splitlines()]


def test_a_closed_suite_is_as_it_was(tiny: Benchmark, tmp_path: Path) -> None:
    said = lines(tiny, Oracle(), tmp_path / "r")
    task = next(line for line in said if line.startswith("t2i"))
    assert task.startswith("t2i   hit_rate@1 1.000  hit_rate@5 1.000")
    assert task.endswith("(8 queries, 36 candidates)")
    assert "pair accuracy: count 1.000  entity 1.000  place 1.000" in said


@pytest.mark.parametrize(
    ("name", "task", "said"),
    [
        ("photos", "photos hit_rate@1 ", "no measure of grains: the benchmark has no ladders, degrained queries"),
        ("answers", "answers ndcg@10 ", "judged@5 "),
        ("pairs", "swaps pair_accuracy 0.000 (chance 0.500)", "pair accuracy: replace colour 0.000 (14)"),
        ("true pairs", "swaps pair_accuracy 0.000", "all-positives accuracy: replace colour 0.000 (14)"),
        ("mixed", "answers ndcg@10 ", "judged@10 "),
    ],
)
def test_open_tasks_lead_with_their_main_measure(tmp_path: Path, name: str, task: str, said: str) -> None:
    found = lines(write_open(tmp_path / "b", name), load_model("constant"), tmp_path / "r")
    assert any(line.startswith(task) for line in found)
    assert any(said in line for line in found)
    assert all(len(line) < 400 for line in found)
    missing = [line for line in found if "measures of grains are missing" in line or "no measure of grains" in line]
    assert len(missing) == len([line for line in found if "queries," in line and "(" in line and "candidates" in line])


def test_a_list_says_how_long_it_is(tmp_path: Path) -> None:
    found = lines(write_open(tmp_path / "b", "true pairs"), load_model("random"), tmp_path / "r")
    assert any("(40 queries, 3 candidates each)" in line for line in found)
    assert not any("judged@" in line for line in found)  # every candidate is judged


def test_cut_texts_are_counted(tiny: Benchmark, tmp_path: Path) -> None:
    model = Guess("guess")
    model.cut_texts = lambda texts: np.array([len(text.split()) > 3 for text in texts])
    found = lines(tiny, model, tmp_path / "r")
    assert any(
        line.startswith("texts cut by the model: 4 of 8 queries,")
        and "pairs left out: count 4, entity 4, place 4" in line
        for line in found
    )
    assert any(line.startswith("texts cut by the model: 36 of 36 candidates") for line in found)


def test_ladders_over_some_grains_say_their_number_of_pairs(tmp_path: Path) -> None:
    with write_benchmark(tmp_path / "b", tasks=[Task("t2t", "t", "text", "text", judgements="partial")]) as writer:
        colour, thing = Grain("colour", "red"), Grain("thing", "dog")
        writer.add_candidates("test", [Candidate("right", (colour, thing), "a red dog"), Candidate("wrong", (), "x")])
        for n in range(3):
            writer.add_queries("test", [Query(f"q{n}", "t2t", "", (colour, thing), f"red dog {n}")])
            wrong = Judgement(f"q{n}", "wrong", 0, 1, ("colour",), 2)
            writer.add_judgements("test", "t2t", [Judgement(f"q{n}", "right", 1, 2, (), 2), wrong])
            writer.add_ladders("test", "t2t", [Ladder(f"q{n}", "right", ("right", "wrong"))])
        writer.finish(name="b", title="B")
    found = lines(Benchmark(tmp_path / "b"), load_model("constant"), tmp_path / "r")
    assert "pair accuracy: colour 0.000 (3)" in found
