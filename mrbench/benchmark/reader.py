"""Reading a benchmark: verified, lazy, and never whole in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mrbench.benchmark import schema
from mrbench.benchmark.manifest import Manifest, read_manifest
from mrbench.errors import BenchmarkError, InputError
from mrbench.files import FETCH, absent_content, sha256_file
from mrbench.records import TASKS, Candidate, Judgement, Ladder, Query, Task, Variant

Record = TypeVar("Record")


class Records(Generic[Record]):
    """The rows of one table as records, read from Parquet a row group at a time.

    Supports ``len``, iteration in file order, indexing by position and look-up by id.
    """

    def __init__(self, paths: list[Path], read_row: schema.RowReader, key: str = "id") -> None:
        self._paths = paths
        self._read_row = read_row
        self._key = key
        self._cached: tuple[int, list[dict[str, Any]]] | None = None

    @cached_property
    def _groups(self) -> list[tuple[Path, int, int, int]]:
        """Path, row group, first row and one past the last row of every row group."""
        groups, start = [], 0
        for path in self._paths:
            with _named(path):
                metadata = pq.read_metadata(path)
            for number in range(metadata.num_row_groups):
                rows = metadata.row_group(number).num_rows
                groups.append((path, number, start, start + rows))
                start += rows
        return groups

    def __len__(self) -> int:
        return self._groups[-1][3] if self._groups else 0

    @cached_property
    def _starts(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        return np.array([group[2] for group in self._groups], dtype=np.int64)

    def __getitem__(self, index: int) -> Record:
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = int(np.searchsorted(self._starts, index, side="right")) - 1
        with _named(self._groups[number][0]):
            return self._read_row(self._rows(number)[index - self._groups[number][2]])  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[Record]:
        for number in range(len(self._groups)):
            for row in self._rows(number, keep=False):
                with _named(self._groups[number][0]):
                    record = self._read_row(row)
                yield record

    def _rows(self, number: int, keep: bool = True) -> list[dict[str, Any]]:
        if self._cached is not None and self._cached[0] == number:
            return self._cached[1]
        rows: list[dict[str, Any]] = self._group(number).to_pylist()
        if keep:
            self._cached = (number, rows)
        return rows

    def _group(self, number: int, columns: list[str] | None = None) -> pa.Table:
        path, group, _, _ = self._groups[number]
        with _named(path), pq.ParquetFile(path) as file:
            return _checked(file.read_row_group(group, columns=columns), path)

    def table(self, columns: list[str]) -> pa.Table:
        """Return some columns of all rows as one Arrow table."""
        if not self._paths:
            raise BenchmarkError("a table has no data file", got=columns, hint="mrbench validate DIR")
        tables = []
        for path in self._paths:
            with _named(path):
                tables.append(_checked(pq.read_table(path, columns=columns, partitioning=None), path))
        with _named(self._paths[0].parent):
            return pa.concat_tables(tables)

    def tables(self, columns: list[str]) -> Iterator[pa.Table]:
        """Yield some columns a row group at a time, in file order."""
        for number in range(len(self._groups)):
            yield self._group(number, columns)

    @cached_property
    def ids(self) -> pa.Array:
        """The ids in file order, as an Arrow string array."""
        return self.table([self._key])[self._key].combine_chunks()

    def find(self, record_id: str) -> Record | None:
        """Return the record of this id, or None."""
        index = self.ids.index(record_id).as_py()
        return None if index < 0 else self[index]


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Say which file is not as the format has it."""
    try:
        yield
    except MemoryError:  # Arrow's is an ArrowException too
        raise
    except (pa.ArrowException, KeyError, TypeError, OSError) as error:
        raise BenchmarkError(
            "malformed data file", where=path, got=f"{type(error).__name__}: {error}", hint="mrbench validate DIR"
        ) from error


def _checked(table: pa.Table, path: Path) -> pa.Table:
    """Return a table whose columns, where they are ours, have a value of their type in every cell.

    Raises:
        BenchmarkError: They have not.
        pyarrow.ArrowInvalid: A text is not UTF-8.
    """
    table.validate(full=True)
    for name in table.column_names:
        if name in schema.COLUMNS:
            found = (_wrong_cell(cells, schema.COLUMNS[name]) for cells in table[name].chunks)
            wrong = next((wrong for wrong in found if wrong), None)
            if wrong:
                where = f"{path}, {name}"
                raise BenchmarkError("malformed data file", where=where, got=wrong, hint="mrbench validate DIR")
    return table


