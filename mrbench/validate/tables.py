"""Checks the files and columns of a folder, with pyarrow alone."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mrbench.benchmark.manifest import FileEntry, Manifest
from mrbench.benchmark.schema import NULLABLE
from mrbench.files import absent_content, walk_files
from mrbench.validate.report import Report

ROWS_AT_ONCE = 256
LATER = ("more_images_sha256",)
"""Columns that folders of earlier versions lack."""
QUERY_MODALITY = {"t2i": "text", "i2t": "image", "i2i": "image", "it2i": "image,text"}
CANDIDATE_MODALITY = {"t2i": "image", "i2t": "text", "i2i": "image", "it2i": "image"}
KINDS = ("corpus", "queries", "qrels", "top_ranked", "variants")
_NAME = re.compile(r"data/([a-z_]+)/([a-z0-9]+)-(train|validation|test)-(\d{5})\.parquet")
_STRINGS = pa.list_(pa.string())
_GRAINS = pa.list_(
    pa.struct([("type", pa.string()), ("value", pa.string()), ("start", pa.int32()), ("end", pa.int32())])
)
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


class UnreadableError(Exception):
    """A file that looked like Parquet cannot be read to its end; has its name and the reason."""


@dataclass
class Table:
    """The files that together are one table of one split."""

    kind: str
    stem: str
    split: str
    paths: list[Path] = field(default_factory=list)

    @property
    def name(self) -> str:
        """For example ``queries/t2i-test``."""
        return f"{self.kind}/{self.stem}-{self.split}"

    @property
    def modality(self) -> str:
        """The modality of its content."""
        return self.stem if self.kind == "corpus" else QUERY_MODALITY[self.stem]

    def columns(self) -> dict[str, pa.DataType]:
        """The columns that the format requires, in order."""
        text, number = pa.string(), pa.int32()
        content: dict[str, pa.DataType] = {}
        if "text" in self.modality:
            content["text"] = text
        if "image" in self.modality:
            content |= {"image": IMAGE, "image_sha256": text}
        shown = {"image_grains": _GRAINS} if "image" in self.modality else {}
        return {
            "corpus": {"id": text, "modality": text, **content, "grains": _GRAINS},
            "queries": {
                "id": text,
                "task": text,
                "modality": text,
                "instruction": text,
                **content,
                "grains": _GRAINS,
                **shown,
            },
            "qrels": {"query-id": text, "corpus-id": text, "score": number, "grade": number, "violates": _STRINGS},
            "top_ranked": {"query-id": text, "positive-id": text, "corpus-ids": _STRINGS},
            "variants": {
                "query-id": text,
                "kind": text,
                "grain": text,
                "number": number,
                "positive-id": text,
                **content,
            },
        }[self.kind]

    def rows(self, *columns: str, without: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield the rows, a few hundred in memory at a time."""
        wanted = list(columns) or [name for name in self.columns() if name != without]
        for path in self.paths:
            try:
                with pq.ParquetFile(path) as file:
                    for batch in file.iter_batches(ROWS_AT_ONCE, columns=wanted):
                        yield from batch.to_pylist()
            except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                raise UnreadableError(f"data/{self.kind}/{path.name}", str(error)) from error


def known_table(kind: str, stem: str) -> bool:
    """Return whether built suites have such a table."""
    return kind in KINDS and stem in (("image", "text") if kind == "corpus" else QUERY_MODALITY)


def check_files(
    folder: Path,
    manifest: Manifest,
    report: Report,
    *,
    pattern: re.Pattern[str] = _NAME,
    known: Callable[[str, str], bool] = known_table,
    make: Callable[[str, str, str], Table] = Table,
    any_form: bool = False,
) -> list[Table]:
    """Check the files against the manifest and return the tables; an empty list if they cannot be read.

    Args:
        folder: The benchmark.
        manifest: Its manifest.
        report: Takes problems and counts.
        pattern: Regular expression of file names, with kind, stem, split and shard.
        known: Returns whether there is a table of this kind and stem.
        make: Makes a table from kind, stem and split.
        any_form: Whether to accept columns in any order, integers of any width, and large strings and binaries.
    """
    tables: dict[tuple[str, str, str], Table] = {}
    readable = True
    for name, entry in sorted(manifest.files.items()):
        report.count("files")
        match = pattern.fullmatch(name)
        if match is None or not known(match[1], match[2]):
            report.problem("file name", name, accepted="data/TABLE/STEM-SPLIT-00000.parquet")
            continue
        key = (match[1], match[2], match[3])
        table = tables.setdefault(key, make(*key))
        report.expect(int(match[4]) == len(table.paths), "shard numbers", name, match[4], f"{len(table.paths):05d}")
        readable &= _check_file(folder, name, entry, table.columns(), any_form, report)
        table.paths.append(folder / name)
    _check_strays(folder, manifest, report)
    return list(tables.values()) if readable else []


def _check_file(
    folder: Path, name: str, entry: FileEntry, columns: dict[str, pa.DataType], any_form: bool, report: Report
) -> bool:
    """Check one file; return whether its rows can be read."""
    path = folder / name
    if not path.is_file():
        report.problem("missing file", name, absent_content(path) or "")
        return False
    size = path.stat().st_size
    report.expect(size == entry.bytes, "file size", name, size, entry.bytes)
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    report.expect(sha256 == entry.sha256, "file digest", name, sha256, entry.sha256)
    try:
        with pq.ParquetFile(path) as file:
            found = {column.name: column.type for column in file.schema_arrow}
            rows = file.metadata.num_rows
    except (pa.ArrowException, OSError) as error:
        report.problem("unreadable file", name, error)
        return False
    report.expect(rows == entry.rows, "rows of a file", name, rows, entry.rows)
    if any_form:
        columns = {column: _plain(kind) for column, kind in columns.items() if column in found or column not in LATER}
        unknown = [c for c in found if c in columns and c in NULLABLE and pa.types.is_null(found[c])]
        found = {c: columns[c] if c in unknown else _plain(kind) for c, kind in found.items()}
        sound = found == columns
    else:
        sound = list(found.items()) == list(columns.items())
    if not sound:
        _name_columns(name, found, columns, report)
    return sound


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return a type in the format's terms: integers as int32, fields of structures sorted by name."""
    if pa.types.is_integer(kind):
        return pa.int32()
    if pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_large_binary(kind):
        return pa.binary()
    if pa.types.is_list(kind):
        return pa.list_(_plain(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(part.name, _plain(part.type)) for part in sorted(kind, key=lambda part: part.name)])
    return kind


def _name_columns(
    name: str, found: Mapping[str, pa.DataType], columns: Mapping[str, pa.DataType], report: Report
) -> None:
    """Report the columns of a file that differ from the format's, or their order if only that differs."""
    differ = [c for c in dict.fromkeys([*columns, *found]) if found.get(c) != columns.get(c)]
    if not differ:
        report.problem("columns", name, f"in the order {', '.join(found)}", ", ".join(columns))
        return
    for column in differ:
        wanted = columns.get(column, "no such column")
        report.problem("columns", f"{name}, {column}", str(found.get(column, "no such column")), str(wanted))


def _check_strays(folder: Path, manifest: Manifest, report: Report) -> None:
    for path in walk_files(folder / "data", hidden=True) if (folder / "data").is_dir() else ():
        name = path.relative_to(folder).as_posix()
        if name not in manifest.files:
            report.problem("stray file", name, accepted="only files of the manifest below data/")
