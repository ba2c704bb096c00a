"""What the leaderboard says over all models: halves of composed queries, and calibrated grain sensitivity."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from result_samples import result, site_text, task

from mrbench.errors import ResultError
from mrbench.leaderboard import boards, publish
from mrbench.leaderboard.csv_file import render_csv
from mrbench.leaderboard.markdown import render_markdown
from mrbench.results import GrainScore, Result, TaskResult, read_result, write_result

QUERIES = 10
CLUSTERS = tuple(f"art {i}" for i in range(QUERIES))


def halves(image: set[int], text: set[int], candidates: int = 100) -> TaskResult:
    hits = {
        f"{name}_only_hit_rate@1": tuple(float(i in solved) for i in range(QUERIES))
        for name, solved in (("image", image), ("text", text))
    }
    return replace(task(0.5), queries=QUERIES, candidates=candidates, per_query=hits, clusters=CLUSTERS)


def composed(name: str, part: TaskResult) -> Result:
    return result(name, {"it2i": part})


def test_one_half_is_counted_over_all_models() -> None:
    board = boards([composed("a", halves({0}, {1})), composed("b", halves({1}, {2, 3}))])[0]
    (part,) = board.one_part
    assert (part.models, part.of, part.queries, part.share) == (2, 2, 10, 0.4)  # queries 0 to 3, and 1 only once
    assert part.chance == pytest.approx(1 - 0.99**4)
    assert part.beyond == pytest.approx(0.4 - part.chance)
    assert part.passes is False
    (alone,) = boards([composed("a", halves(set(), set()))])[0].one_part
    assert (alone.share, alone.passes) == (0, True)


def test_models_that_do_not_tell_are_no_zero() -> None:
    silent = replace(halves(set(), set()), per_query={}, clusters=())
    (part,) = boards([composed("a", halves({0}, set())), composed("old", silent)])[0].one_part
    assert (part.models, part.of, part.share) == (1, 2, 0.1)
    board = boards([composed("old", silent)])[0]
    assert (board.one_part[0].share, board.one_part[0].passes) == (None, None)
    assert "not scored: no result says" in render_markdown([board])


def test_other_queries_cannot_be_joined() -> None:
    other = replace(halves({0}, set()), clusters=CLUSTERS[::-1])
    with pytest.raises(ResultError, match="disagree on its queries"):
        boards([composed("a", halves({0}, set())), composed("b", other)])


def test_the_line_is_shown_everywhere(tmp_path: Path) -> None:
    results = [composed("a", halves({0, 5}, {1}))]
    board = boards(results)[0]
    line = "30.0% of 10 queries"
    assert line in site_text([board])
    assert line in render_markdown([board]).replace("\\", "")
    paths = publish(results, tmp_path / "out")
    assert json.loads(paths["json"].read_text())["boards"][0]["one_part"][0]["share"] == pytest.approx(0.3)


def sensitive(scores: dict[str, float], missing: dict[str, str]) -> TaskResult:
    found = {grain: GrainScore(score, 40, (score - 0.1, score + 0.1)) for grain, score in scores.items()}
    part = task(0.5)
    by_grain = part.by_grain | ({"grain_sensitivity": found} if found else {})
    return replace(part, by_grain=by_grain, missing=missing)


def test_sensitivity_has_a_heat_map_that_says_what_is_missing() -> None:
    lacking = {"grain_sensitivity[hair]": "no two queries share no grain"}
    board = boards([
        result("a", {"t2i": sensitive({"gender": 0.42, "activity": -1.7}, lacking)}),
        result("b", {"t2i": sensitive({}, {"grain_sensitivity": "the benchmark has no <degrained> queries"})}),
    ])[0]  # fmt: skip
    (panel,) = board.sensitivity
    cells = dict(zip(board.grains, panel.lines[0].cells, strict=True))
    assert (cells["gender"].score, cells["gender"].count, cells["gender"].interval) == (
        0.42,
        40,
        pytest.approx((0.32, 0.52)),
    )
    assert cells["hair"].reason == "not scored: no two queries share no grain"
    assert {cell.score for cell in panel.lines[1].cells} == {None}
    page = site_text([board])
    assert 'class="h14" data-value="0.42" title="40 queries without it, 95 %: 0.320 to 0.520"' in page
    assert 'class="h0" data-value="-1.7"' in page
    assert 'title="not scored: the benchmark has no &lt;degrained&gt; queries"' in page
    assert "| text → image | a | -1.70 ±0.10 |" in render_markdown([board])
    rows = [row for row in csv.DictReader(io.StringIO(render_csv([board]))) if row["measure"] == "grain_sensitivity"]
    assert {row["score"] for row in rows if row["model"] == "b"} == {""}
    assert [row["score"] for row in rows if row["grain"] == "gender"] == ["0.42", ""]


def test_no_sensitivity_no_map() -> None:
    board = boards([result("a", {"t2i": task(0.5)})])[0]
    assert board.sensitivity == ()
    assert "Calibrated" not in site_text([board]) + render_markdown([board])


def test_confusion_without_counts_is_read_as_none(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    counted = {"hair": {"hair": GrainScore(0.25, 4)}}
    write_result(path, result("a", {"t2i": replace(task(0.5), confusion=counted, left_out={"margin": 2})}))
    assert read_result(path).tasks["t2i"].confusion == counted
    assert read_result(path).tasks["t2i"].left_out == {"margin": 2}
    raw = json.loads(path.read_text())
    del raw["tasks"]["t2i"]["left_out"]
    raw["tasks"]["t2i"]["confusion"] = {"hair": {"hair": 0.25}}  # as it was written before there were counts
    path.write_text(json.dumps(raw))
    assert read_result(path).tasks["t2i"].confusion == {"hair": {}}
    for cell in ({"score": 0.0, "count": 0, "interval": None}, {"score": 1.5, "count": 3, "interval": None}):
        raw["tasks"]["t2i"]["confusion"] = {"hair": {"hair": cell}}
        path.write_text(json.dumps(raw))
        with pytest.raises(ResultError, match="no share of queries"):
            read_result(path)


def confused(table: dict[str, dict[str, tuple[float, int]]]) -> TaskResult:
    cells = {asked: {lost: GrainScore(*cell) for lost, cell in row.items()} for asked, row in table.items()}
    return replace(task(0.5, {"a": 0.6, "b|": 0.7}), confusion=cells)


def test_what_first_results_lose_is_a_mean_over_tasks_weighted_by_queries() -> None:
    one = confused({"a": {"a": (0.5, 10), "b|": (1.0, 4)}, "b|": {"a": (0.25, 4), "b|": (0.5, 4)}})
    other = confused({"a": {"a": (0.0, 30)}})
    silent = result("silent", {"t2i": task(0.5, {"a": 0.6, "b|": 0.7}), "i2t": task(0.5, {"a": 0.6, "b|": 0.7})})
    board = boards([result("m", {"t2i": one, "i2t": other}), silent])[0]
    (table,) = board.confusion
    assert (board.rows[table.row].label, table.tasks) == ("m", "t2i, i2t")
    found = {asked: [(cell.score, cell.count) for cell in cells] for asked, cells in table.lines}
    assert found == {"a": [(0.125, 40), (1.0, 4)], "b|": [(0.25, 4), (0.5, 4)]}
    page = site_text([board])
    assert "<h3>What the first result loses</h3>" in page
    assert '<td title="40 queries">0.12</td>' in page
    assert "| m | b\\| | 0.25 | 0.50 |" in render_markdown([board])


def test_no_table_where_no_result_tells_what_is_lost() -> None:
    board = boards([result("m", {"t2i": task(0.5)})])[0]
    assert board.confusion == ()
    assert "first result loses" not in site_text([board])
    assert "first result loses" not in render_markdown([board])


def test_two_types_that_no_query_has_at_once_have_no_cell() -> None:
    part = confused({"a": {"a": (0.5, 10)}, "b|": {"b|": (0.5, 4)}})
    cells = dict(boards([result("m", {"t2i": part})])[0].confusion[0].lines)
    assert (cells["a"][1].score, cells["a"][1].reason) == (None, "no query asks for both")
