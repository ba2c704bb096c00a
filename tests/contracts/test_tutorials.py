"""The tutorial runs as it is written: its pages in order, in one folder."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from mrbench.cli.app import main

PAGES = sorted((Path(__file__).parents[2] / "docs/tutorial").glob("*.md"))


@pytest.mark.slow
def test_the_pages_of_the_tutorial_run_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for page in PAGES:
        for language, block in re.findall(r"```(python|bash)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            if language == "python":
                exec(compile(block, page.name, "exec"), {"__name__": "tutorial"})
                continue
            for line in block.strip().splitlines():
                with pytest.raises(SystemExit) as stopped:
                    main(shlex.split(line)[1:])
                assert stopped.value.code == 0, line
    printed = capsys.readouterr().out
    assert "not supported\n" in printed
    assert "background" in printed
    (board,) = json.loads(Path("graded-board/leaderboard.json").read_text(encoding="utf-8"))["boards"]
    assert len(board["rows"]) == 3
    for written in ("board/index.html", "worst.png", "grains.png", "card.md"):
        assert Path(written).stat().st_size, written
