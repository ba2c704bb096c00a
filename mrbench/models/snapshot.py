"""Folders of models that a library loads by itself: local ones, and those of the hub, without their pickles."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError
from huggingface_hub.utils import filter_repo_objects  # type: ignore[attr-defined]  # not listed as exported

from mrbench.errors import ModelError
from mrbench.models.hub import Checkpoint, check_download, of_hub, quiet_hub, split_id, unless_edited

PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle")
_OTHER_BACKENDS = ("onnx", "openvino")
_UNREAD = (*PICKLES, "*.onnx*", "*.h5", "*.msgpack", "*.gguf", "*.tflite", "onnx/*", "openvino/*", "coreml/*")

Snapshot = Checkpoint
"""A folder with a model, its name, and the commit of a model of the hub."""


def find_snapshot(source: str) -> Snapshot:
    """Return a local folder, or the one into which a model of the hub was downloaded, without pickles.

    The hub is asked for the commit. Where it does not answer in :data:`mrbench.models.hub.ANSWER_SECONDS`, or where
    ``HF_HUB_OFFLINE`` is set, the cache of the hub is taken.

    Args:
        source: A folder, or ``ORG/NAME`` or ``ORG/NAME@REVISION``.

    Raises:
        InputError: Neither a folder nor of the form of a hub id.
        ModelError: The hub and its cache do not have it.
    """
    if source and os.path.isdir(source):  # noqa: PTH112 - Path.is_dir raises where the name is too long
        return Snapshot(Path(source), Path(source).resolve().name[:100] or "model")
    repository, revision = split_id(source)
    found = of_hub(repository, revision, _wanted)
    check_download(found, _listed_but_missing(found))
    return unless_edited(found)


def _wanted(where: str, names: list[str]) -> list[str]:
    """Return the files of a repository that are downloaded.

    Raises:
        ModelError: There are none.
    """
    found = list(filter_repo_objects(names, ignore_patterns=list(_UNREAD)))
    if not found:
        raise ModelError("the repository holds no files but pickles and those of other backends", where=where)
    return found


def _listed_but_missing(found: Snapshot) -> str | None:
    """Say so where the hub's library has a list of the files in its cache and one of them is missing."""
    try:
        with quiet_hub():
            snapshot_download(found.name, revision=found.commit, local_files_only=True, ignore_patterns=list(_UNREAD))
    except LocalEntryNotFoundError:
        return "files that the hub lists are missing"
    return None


def check_no_pickles(folder: Path, parts: Iterable[Path] | None = None) -> None:
    """Refuse a folder in which a part has weights as pickles alone, which can run code when they are read.

    Args:
        folder: The folder.
        parts: Folders that are read, or None for all below it but those of other backends.

    Raises:
        ModelError: There is such a part.
    """
    below = [path for path in sorted(folder.rglob("*")) if path.is_dir() and not set(_OTHER_BACKENDS) & set(path.parts)]
    for part in [folder, *below] if parts is None else parts:
        pickles = sorted(path.name for suffix in PICKLES for path in part.glob(suffix))
        if pickles and not any(part.glob("*.safetensors")):
            raise ModelError(
                "the model has weights as pickles alone, which can run code",
                where=part,
                got=", ".join(pickles),
                accepted="*.safetensors",
                hint="convert them with save_pretrained(FOLDER, safe_serialization=True) where you trust them",
            )
