"""The manifest of a benchmark folder: its contents, how it was made, and the digests that prove it."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, cast

from mrbench.benchmark.schema import FORMAT, FORMAT_VERSION
from mrbench.errors import BenchmarkError, advised, command_line
from mrbench.files import FETCH, absent_content, read_versioned_json
from mrbench.records import MODALITIES, SPLITS, TASKS, Completeness, Modality, PoolKind, Task, category_sides

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Source:
    """A package whose art or text a benchmark uses.

    Attributes:
        licence: SPDX identifier of the licence of the used art or text.
        attribution: The credit that the licence requires.
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
    """Everything about a benchmark except its rows.

    Attributes:
        tasks: Its tasks, in the order of reports.
        builder: ``{"name", "version", "config"}``: enough to build the same benchmark again.
        tools: Versions of the packages that drew and wrote it.
        counts: ``{split: {"candidates": {modality: n}, "queries": {task: n}, ...}}``.
        split_rule: How a grain combination is assigned to a split, and the digests of each split's combinations.
        grain_types: Every grain type of the queries, sorted.
        tables: SHA-256 over the rows of each table, ``{"queries/t2i-test": digest}``.
        content_sha256: SHA-256 over ``tables``: the digest of the benchmark. Independent of the encoding of images
            and of Parquet, and of the versions of the tools.
        files: Every data file by its path below the folder.
        corpora: The modality of every corpus by name.
        image_root: Folder of the images that are referenced by path, relative to the benchmark folder or absolute; None
            if all images are in the data files.
    """

    name: str
    title: str
    builder: dict[str, Any]
    seed: int
    tools: dict[str, str]
    sources: tuple[Source, ...]
    licence: str
    tasks: tuple[Task, ...]
    counts: dict[str, dict[str, dict[str, int]]]
    split_rule: dict[str, Any]
    grain_types: tuple[str, ...]
    tables: dict[str, str]
    content_sha256: str
    files: dict[str, FileEntry] = field(default_factory=dict)
    corpora: dict[str, Modality] = field(default_factory=dict)
    image_root: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the manifest as JSON values, as it is written."""
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            **asdict(self),
            "tasks": [task_to_json(task) for task in self.tasks],
        }


def task_to_json(task: Task) -> dict[str, Any]:
    """Return a task as JSON values, as manifests and results hold it."""
    said = {key: value for key, value in asdict(task).items() if key not in ("query_modality", "candidate_modality")}
    return {**said, "category": task.category, "corpora": list(task.corpora), "measures": list(task.measures)}


def task_from_json(raw: Any) -> Task:
    """Return the task that a manifest or a result describes. Format version 1 has only the name of a built-in task.

    Raises:
        KeyError: A key is missing.
        TypeError: A value has the wrong type.
        ValueError: A value is not accepted.
    """
    if isinstance(raw, str):
        if raw not in TASKS:
            raise ValueError(f"unknown task {raw!r}, accepted: {', '.join(TASKS)}, or a description")
        return TASKS[raw]
    unknown = sorted(set(raw) - _TASK_KEYS)
    if unknown:
        raise ValueError(f"unknown key of a task: {unknown[0]!r}, accepted: {', '.join(sorted(_TASK_KEYS))}")
    name = _name(raw["name"], STEM, "letters, digits, '_' and '.'")
    query, candidate = category_sides(_text(raw["category"]))
    completeness, pool = _text(raw.get("judgements", "partial")), _text(raw.get("pool", "corpus"))
    if completeness not in ("complete", "partial"):
        raise ValueError(f"judgements of {name} are {completeness!r}, accepted: complete, partial")
    if pool not in ("corpus", "lists"):
        raise ValueError(f"pool of {name} is {pool!r}, accepted: corpus, lists")
    return Task(
        name=name,
        title=_text(raw.get("title") or name),
        query_modality=query,
        candidate_modality=candidate,
        corpora=tuple(map(_text, raw.get("corpora", ()))),
        judgements=cast(Completeness, completeness),
        pool=cast(PoolKind, pool),
        measures=tuple(map(_text, raw.get("measures", ()))),
        main=_text(raw.get("main", "hit_rate@5")),
        protocol=_text(raw.get("protocol", "")),
    )


STEM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.]{0,99}")
"""Names of tasks and corpora, which become parts of file names."""
_TASK_KEYS = {"name", "title", "category", "corpora", "judgements", "pool", "measures", "main", "protocol"}
_REQUIRED = ("name", "title", "tasks", "counts", "tables", "content_sha256", "files")


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of a benchmark folder.

    Raises:
        BenchmarkError: The folder or the manifest is missing, or the manifest does not have the documented form.
        FormatVersionError: Written by a newer version of MRBench.
    """
    path = folder / MANIFEST
    if not folder.is_dir():
        raise BenchmarkError(
            "no such benchmark folder", where=folder, hint=command_line("mrbench", "build", "emoji", "--output", folder)
        )
    if absent := absent_content(path):
        raise BenchmarkError(absent, where=path, hint=FETCH)
    if not path.is_file():
        raise BenchmarkError(
            "not a benchmark, or one that was not finished: no manifest",
            where=path,
            hint="name a folder that `mrbench build` or `mrbench convert` wrote, or write it again",
        )
    raw = read_versioned_json(path, what="manifest", name=FORMAT, newest=FORMAT_VERSION, error=BenchmarkError)
    try:
        manifest = _parse(raw)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        got, hint = f"{type(error).__name__}: {error}", "docs/reference/format.md has the form of a manifest"
        raise BenchmarkError("malformed manifest", where=path, got=got, hint=hint) from error
    with advised("docs/reference/format.md has the form of a manifest"):
        _check_names(manifest, path)
    return manifest


