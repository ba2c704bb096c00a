"""Markdown, CSV, HTML, terminal and the published folder."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from result_samples import GRAINS, HOSTILE, hostile, result, samples, task

from mrbench.errors import OutputError, ResultError
from mrbench.leaderboard import boards, publish, terminal
from mrbench.leaderboard.csv_file import COLUMNS, render_csv
from mrbench.leaderboard.latex import render_latex
from mrbench.leaderboard.markdown import render_markdown

GOLDEN = Path(__file__).with_name("golden.md")


def _markdown_rows(text: str) -> list[list[str]]:
    return [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("|")]


def test_markdown_is_the_golden_file() -> None:
    assert render_markdown(boards(samples()[3:])) == GOLDEN.read_text(encoding="utf-8")


def test_markdown_shows_hostile_text_as_text() -> None:
    text = render_markdown(boards(hostile()))
    assert "<" not in text
    assert not re.search(r"(?<!\\)[\]\[`*_]\(", text)
    assert "![" not in text
    assert "://" not in text.replace(r"\://", "")
    assert text.count("\n## ") == len(HOSTILE)
    tables = text.split("\n\n")
    for table in (part for part in tables if part.startswith("|")):
        assert len({len(row) for row in _markdown_rows(table)}) == 1


def test_csv_holds_every_score() -> None:
    rows = list(csv.DictReader(io.StringIO(render_csv(boards(samples())))))
    assert tuple(rows[0]) == COLUMNS
    found = {(r["model"], r["task"], r["measure"], r["grain"]): r for r in rows}
    assert len(found) == len(rows)
    assert found["conse", "i2i", "hit_rate@5", ""]["score"] == "0.62"
    assert found["conse", "all", "hit_rate@5", ""]["rank"] == "2"
    assert found["efficientnet-lite0", "all", "hit_rate@5", ""]["score"] == ""
    assert found["efficientnet-lite0", "t2i", "mrr", ""]["reason"] == "not supported: the model takes no text"
    assert found["efficientnet-lite0", "i2i", "pair_accuracy", "hair"]["count"] == "120"
    assert {r["grain"] for r in rows} == {"", *GRAINS}


def test_csv_disarms_formulas_and_leaves_numbers_alone() -> None:
    names = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1", "a=1"]
    rows = list(csv.reader(io.StringIO(render_csv(boards([result(n, {"t2i": task(0.3)}) for n in names])))))
    found = {row[COLUMNS.index("model")] for row in rows[1:]}
    assert {name for name in found if not name.startswith("'")} == {"a=1"}
    assert {"'=1+1", "'-1", "'@SUM(A1)", "'=1"} <= found | {"'=1"}
    for row in rows[1:]:
        assert float(row[COLUMNS.index("score")]) >= 0
    for text in (cell for row in csv.reader(io.StringIO(render_csv(boards(hostile())))) for cell in row):
        assert not text.startswith(("=", "+", "-", "@", "\t", "\r"))


def test_latex_has_a_row_a_model_and_shows_hostile_text_as_text() -> None:
    text = render_latex(boards(samples()))
    assert re.search(r"^conse & 0\.410 & 0\.310 & 0\.270 & 0\.620 & 0\.440 \\\\$", text, flags=re.MULTILINE)
    assert "constant (control)" in text
    hostile_text = render_latex(boards(hostile()))
    assert r"\{\{ 7 * 7 \}\}\{\% raise \%\}" in hostile_text


def test_latex_keeps_both_sides_of_an_interval() -> None:
    def written(low: float, high: float) -> str:
        scored = task(0.7)
        return render_latex(boards([result("m", {"t2i": replace(scored, intervals={"hit_rate@5": (low, high)})})]))

    assert "m & 0.700 $_{-0.050}^{+0.030}$" in written(0.65, 0.73)
    assert r"m & 0.700 $\pm$0.040" in written(0.66, 0.74)


def test_terminal_is_plain_and_marks_the_blindest_grain() -> None:
    text = terminal(boards(samples())[0])
    assert re.search(r"^ +1  big/clip-vit +0\.550 ", text, flags=re.MULTILINE)
    assert re.search(r"^ +efficientnet-lite0 +— +— +— +0\.710 +—$", text, flags=re.MULTILINE)
    assert re.search(r"^ +conse +all .*0\.45\* ", text, flags=re.MULTILINE)
    assert re.search(r"^ +efficientnet-lite0 +i2i .*0\.52\* ", text, flags=re.MULTILINE)
    assert "conse               blindest grain: direction (0.45 over 480 pairs, chance 0.50)" in text


def test_terminal_cannot_be_steered_and_stays_in_columns() -> None:
    for board in boards(hostile()):
        lines = terminal(board).splitlines()
        assert all(line.isprintable() for line in lines)
    (board,) = boards([result(name, {"t2i": task(0.3)}) for name in ("x" * 500, "漢字モデル", "short")])
    lines = [line for line in terminal(board).splitlines() if line.endswith(" 0.300")]
    assert len(lines) == 3
    assert max(map(len, lines)) < 80


@pytest.mark.parametrize("name", ["x" * 500, "漢字モデル" * 20, "a (b) " * 40])
def test_a_long_name_does_not_hide_that_a_row_is_self_reported(name: str) -> None:
    one = replace(result(name, {"t2i": task(0.3)}), evidence="self-reported", committed=True)
    (line,) = [line for line in terminal(boards([one])[0]).splitlines() if line.endswith(" 0.300")]
    assert "(committed, self-reported)" in line


def test_publish_writes_the_same_bytes_whatever_the_order(tmp_path: Path) -> None:
    first = publish(samples(), tmp_path / "a")
    second = publish(samples()[::-1], tmp_path / "b")
    assert set(first) == {"html", "markdown", "csv", "json", "latex"} == set(second)
    one, other = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (tmp_path / "a", tmp_path / "b")
    )
    assert one == other
    content = json.loads(first["json"].read_text(encoding="utf-8"))
    assert content["format"] == "mrbench-leaderboard"
    assert content["boards"][0]["rows"][0]["model"] == "big/clip-vit"


def test_publish_takes_every_hostile_text(tmp_path: Path) -> None:
    assert all(path.stat().st_size for path in publish(hostile(), tmp_path / "out").values())


def test_publish_replaces_only_its_own_folder(tmp_path: Path) -> None:
    output = tmp_path / "out"
    publish(samples(), output)
    with pytest.raises(OutputError, match="--overwrite"):
        publish(samples(), output)
    (output / "result.json").write_text("mine")
    with pytest.raises(OutputError, match=r"something else.*result\.json"):
        publish(samples(), output, overwrite=True)
    assert (output / "result.json").read_text() == "mine"
    (output / "result.json").unlink()
    before = (output / "index.html").read_bytes()
    with pytest.raises(ResultError):
        publish([result("a", {"t2i": task(0.1)}, limit=3)], output, overwrite=True)
    assert (output / "index.html").read_bytes() == before
    publish(samples()[:4], output, overwrite=True)
    assert (output / "index.html").read_bytes() != before
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "index.html").write_text("mine")
    with pytest.raises(OutputError, match="left alone"):
        publish(samples(), tmp_path / "foreign", overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["foreign", "out"]


def test_a_cut_result_is_marked_everywhere(tmp_path: Path) -> None:
    paths = publish([result("a", {"t2i": task(0.1)}, limit=3)], tmp_path / "out", allow_limited=True)
    for kind in ("html", "markdown"):
        assert "Cut to 3 queries per task" in paths[kind].read_text(encoding="utf-8")
    assert next(csv.DictReader(io.StringIO(paths["csv"].read_text(encoding="utf-8"))))["limit"] == "3"
    (board,) = boards([result("a", {"t2i": task(0.1)}, limit=3)], allow_limited=True)
    assert "Cut to 3 queries per task" in terminal(board)


def test_nothing_heavy_is_imported() -> None:
    code = "import sys, mrbench.leaderboard; print(*{'torch','pandas','datasets','jinja2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []
