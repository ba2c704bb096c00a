"""The cache of the hub: which commit a revision is there, and whether a snapshot still holds what was downloaded."""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path

from huggingface_hub import constants

from mrbench.files import sha256_file

_SMALL = 1 << 25
"""Bytes up to which a file is always read: configuration, tokenizer. Larger ones are read where they look changed."""
_SHORT = r"[0-9a-f]{4,39}"


def storage_of(repository: str) -> Path:
    """Return the folder of a repository in the cache, which need not be there."""
    return Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"


def cached_commits(repository: str, revision: str | None) -> list[str]:
    """Return the commits in the cache that a revision may mean: none, one, or several that begin with a short commit.

    Args:
        repository: ``ORG/NAME``.
        revision: A branch, a tag, a commit or the first 4 to 39 digits of one; None for the main branch.
    """
    storage, commit = storage_of(repository), revision or "main"
    with suppress(OSError, UnicodeDecodeError):
        commit = (storage / "refs" / commit).read_text(encoding="utf-8").strip()
    if not commit or "/" in commit:
        return []
    if os.path.isdir(storage / "snapshots" / commit):  # noqa: PTH112 - Path.is_dir raises where the name is too long
        return [commit]
    if not re.fullmatch(_SHORT, commit):
        return []
    return sorted(path.name for path in (storage / "snapshots").glob(f"{commit}*") if path.is_dir())


def is_edited(snapshot: Path) -> bool:
    """Return whether a file of a snapshot is not what was downloaded, so that it is no longer the model of its commit.

    A file of a snapshot is a link to a blob, whose name is the hash of its bytes: SHA-256, or for small files Git's
    SHA-1. Files up to 32 MiB are always hashed; larger ones where they are younger than the link to them, which is made
    when the download ends. A file without a link is compared with the hashes of all blobs.

    Not found: a large file that was written anew with its old time, and any edit where the cache holds no blobs at all,
    as on systems without links.
    """
    blobs = snapshot.parent.parent / "blobs"
    known = {path.name for path in blobs.iterdir()} if blobs.is_dir() else set()
    return any(_differs(path, known) for path in snapshot.rglob("*") if path.is_file())


def _differs(path: Path, known: set[str]) -> bool:
    linked = path.is_symlink()
    names = {path.readlink().name} if linked else known
    hashes = {name for name in names if re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", name)}
    if not hashes:
        return False
    found = path.stat()
    if linked and found.st_size > _SMALL and found.st_mtime <= path.lstat().st_mtime:
        return False
    return sha256_file(path) not in hashes and _git_hash(path) not in hashes


def _git_hash(path: Path) -> str:
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
