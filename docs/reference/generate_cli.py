"""Writes docs/reference/cli.md from the commands' own help. Run it after a change of the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).with_name("cli.md")
COMMANDS = (
    "build",
    "build emoji",
    "build scenes",
    "build paper",
    "build captions",
    "review",
    "review sheet",
    "review apply",
    "validate",
    "audit",
    "show",
    "datasets",
    "datasets list",
    "datasets check",
    "convert",
    "export",
    "export mteb-task",
    "export mteb",
    "export hub",
    "export eee",
    "export trec",
    "export latex",
    "export markdown",
    "export csv",
    "models",
    "models check",
    "models convert",
    "models list",
    "models show",
    "train",
    "train elva",
    "train head",
    "train mend",
    "train plug-in",
    "grains",
    "grade",
    "judge",
    "judge check",
    "evaluate",
    "rescore",
    "compare",
    "worst",
    "cache",
    "cache info",
    "cache clear",
    "leaderboard",
    "leaderboard build",
    "leaderboard check",
    "demo",
)


def help_of(command: str) -> str:
    """Return what ``mrbench COMMAND --help`` prints on a terminal 100 columns wide."""
    environment = os.environ | {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}
    words = [sys.executable, "-m", "mrbench", *command.split(), "--help"]
    return subprocess.run(words, capture_output=True, text=True, check=True, env=environment).stdout  # noqa: S603


def page() -> str:
    """Return the page."""
    parts = ["# Commands", "", "Made by `python docs/reference/generate_cli.py` from the commands' own help.", ""]
    parts += ["Results go to stdout, progress and errors to stderr. Exit codes: 0 done, 2 bad input or output, 130"]
    parts += ["interrupted. `mrbench --install-completion` sets up completion in bash, zsh, fish and PowerShell.", ""]
    for command in COMMANDS:
        lines = [line.rstrip() for line in help_of(command).strip().splitlines()]
        parts += [f"## mrbench {command}", "", "```text", *lines, "```", ""]
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
