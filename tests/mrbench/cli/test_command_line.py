"""The command line as users meet it: exit codes, one-line errors, clean streams."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def mrbench(*words: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mrbench", *map(str, words)], capture_output=True, text=True, check=False, cwd=cwd
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["frob"], "frob"),
        (["build", "emoji"], "--output"),
        (["build", "emoji", "--output", "x", "--size", "3"], "--size"),
        (["build", "emoji", "--output", "x", "--splits", "exam"], "exam"),
        (["validate", "no-such-folder"], "no-such-folder"),
        (["show", "no-such-folder", "q"], "no-such-folder"),
        (["evaluate", "no-such-folder", "--model", "random"], "no-such-folder"),
        (["leaderboard", "no-such-folder"], "no-such-folder"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(words: list[str], said: str, tmp_path: Path) -> None:
    run = mrbench(*words, cwd=tmp_path)
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.startswith("error: ")
    assert run.stderr.count("\n") == 1
    assert said in run.stderr
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    run = mrbench("--debug", "validate", tmp_path / "absent")
    assert run.returncode == 2
    assert "Traceback" in run.stderr


def test_demo_leaves_a_foreign_folder_alone(tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("keep")
    run = mrbench("demo", "--small", "--output", tmp_path)
    assert run.returncode == 2
    assert "left alone" in run.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert mine.read_text() == "keep"


def test_help_has_no_colour_when_piped() -> None:
    run = mrbench("--help")
    assert run.returncode == 0
    assert "\x1b" not in run.stdout
