"""Folders, runs and results that version 1 wrote are read as before."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tiny_benchmark import Oracle

from mrbench.benchmark import Benchmark
from mrbench.evaluation import evaluate, rescore
from mrbench.results import difference, read_result

ADDED_TO_MANIFESTS = ("corpora", "image_root")
ADDED_TO_TASKS = ("task", "setting", "chance", "cut_texts", "cut_pairs", "overlay")


@pytest.fixture
def old(tiny: Benchmark, tmp_path: Path) -> Benchmark:
    """The tiny benchmark as version 1 wrote it: tasks are names, and a corpus is named by its modality."""
    folder = shutil.copytree(tiny.folder, tmp_path / "old")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest |= {"format_version": 1, "tasks": [task["name"] for task in manifest["tasks"]]}
    for key in ADDED_TO_MANIFESTS:
        manifest.pop(key, None)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return Benchmark(folder)


def test_a_folder_of_version_1_gives_the_same_scores(tiny: Benchmark, old: Benchmark, tmp_path: Path) -> None:
    new, before = evaluate(tiny, Oracle(), tmp_path / "new"), evaluate(old, Oracle(), tmp_path / "before")
    assert difference(before, new) is None
    assert old.digest == tiny.digest


def test_a_run_of_version_1_is_scored_again(tiny: Benchmark, tmp_path: Path) -> None:
    folder = tmp_path / "r"
    written = evaluate(tiny, Oracle(), folder)
    for path in folder.glob("*.parquet"):
        table = pq.read_table(path)
        if "judged" in table.column_names:
            table = table.drop_columns(["judged"])
        table = table.rename_columns(["beside" if name == "tied" else name for name in table.column_names])
        pq.write_table(table, path)
    run = json.loads((folder / "run.json").read_text())
    run |= {"format_version": 1}
    run.pop("files")
    (folder / "run.json").write_text(json.dumps(run))
    result = json.loads((folder / "result.json").read_text())
    result["format_version"] = 1
    for part in result["tasks"].values():
        for key in ADDED_TO_TASKS:
            part.pop(key, None)
    (folder / "result.json").write_text(json.dumps(result))
    again = rescore(folder, tiny)
    assert difference(read_result(folder / "result.json"), again) is None
    assert difference(written, again) is None
