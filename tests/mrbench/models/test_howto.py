"""The how-tos on models run as they are written: their files, their Python, their `mrbench` commands."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from embedding_server import serving

from mrbench.benchmark import Benchmark
from mrbench.cli.app import main

HOWTO = Path(__file__).parents[3] / "docs/howto"
PAGES = [HOWTO / f"{name}.md" for name in ("evaluate-your-own-model", "model-behind-an-api", "add-an-adapter")]
BLOCK = re.compile(r"^```(\w+)(?: title=(\S+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SERVER = "http://localhost:8000/v1"


@pytest.fixture
def server_url() -> Iterator[str]:
    with serving() as server:
        yield server.url


def commands(block: str) -> list[list[str]]:
    return [shlex.split(line)[1:] for line in block.splitlines() if line.startswith("mrbench ")]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_how_to_runs(
    page: Path, tiny: Benchmark, server_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    shutil.copytree(tiny.folder, "scenes")
    before = set(sys.modules)
    ran = 0
    for language, title, text in BLOCK.findall(page.read_text(encoding="utf-8").replace(SERVER, server_url)):
        if title:
            Path(title).parent.mkdir(parents=True, exist_ok=True)
            Path(title).write_text(text, encoding="utf-8")
        elif language == "python":
            exec(compile(text, page.name, "exec"), {"__name__": "howto"})
        elif language == "sh":
            for words in commands(text):
                with pytest.raises(SystemExit) as stopped:
                    main(
                        [
                            *words,
                            *(["--overwrite"] if words[0] == "evaluate" and "--skip-existing" not in words else []),
                        ]
                    )
                assert stopped.value.code == 0, words
                ran += 1
    assert ran >= 2
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def test_the_how_to_of_ones_own_model_needs_ten_lines() -> None:
    text = (HOWTO / "evaluate-your-own-model.md").read_text(encoding="utf-8")
    code = next(text for language, title, text in BLOCK.findall(text) if title == "my_model.py")
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