def _parse(raw: dict[str, Any]) -> Manifest:
    missing = [key for key in _REQUIRED if key not in raw]
    if missing:
        raise ValueError(f"keys are missing: {', '.join(missing)}; docs/reference/format.md has all keys")
    tasks = tuple(map(task_from_json, raw["tasks"]))
    counts = {
        split: {kind: {stem: int(n) for stem, n in part.items()} for kind, part in counts.items()}
        for split, counts in raw["counts"].items()
    }
    return Manifest(
        name=_name(raw["name"], PLAIN, "letters, digits, '_', '.' and '-'"),
        title=str(raw["title"]),
        builder=dict(raw.get("builder", {})),
        seed=int(raw.get("seed", 0)),
        tools=dict(raw.get("tools", {})),
        sources=tuple(Source(**source) for source in raw.get("sources", ())),
        licence=str(raw.get("licence", "unknown")),
        tasks=tasks,
        counts=counts,
        split_rule=dict(raw.get("split_rule", {})),
        grain_types=tuple(raw.get("grain_types", ())),
        tables=dict(raw["tables"]),
        content_sha256=str(raw["content_sha256"]),
        files={name: FileEntry(**entry) for name, entry in raw["files"].items()},
        corpora=_corpora(raw, counts),
        image_root=None if raw.get("image_root") is None else _text(raw["image_root"]),
    )


def _corpora(raw: dict[str, Any], counts: dict[str, Any]) -> dict[str, Modality]:
    """Return the modality of each corpus; in format version 1 the name of a corpus is its modality."""
    stems = sorted({stem for part in counts.values() for stem in part.get("corpus", {})})
    stated = raw.get("corpora") or {stem: stem for stem in stems}
    for name, modality in stated.items():
        _name(name, STEM, "letters, digits, '_' and '.'")
        if modality not in MODALITIES:
            raise ValueError(f"modality of corpus {name} is {modality!r}, accepted: {'; '.join(MODALITIES)}")
    return dict(stated)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {value!r}")
    return value


PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def _name(value: Any, pattern: re.Pattern[str], made_of: str) -> str:
    """Return a name after checking that it is a plain word, since it becomes part of paths."""
    if not pattern.fullmatch(_text(value)):
        raise ValueError(f"name {value!r} is not made of {made_of}")
    return str(value)


def _check_names(manifest: Manifest, path: Path) -> None:
    if not manifest.counts:
        raise BenchmarkError(
            "the manifest counts no rows",
            where=path,
            got="counts: {}",
            accepted="{split: {table: {task or corpus: rows}}}",
        )
    names = [task.name for task in manifest.tasks]
    if len(set(names)) < len(names):
        raise BenchmarkError("two tasks have one name", where=path, got=names, accepted="distinct names")
    for task in manifest.tasks:
        lacking = [name for name in task.own_corpora if name not in manifest.corpora]
        if lacking:
            known = ", ".join(manifest.corpora)
            raise BenchmarkError(f"unknown corpus of {task.name}", where=path, got=lacking[0], accepted=known)
    for split in manifest.counts:
        if split not in SPLITS:
            raise BenchmarkError("unknown split", where=path, got=split, accepted=", ".join(SPLITS))
    for name in manifest.files:
        parts = PurePosixPath(name).parts
        if not parts or parts[0] != "data" or ".." in parts or "\x00" in name or "\\" in name:
            raise BenchmarkError("a file of the manifest is outside data/", where=path, got=name, accepted="data/...")
