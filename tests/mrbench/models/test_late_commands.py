"""A tiny ColPali in every command that takes a model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_late import write_colpali
from typer.testing import CliRunner

from mrbench.benchmark import Benchmark
from mrbench.cli.app import app


@pytest.mark.slow
def test_every_command_takes_a_late_model(tiny: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = write_colpali(tmp_path / "tiny-colpali")

    def mrbench(*words: object) -> str:
        said = CliRunner().invoke(app, [str(word) for word in words])
        assert said.exit_code == 0, said.output
        return said.output

    spec = f"late:{folder}"
    assert "late:ID_OR_PATH" in mrbench("models", "list")
    assert "multi_vector" in mrbench("models", "show", spec)
    mrbench("evaluate", tiny.folder, "--model", spec, "--cache", "kept", "--output", "out", "--device", "cpu")
    written = json.loads(Path("out/result.json").read_text())
    assert written["model"]["licence"] == "gemma"
    assert float(written["tasks"]["i2i"]["setting"]["vectors per candidate"]) == 20.0
    assert {name: task["status"] for name, task in written["tasks"].items()}["it2i"] == "not supported"
    assert "tiny-colpali" in mrbench("cache", "info", "--cache", "kept")
    again = json.loads(mrbench("rescore", "out", tiny.folder, "--json"))
    assert again["tasks"]["t2i"]["scores"] == written["tasks"]["t2i"]["scores"]
    mrbench("leaderboard", "build", "out", "--output", "board")
    assert "tiny-colpali" in Path("board/leaderboard.md").read_text()
