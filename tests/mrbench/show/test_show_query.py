"""Looking at a query: what is told of it and what is drawn."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from tiny_benchmark import QUERIES, write_tiny

from mrbench.benchmark import Benchmark, write_benchmark
from mrbench.errors import InputError, OutputError
from mrbench.evaluation import evaluate
from mrbench.models.zoo import load_model
from mrbench.records import Candidate, Grain, Judgement, Query, Task
from mrbench.show import describe, show
from mrbench.show.picture import GREEN, Sheet
from mrbench.worst import draw_sheet, worst_queries


@pytest.mark.parametrize("task", QUERIES)
def test_shows_each_task(tiny: Benchmark, task: str, tmp_path: Path) -> None:
    query = tiny.queries(task, "test")[1]
    shown = show(tiny, query.id, tmp_path / "new" / "query.png")
    ladder = tiny.ladders(task, "test").find(query.id)
    assert shown["query"]["text"] == query.text
    assert [g["value"] for g in shown["query"]["grains"]] == [g.value for g in query.grains]
    steps = shown["ladder"]
    assert shown["positive"] == ladder.positive_id == steps[0]["id"]
    assert {step["id"] for step in steps} == set(ladder.candidate_ids)
    assert [step["grade"] for step in steps] == sorted((step["grade"] for step in steps), reverse=True)
    assert all(len(step["violates"]) == step["of"] - step["grade"] for step in steps)
    picture = Image.open(tmp_path / "new" / "query.png")
    green = tuple(int(GREEN[n : n + 2], 16) for n in (1, 3, 5))
    assert green in {colour for _, colour in picture.getcolors(maxcolors=1 << 24)}
    words = describe(shown)
    assert query.id in words
    assert f"{len(query.grains)}/{len(query.grains)} relevant" in words
    assert all(step["id"] in words for step in steps)


def test_equal_calls_give_equal_pictures(tiny: Benchmark, tmp_path: Path) -> None:
    query = tiny.queries("it2i", "test")[0]
    for name in ("a.png", "b.png"):
        show(tiny, query.id, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("query_id", ["", "nope", "../../etc/passwd"])
def test_unknown_query(tiny: Benchmark, tmp_path: Path, query_id: str) -> None:
    with pytest.raises(InputError, match="unknown query"):
        show(tiny, query_id, tmp_path / "q.png")
    assert list(tmp_path.iterdir()) == []


def test_output_that_cannot_be_written(tmp_path: Path) -> None:
    tiny = write_tiny(tmp_path / "tiny")
    with pytest.raises(OutputError):
        show(tiny, tiny.queries("t2i", "test")[0].id, tmp_path)


def test_line_breaks_and_controls_are_neither_drawn_nor_printed(tmp_path: Path) -> None:
    wild, steers = "a red\n\r\x0bdog\x00\u2028\x1b[31m\x85 sits", "thing\n\x1b]0;owned\x07"
    task = Task("t2t", "text → text", "text", "text", judgements="partial")
    grains = (Grain(steers, f"dog\n{steers}", 8, 11),)
    with write_benchmark(tmp_path / "wild", tasks=[task]) as writer:
        writer.add_candidates("test", [Candidate(f"c{n}", text=f"{wild} {n}") for n in range(2)])
        writer.add_queries("test", [Query("q", "t2t", f"find\n{steers}", grains, text=wild)])
        judged = [Judgement("q", "c0", 1), Judgement("q", "c1", 0, violates=(steers,))]
        writer.add_judgements("test", "t2t", judged)
        writer.finish(name="wild", title=f"Wild {steers}")
    shown = show(Benchmark(tmp_path / "wild"), "q", tmp_path / "q.png")
    assert (tmp_path / "q.png").stat().st_size > 1000
    assert shown["query"]["text"] == wild
    lines = describe(shown).split("\n")
    assert all(line.isprintable() for line in lines)
    assert "  text         a red dog [31m sits" in lines
    assert len(lines) == 3 + 1 + 1 + 2
    result = tmp_path / "r"
    wild_set = Benchmark(tmp_path / "wild")
    evaluate(wild_set, load_model("random"), result)
    assert draw_sheet(worst_queries(result, wild_set), steers)[:4] == b"\x89PNG"


def test_a_tint_stays_on_its_words_where_a_control_is_dropped() -> None:
    drawn = []
    for text, start in (("a red dog", 2), ("\x00a \x1bred dog", 4)):
        sheet = Sheet(400, {"colour": "#fde68a"}, 60)
        sheet.text((10, 10), text, 380, marked=[Grain("colour", "red", start, start + 3)])
        drawn.append(sheet.png(60))
    assert drawn[0] == drawn[1]
