"""The manifest: what a benchmark folder holds, how it was made, and the digests that prove it."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from mrbench.benchmark.schema import FORMAT, FORMAT_VERSION
from mrbench.errors import BenchmarkError
from mrbench.files import FETCH, absent_content, read_versioned_json
from mrbench.records import SPLITS, TASKS

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Source:
    """A package that art or text comes from.

    Attributes:
        licence: SPDX identifier of the licence of what was taken.
        attribution: The sentence that the licence asks for.
    """

    package: str
    version: str
    licence: str
    attribution: str
    url: str


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A Parquet file: SHA-256 over its bytes, its size in bytes, and its number of rows."""

    sha256: str
    bytes: int
    rows: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything about a benchmark but its rows.

    Attributes:
        builder: ``{"name", "version", "config"}``: builds again what is here.
        tools: Versions of the packages that drew and wrote it.
        counts: ``{split: {"candidates": {modality: n}, "queries": {task: n}, ...}}``.
        split_rule: How a grain combination is assigned to a split, and the digests of each split's combinations.
        grain_types: Every grain type of the queries, sorted.
        tables: SHA-256 over the rows of each table, ``{"queries/t2i-test": digest}``.
        content_sha256: SHA-256 over ``tables``: the digest of the benchmark. Independent of the encoding of images
            and of Parquet, and of the versions of the tools.
        files: Every data file by its path below the folder.
    """

    name: str
    title: str
    builder: dict[str, Any]
    seed: int
    tools: dict[str, str]
    sources: tuple[Source, ...]
    licence: str
    tasks: tuple[str, ...]
    counts: dict[str, dict[str, dict[str, int]]]
    split_rule: dict[str, Any]
    grain_types: tuple[str, ...]
    tables: dict[str, str]
    content_sha256: str
    files: dict[str, FileEntry] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the manifest as it is written."""
        return {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(self)}


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of a benchmark folder.

    Raises:
        BenchmarkError: No folder, no manifest, or not of the documented form.
        FormatVersionError: Written by a newer version of MRBench.
    """
    path = folder / MANIFEST
    if not folder.is_dir():
        raise BenchmarkError("no such benchmark folder", where=folder, hint="mrbench build emoji --output DIR")
    if absent := absent_content(path):
        raise BenchmarkError(absent, where=path, hint=FETCH)
    if not path.is_file():
        raise BenchmarkError(
            "not a benchmark, or one that was not finished: no manifest", where=path, hint="mrbench build"
        )
    raw = read_versioned_json(path, what="manifest", name=FORMAT, newest=FORMAT_VERSION, error=BenchmarkError)
    try:
        manifest = _parse(raw)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BenchmarkError("malformed manifest", where=path, got=f"{type(error).__name__}: {error}") from error
    _check_names(manifest, path)
    return manifest


def _parse(raw: dict[str, Any]) -> Manifest:
    return Manifest(
        name=_name(raw["name"]),
        title=str(raw["title"]),
        builder=dict(raw["builder"]),
        seed=int(raw["seed"]),
        tools=dict(raw["tools"]),
        sources=tuple(Source(**source) for source in raw["sources"]),
        licence=str(raw["licence"]),
        tasks=tuple(map(_text, raw["tasks"])),
        counts={
            split: {kind: {stem: int(n) for stem, n in part.items()} for kind, part in counts.items()}
            for split, counts in raw["counts"].items()
        },
        split_rule=dict(raw["split_rule"]),
        grain_types=tuple(raw["grain_types"]),
        tables=dict(raw["tables"]),
        content_sha256=str(raw["content_sha256"]),
        files={name: FileEntry(**entry) for name, entry in raw["files"].items()},
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {value!r}")
    return value


def _name(value: Any) -> str:
    """The name becomes part of paths, so it is a plain word."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", _text(value)):
        raise ValueError(f"name {value!r} is not made of letters, digits, '_', '.' and '-'")
    return str(value)


def _check_names(manifest: Manifest, path: Path) -> None:
    for task in manifest.tasks:
        if task not in TASKS:
            raise BenchmarkError("unknown task", where=path, got=task, accepted=", ".join(TASKS))
    for split in manifest.counts:
        if split not in SPLITS:
            raise BenchmarkError("unknown split", where=path, got=split, accepted=", ".join(SPLITS))
    for name in manifest.files:
        parts = PurePosixPath(name).parts
        if not parts or parts[0] != "data" or ".." in parts or "\x00" in name or "\\" in name:
            raise BenchmarkError("a file of the manifest is outside data/", where=path, got=name)
