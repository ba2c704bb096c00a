"""Numbers that others report, read from files with their source; none of them stands in a ranking."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mrbench.errors import ResultError
from mrbench.files import read_versioned_json
from mrbench.leaderboard.json_files import files_of_format
from mrbench.words import one_line

FORMAT = "mrbench-reported"
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class ReportedTable:
    """A table of a source.

    Attributes:
        rows: Model, one value a column, and what is wrong with them where something is.
    """

    title: str
    benchmark: str
    measure: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float, ...], str], ...]


@dataclass(frozen=True, slots=True)
class Reported:
    """A source and its tables. ``url`` is empty unless it is one of the web."""

    title: str
    reference: str
    url: str
    tables: tuple[ReportedTable, ...]


def read_reported(paths: Sequence[Path]) -> list[Reported]:
    """Read every file of reported numbers among some files and below some folders.

    Raises:
        ResultError: A file that says it is one is malformed.
        FormatVersionError: It was written for a newer version of MRBench.
    """
    found = map(_read, files_of_format(paths, FORMAT))
    return sorted(found, key=lambda source: (source.title, source.reference))


def _read(file: Path) -> Reported:
    raw = read_versioned_json(
        file, what="file of reported numbers", name=FORMAT, newest=FORMAT_VERSION, error=ResultError
    )
    try:
        source = raw["source"]
        url = _text(source["url"])
        return Reported(
            _text(source["title"]),
            _text(source["reference"]),
            url if url.startswith("https://") else "",
            tuple(map(_table, raw["tables"])),
        )
    except (KeyError, TypeError, ValueError) as error:
        said = f"no {error}" if isinstance(error, KeyError) else str(error)
        hint = "correct the file; leaderboards/reported has others"
        raise ResultError("malformed file of reported numbers", where=file, got=said, hint=hint) from error


def _table(raw: dict[str, Any]) -> ReportedTable:
    columns = tuple(map(_text, raw["columns"]))
    rows = []
    for row in raw["rows"]:
        values = tuple(float(value) for value in row["values"])
        if len(values) != len(columns) or not all(map(math.isfinite, values)):
            raise ValueError(f"{row['model']} has {len(values)} values in {len(columns)} columns")
        rows.append((_text(row["model"]), values, _text(row.get("note", ""))))
    return ReportedTable(_text(raw["title"]), _text(raw["benchmark"]), _text(raw["measure"]), columns, tuple(rows))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {value!r}")
    return one_line(value)
