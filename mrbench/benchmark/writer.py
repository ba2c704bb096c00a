"""Writes a benchmark as a stream: memory is bounded, and the folder appears whole or not at all."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mrbench.benchmark import schema
from mrbench.benchmark.card import CARD, write_card
from mrbench.benchmark.croissant import CROISSANT, write_croissant
from mrbench.benchmark.ids import ID_FORM, is_id
from mrbench.benchmark.manifest import MANIFEST, STEM, FileEntry, Manifest, Source
from mrbench.errors import BenchmarkError
from mrbench.files import canonical_json, sha256_file, write_json_atomic
from mrbench.folders import FolderKind, replaced_folder
from mrbench.measures import refused_names
from mrbench.records import (
    SPLITS,
    TASKS,
    Candidate,
    CandidateList,
    Judgement,
    Ladder,
    Modality,
    Query,
    Task,
    Variant,
)

FOLDER = FolderKind(
    MANIFEST,
    "|".join(map(re.escape, (MANIFEST, CARD, CROISSANT)))
    + rf"|data/({'|'.join(schema.TABLES)})/[^/]+-\d{{5}}\.parquet"
    + r"|audit/report\.(md|json|html)",
)
IMAGE_ROWS_PER_GROUP, ROWS_PER_GROUP = 256, 8192
IMAGE_ROWS_PER_FILE, ROWS_PER_FILE = 65_536, 4_194_304


@dataclass
class _TableFile:
    """One table of one split while it is written: its shards, its digest so far, and the digests of its keys."""

    folder: Path
    stem: str
    table: schema.Table
    rows: int = 0
    digest: Any = field(default_factory=hashlib.sha256)
    keys: bytearray = field(default_factory=bytearray)
    files: dict[str, int] = field(default_factory=dict)
    _buffer: list[schema.Row] = field(default_factory=list)
    _writer: pq.ParquetWriter | None = None
    _in_shard: int = 0

    @property
    def _has_image(self) -> bool:
        return "image" in self.table.features

    def add(self, row: schema.Row) -> None:
        if "id" in row and not is_id(row["id"]):
            where = f"{self.table.name}/{self.stem}"
            raise BenchmarkError("malformed id", where=where, got=row["id"], accepted=ID_FORM)
        self.keys += _key_digest(row)
        self.digest.update(schema.row_sha256(row))
        self._buffer.append(row)
        self.rows += 1
        if len(self._buffer) == (IMAGE_ROWS_PER_GROUP if self._has_image else ROWS_PER_GROUP):
            self._flush()

    def _flush(self) -> None:
        if not self._buffer:
            return
        if self._writer is None:
            name = f"data/{self.table.name}/{self.stem}-{len(self.files):05d}.parquet"
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            plain = [column for column in self.table.features if column not in ("image", "id", "image_sha256")]
            self._writer = pq.ParquetWriter(
                path, self.table.schema(), compression="zstd", use_dictionary=plain, write_statistics=False
            )
            self.files[name] = 0
            self._in_shard = 0
        self._writer.write_table(pa.Table.from_pylist(self._buffer, schema=self.table.schema()))
        self._in_shard += len(self._buffer)
        self.files[list(self.files)[-1]] = self._in_shard
        self._buffer.clear()
        if self._in_shard >= (IMAGE_ROWS_PER_FILE if self._has_image else ROWS_PER_FILE):
            self.close_shard()

    def close_shard(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def close(self) -> None:
        """Write the remaining rows.

        Raises:
            BenchmarkError: Two rows have the same key. Checking only at the end takes 16 MB for a million rows, where a
                set of strings would take far more.
        """
        self._flush()
        self.close_shard()
        digests = np.frombuffer(bytes(self.keys), dtype="S16")
        _, first, counts = np.unique(digests, return_index=True, return_counts=True)
        if len(first) < len(digests):
            start = 16 * int(first[counts > 1][0])
            twice = bytes(self.keys[start : start + 16])
            where = f"{self.table.name}/{self.stem}"
            raise BenchmarkError("duplicate id", where=where, got=self._find(twice), accepted="an id of its own")

    def _find(self, digest: bytes) -> str:
        columns = [name for name in _KEY_COLUMNS if name in self.table.features]
        for name in self.files:
            for row in pq.read_table(self.folder / name, columns=columns).to_pylist():
                if _key_digest(row) == digest:
                    return " ".join(map(str, row.values()))
        return digest.hex()


_KEY_COLUMNS = ("id", "query-id", "corpus-id", "kind", "grain", "number")


def _key_digest(row: schema.Row) -> bytes:
    """Return the digest of a row's key, which must be unique in its table."""
    key = "\n".join(str(row[name]) for name in _KEY_COLUMNS if name in row)
    return hashlib.blake2b(key.encode(), digest_size=16).digest()


