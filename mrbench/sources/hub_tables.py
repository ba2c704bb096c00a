"""Rows of a hub data set as records, read a part at a time so that a corpus never lies in memory whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mrbench.benchmark import ImageRoot
from mrbench.errors import BenchmarkError
from mrbench.records import AnyImage, ImageData, ImageFile, Modality
from mrbench.sources.files import read_jsonl, read_table
from mrbench.sources.rows import checked_id, in_small_letters, kind_of

IDS = ("id", "_id", "corpus-id", "query-id", "doc_id", "qid")
TEXTS = ("text", "query")
QUERY_IDS = ("query-id", "query_id", "qid")
CANDIDATE_IDS = ("corpus-id", "corpus_id", "doc_id", "docid")
SCORES = ("score", "relevance", "label")
LISTED = ("corpus-ids", "corpus_ids")
KNOWN = (*IDS, *TEXTS, *QUERY_IDS, *CANDIDATE_IDS, *SCORES, *LISTED, "title", "image", "images", "instruction")
"""Columns that a reader looks for, in small letters or not."""
MODALITIES: tuple[Modality, ...] = ("text", "image", "image,text")
_CODES: dict[tuple[bool, bool], int] = {(True, False): 0, (False, False): 0, (False, True): 1, (True, True): 2}
"""From (has text, has image) to a place in :data:`MODALITIES`; a record with neither is an empty text."""
_ROWS = 512
_IMAGE_KEY = re.compile(rb'"image', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of a table that are read together: a row group of a Parquet file, or another file whole.

    Attributes:
        path: The file.
        group: Number of the row group; None where the file is no Parquet.
        codes: The modality of each row, a place in :data:`MODALITIES`.
    """

    path: Path
    group: int | None
    codes: np.ndarray[Any, np.dtype[np.uint8]]


def columns_of(path: Path) -> dict[str, str]:
    """Return the columns of a Parquet file: the name that rows have them by, and the file's own.

    Raises:
        BenchmarkError: It is damaged.
    """
    try:
        own = {name: name for name in pq.read_schema(path).names}
        return in_small_letters(own, KNOWN)
    except (pa.ArrowException, OSError) as error:
        raise BenchmarkError(
            "a file cannot be read", where=path, got=str(error), hint="download the file again"
        ) from error


def rows_of_file(path: Path, columns: Sequence[str] | None = None, group: int | None = None) -> Iterator[Any]:
    """Yield ``file:row`` and the row of a Parquet, JSONL, CSV or TSV file, its known columns in small letters.

    Args:
        path: The file.
        columns: Those to read of a Parquet file, as :func:`columns_of` names them; None reads all.
        group: The row group to read; None reads all.

    Raises:
        BenchmarkError: It is damaged or malformed.
    """
    if kind_of(path) != ".parquet":
        for where, named in (read_jsonl if kind_of(path) == ".jsonl" else read_table)(path):
            yield where, in_small_letters(named, KNOWN)
        return
    held = columns_of(path)
    own = None if columns is None else [held[name] for name in columns]
    names = {own: name for name, own in held.items()}
    try:
        with pq.ParquetFile(path) as file:
            groups = None if group is None else [group]
            number = 0
            for batch in file.iter_batches(_ROWS, row_groups=groups, columns=own):
                batch = batch.rename_columns([names[name] for name in batch.schema.names])
                for row in batch.to_pylist():
                    yield (f"{path}, row {number}" + ("" if group is None else f" of row group {group}")), row
                    number += 1
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise BenchmarkError(
            "a file cannot be read", where=path, got=str(error), hint="download the file again"
        ) from error


def scan(paths: Sequence[Path]) -> list[Part]:
    """Return the parts of a table with the modality of every row; no image is read.

    Raises:
        BenchmarkError: A file is damaged or malformed.
    """
    parts: list[Part] = []
    for path in paths:
        if kind_of(path) == ".parquet":
            parts += _scan_parquet(path)
        elif kind_of(path) == ".jsonl" and not _mentions_images(path):
            parts.append(Part(path, None, np.zeros(_lines(path), np.uint8)))
        else:
            codes = [_code(row) for _, row in rows_of_file(path)]
            parts.append(Part(path, None, np.array(codes, np.uint8)))
    return parts


def _mentions_images(path: Path) -> bool:
    from mrbench.sources.files import open_bytes

    with open_bytes(path) as stream:
        return any(_IMAGE_KEY.search(line) for line in stream)


def _lines(path: Path) -> int:
    from mrbench.sources.files import open_bytes

    with open_bytes(path) as stream:
        return sum(bool(line.strip()) for line in stream)


