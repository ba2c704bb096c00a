"""Installed packages that are broken: each is named in one line, and everything else works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MODULES = {
    "exits": "raise SystemExit(3)",
    "interrupts": "raise KeyboardInterrupt",
    "waits": "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)",
    "ends": "import os, signal, time\nos.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(60)",
    "stops": "class Stop(BaseException): pass\nraise Stop('no')",
    "cannot_be_parsed": "def",
    "old": "from mrbench.registry import no_such_name",
    "talks": "print('hello')\nfrom mrbench.registry import Entry\nE = Entry('talker', 'talks', 'json:dumps')",
    "entries": (
        "from mrbench.registry import Entry\n"
        "TAKEN = Entry('random', 'x', 'entries:TAKEN')\n"
        "SOME = [Entry('good', '', 'entries:x'), TAKEN, Entry('better', '', 'entries:x')]\n"
        "NAMELESS = Entry(7, '', 'entries:x')\n"
        "NO_FACTS = Entry('x', '', 'entries:x', facts=None)\n"
        "FLAT_FACTS = Entry('x', '', 'entries:x', facts=('modalities', 'text'))\n"
        "NO_EXTRA = Entry('x', '', 'entries:x', extra=3)\n"
        "TWO_LINES = Entry('x', 'a\\nb', 'entries:x')\n"
        "ODD_NAME = Entry('x\\x1b[31m', '', 'entries:x')\n"
        "class Raises:\n    def __init__(self, **options): raise RuntimeError('no such adapter')\n"
        "RAISES = Entry('raises', '', 'entries:Raises')\n"
        "ABSENT = Entry('absent', '', 'no_such_module:x')\n"
        "LATE = Entry('late', '', 'interrupts:x')\n"
        "WAITS = Entry('waits', '', 'waits:x')\n"
        "def quits(**options): raise SystemExit('no licence')\n"
        "QUITS = Entry('quits', '', 'entries:quits')\n"
    ),
    "apps": (
        "import typer\nGOOD, MALFORMED = typer.Typer(), typer.Typer()\n"
        "@GOOD.command('run')\ndef run() -> None:\n    print('ran')\n"
        "@GOOD.callback()\ndef root() -> None: ...\n"
        "@MALFORMED.command()\ndef wrong(value: int | str = 0) -> None: ...\n"
    ),
}


@pytest.fixture
def installed(tmp_path: Path):
    """Install a package ``x`` with these entry points, and run a command beside it."""
    site = tmp_path / "site"
    info = site / "x-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: x\nVersion: 1\n")
    for name, text in MODULES.items():
        (site / f"{name}.py").write_text(text)

    def run(points: str, *words: str) -> subprocess.CompletedProcess[str]:
        (info / "entry_points.txt").write_text(points, encoding="latin-1")
        path = os.pathsep.join([str(site), *(part for part in sys.path if part)])
        program = [sys.executable, "-m", "mrbench", *words]
        environment = os.environ | {"PYTHONPATH": path}
        return subprocess.run(program, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)

    return run


def names(run: subprocess.CompletedProcess[str]) -> set[str]:
    assert run.returncode == 0, run.stderr
    return {model["name"] for model in json.loads(run.stdout)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("point", "said"),
    [
        ("absent_module:E", "No module named 'absent_module'"),
        ("json:absent", "has no attribute 'absent'"),
        ("json:dumps", "not an entry"),
        ("entries:TAKEN", "two models have one name; where: entries:TAKEN; got: 'random'"),
        ("entries:NAMELESS", "not an entry"),
        ("entries:NO_FACTS", "not an entry: malformed facts; where: x; got: 'None'"),
        ("entries:FLAT_FACTS", "not an entry: malformed facts; where: x"),
        ("entries:NO_EXTRA", "not an entry: malformed extra; where: x; got: 3"),
        ("entries:TWO_LINES", "not an entry: malformed summary; where: x"),
        ("entries:ODD_NAME", "not an entry: malformed name; where: x"),
        ("exits:E", "SystemExit: 3"),
        ("stops:E", "Stop: no"),
        ("interrupts:E", "KeyboardInterrupt"),
        ("cannot_be_parsed:E", "SyntaxError"),
        ("old:E", "cannot import name 'no_such_name'"),
        ("not a reference!", "x = not a reference!"),
    ],
)
@pytest.mark.parametrize("group", ["models", "commands"])
def test_a_broken_entry_point_is_left_out_in_one_line(installed, group: str, point: str, said: str) -> None:
    run = installed(f"[mrbench.{group}]\nx = {point}\n", "models", "--json")
    assert {"random", "constant", "minilm"} <= names(run)
    warning = [line for line in run.stderr.splitlines() if line.startswith("warning: ")]
    assert len(warning) == len(run.stderr.splitlines()) == 1, run.stderr
    assert f"a plugin is left out: x = {point}; where: mrbench.{group} of the package x; " in warning[0]
    if group == "models" or "entr" not in said:
        assert said in warning[0]


def test_the_good_entries_of_a_list_stay(installed) -> None:
    run = installed("[mrbench.models]\nx = entries:SOME\ny = talks:E\n", "models", "--json")
    assert {"random", "good", "better", "talker"} <= names(run)
    assert "two models have one name" in run.stderr
    assert "hello" in run.stderr  # and not on stdout, where it would be in the JSON


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[mrbench.models]\nno value\n", "line 2: no value"),
        ("[mrbench.models\nx = talks:E\n", "line 1: [mrbench.models"),
        ("x = talks:E\n[mrbench.models]\n", "line 1: x = talks:E"),
        ("# mrbench.models\n\xff", "'utf-8' codec can't decode byte 0xff"),
    ],
)
def test_a_list_of_entry_points_that_cannot_be_parsed_is_told_of_once(installed, text: str, line: str) -> None:
    run = installed(text, "models", "--json")
    assert {"random", "constant", "minilm"} <= names(run)
    assert run.stderr.count("\n") == 1, run.stderr
    assert "a plugin is left out: entry_points.txt cannot be parsed; where: the package x; got: " in run.stderr
    assert line in run.stderr


def test_lists_of_other_groups_are_not_our_matter(installed) -> None:
    assert installed("[console_scripts\nx = y:z\n", "models", "--json").stderr == ""


@pytest.mark.parametrize(("group", "module"), [("models", "waits"), ("commands", "waits"), ("models", "ends")])
def test_a_signal_while_a_plugin_is_imported_ends_the_command(installed, group: str, module: str) -> None:
    run = installed(f"[mrbench.{group}]\nx = {module}:E\n", "models", "--json")
    if group == "models":
        assert (run.returncode, run.stdout) == (130, "")
        assert "error: interrupted" in run.stderr
    assert run.returncode != 0
    assert "a plugin is left out" not in run.stderr


def test_a_model_that_ends_the_program_is_one_line(installed) -> None:
    run = installed("[mrbench.models]\nx = entries:LATE\n", "models", "show", "late")
    assert (run.returncode, run.stderr.count("\n")) == (2, 1)
    assert "late cannot be loaded; where: interrupts:x; got: 'KeyboardInterrupt'" in run.stderr
    run = installed("[mrbench.models]\nx = entries:QUITS\n", "models", "show", "quits")
    assert (run.returncode, run.stderr.count("\n")) == (2, 1)
    assert "the model cannot be loaded; where: quits; got: 'SystemExit: no licence'" in run.stderr
    assert installed("[mrbench.models]\nx = entries:WAITS\n", "models", "show", "waits").returncode == 130


@pytest.mark.parametrize(
    ("point", "said"),
    [
        ("evaluate = apps:GOOD", "two commands have one name; got: 'evaluate'"),
        ("x = apps:MALFORMED", "AssertionError: Typer currently doesn't support Union types"),
        ("x = json:dumps", "not a typer app; got: 'function'"),
    ],
)
def test_a_command_that_cannot_be_is_left_out(installed, point: str, said: str) -> None:
    run = installed(f"[mrbench.commands]\n{point}\ngood = apps:GOOD\n", "good", "run")
    assert (run.returncode, run.stdout) == (0, "ran\n")
    assert run.stderr.count("\n") == 1
    assert said in run.stderr


def test_a_model_that_cannot_be_imported_is_one_line(installed) -> None:
    run = installed("[mrbench.models]\nx = entries:ABSENT\n", "models", "--json")
    assert "absent" in names(run)
    assert run.stderr == ""  # it is imported when it is asked for


def test_a_model_whose_code_raises_is_one_line(installed) -> None:
    point = "[mrbench.models]\nx = entries:RAISES\n"
    run = installed(point, "models", "show", "raises")
    assert (run.returncode, run.stdout, run.stderr.count("\n")) == (2, "", 1)
    assert "the model cannot be loaded; where: raises; got: 'RuntimeError: no such adapter'" in run.stderr
    assert "Traceback" in installed(point, "--debug", "models", "show", "raises").stderr
