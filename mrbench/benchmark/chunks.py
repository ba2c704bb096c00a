"""Chunks of a table's rows, read together from a Parquet file or from memory, and checked when they are read."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mrbench.benchmark import schema
from mrbench.errors import BenchmarkError


class Chunk(Protocol):
    """Rows of a table that are read together."""

    @property
    def rows(self) -> int:
        """Number of rows."""
        ...

    @property
    def where(self) -> Any:
        """Name of the rows for error messages."""
        ...

    def read(self, columns: list[str] | None = None) -> pa.Table:
        """Return the rows, with all columns or some."""
        ...


@dataclass(frozen=True, slots=True)
class ParquetChunk:
    """A row group of a Parquet file."""

    where: Path
    group: int
    rows: int

    def read(self, columns: list[str] | None = None) -> pa.Table:
        """Return the rows, checked."""
        with named(self.where), pq.ParquetFile(self.where) as file:
            return _checked(file.read_row_group(self.group, columns=columns), self.where)


@dataclass(frozen=True, slots=True)
class TableChunk:
    """Rows in memory."""

    where: str
    held: pa.Table

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.held.num_rows)

    def read(self, columns: list[str] | None = None) -> pa.Table:
        """Return the rows."""
        return self.held if columns is None else self.held.select(columns)


def parquet_chunks(paths: Sequence[Path]) -> list[Chunk]:
    """Return the row groups of some Parquet files, in order."""
    chunks: list[Chunk] = []
    for path in paths:
        with named(path):
            metadata = pq.read_metadata(path)
            chunks += [ParquetChunk(path, n, metadata.row_group(n).num_rows) for n in range(metadata.num_row_groups)]
    return chunks


@contextmanager
def named(path: Any, hint: str | None = None) -> Iterator[None]:
    """Raise errors of a block that reads a file as :class:`BenchmarkError` with the file's name.

    Args:
        path: The file.
        hint: The next command, for errors that have none.

    Raises:
        BenchmarkError: The file is malformed.
    """
    try:
        yield
    except BenchmarkError as error:
        if hint is not None:
            error.advise(hint)
        raise
    except MemoryError:  # Arrow's is an ArrowException too
        raise
    except (pa.ArrowException, KeyError, TypeError, OSError) as error:
        got = f"{type(error).__name__}: {error}"
        raise BenchmarkError("malformed data file", where=path, got=got, hint=hint) from error


def _checked(table: pa.Table, path: Path) -> pa.Table:
    """Return the table after checking that every cell of the format's columns has a value of the right type.

    Raises:
        BenchmarkError: A cell has no value, or one of another type.
        pyarrow.ArrowInvalid: A text is not UTF-8.
    """
    table.validate(full=True)
    for name in table.column_names:
        if name in schema.COLUMNS:
            nullable = name in schema.NULLABLE
            found = (_wrong_cell(cells, schema.COLUMNS[name], nullable) for cells in table[name].chunks)
            wrong = next((wrong for wrong in found if wrong), None)
            if wrong:
                where = f"{path}, {name}"
                raise BenchmarkError("malformed data file", where=where, got=wrong)
    return table


def _wrong_cell(cells: pa.Array, kind: pa.DataType, nullable: bool = False) -> str | None:
    """Return what is wrong with the cells of a column; None if all have a value of the type."""
    if pa.types.is_null(cells.type) and nullable:
        return None
    if cells.null_count and not nullable:
        return "a cell without a value"
    for known in (pa.types.is_list, pa.types.is_struct):
        if known(kind) != known(cells.type):
            return f"{cells.type} instead of {kind}"
    if pa.types.is_list(kind):
        return _wrong_cell(cells.flatten(), kind.value_type)
    if pa.types.is_struct(kind):
        if kind.get_field_index("bytes") >= 0 and _without_image(cells):
            return "a cell without a value"
        parts = ((field, cells.type.get_field_index(field.name)) for field in kind if field.name not in schema.OPTIONAL)
        found = (f"no {field.name}" if at < 0 else _wrong_cell(cells.field(at), field.type) for field, at in parts)
        return next((wrong for wrong in found if wrong), None)
    same = next(same for same in _KINDS if same(kind))
    return None if same(cells.type) else f"{cells.type} instead of {kind}"


def _without_image(cells: pa.Array) -> bool:
    """Return whether a cell holds neither the bytes of an image nor a path."""
    held = [cells.field(at) for at in map(cells.type.get_field_index, ("bytes", "path")) if at >= 0]
    return len(cells) > 0 and not pc.all(functools.reduce(pc.or_, [part.is_valid() for part in held])).as_py()


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


_KINDS = (_is_text, _is_bytes, pa.types.is_integer)
