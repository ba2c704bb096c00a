"""Reading a benchmark: verified, lazy, and never whole in memory."""

from __future__ import annotations

import functools
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mrbench.benchmark import schema
from mrbench.benchmark.image_root import ImageRoot
from mrbench.benchmark.manifest import MANIFEST, Manifest, read_manifest
from mrbench.errors import BenchmarkError, InputError
from mrbench.files import FETCH, absent_content, canonical_json, sha256_file
from mrbench.records import SPLITS, Candidate, CandidateList, Judgement, Ladder, Modality, Query, Task, Variant

Record = TypeVar("Record")
NO_IMAGES = ImageRoot()


class Chunk(Protocol):
    """Some rows of a table that are read together."""

    @property
    def rows(self) -> int:
        """Number of rows."""
        ...

    @property
    def where(self) -> Any:
        """What to name in an error."""
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
        with _named(self.where), pq.ParquetFile(self.where) as file:
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


class Records(Generic[Record]):
    """The rows of one table as records, read a chunk at a time.

    Supports ``len``, iteration in file order, indexing by position and look-up by id.

    Args:
        chunks: The rows, in order.
        read_row: Makes a record of a row.
        key: The column that :meth:`find` looks in.
        images: Where referenced images lie.
        where: What to name where there are no rows.

    Attributes:
        images: Where referenced images lie.
    """

    def __init__(
        self,
        chunks: Callable[[], Sequence[Chunk]],
        read_row: schema.RowReader,
        key: str = "id",
        images: ImageRoot = NO_IMAGES,
        where: Path | str = "",
    ) -> None:
        self._open = chunks
        self._read_row = read_row
        self._key = key
        self.images = images
        self._where = where
        self._cached: tuple[int, list[dict[str, Any]]] | None = None

    @cached_property
    def _chunks(self) -> Sequence[Chunk]:
        return self._open()

    @cached_property
    def _ends(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        return np.cumsum([chunk.rows for chunk in self._chunks], dtype=np.int64)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, index: int) -> Record:
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = int(np.searchsorted(self._ends, index, side="right"))
        start = int(self._ends[number]) - self._chunks[number].rows
        with _named(self._chunks[number].where):
            return self._read_row(self._rows(number)[index - start], self.images)  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[Record]:
        for number, chunk in enumerate(self._chunks):
            for row in self._rows(number, keep=False):
                with _named(chunk.where):
                    record = self._read_row(row, self.images)
                yield record

    def _rows(self, number: int, keep: bool = True) -> list[dict[str, Any]]:
        if self._cached is not None and self._cached[0] == number:
            return self._cached[1]
        rows: list[dict[str, Any]] = self._chunks[number].read().to_pylist()
        if keep:
            self._cached = (number, rows)
        return rows

    def table(self, columns: list[str]) -> pa.Table:
        """Return some columns of all rows as one Arrow table."""
        if not self._chunks:
            raise BenchmarkError("a table has no rows", where=self._where or columns, hint="mrbench validate DIR")
        with _named(self._chunks[0].where):
            return pa.concat_tables(list(self.tables(columns)))

    def tables(self, columns: list[str]) -> Iterator[pa.Table]:
        """Yield some columns a chunk at a time, in file order."""
        for chunk in self._chunks:
            yield chunk.read(columns)

    @cached_property
    def ids(self) -> pa.Array:
        """The ids in file order, as an Arrow string array."""
        return self.table([self._key])[self._key].combine_chunks()

    def find(self, record_id: str) -> Record | None:
        """Return the record of this id, or None."""
        index = self.ids.index(record_id).as_py()
        return None if index < 0 else self[index]


def parquet_chunks(paths: Sequence[Path]) -> list[Chunk]:
    """Return the row groups of some Parquet files, in order."""
    chunks: list[Chunk] = []
    for path in paths:
        with _named(path):
            metadata = pq.read_metadata(path)
            chunks += [ParquetChunk(path, n, metadata.row_group(n).num_rows) for n in range(metadata.num_row_groups)]
    return chunks


@contextmanager
def _named(path: Any) -> Iterator[None]:
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
            nullable = name in schema.NULLABLE
            found = (_wrong_cell(cells, schema.COLUMNS[name], nullable) for cells in table[name].chunks)
            wrong = next((wrong for wrong in found if wrong), None)
            if wrong:
                where = f"{path}, {name}"
                raise BenchmarkError("malformed data file", where=where, got=wrong, hint="mrbench validate DIR")
    return table


def _wrong_cell(cells: pa.Array, kind: pa.DataType, nullable: bool = False) -> str | None:
    """Say what of some cells is not of a type, or missing; None where nothing is."""
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
    """Say whether a cell holds neither the bytes of an image nor a path."""
    held = [cells.field(at) for at in map(cells.type.get_field_index, ("bytes", "path")) if at >= 0]
    return len(cells) > 0 and not pc.all(functools.reduce(pc.or_, [part.is_valid() for part in held])).as_py()


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
        image_root: Folder below which images lie that the benchmark references by path; None takes the manifest's,
            where that lies in the benchmark folder.

    Raises:
        BenchmarkError: Missing, half-written or altered.
        FormatVersionError: Written by a newer version of MRBench.
    """

    def __init__(self, folder: Path | str, *, verify: bool = True, image_root: Path | None = None) -> None:
        self.folder = Path(folder)
        self.manifest: Manifest = read_manifest(self.folder)
        self.images = _image_root(self.folder, self.manifest, image_root)
        if verify:
            _check_statements(self.folder, self.manifest)
        _check_files(self.folder, self.manifest, verify)

    @property
    def name(self) -> str:
        """The name of the benchmark, for example ``emoji``."""
        return self.manifest.name

    @property
    def digest(self) -> str:
        """The SHA-256 over the content."""
        return self.manifest.content_sha256

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits it holds."""
        return tuple(self.manifest.counts)

    def __repr__(self) -> str:
        title = "".join(character if character.isprintable() else " " for character in self.manifest.title)
        return f"Benchmark({title}; tasks {', '.join(self.task_names)}; splits {', '.join(self.splits)})"

    @property
    def default_split(self) -> str:
        """The split that is evaluated where none is named: ``test``, else ``validation``, else ``train``."""
        return next((split for split in reversed(SPLITS) if split in self.splits), "test")

    def task(self, name: str) -> Task:
        """Return a task of this benchmark.

        Raises:
            InputError: It has no such task.
        """
        for task in self.manifest.tasks:
            if task.name == name:
                return task
        raise InputError("unknown task", where=self.folder, got=name, accepted=", ".join(self.task_names))

    @property
    def task_names(self) -> tuple[str, ...]:
        """The names of its tasks, in order."""
        return tuple(task.name for task in self.manifest.tasks)

    @property
    def corpora(self) -> dict[str, Modality]:
        """The modality of every corpus by name."""
        return dict(self.manifest.corpora)

    def queries(self, task: str, split: str) -> Records[Query]:
        """The queries of a task."""
        return self._records("queries", self.task(task).name, split)

    def variants(self, task: str, split: str) -> Records[Variant]:
        """The queries of a task in other forms: without a grain, with another value of it, in other words."""
        return self._records("variants", self.task(task).name, split)

    def judgements(self, task: str, split: str) -> Records[Judgement]:
        """The judgements of a task; with complete ones every relevant candidate and every member of a ladder."""
        return self._records("qrels", self.task(task).name, split)

    def ladders(self, task: str, split: str) -> Records[Ladder]:
        """The ladders of a task's queries."""
        return self._records("top_ranked", self.task(task).name, split)

    def lists(self, task: str, split: str) -> Records[CandidateList]:
        """The candidates that each query is searched among, where a task has lists."""
        return self._records("lists", self.task(task).name, split)

    def exclusions(self, task: str, split: str) -> Records[CandidateList]:
        """The candidates that some queries are not searched among."""
        return self._records("exclusions", self.task(task).name, split)

    def corpus(self, name: str, split: str) -> Records[Candidate]:
        """The candidates of one corpus; in the suites there is one of each modality, with its name."""
        return self._records("corpus", name, split)

    def count(self, table: str, stem: str, split: str) -> int:
        """Return the number of rows of a table of a task or corpus."""
        return self.manifest.counts[split].get(table, {}).get(stem, 0)

    def instructions(self, task: str) -> tuple[str, ...]:
        """Other wordings of a task's instruction that the data set has; none by default."""
        return ()

    def notes(self) -> tuple[str, ...]:
        """Remarks on how the data was read; none for a folder."""
        return ()

    def place(self, image: str) -> str | None:
        """Return the file and line that name an image, for messages; None for a folder, whose tables have no lines."""
        return None

    def _records(self, table: str, stem: str, split: str) -> Records[Any]:
        read_row, key = _READERS[table]
        if split not in self.splits:
            raise InputError("unknown split", where=self.folder, got=split, accepted=", ".join(self.splits))
        where = self.folder / f"data/{table}/{stem}-{split}-*.parquet"
        return Records(lambda: self._chunks(table, stem, split), read_row, key, self.images, where)

    def _chunks(self, table: str, stem: str, split: str) -> Sequence[Chunk]:
        prefix = f"data/{table}/{stem}-{split}-"
        return parquet_chunks([self.folder / name for name in sorted(self.manifest.files) if name.startswith(prefix)])


