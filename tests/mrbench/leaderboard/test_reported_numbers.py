"""Numbers copied from papers: complete, with a source, and marked where they contradict each other."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

FOLDER = Path(__file__).parents[3] / "leaderboards/reported"
FILES = sorted(FOLDER.glob("*.json"))


def _tables(path: Path) -> list[dict[str, Any]]:
    tables: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["tables"]
    return tables


def test_there_is_a_source() -> None:
    assert FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_table_says_what_was_measured_and_has_a_value_in_every_cell(path: Path) -> None:
    source = json.loads(path.read_text(encoding="utf-8"))["source"]
    assert all(source[key] for key in ("title", "reference", "url"))
    for table in _tables(path):
        assert all(table[key] for key in ("title", "benchmark", "measure", "columns", "rows"))
        for row in table["rows"]:
            assert row["model"]
            assert len(row["values"]) == len(table["columns"])
            assert all(0 <= value <= 100 for value in row["values"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_printed_average_that_is_not_the_mean_is_marked(path: Path) -> None:
    checked = 0
    for table in _tables(path):
        if table["columns"][-1] == "average as printed":
            for row in table["rows"]:
                checked += 1
                is_mean = abs(mean(row["values"][:-1]) - row["values"][-1]) <= 0.1
                assert is_mean == ("note" not in row), row
    assert checked or path.stem != "elva"
