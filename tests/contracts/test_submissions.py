"""What leaderboards/README.md and its workflow tell to run can be run, and the committed entries pass it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from mrbench.evaluation import check_entry

ROOT = Path(__file__).parents[2]
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/leaderboard.yml").read_text(encoding="utf-8"))
STEPS: list[dict[str, Any]] = WORKFLOW["jobs"]["check"]["steps"]
PAGE = (ROOT / "leaderboards/README.md").read_text(encoding="utf-8")


def _commands() -> list[str]:
    ran = [line for step in STEPS for line in step.get("run", "").splitlines()]
    told = re.findall(r"^ *(mrbench .*)$", PAGE, re.MULTILINE) + re.findall(r"`(mrbench [^`]+)`", PAGE)
    return [line.strip() for line in (*ran, *told) if line.strip().startswith("mrbench ")]


@pytest.mark.parametrize("line", _commands())
def test_every_command_is_one_of_the_program_with_its_options(line: str) -> None:
    from mrbench.cli.app import app

    command: Any = typer.main.get_command(app)
    words = shlex.split(line)[1:]
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    assert not getattr(command, "commands", None), f"no command in {line}"
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word.partition("=")[0] for word in words if word.startswith("-")} <= known


def test_a_pull_request_is_checked_without_rights_by_the_program_of_the_branch() -> None:
    assert list(WORKFLOW[True]) == ["pull_request"]  # YAML reads the key `on` as true
    assert WORKFLOW["permissions"] == {"contents": "read"}
    checkouts = [step["with"] for step in STEPS if step.get("uses", "").startswith("actions/checkout")]
    assert {one["path"] for one in checkouts} == {"base", "proposed"}
    assert all(one["persist-credentials"] is False for one in checkouts)
    (installed,) = [step["run"] for step in STEPS if "pip install" in step.get("run", "")]
    assert "./base" in installed
    assert "proposed" not in installed


def test_every_committed_entry_was_recomputed_and_is_unchanged() -> None:
    files = sorted((ROOT / "leaderboards/entries").glob("*.json"))
    assert files
    found = {file.name: check_entry(file, ()).status for file in files}
    assert set(found.values()) == {"recomputed before"}, found


def test_no_entry_on_photos_names_a_photo() -> None:
    for file in sorted((ROOT / "leaderboards/entries").glob("*.json")):
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"\.(jpe?g|png|webp)\b", text), file.name
        assert not re.search(r'"command": "[^"]*(/tmp|/work|/home)', text), file.name
