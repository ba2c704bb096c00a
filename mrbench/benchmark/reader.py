"""Reads a benchmark: verified, on demand, and never whole in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import pyarrow as pa

from mrbench.benchmark import schema
from mrbench.benchmark.chunks import Chunk, named, parquet_chunks
from mrbench.benchmark.folder_checks import check_files, check_statements, image_root_of
from mrbench.benchmark.image_root import ImageRoot
from mrbench.benchmark.manifest import Manifest, read_manifest
from mrbench.errors import BenchmarkError, InputError, command_line
from mrbench.records import SPLITS, Candidate, CandidateList, Judgement, Ladder, Modality, Query, Task, Variant

Record = TypeVar("Record")
NO_IMAGES = ImageRoot()


class Records(Generic[Record]):
    """The rows of one table as records, read a chunk at a time.

    Supports ``len``, iteration in file order, indexing by position and look-up by id.

    Args:
        chunks: The rows, in order.
        read_row: Turns a row into a record.
        key: The column that :meth:`find` searches.
        images: The folder of referenced images.
        where: Name of the table for error messages.
        hint: The next command for errors.

    Attributes:
        images: The folder of referenced images.
    """

    def __init__(
        self,
        chunks: Callable[[], Sequence[Chunk]],
        read_row: schema.RowReader,
        key: str = "id",
        images: ImageRoot = NO_IMAGES,
        where: Path | str = "",
        hint: str | None = None,
    ) -> None:
        self._open = chunks
        self._read_row = read_row
        self._key = key
        self.images = images
        self._where, self._hint = where, hint
        self._cached: tuple[int, list[dict[str, Any]]] | None = None

    @cached_property
    def _chunks(self) -> Sequence[Chunk]:
        with named(self._where, self._hint):
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
        with named(self._chunks[number].where, self._hint):
            return self._read_row(self._rows(number)[index - start], self.images)  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[Record]:
        for number, chunk in enumerate(self._chunks):
            for row in self._rows(number, keep=False):
                with named(chunk.where, self._hint):
                    record = self._read_row(row, self.images)
                yield record

    def _rows(self, number: int, keep: bool = True) -> list[dict[str, Any]]:
        if self._cached is not None and self._cached[0] == number:
            return self._cached[1]
        with named(self._chunks[number].where, self._hint):
            rows: list[dict[str, Any]] = self._chunks[number].read().to_pylist()
        if keep:
            self._cached = (number, rows)
        return rows

    def table(self, columns: list[str]) -> pa.Table:
        """Return some columns of all rows as one Arrow table."""
        if not self._chunks:
            raise BenchmarkError("a table has no rows", where=self._where or columns, hint=self._hint)
        with named(self._chunks[0].where, self._hint):
            return pa.concat_tables(list(self.tables(columns)))

    def tables(self, columns: list[str]) -> Iterator[pa.Table]:
        """Yield some columns a chunk at a time, in file order."""
        for chunk in self._chunks:
            with named(chunk.where, self._hint):
                table = chunk.read(columns)
            yield table

    @cached_property
    def ids(self) -> pa.Array:
        """The ids in file order, as an Arrow string array."""
        return self.table([self._key])[self._key].combine_chunks()

    def find(self, record_id: str) -> Record | None:
        """Return the record of this id, or None."""
        index = self.ids.index(record_id).as_py()
        return None if index < 0 else self[index]


class Benchmark:
    """A benchmark folder.

    Args:
        folder: Where it is.
        verify: Compare every data file with its SHA-256 in the manifest. Turn it off only if that was done just before.
        image_root: Folder of the images that the benchmark references by path; None takes the manifest's, if that lies
            in the benchmark folder.

    Raises:
        BenchmarkError: Missing, half-written or altered.
        FormatVersionError: Written by a newer version of MRBench.
    """

    def __init__(self, folder: Path | str, *, verify: bool = True, image_root: Path | None = None) -> None:
        self.folder = Path(folder)
        self.spec, self.image_root = str(folder), image_root
        self.manifest: Manifest = read_manifest(self.folder)
        self.images = image_root_of(self.folder, self.manifest, image_root)
        if verify:
            check_statements(self.folder, self.manifest, _READERS)
        check_files(self.folder, self.manifest, verify)

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
        """The split that is evaluated by default: ``test``, else ``validation``, else ``train``."""
        return next((split for split in reversed(SPLITS) if split in self.splits), "test")

    def command(self, *words: str) -> str:
        """Return a command of ``mrbench`` over this benchmark, with ``--image-root`` where the user named it."""
        root = () if self.image_root is None else ("--image-root", self.image_root)
        return command_line("mrbench", *words, self.spec, *root)

    @property
    def check_command(self) -> str:
        """The command that lists every fault of the benchmark."""
        return self.command("validate")

    @property
    def _hint(self) -> str:
        """The next step where a table cannot be read."""
        return self.check_command

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
        """The variants of a task's queries: without a grain, with another value of it, or in other words."""
        return self._records("variants", self.task(task).name, split)

    def judgements(self, task: str, split: str) -> Records[Judgement]:
        """The judgements of a task. Complete ones list every relevant candidate and every member of a ladder."""
        return self._records("qrels", self.task(task).name, split)

    def ladders(self, task: str, split: str) -> Records[Ladder]:
        """The ladders of a task's queries."""
        return self._records("top_ranked", self.task(task).name, split)

    def lists(self, task: str, split: str) -> Records[CandidateList]:
        """The list of candidates that each query is searched among, if the task's pool is ``lists``."""
        return self._records("lists", self.task(task).name, split)

    def exclusions(self, task: str, split: str) -> Records[CandidateList]:
        """The candidates that some queries are not searched among."""
        return self._records("exclusions", self.task(task).name, split)

    def corpus(self, name: str, split: str) -> Records[Candidate]:
        """The candidates of one corpus. Built suites have one corpus of each modality, named like it."""
        return self._records("corpus", name, split)

    def count(self, table: str, stem: str, split: str) -> int:
        """Return the number of rows of a table of a task or corpus."""
        return self.manifest.counts[split].get(table, {}).get(stem, 0)

    def instructions(self, task: str) -> tuple[str, ...]:
        """All wordings of a task's instruction; empty for a folder."""
        return ()

    def notes(self) -> tuple[str, ...]:
        """Remarks on how the data was read; empty for a folder."""
        return ()

    def named_in(self, image: str) -> str | None:
        """Return the file and line that name an image, for messages; None for a folder: its tables have no lines."""
        return None

    def _records(self, table: str, stem: str, split: str) -> Records[Any]:
        read_row, key = _READERS[table]
        if split not in self.splits:
            raise InputError("unknown split", where=self.folder, got=split, accepted=", ".join(self.splits))
        where = self.folder / f"data/{table}/{stem}-{split}-*.parquet"
        read = partial(self._chunks, table, stem, split)
        return Records(read, read_row, key, self.images, where, self._hint)

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
