"""docs/howto/mend-a-blind-grain.md runs as it is written, on the photos that it draws; the README's commands exist."""

import re
import shlex
from pathlib import Path

import pytest

from mrbench.cli.app import main

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/howto/mend-a-blind-grain.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_how_to_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = []
    for language, block in re.findall(r"```(python|bash)\n(.*?)```", PAGE, re.DOTALL):
        if language == "python":
            exec(compile(block, "mend-a-blind-grain.md", "exec"), {"__name__": "howto"})
            continue
        for line in block.strip().splitlines():
            words = shlex.split(line)[1:]
            with pytest.raises(SystemExit) as stopped:
                main([*words, *(["--steps", "40"] if words[0] == "train" else [])])
            assert stopped.value.code == 0, words
            ran.append(words[:2])
    assert [words[0] for words in ran] == ["train", "train", "evaluate"]
    assert "hit_rate@5" in Path("my-head/README.md").read_text()
    assert len(list(Path("results").glob("*/result.json"))) == 2
