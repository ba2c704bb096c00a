"""A benchmark whose tables are made in memory when they are first asked for, from the files of another data set."""

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
from mrbench.errors import InputError
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
    """What a data set holds, read from its own files.

    Everything is read when it is asked for, and a table may be asked for more than once. Ids are any text without a
    line break; they are unique within the queries of a task and split, and within a corpus. Where several corpora of a
    split hold an id, it names the same candidate in each, which the union of all corpora holds once.

    Attributes:
        name: Letters, digits, ``_``, ``.`` and ``-``; names the folder of results.
        title: What people read.
        location: Where it was read, for messages.
        licence: SPDX identifier, or what the data set says.
        tasks: Its tasks, in the order in which they are reported; all judgements are ``partial``.
        corpora: The modality of every corpus by name.
        splits: Its splits, of ``train``, ``validation`` and ``test``.
        images: Where the images lie that records reference.
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
        """Return what identifies the content: a SHA-256 over all that is read but pixels, and over all options."""
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
        """Return all wordings of a task's instruction that the data set has, the default first; none by default."""
        return ()

    def notes(self) -> Sequence[str]:
        """Return remarks on how the data set was read, for example which columns were ignored; none by default."""
        return ()

    def place(self, image: str) -> str | None:
        """Return the file and line that name an image, for messages; None, the default, where it is not known."""
        return None

    def chunks(self, table: str, stem: str, split: str) -> Sequence[Chunk] | None:
        """Return the rows of a table in parts that are read when asked for, so that they are not held in memory.

        None, the default, makes them of the records.
        """
        return None


class InMemoryBenchmark(Benchmark):
    """A benchmark that is read from the files of another data set, a table at a time.

    Args:
        contents: What the data set holds.
    """

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._held: dict[tuple[str, str, str], list[Chunk]] = {}
        self.folder = contents.location
        self.images = contents.images

    @cached_property
    def manifest(self) -> Manifest:  # type: ignore[override]
        """What there is to say of it; counts are those of the tables that were read so far."""
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

    def count(self, table: str, stem: str, split: str) -> int:
        """Return the number of rows of a table, which is read for it."""
        return sum(chunk.rows for chunk in self._chunks(table, stem, split))

    def instructions(self, task: str) -> tuple[str, ...]:
        """Return all wordings of a task's instruction, the default first."""
        return tuple(self._contents.instructions(self.task(task).name))

    def notes(self) -> tuple[str, ...]:
        """Return remarks on how the data set was read."""
        return tuple(self._contents.notes())

    def place(self, image: str) -> str | None:
        """Return the file and line of the data set that name an image, where they are known."""
        return self._contents.place(image)

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
