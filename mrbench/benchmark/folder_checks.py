"""Checks of a benchmark folder when it is opened: its manifest against itself, and its files against the manifest."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Container
from pathlib import Path

from mrbench.benchmark.image_root import ImageRoot
from mrbench.benchmark.manifest import MANIFEST, Manifest
from mrbench.errors import BenchmarkError
from mrbench.files import FETCH, absent_content, canonical_json, sha256_file


def image_root_of(folder: Path, manifest: Manifest, named: Path | None) -> ImageRoot:
    """Return the image root: the folder that the user names, else the manifest's if it lies in the benchmark folder."""
    if named is not None:
        if not named.is_dir():
            hint = "name the folder of the images with --image-root"
            raise BenchmarkError("the image folder is missing", where="--image-root", got=str(named), hint=hint)
        return ImageRoot.below(named)
    if manifest.image_root is None:
        return ImageRoot()
    path = Path(os.path.normpath(folder.absolute() / manifest.image_root))
    return ImageRoot(path, path.is_relative_to(folder.absolute()))


def check_statements(folder: Path, manifest: Manifest, kinds: Container[str]) -> None:
    """Check that the manifest agrees with itself: its digest with its tables, and its counts with its files.

    Args:
        folder: The benchmark.
        manifest: Its manifest.
        kinds: The kinds of tables that the format knows.

    Raises:
        BenchmarkError: They disagree.
    """
    where, hint = folder / MANIFEST, _again(folder)
    digest = hashlib.sha256(canonical_json(manifest.tables).encode()).hexdigest()
    if digest != manifest.content_sha256:
        got = manifest.content_sha256
        raise BenchmarkError(
            "content_sha256 is not the digest of tables", where=where, got=got, accepted=digest, hint=hint
        )
    tasks = [task.name for task in manifest.tasks]
    rows: Counter[str] = Counter()
    for name, entry in manifest.files.items():
        _, kind, leaf = (*name.split("/"), "", "")[:3]
        if kind in kinds and kind != "corpus" and leaf.split("-")[0] not in tasks:
            raise BenchmarkError(
                "no task of the manifest has this table",
                where=where,
                got=name,
                accepted=", ".join(tasks) or "a task in tasks",
                hint=hint,
            )
        rows[name.removeprefix("data/").rpartition("-")[0]] += entry.rows
    for split, counts in manifest.counts.items():
        for kind, stems in counts.items():
            for stem, stated in stems.items():
                found = rows.pop(table := f"{kind}/{stem}-{split}", 0)
                if kind in kinds and stated != found:
                    raise BenchmarkError(
                        f"counts and files disagree on the rows of {table}",
                        where=where,
                        got=f"{stated} in counts",
                        accepted=f"{found}, the sum over files",
                        hint=hint,
                    )
    for table, found in rows.items():
        if found:
            raise BenchmarkError(f"counts lacks {table}", where=where, accepted=f"{found} rows", hint=hint)


def check_files(folder: Path, manifest: Manifest, verify: bool) -> None:
    """Compare the data files with the manifest. Links are followed, since hub caches, DVC and git-annex use them."""
    for name, entry in manifest.files.items():
        path = folder / name
        if absent := absent_content(path):
            raise BenchmarkError(absent, where=path, hint=FETCH)
        if not path.is_file():
            raise BenchmarkError("a data file is missing", where=path, hint=_again(folder))
        size = path.stat().st_size
        if size != entry.bytes:
            accepted, hint = f"{entry.bytes} bytes", _again(folder)
            raise BenchmarkError("a data file has another size", where=path, got=size, accepted=accepted, hint=hint)
        if verify and (found := sha256_file(path)) != entry.sha256:
            hint = _again(folder)
            raise BenchmarkError("a data file is altered", where=path, got=found, accepted=entry.sha256, hint=hint)


def _again(folder: Path) -> str:
    return f"copy, download or build {folder} again: it is not as it was written"
