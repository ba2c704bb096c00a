"""Every command is documented, and starts without the heavy libraries."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("generate_cli", ROOT / "docs/reference/generate_cli.py")
assert spec is not None
assert spec.loader is not None
generate_cli = importlib.util.module_from_spec(spec)
spec.loader.exec_module(generate_cli)


def names(command: object, prefix: str = "") -> list[str]:
    found = []
    for name, sub in getattr(command, "commands", {}).items():
        found += [f"{prefix}{name}", *names(sub, f"{prefix}{name} ")]
    return found


@pytest.mark.slow
def test_the_reference_page_is_what_the_commands_say() -> None:
    assert generate_cli.PAGE.read_text(encoding="utf-8") == generate_cli.page()


def test_the_reference_page_names_every_command() -> None:
    import typer

    from mrbench.cli.app import app

    assert sorted(names(typer.main.get_command(app))) == sorted(generate_cli.COMMANDS)


def test_every_command_has_a_summary_an_example_and_help_for_each_option() -> None:
    import typer

    from mrbench.cli.app import app

    def walk(command: object, path: str) -> None:
        for parameter in command.params:  # type: ignore[attr-defined]
            assert getattr(parameter, "help", None), f"{path}: {parameter.name} has no help"
        for name, sub in getattr(command, "commands", {}).items():
            assert sub.help, f"{path} {name} has no help"
            if not getattr(sub, "commands", None):
                assert f"Example: mrbench {path}{name}" in sub.help
            walk(sub, f"{path}{name} ")

    walk(typer.main.get_command(app), "")


@pytest.mark.parametrize("arguments", [["--help"], ["models", "list"], ["leaderboard", "--help"], ["build", "--help"]])
def test_light_commands_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import json, sys\n"
        "from mrbench.cli.app import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        "heavy = {'torch', 'transformers', 'datasets', 'pandas', 'sklearn', 'matplotlib', 'scipy', 'pyarrow'}\n"
        "print(json.dumps(sorted(heavy & set(sys.modules))))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(run.stdout.splitlines()[-1]) == []
