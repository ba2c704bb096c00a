"""`mrbench leaderboard check`: what an entry says is what its run says."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tiny_benchmark import Guess, Oracle

from mrbench.benchmark import Benchmark
from mrbench.evaluation import evaluate


def check(*words: object) -> subprocess.CompletedProcess[str]:
    words = (sys.executable, "-m", "mrbench", "leaderboard", "check", *words)
    return subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)


@pytest.fixture
def entry(tiny: Benchmark, tmp_path: Path) -> Path:
    evaluate(tiny, Guess("guess"), tmp_path / "entry")
    return tmp_path / "entry"


def change(file: Path, edit: object) -> None:
    raw = json.loads(file.read_text())
    edit(raw)  # type: ignore[operator]
    file.write_text(json.dumps(raw))


@pytest.mark.slow
def test_scores_are_computed_again_where_run_and_benchmark_are_there(entry: Path, tiny: Benchmark) -> None:
    done = check(entry, "--benchmark", tiny.folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{entry}: recomputed: ")
    done = check(entry / "result.json", "--benchmark", tiny.folder, "--json")
    (found,) = json.loads(done.stdout)
    assert (found["status"], found["model"]) == ("recomputed", "guess")
    assert found["scores"] > 50


def test_a_run_without_its_benchmark_is_not_scored_and_a_result_without_run_is_self_reported(
    entry: Path, tmp_path: Path
) -> None:
    shutil.copy(entry / "result.json", tmp_path / "scenes-guess.json")
    change(tmp_path / "scenes-guess.json", lambda raw: raw["model"].update(name="another"))
    done = check(entry, tmp_path / "scenes-guess.json", "--json")
    assert done.returncode == 0
    assert [found["status"] for found in json.loads(done.stdout)] == ["run not scored", "self-reported"]


def test_a_changed_score_is_found(entry: Path, tiny: Benchmark) -> None:
    change(entry / "result.json", lambda raw: raw["tasks"]["t2i"]["scores"].update({"mrr": 0.999}))
    done = check(entry, "--benchmark", tiny.folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert "the result is not that of the run" in done.stderr
    assert "mrr is 0.999" in done.stderr


def test_a_changed_grain_is_found(entry: Path, tiny: Benchmark) -> None:
    def better(raw: dict) -> None:
        part = raw["tasks"]["i2i"]
        part["by_grain"]["pair_accuracy"]["place"]["score"] = 1.0
        part["pair_counts"]["place"]["right"] = part["pair_counts"]["place"]["total"]

    change(entry / "result.json", better)
    done = check(entry, "--benchmark", tiny.folder)
    assert done.returncode == 2
    assert "by the run" in done.stderr


def test_an_altered_run_another_model_and_a_cut_result_fail_and_the_others_are_checked(
    entry: Path, tiny: Benchmark, tmp_path: Path
) -> None:
    for name in ("altered", "swapped", "sound"):
        shutil.copytree(entry, tmp_path / name)
    table = pq.read_table(tmp_path / "altered" / "t2i.queries.parquet")
    pq.write_table(table.slice(1), tmp_path / "altered" / "t2i.queries.parquet")
    change(tmp_path / "swapped" / "result.json", lambda raw: raw["model"].update(name="better"))
    evaluate(tiny, Oracle(), tmp_path / "cut", limit=2)
    done = check(*(tmp_path / name for name in ("altered", "swapped", "cut", "sound")), "--json")
    assert done.returncode == 2
    found = {Path(one["path"]).name: one for one in json.loads(done.stdout)}
    assert found["sound"]["status"] == "run not scored"
    assert "altered" in found["altered"]["error"]
    assert "two evaluations" in found["swapped"]["error"]
    assert "--limit" in found["cut"]["error"]
    assert done.stderr.count("\n") == 3