_READERS: dict[str, tuple[schema.RowReader, str]] = {
    "queries": (schema.row_query, "id"),
    "corpus": (schema.row_candidate, "id"),
    "variants": (schema.row_variant, "query-id"),
    "qrels": (schema.row_judgement, "query-id"),
    "top_ranked": (schema.row_ladder, "query-id"),
    "lists": (schema.row_list, "query-id"),
    "exclusions": (schema.row_list, "query-id"),
}


def _image_root(folder: Path, manifest: Manifest, named: Path | None) -> ImageRoot:
    """Return where images lie: where the user says, else where the manifest says if that is in the folder."""
    if named is not None:
        if not named.is_dir():
            raise BenchmarkError("the image folder is not there", where="--image-root", got=str(named))
        return ImageRoot.below(named)
    if manifest.image_root is None:
        return NO_IMAGES
    path = Path(os.path.normpath(folder.absolute() / manifest.image_root))
    return ImageRoot(path, path.is_relative_to(folder.absolute()))


def _check_statements(folder: Path, manifest: Manifest) -> None:
    """Compare what the manifest says with itself: its digest with those of its tables, its counts with its files.

    Raises:
        BenchmarkError: They disagree.
    """
    where = folder / MANIFEST
    digest = hashlib.sha256(canonical_json(manifest.tables).encode()).hexdigest()
    if digest != manifest.content_sha256:
        got, hint = manifest.content_sha256, "mrbench validate DIR"
        raise BenchmarkError(
            "content_sha256 is not the digest of tables", where=where, got=got, accepted=digest, hint=hint
        )
    tasks = [task.name for task in manifest.tasks]
    rows: Counter[str] = Counter()
    for name, entry in manifest.files.items():
        _, kind, leaf = (*name.split("/"), "", "")[:3]
        if kind in _READERS and kind != "corpus" and leaf.split("-")[0] not in tasks:
            raise BenchmarkError(
                "no task of the manifest has this table",
                where=where,
                got=name,
                accepted=", ".join(tasks) or "a task in tasks",
            )
        rows[name.removeprefix("data/").rpartition("-")[0]] += entry.rows
    for split, kinds in manifest.counts.items():
        for kind, stems in kinds.items():
            for stem, stated in stems.items():
                found = rows.pop(table := f"{kind}/{stem}-{split}", 0)
                if kind in _READERS and stated != found:
                    raise BenchmarkError(
                        f"counts and files disagree on the rows of {table}",
                        where=where,
                        got=f"{stated} in counts",
                        accepted=f"{found}, the sum over files",
                        hint="mrbench validate DIR",
                    )
    for table, found in rows.items():
        if found:
            raise BenchmarkError(
                f"counts lacks {table}", where=where, accepted=f"{found} rows", hint="mrbench validate DIR"
            )


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
