"""Writing a benchmark as a stream: bounded memory, the whole folder or nothing."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mrbench.benchmark import schema
from mrbench.benchmark.card import CARD, write_card
from mrbench.benchmark.croissant import CROISSANT, write_croissant
from mrbench.benchmark.manifest import MANIFEST, FileEntry, Manifest, Source
from mrbench.errors import BenchmarkError
from mrbench.files import canonical_json, sha256_file, write_json_atomic
from mrbench.folders import FolderKind, replaced_folder
from mrbench.records import SPLITS, TASKS, Candidate, Judgement, Ladder, Query, Variant

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
    """One table of one split: its shards, its running digest, the ids seen."""

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
        """Write what is left.

        Raises:
            BenchmarkError: Two rows have one key. It is found here and not before, so that a million rows cost
                16 MB and not a set of strings.
        """
        self._flush()
        self.close_shard()
        digests = np.frombuffer(bytes(self.keys), dtype="S16")
        _, first, counts = np.unique(digests, return_index=True, return_counts=True)
        if len(first) < len(digests):
            start = 16 * int(first[counts > 1][0])
            twice = bytes(self.keys[start : start + 16])
            raise BenchmarkError("duplicate id", where=f"{self.table.name}/{self.stem}", got=self._find(twice))

    def _find(self, digest: bytes) -> str:
        columns = [name for name in _KEY_COLUMNS if name in self.table.features]
        for name in self.files:
            for row in pq.read_table(self.folder / name, columns=columns).to_pylist():
                if _key_digest(row) == digest:
                    return " ".join(map(str, row.values()))
        return digest.hex()


_KEY_COLUMNS = ("id", "query-id", "corpus-id", "kind", "grain", "number")


def _key_digest(row: schema.Row) -> bytes:
    """Digest of what has to be unique in a table."""
    key = "\n".join(str(row[name]) for name in _KEY_COLUMNS if name in row)
    return hashlib.blake2b(key.encode(), digest_size=16).digest()


class BenchmarkWriter:
    """Takes records in any order of tables and splits, and writes them as they come.

    Get one from :func:`write_benchmark`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tables: dict[tuple[str, str, str], _TableFile] = {}
        self._grain_types: set[str] = set()
        self._finished = False

    def add_candidates(self, split: str, candidates: Iterable[Candidate]) -> None:
        """Append candidates to the corpus of a split."""
        for candidate in candidates:
            table = schema.corpus_table(candidate.modality)
            self._table(table, candidate.modality, split).add(schema.candidate_row(candidate))

    def add_queries(self, split: str, queries: Iterable[Query]) -> None:
        """Append queries to their tasks.

        Raises:
            BenchmarkError: A query is not of its task's modality.
        """
        for query in queries:
            expected = TASKS[query.task].query_modality
            if query.modality != expected:
                raise BenchmarkError("query of another modality", where=query.id, got=query.modality, accepted=expected)
            self._grain_types.update(grain.type for grain in query.grains)
            table = schema.queries_table(query.modality)
            self._table(table, query.task, split).add(schema.query_row(query))

    def add_variants(self, split: str, task: str, variants: Iterable[Variant]) -> None:
        """Append queries of a task in other forms."""
        table = self._table(schema.variants_table(TASKS[task].query_modality), task, split)
        for record in variants:
            table.add(schema.variant_row(record))

    def add_judgements(self, split: str, task: str, judgements: Iterable[Judgement]) -> None:
        """Append judgements of a task."""
        table = self._table(schema.QRELS, task, split)
        for record in judgements:
            table.add(schema.judgement_row(record))

    def add_ladders(self, split: str, task: str, ladders: Iterable[Ladder]) -> None:
        """Append ladders of a task."""
        table = self._table(schema.TOP_RANKED, task, split)
        for record in ladders:
            table.add(schema.ladder_row(record))

    def finish(
        self,
        *,
        name: str,
        title: str,
        builder: dict[str, Any],
        seed: int,
        tools: dict[str, str],
        sources: tuple[Source, ...],
        licence: str,
        split_rule: dict[str, Any],
        description: str,
    ) -> Manifest:
        """Close the tables and write manifest, data card and Croissant metadata.

        Args:
            description: Markdown of the data card's body.

        Raises:
            BenchmarkError: Two records of a table have one id.
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
            builder=builder,
            seed=seed,
            tools=tools,
            sources=sources,
            licence=licence,
            tasks=tuple(task for task in TASKS if any(task in c["queries"] for c in counts.values())),
            counts=counts,
            split_rule=split_rule,
            grain_types=tuple(sorted(self._grain_types)),
            tables=digests,
            content_sha256=hashlib.sha256(canonical_json(digests).encode()).hexdigest(),
            files=self._files(),
        )
        write_card(self._folder, manifest, description)
        write_croissant(self._folder, manifest)
        write_json_atomic(self._folder / MANIFEST, manifest.to_json())
        self._finished = True
        return manifest

    def _table(self, table: schema.Table, stem: str, split: str) -> _TableFile:
        if split not in SPLITS:
            raise BenchmarkError("unknown split", got=split, accepted=", ".join(SPLITS))
        key = (table.name, stem, split)
        if key not in self._tables:
            self._tables[key] = _TableFile(self._folder, f"{stem}-{split}", table)
        return self._tables[key]

    def _counts(self) -> dict[str, dict[str, dict[str, int]]]:
        counts: dict[str, dict[str, dict[str, int]]] = {}
        for split in SPLITS:
            tables = {key: table for key, table in self._tables.items() if key[2] == split}
            if tables:
                counts[split] = {
                    kind: {stem: table.rows for (k, stem, _), table in sorted(tables.items()) if k == kind}
                    for kind in schema.TABLES
                }
        return counts

    def _files(self) -> dict[str, FileEntry]:
        files = {}
        for table in self._tables.values():
            for name, rows in table.files.items():
                path = self._folder / name
                files[name] = FileEntry(sha256_file(path), path.stat().st_size, rows)
        return dict(sorted(files.items()))


@contextmanager
def write_benchmark(folder: Path, *, overwrite: bool = False) -> Iterator[BenchmarkWriter]:
    """Yield a writer whose folder appears under its name only when the block succeeds.

    Raises:
        OutputError: The folder exists and may not be replaced, or the disk is full.
        BenchmarkError: The block ended without :meth:`BenchmarkWriter.finish`.
    """
    with replaced_folder(folder, FOLDER, overwrite=overwrite) as temporary:
        writer = BenchmarkWriter(temporary)
        try:
            yield writer
        finally:
            for table in writer._tables.values():
                table.close_shard()
        if not writer._finished:
            raise BenchmarkError("the benchmark was not finished", where=folder)
