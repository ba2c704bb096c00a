"""Tables whose digests are right, with cells that no row may have: refused in one line, before any work."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny_benchmark import Oracle, write_tiny
from valid_benchmark import change_rows, not_utf8, repair

from mrbench.benchmark import Benchmark
from mrbench.errors import BenchmarkError
from mrbench.evaluation import evaluate

Rows = list[dict[str, Any]]
FORMAT = "malformed data file.*{}.*a cell without a value"


def set_to(name: str, value: object) -> Callable[[Rows], None]:
    return lambda rows: rows[1].__setitem__(name, value)


def in_grain(name: str, value: object) -> Callable[[Rows], None]:
    return lambda rows: rows[1]["grains"][0].__setitem__(name, value)


def again(rows: Rows) -> Rows:
    return [*rows, rows[0]]


def another_positive(rows: Rows) -> None:
    rows[0]["positive-id"] = next(name for name in rows[0]["corpus-ids"] if name != rows[0]["positive-id"])


def member_twice(rows: Rows) -> None:
    rows[0]["corpus-ids"] = [*rows[0]["corpus-ids"], rows[0]["corpus-ids"][0]]


def type_twice(rows: Rows) -> None:
    rows[1]["grains"][0]["type"] = rows[1]["grains"][1]["type"]


def lose(rows: Rows) -> None:
    next(row for row in rows if row["score"])["score"] = 0


def stranger(rows: Rows) -> None:
    next(row for row in rows if row["score"])["corpus-id"] = "nobody"


def empty(rows: Rows) -> Rows:
    return []


CASES: dict[str, tuple[str, Callable[[Rows], Any], str]] = {
    "query id": ("queries/t2i-test", set_to("id", None), FORMAT.format("id")),
    "instruction": ("queries/t2i-test", set_to("instruction", None), FORMAT.format("instruction")),
    "text": ("queries/t2i-test", set_to("text", None), FORMAT.format("text")),
    "query grains": ("queries/t2i-test", set_to("grains", None), FORMAT.format("grains")),
    "candidate id": ("corpus/image-test", set_to("id", None), FORMAT.format("id")),
    "image": ("corpus/image-test", set_to("image", None), FORMAT.format("image")),
    "image bytes": ("corpus/image-test", set_to("image", {"bytes": None, "path": None}), FORMAT.format("image")),
    "grain type": ("corpus/image-test", in_grain("type", None), FORMAT.format("grains")),
    "grain value": ("corpus/image-test", in_grain("value", None), FORMAT.format("grains")),
    "ladder": ("top_ranked/t2i-test", set_to("corpus-ids", None), FORMAT.format("corpus-ids")),
    "ladder member": ("top_ranked/t2i-test", set_to("corpus-ids", [None]), FORMAT.format("corpus-ids")),
    "variant number": ("variants/t2i-test", set_to("number", None), FORMAT.format("number")),
    "score": ("qrels/t2i-test", set_to("score", None), FORMAT.format("score")),
    "no query": ("queries/t2i-test", empty, "no query or no candidate"),
    "no candidate": ("corpus/image-test", empty, "no query or no candidate"),
    "grain type twice": ("corpus/image-test", type_twice, "two grains of one type.*row 1"),
    "two ladders": ("top_ranked/t2i-test", again, "a query has two ladders"),
    "ladder member twice": ("top_ranked/t2i-test", member_twice, "names a candidate twice"),
    "variant twice": ("variants/t2i-test", again, "a variant occurs twice"),
    "another positive": ("top_ranked/t2i-test", another_positive, "judgements are not those"),
    "a judgement lacks": ("qrels/t2i-test", lose, "judgements are not those"),
    "a judgement of a stranger": ("qrels/t2i-test", stranger, "judgements are not those"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_malformed_table_is_named_before_more_is_embedded(tmp_path: Path, case: str) -> None:
    table, change, words = CASES[case]
    folder = write_tiny(tmp_path / "b", tasks=["t2i"]).folder
    change_rows(folder, table, change)
    model = Oracle()
    counts = Benchmark(write_tiny(tmp_path / "whole", tasks=["t2i"]).folder).manifest.counts
    benchmark = Benchmark(repair(folder))
    benchmark.manifest.counts.clear()
    benchmark.manifest.counts.update(counts)  # which says that there are rows
    with pytest.raises(BenchmarkError, match=words):
        evaluate(benchmark, model, tmp_path / "r")
    content = case in ("instruction", "text", "image", "image bytes")  # read as it is embedded
    assert model.items == 0 or content


def test_text_that_is_no_utf_8_is_named(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "b", tasks=["t2i"]).folder
    path = folder / "data/corpus/image-test-00000.parquet"
    table = pq.read_table(path, partitioning=None)
    pq.write_table(table.set_column(0, "id", not_utf8(len(table))), path)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["data/corpus/image-test-00000.parquet"]["bytes"] = path.stat().st_size
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BenchmarkError, match=r"image-test-00000.parquet.*UTF8"):
        evaluate(Benchmark(folder, verify=False), Oracle(), tmp_path / "r")


def test_a_column_of_another_type_is_named(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "b", tasks=["t2i"]).folder
    path = folder / "data/corpus/image-test-00000.parquet"
    table = pq.read_table(path, partitioning=None)
    numbers = pa.array(range(len(table)), pa.int64())
    pq.write_table(table.set_column(0, "id", numbers), path)
    with pytest.raises(BenchmarkError, match=r"corpus/image.*int64 instead of string"):
        evaluate(Benchmark(repair(folder)), Oracle(), tmp_path / "r")


def test_a_text_of_large_strings_is_taken(tmp_path: Path) -> None:
    """As polars and some versions of ``datasets`` write them."""
    folder = write_tiny(tmp_path / "b", tasks=["t2i"]).folder
    path = folder / "data/corpus/image-test-00000.parquet"
    table = pq.read_table(path, partitioning=None)
    pq.write_table(table.set_column(0, "id", table["id"].cast(pa.large_string())), path)
    assert evaluate(Benchmark(repair(folder)), Oracle(), tmp_path / "r").tasks["t2i"].scores["hit_rate@1"] == 1
