"""Markdown, CSV, HTML, terminal and the published folder."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from result_samples import GRAINS, HOSTILE, hostile, result, samples, task, unsupported

from mrbench.errors import OutputError, ResultError
from mrbench.leaderboard import boards, publish, terminal
from mrbench.leaderboard.csv_file import COLUMNS, render_csv
from mrbench.leaderboard.data import one_line
from mrbench.leaderboard.html import render_html
from mrbench.leaderboard.markdown import render_markdown

GOLDEN = Path(__file__).with_name("golden.md")


class _Page(HTMLParser):
    """Collects the elements, attributes and text of a page, and checks that they nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "rect"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


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


def test_html_shows_hostile_text_as_text() -> None:
    calm = [
        result(f"m{i}", {"t2i": task(0.4, {f"g{i}": 0.4, "hair": 0.9}), "i2t": unsupported("x")}, digest=str(i))
        for i in range(len(HOSTILE))
    ]
    page, expected = _Page(render_html(boards(hostile()))), _Page(render_html(boards(calm)))
    assert {tag for tag, _ in page.tags} == {tag for tag, _ in expected.tags}
    assert {name for _, attributes in page.tags for name in attributes} == {
        name for _, attributes in expected.tags for name in attributes
    }
    assert page.open == []
    shown = "".join(page.text)
    for text in HOSTILE:
        assert one_line(text) in shown


def test_html_asks_for_nothing_and_allows_only_its_own_script() -> None:
    text = render_html(boards(samples()))
    page = _Page(text)
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy") or ""
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert {name for name, value in rules.items() if value != "'none'"} == {"script-src", "style-src"}
    assert rules["default-src"] == "'none'"
    for tag, source in (("script", "script-src"), ("style", "style-src")):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert rules[source] == f"'sha256-{digest}'"
    names = {name for _, attributes in page.tags for name in attributes}
    assert not names & {"src", "style", "srcset", "action"}
    assert not any(name.startswith("on") for name in names)
    assert all((a["href"] or "").startswith("#board-") for a in page.all("a"))
    assert "innerHTML" not in text
    assert "url(" not in text


def test_html_tables_are_labelled() -> None:
    page = _Page(render_html(boards(samples() + samples(pool="union"))))
    assert len(page.all("caption")) == len(page.all("table")) == 6
    assert all(head.get("scope") in ("col", "row", "rowgroup") for head in page.all("th"))
    names = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(set(names)) == len(names)
    wanted = {attributes["aria-labelledby"] for _, attributes in page.tags if "aria-labelledby" in attributes}
    assert wanted <= set(names)


def _luminance(colour: tuple[float, ...]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_heads_of_measures_say_what_they_mean() -> None:
    page = _Page(render_html(boards(samples()[3:])))
    said = [head["title"] for head in page.all("th") if "title" in head]
    assert any(text.startswith("the share of queries with a relevant candidate among the first ten (") for text in said)
    assert any(text.endswith("(higher is better; chance: 0.5)") for text in said)


def test_text_has_contrast_on_every_heat_colour_in_both_themes() -> None:
    style = re.findall(r"<style>(.*?)</style>", render_html(boards(samples())), flags=re.DOTALL)[0]
    themes = re.findall(r":root \{(.*?)\}", style, flags=re.DOTALL)
    assert len(themes) == 2
    for theme in themes:
        named = {k: tuple(bytes.fromhex(v)) for k, v in re.findall(r"--([a-z]+): #([0-9a-f]{6})", theme)}
        pairs = [(named["ink"], named["card"]), (named["soft"], named["card"]), (named["soft"], named["paper"])]
        pairs += [(named["accent"], named["paper"]), (named["ink"], named["warn"])]
        for end in ("low", "high"):
            for k in range(11):
                mixed = tuple(a + (b - a) * k / 10 for a, b in zip(named["middle"], named[end], strict=True))
                pairs.append((named["ink"], mixed))
        for one, other in pairs:
            dark, light = sorted((_luminance(one), _luminance(other)))
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (one, other)
    assert set(re.findall(r"\.h(\d+) \{", style)) == {str(step) for step in range(21)}


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


def test_publish_writes_the_same_bytes_whatever_the_order(tmp_path: Path) -> None:
    first = publish(samples(), tmp_path / "a")
    second = publish(samples()[::-1], tmp_path / "b")
    assert set(first) == {"html", "markdown", "csv", "json"}
    for kind, path in first.items():
        assert path.read_bytes() == second[kind].read_bytes()
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted(path.name for path in first.values())
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
