"""What the shell offers after TAB, by typer's own protocol, and that it comes without torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import sys
from mrbench.cli.app import main
sys.argv = ["mrbench"]
try:
    main()
finally:
    print(*sorted({"torch", "transformers", "pandas", "datasets"} & set(sys.modules)), file=sys.stderr)
"""


def offered(folder: Path, typed: str) -> list[str]:
    """What bash would offer for the last word of a command, which may be empty."""
    asked = {"_MRBENCH_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split(" ")) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=folder, env=os.environ | asked, capture_output=True, text=True, timeout=60
    )
    assert done.stderr.strip() == "", "imported, or written"
    return done.stdout.split()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ("mrbench evaluate emoji --model co", ["constant", "colour-histogram", "conse"]),
        ("mrbench models check op", ["open_clip:", "openai:"]),
        ("mrbench models check random --against min", ["minilm"]),
        ("mrbench evaluate fash", ["fashioniq:", "fashioniq-turns:"]),
        ("mrbench show scen", ["scenes"]),
        ("mrbench datasets check data/", ["data/one"]),
    ],
)
def test_names_of_models_sources_and_folders_are_offered(typed: str, names: list[str], tmp_path: Path) -> None:
    for folder in ("scenes", "data/one", ".hidden"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "scen.txt").touch()
    assert sorted(offered(tmp_path, typed)) == sorted(names)


def test_a_plugin_s_model_is_offered_too(tmp_path: Path) -> None:
    assert {"elva:tiny", "elva:"} <= set(offered(tmp_path, "mrbench evaluate x --model e"))
