"""The demo's leaderboard: committed results stand beside measured ones, marked, and only where they belong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tiny_benchmark import write_tiny

from mrbench.cli.demo import read_with_entries
from mrbench.evaluation import evaluate
from mrbench.leaderboard import boards
from mrbench.models.zoo import load_model
from mrbench.results import read_result, write_result


def test_committed_results_of_other_models_on_the_same_benchmark_are_marked(tmp_path: Path) -> None:
    tiny = write_tiny(tmp_path / "tiny")
    measured = tmp_path / "results/random/result.json"
    evaluate(tiny, load_model("random"), measured.parent)
    made = read_result(measured)
    slow = replace(made, model={**made.model, "name": "slow", "revision": "1"})
    elsewhere = replace(slow, benchmark={**made.benchmark, "digest": "0" * 64})
    for name, result in (("again", made), ("slow", slow), ("elsewhere", elsewhere)):
        (tmp_path / "entries").mkdir(exist_ok=True)
        write_result(tmp_path / f"entries/{name}.json", result)
    read = read_with_entries([measured], [tmp_path / "entries"])
    assert len(read) == 2
    (board,) = boards(read)
    assert sorted(row.label for row in board.rows) == ["random", "slow (committed, self-reported)"]
    assert len(read_with_entries([measured], None)) == 1


def test_committed_results_on_photos_join_and_those_on_another_build_of_a_suite_do_not(tmp_path: Path) -> None:
    tiny = write_tiny(tmp_path / "tiny")
    measured = tmp_path / "results/random/result.json"
    evaluate(tiny, load_model("random"), measured.parent)
    made = read_result(measured)
    photos = replace(made, benchmark={**made.benchmark, "name": "photos", "title": "Photos", "digest": "1" * 64})
    another = replace(made, benchmark={**made.benchmark, "digest": "0" * 64})
    (tmp_path / "entries").mkdir()
    for name, result in (("photos", photos), ("another", another)):
        write_result(tmp_path / f"entries/{name}.json", result)
    found = boards(read_with_entries([measured], [tmp_path / "entries"]))
    assert {(board.name, board.rows[0].label) for board in found} == {
        ("tiny", "random"),
        ("photos", "random (committed, self-reported)"),
    }