class BenchmarkWriter:
    """Writes records as they come, in any order of tables and splits. :func:`write_benchmark` makes one.

    Args:
        folder: Where to write.
        tasks: The tasks.
        corpora: The modality of every corpus by name; None makes one corpus of each modality, named like it.
    """

    def __init__(
        self, folder: Path, tasks: Sequence[Task] = tuple(TASKS.values()), corpora: Mapping[str, Modality] | None = None
    ) -> None:
        self._folder = folder
        self._tasks = {task.name: task for task in tasks}
        self._corpora = dict(corpora or {name: cast(Modality, name) for t in tasks for name in t.own_corpora})
        self._tables: dict[tuple[str, str, str], _TableFile] = {}
        self._grain_types: set[str] = set()
        self._finished = False
        for name in (*self._tasks, *self._corpora):
            if not STEM.fullmatch(name):
                raise BenchmarkError(
                    "malformed name", got=name, accepted="letters, digits, '_' and '.'; first a letter or digit"
                )
        for task in tasks:
            for refused in refused_names(task):
                raise BenchmarkError(f"measures and main of {task.name}: {refused}") from refused

    def add_candidates(self, split: str, candidates: Iterable[Candidate], *, corpus: str | None = None) -> None:
        """Append candidates to a corpus of a split; None takes the corpus named like their modality.

        Raises:
            BenchmarkError: A candidate has another modality than the corpus.
        """
        for candidate in candidates:
            name = candidate.modality if corpus is None else corpus
            expected = self._corpora.get(name)
            if candidate.modality != expected:
                accepted = expected or ", ".join(self._corpora)
                raise BenchmarkError(
                    "candidate of another modality", where=candidate.id, got=candidate.modality, accepted=accepted
                )
            table = self._table("corpus", name, split)
            table.add(schema.candidate_row(candidate, open_world="more_images" in table.table.features))

    def add_queries(self, split: str, queries: Iterable[Query]) -> None:
        """Append queries to their tasks.

        Raises:
            BenchmarkError: A query has another modality than its task.
        """
        for query in queries:
            expected = self._task(query.task).query_modality
            if query.modality != expected:
                raise BenchmarkError("query of another modality", where=query.id, got=query.modality, accepted=expected)
            self._grain_types.update(grain.type for grain in query.grains)
            table = self._table("queries", query.task, split)
            table.add(schema.query_row(query, open_world="cluster" in table.table.features))

    def add_variants(self, split: str, task: str, variants: Iterable[Variant]) -> None:
        """Append variants of a task's queries."""
        self._add("variants", task, split, map(schema.variant_row, variants))

    def add_judgements(self, split: str, task: str, judgements: Iterable[Judgement]) -> None:
        """Append judgements of a task."""
        open_world = self._task(task).judgements == "partial"
        self._add("qrels", task, split, (schema.judgement_row(j, open_world=open_world) for j in judgements))

    def add_ladders(self, split: str, task: str, ladders: Iterable[Ladder]) -> None:
        """Append ladders of a task."""
        self._add("top_ranked", task, split, map(schema.ladder_row, ladders))

    def add_lists(self, split: str, task: str, lists: Iterable[CandidateList]) -> None:
        """Append lists: the candidates that queries of a task are searched among."""
        self._add("lists", task, split, map(schema.list_row, lists))

    def add_exclusions(self, split: str, task: str, exclusions: Iterable[CandidateList]) -> None:
        """Append exclusions: the candidates that queries of a task are not searched among."""
        self._add("exclusions", task, split, map(schema.list_row, exclusions))

    def _add(self, kind: str, task: str, split: str, rows: Iterable[schema.Row]) -> None:
        table = self._table(kind, self._task(task).name, split)
        for row in rows:
            table.add(row)

    def _task(self, name: str) -> Task:
        if name not in self._tasks:
            raise BenchmarkError("unknown task", got=name, accepted=", ".join(self._tasks))
        return self._tasks[name]

    def finish(
        self,
        *,
        name: str,
        title: str,
        licence: str = "unknown",
        description: str = "",
        builder: dict[str, Any] | None = None,
        seed: int = 0,
        tools: dict[str, str] | None = None,
        sources: tuple[Source, ...] = (),
        split_rule: dict[str, Any] | None = None,
        image_root: str | None = None,
    ) -> Manifest:
        """Close the tables, write manifest, data card and Croissant metadata, and return the manifest.

        Args:
            name: Letters, digits, ``_``, ``.`` and ``-``; becomes part of paths.
            title: Title for people.
            licence: SPDX identifier of the whole.
            description: Markdown of the data card's body.
            builder: ``{"name", "version", "config"}``, enough to build the same benchmark again.
            seed: Seed of all random choices.
            tools: Versions of the packages that made it.
            sources: Packages that art, text and photos come from.
            split_rule: How records are assigned to splits.
            image_root: Folder of referenced images, relative to the benchmark folder or absolute.

        Raises:
            BenchmarkError: Two records of a table have the same id.
        """
        for table in self._tables.values():
            table.close()
        counts = self._counts()
        digests = {
            f"{kind}/{stem}-{split}": table.digest.hexdigest()
            for (kind, stem, split), table in sorted(self._tables.items())
        }
        manifest = Manifest(
            name=name,
            title=title,
            builder=builder or {},
            seed=seed,
            tools=tools or {},
            sources=sources,
            licence=licence,
            tasks=tuple(task for task in self._tasks.values() if _in(task.name, "queries", counts)),
            counts=counts,
            split_rule=split_rule or {},
            grain_types=tuple(sorted(self._grain_types)),
            tables=digests,
            content_sha256=hashlib.sha256(canonical_json(digests).encode()).hexdigest(),
            files=self._files(),
            corpora={n: modality for n, modality in self._corpora.items() if _needed(n, self._tasks, counts)},
            image_root=image_root,
        )
        write_card(self._folder, manifest, description)
        write_croissant(self._folder, manifest)
        write_json_atomic(self._folder / MANIFEST, manifest.to_json())
        self._finished = True
        return manifest

    def _table(self, kind: str, stem: str, split: str) -> _TableFile:
        if split not in SPLITS:
            raise BenchmarkError("unknown split", got=split, accepted=", ".join(SPLITS))
        key = (kind, stem, split)
        if key not in self._tables:
            table = schema.table_of(kind, stem, tuple(self._tasks.values()), self._corpora)
            self._tables[key] = _TableFile(self._folder, f"{stem}-{split}", table)
        return self._tables[key]

    def _counts(self) -> dict[str, dict[str, dict[str, int]]]:
        counts: dict[str, dict[str, dict[str, int]]] = {}
        for split in SPLITS:
            tables = {key: table for key, table in self._tables.items() if key[2] == split}
            if tables:
                counts[split] = {
                    kind: rows
                    for kind in schema.TABLES
                    if (rows := {stem: table.rows for (k, stem, _), table in sorted(tables.items()) if k == kind})
                    or kind not in ("lists", "exclusions")
                }
        return counts

    def _files(self) -> dict[str, FileEntry]:
        files = {}
        for table in self._tables.values():
            for name, rows in table.files.items():
                path = self._folder / name
                files[name] = FileEntry(sha256_file(path), path.stat().st_size, rows)
        return dict(sorted(files.items()))


