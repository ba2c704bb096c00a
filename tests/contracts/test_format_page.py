"""The pages on the format and on one's own data say what is there, and their code runs."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from mrbench.benchmark import Benchmark, Manifest
from mrbench.benchmark.manifest import task_to_json
from mrbench.benchmark.schema import COLUMNS, TABLES
from mrbench.records import TASKS
from mrbench.validate import validate_open

DOCS = Path(__file__).parents[2] / "docs"
FORMAT = (DOCS / "reference/format.md").read_text(encoding="utf-8")
OWN_DATA = (DOCS / "howto/your-own-data.md").read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def test_the_example_writes_a_valid_benchmark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    example = blocks(FORMAT, "python")[0]
    assert len(example.splitlines()) <= 20
    exec(compile(example, "format.md", "exec"), {"__name__": "example"})
    benchmark = Benchmark(tmp_path / "walls")
    assert capsys.readouterr().out.strip() == benchmark.digest
    report, _ = validate_open(benchmark.folder, benchmark.manifest, images=True, workers=1, image_root=None)
    assert report.problems == []
    out = tmp_path / "result"
    words = ["evaluate", "walls", "--model", "constant", "--output", str(out)]
    subprocess.run([sys.executable, "-m", "mrbench", *words], check=True, capture_output=True)
    scores = json.loads((out / "result.json").read_text())["tasks"]["find"]["scores"]
    assert scores["hit_rate@1"] == pytest.approx(1 / 3)


def test_every_key_of_the_manifest_is_documented() -> None:
    keys = {"format", "format_version", *(field.name for field in fields(Manifest)), *task_to_json(TASKS["t2i"])}
    rows = [line for line in FORMAT.splitlines() if line.startswith("| `")]
    documented = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert keys <= documented


def test_every_column_and_table_is_documented() -> None:
    section = FORMAT.partition("## Columns")[2].partition("\n## ")[0]
    documented = set(re.findall(r"`([\w-]+)`", section))
    assert COLUMNS.keys() <= documented
    assert all(re.search(rf"\b{table}\b", section) for table in TABLES)


@pytest.mark.slow
def test_the_page_on_ones_own_data_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for language, block in re.findall(r"```(python|bash)\n(.*?)```", OWN_DATA, re.DOTALL):
        if language == "python":
            exec(compile(block, "your-own-data.md", "exec"), {"__name__": "example"})
            continue
        for line in block.strip().splitlines():
            words = shlex.split(line)
            assert words[0] == "mrbench"
            run = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True, check=False)
            assert run.returncode == 0, run.stderr
    result = json.loads((tmp_path / "results/pairs/result.json").read_text())
    assert result["tasks"]["i2t"]["scores"]["hit_rate@1"] == pytest.approx(1 / 2)
    assert (tmp_path / "query.png").is_file()
    assert Benchmark(tmp_path / "shop-benchmark").task_names == ("t2i", "i2t")


def test_the_options_of_captions_are_documented() -> None:
    from mrbench.sources.captions import OPTIONS

    assert all(f"`{name}=" in OWN_DATA for name in OPTIONS)
