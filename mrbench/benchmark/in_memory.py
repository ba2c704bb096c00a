"""A benchmark read from the files of another data set; each table is made in memory on first use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from mrbench.benchmark import schema
from mrbench.benchmark.chunks import Chunk, TableChunk
from mrbench.benchmark.image_root import ImageRoot
from mrbench.benchmark.manifest import Manifest
from mrbench.benchmark.reader import Benchmark
from mrbench.errors import BenchmarkError, InputError, advised
from mrbench.records import (
    Candidate,
    CandidateList,
    Judgement,
    Ladder,
    Modality,
    Query,
    Task,
    Variant,
)

ROWS = 8192  # rows that are records in memory at a time


class Contents(Protocol):
    """The contents of a data set, read from its own files on demand. A table may be read more than once.

    An id is any text without a line break. It is unique within the queries of a task and split, and within a corpus. If
    several corpora of a split have the same id, it names the same candidate, which the union of all corpora has once.

    Attributes:
        name: Letters, digits, ``_``, ``.`` and ``-``; names the folder of results.
        title: Title for people.
        location: Path of the data set, for messages.
        licence: SPDX identifier, or the data set's own words.
        tasks: Its tasks, in the order of reports; all judgements are ``partial``.
        corpora: The modality of every corpus by name.
        splits: Its splits, of ``train``, ``validation`` and ``test``.
        images: The folder of referenced images.
    """

    name: str
    title: str
    location: Path
    licence: str
    tasks: Sequence[Task]
    corpora: Mapping[str, Modality]
    splits: Sequence[str]
    images: ImageRoot

    def digest(self) -> str:
        """Return the SHA-256 that identifies the content: over everything read except pixels, and over all options."""
        ...

    def candidates(self, corpus: str, split: str) -> Iterable[Candidate]:
        """Yield the candidates of a corpus."""
        ...

    def queries(self, task: str, split: str) -> Iterable[Query]:
        """Yield the queries of a task."""
        ...

    def judgements(self, task: str, split: str) -> Iterable[Judgement]:
        """Yield the judgements of a task."""
        ...

    def ladders(self, task: str, split: str) -> Iterable[Ladder]:
        """Yield the ladders of a task's queries; none by default."""
        return ()

    def variants(self, task: str, split: str) -> Iterable[Variant]:
        """Yield the queries of a task in other forms; none by default."""
        return ()

    def lists(self, task: str, split: str) -> Iterable[CandidateList]:
        """Yield the candidates that each query is searched among, where the task's pool is ``lists``."""
        return ()

    def exclusions(self, task: str, split: str) -> Iterable[CandidateList]:
        """Yield the candidates that some queries are not searched among; none by default."""
        return ()

    def instructions(self, task: str) -> Sequence[str]:
        """Return all wordings of a task's instruction, the main one first; empty unless overridden."""
        return ()

    def notes(self) -> Sequence[str]:
        """Return remarks on how the data set was read, for example ignored columns; empty unless overridden."""
        return ()

    def named_in(self, image: str) -> str | None:
        """Return the file and line that name an image, for messages; None, unless overridden, if that is unknown."""
        return None

    def chunks(self, table: str, stem: str, split: str) -> Sequence[Chunk] | None:
        """Return chunks that read the rows of a large table on demand, so that they are not all in memory.

        None, unless overridden: the rows are then made from the records.
        """
        return None


class InMemoryBenchmark(Benchmark):
    """A benchmark read from the files of another data set, one table at a time.

    Args:
        contents: The contents of the data set.
        spec: The spec that names it on the command line; None takes its location.
        image_root: The folder of images that the user named, if any.
    """

    def __init__(self, contents: Contents, spec: str | None = None, image_root: Path | None = None) -> None:
        self._contents = contents
        self.spec, self.image_root = str(contents.location) if spec is None else spec, image_root
        self._held: dict[tuple[str, str, str], list[Chunk]] = {}
        self.folder = contents.location
        self.images = contents.images

    @cached_property
    def manifest(self) -> Manifest:  # type: ignore[override]
        """The manifest; its counts cover the tables that have been read so far."""
        contents = self._contents
        return Manifest(
            name=contents.name,
            title=contents.title,
            builder={},
            seed=0,
            tools={},
            sources=(),
            licence=contents.licence,
            tasks=tuple(contents.tasks),
            counts={split: {} for split in contents.splits},
            split_rule={},
            grain_types=(),
            tables={},
            content_sha256=contents.digest(),
            corpora=dict(contents.corpora),
        )

    @property
    def _hint(self) -> str:
        return f"correct the path or the data, then {self.command('datasets', 'check')}"

    def count(self, table: str, stem: str, split: str) -> int:
        """Return the number of rows of a table, after reading it."""
        with advised(self._hint, BenchmarkError):
            return sum(chunk.rows for chunk in self._chunks(table, stem, split))

    def instructions(self, task: str) -> tuple[str, ...]:
        """Return all wordings of a task's instruction, the default first."""
        return tuple(self._contents.instructions(self.task(task).name))

    def notes(self) -> tuple[str, ...]:
        """Return remarks on how the data set was read."""
        return tuple(self._contents.notes())

    def named_in(self, image: str) -> str | None:
        """Return the file and line of the data set that name an image; None if that is unknown."""
        return self._contents.named_in(image)

    def _chunks(self, table: str, stem: str, split: str) -> Sequence[Chunk]:
        key = (table, stem, split)
        if key not in self._held:
            parts = self._contents.chunks(table, stem, split)
            self._held[key] = list(self._made(*key)) if parts is None else list(parts)
        return self._held[key]

    def _made(self, table: str, stem: str, split: str) -> Iterator[Chunk]:
        if table == "corpus" and stem not in self._contents.corpora:
            known = ", ".join(self._contents.corpora)
            raise InputError("unknown corpus", where=self.folder, got=stem, accepted=known)
        columns = schema.table_of(table, stem, self._contents.tasks, self._contents.corpora).schema()
        read, to_row = self._reader(table)
        where = f"{self.folder}, {table}/{stem}-{split}"
        rows = map(to_row, read(stem, split))
        while some := list(islice(rows, ROWS)):
            yield TableChunk(where, pa.Table.from_pylist(some, schema=columns))

    def _reader(self, table: str) -> tuple[Callable[[str, str], Iterable[Any]], Callable[[Any], schema.Row]]:
        contents = self._contents
        readers: dict[str, tuple[Callable[[str, str], Iterable[Any]], Callable[[Any], schema.Row]]] = {
            "corpus": (contents.candidates, lambda record: schema.candidate_row(record, open_world=True)),
            "queries": (contents.queries, lambda record: schema.query_row(record, open_world=True)),
            "qrels": (contents.judgements, lambda record: schema.judgement_row(record, open_world=True)),
            "top_ranked": (contents.ladders, schema.ladder_row),
            "variants": (contents.variants, schema.variant_row),
            "lists": (contents.lists, schema.list_row),
            "exclusions": (contents.exclusions, schema.list_row),
        }
        return readers[table]