def _in(stem: str, kind: str, counts: dict[str, dict[str, dict[str, int]]]) -> bool:
    return any(stem in part[kind] for part in counts.values())


def _needed(corpus: str, tasks: Mapping[str, Task], counts: dict[str, dict[str, dict[str, int]]]) -> bool:
    asked = (corpus in task.own_corpora for task in tasks.values() if _in(task.name, "queries", counts))
    return _in(corpus, "corpus", counts) or any(asked)


@contextmanager
def write_benchmark(
    folder: Path | str,
    *,
    tasks: Sequence[Task] = tuple(TASKS.values()),
    corpora: Mapping[str, Modality] | None = None,
    overwrite: bool = False,
) -> Iterator[BenchmarkWriter]:
    """Yield a writer. The folder appears only when the block succeeds.

    Args:
        folder: Where to write.
        tasks: The tasks of the benchmark; by default those of the built suites.
        corpora: The modality of every corpus by name; None makes one corpus of each modality, named like it.
        overwrite: Whether an earlier benchmark in this folder may be replaced.

    Raises:
        OutputError: The folder exists and may not be replaced, or the disk is full.
        BenchmarkError: The block ends without :meth:`BenchmarkWriter.finish`, a name is malformed, or a measure of a
            task cannot be computed.
    """
    with replaced_folder(Path(folder), FOLDER, overwrite=overwrite) as temporary:
        writer = BenchmarkWriter(temporary, tasks, corpora)
        try:
            yield writer
        finally:
            for table in writer._tables.values():
                table.close_shard()
        if not writer._finished:
            raise BenchmarkError("the benchmark is not finished", where=folder, hint="call BenchmarkWriter.finish()")
