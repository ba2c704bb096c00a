"""Looking at a query: what is told of it and what is drawn."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from tiny_benchmark import QUERIES, write_tiny

from mrbench.benchmark import Benchmark
from mrbench.errors import InputError, OutputError
from mrbench.show import describe, show
from mrbench.show.picture import GREEN


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