def _scan_parquet(path: Path) -> list[Part]:
    names = columns_of(path)
    text = [names[name] for name in (*TEXTS, "title") if name in names]
    picture = next((names[name] for name in ("image", "images") if name in names), None)
    parts = []
    try:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                if picture is None:
                    parts.append(Part(path, group, np.zeros(rows, np.uint8)))
                    continue
                shown = _shown(file, group, picture)
                said = np.zeros(rows, bool)
                if text:
                    for row, cells in enumerate(
                        zip(*file.read_row_group(group, columns=text).to_pydict().values(), strict=True)
                    ):
                        said[row] = any(cells)
                codes = np.where(shown, np.where(said, 2, 1), 0).astype(np.uint8)
                parts.append(Part(path, group, codes))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise BenchmarkError(
            "a file cannot be read", where=path, got=str(error), hint="download the file again"
        ) from error
    return parts


def _shown(file: pq.ParquetFile, group: int, column: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which rows have an image. Of a struct only the path is read, which says where the struct is null."""
    kind = file.schema_arrow.field(column).type
    leaf = f"{column}.path" if pa.types.is_struct(kind) and kind.get_field_index("path") >= 0 else column
    cells = file.read_row_group(group, columns=[leaf])[column].combine_chunks()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return np.array([bool(cell) for cell in cells.to_pylist()], bool)
    return np.asarray(cells.is_valid())


def _code(row: dict[str, Any]) -> int:
    text = any(row.get(name) for name in (*TEXTS, "title"))
    return _CODES[text, bool(row.get("image") or row.get("images"))]


def row_id(row: dict[str, Any], where: str) -> str:
    """Return the id of a row of a corpus or of queries, as text.

    Raises:
        BenchmarkError: It has none, or one that is neither text nor a number.
    """
    name = next((name for name in IDS if name in row), None)
    if name is None:
        raise BenchmarkError("a row has no id", where=where, got=sorted(row)[:12], accepted=", ".join(IDS[:4]))
    return checked_id(row[name], f"{where}, {name}")


def row_text(row: dict[str, Any], where: str) -> str:
    """Return the text of a row, its title before it with a space between, as MTEB joins them.

    >>> row_text({"title": "Cats", "text": "They purr."}, ""), row_text({"title": "", "text": " They purr. "}, "")
    ('Cats They purr.', 'They purr.')
    """
    parts = [row.get("title") or "", next((row[name] for name in TEXTS if row.get(name)), "")]
    if not all(isinstance(part, str) for part in parts):
        raise BenchmarkError("a text is of another type", where=where, got=parts, accepted="text")
    return f"{parts[0]} {parts[1]}".strip() if parts[0] else str(parts[1]).strip()


def row_images(row: dict[str, Any], images: ImageRoot, where: str) -> tuple[AnyImage, ...]:
    """Return the images of a row.

    Raises:
        BenchmarkError: A cell is neither bytes nor a path, or a path leaves the image folder.
    """
    cells = row.get("images") or [row.get("image")]
    return tuple(_image(cell, images, where) for cell in (cells if isinstance(cells, list) else [cells]))


def _image(cell: Any, images: ImageRoot, where: str) -> AnyImage:
    data, name = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (None, cell)
    if isinstance(cell, bytes):
        data = cell
    if isinstance(data, bytes):
        return ImageData(data, "")
    if not isinstance(name, str) or not name:
        raise BenchmarkError(
            "an image is neither bytes nor a path",
            where=where,
            got=cell,
            accepted="bytes, a path, or an object with one of them",
        )
    return ImageFile(images.resolve(name), images.relative(name))


@dataclass(frozen=True)
class LazyChunk:
    """Rows of a part, of one modality, as rows of our format; read when asked for.

    Attributes:
        part: The part.
        keep: Which of its rows belong here.
        make: Makes a row of our format, or some of its columns, of a row and its place.
        schema: Our columns.
        needs: The columns of the part that each of ours is made of.
    """

    part: Part
    keep: np.ndarray[Any, np.dtype[np.bool_]]
    make: Callable[[dict[str, Any], str, Sequence[str]], dict[str, Any]]
    schema: pa.Schema
    needs: dict[str, tuple[str, ...]]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.keep.sum())

    @property
    def where(self) -> Path:
        """The file."""
        return self.part.path

    def read(self, columns: list[str] | None = None) -> pa.Table:
        """Return the rows, with all columns or some."""
        wanted = columns or self.schema.names
        source = sorted({name for column in wanted for name in self.needs.get(column, ())})
        if self.part.group is None:
            held: Sequence[str] | None = None
        else:
            names = columns_of(self.part.path)
            held = [name for name in source if name in names] or [next(n for n in IDS if n in names)]
        rows = (
            self.make(row, where, wanted)
            for keep, (where, row) in zip(self.keep, rows_of_file(self.part.path, held, self.part.group), strict=True)
            if keep
        )
        fields = pa.schema([self.schema.field(name) for name in wanted])
        return pa.Table.from_pylist(list(rows), schema=fields)