def _wrong_cell(cells: pa.Array, kind: pa.DataType) -> str | None:
    """Say what of some cells is not of a type, or missing; None where nothing is."""
    if cells.null_count:
        return "a cell without a value"
    for known in (pa.types.is_list, pa.types.is_struct):
        if known(kind) != known(cells.type):
            return f"{cells.type} instead of {kind}"
    if pa.types.is_list(kind):
        return _wrong_cell(cells.flatten(), kind.value_type)
    if pa.types.is_struct(kind):
        parts = ((field, cells.type.get_field_index(field.name)) for field in kind if field.name not in schema.OPTIONAL)
        found = (f"no {field.name}" if at < 0 else _wrong_cell(cells.field(at), field.type) for field, at in parts)
        return next((wrong for wrong in found if wrong), None)
    same = next(same for same in _KINDS if same(kind))
    return None if same(cells.type) else f"{cells.type} instead of {kind}"


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


_KINDS = (_is_text, _is_bytes, pa.types.is_integer)


class Benchmark:
    """A benchmark folder.

    Args:
        folder: Where it is.
        verify: Compare every data file with the SHA-256 in the manifest. Leave it on unless you did so just now.

    Raises:
        BenchmarkError: Missing, half-written or altered.
        FormatVersionError: Written by a newer version of MRBench.
    """

    def __init__(self, folder: Path | str, *, verify: bool = True) -> None:
        self.folder = Path(folder)
        self.manifest: Manifest = read_manifest(self.folder)
        _check_files(self.folder, self.manifest, verify)

    @property
    def name(self) -> str:
        """The name of the suite, for example ``emoji``."""
        return self.manifest.name

    @property
    def digest(self) -> str:
        """The SHA-256 over the content."""
        return self.manifest.content_sha256

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits it holds."""
        return tuple(self.manifest.counts)

    def task(self, name: str) -> Task:
        """Return a task of this benchmark.

        Raises:
            InputError: It has no such task.
        """
        if name not in self.manifest.tasks:
            raise InputError("unknown task", where=self.folder, got=name, accepted=", ".join(self.manifest.tasks))
        return TASKS[name]

    def queries(self, task: str, split: str) -> Records[Query]:
        """The queries of a task."""
        return Records(self._paths("queries", self.task(task).name, split), schema.row_query)

    def variants(self, task: str, split: str) -> Records[Variant]:
        """The queries of a task in other forms: without a grain, with another value of it, in other words."""
        return Records(self._paths("variants", self.task(task).name, split), schema.row_variant, "query-id")

    def judgements(self, task: str, split: str) -> Records[Judgement]:
        """The judgements of a task: every relevant candidate and every member of a ladder."""
        return Records(self._paths("qrels", self.task(task).name, split), schema.row_judgement, "query-id")

    def ladders(self, task: str, split: str) -> Records[Ladder]:
        """The ladder of every query of a task."""
        return Records(self._paths("top_ranked", self.task(task).name, split), schema.row_ladder, "query-id")

    def corpus(self, modality: str, split: str) -> Records[Candidate]:
        """The candidates of one modality (``text`` or ``image``)."""
        return Records(self._paths("corpus", modality, split), schema.row_candidate)

    def _paths(self, table: str, stem: str, split: str) -> list[Path]:
        if split not in self.manifest.counts:
            raise InputError("unknown split", where=self.folder, got=split, accepted=", ".join(self.splits))
        prefix = f"data/{table}/{stem}-{split}-"
        return [self.folder / name for name in sorted(self.manifest.files) if name.startswith(prefix)]


def _check_files(folder: Path, manifest: Manifest, verify: bool) -> None:
    """Compare the data files with the manifest. Links are followed, as hub caches, DVC and git-annex lay data out."""
    for name, entry in manifest.files.items():
        path = folder / name
        if absent := absent_content(path):
            raise BenchmarkError(absent, where=path, hint=FETCH)
        if not path.is_file():
            raise BenchmarkError("a data file is missing", where=path, hint="build the benchmark again")
        size = path.stat().st_size
        if size != entry.bytes:
            raise BenchmarkError("a data file has another size", where=path, got=size, accepted=f"{entry.bytes} bytes")
        if verify and (found := sha256_file(path)) != entry.sha256:
            raise BenchmarkError("a data file was altered", where=path, got=found, accepted=entry.sha256)
