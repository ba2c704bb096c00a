"""Folders of models that a library loads by itself: local ones, and those of the hub, without their pickles."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mrbench.errors import InputError, ModelError

PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle")
_OTHER_BACKENDS = ("onnx", "openvino")
_UNREAD = (*PICKLES, "*.onnx*", "*.h5", "*.msgpack", "*.gguf", "*.tflite", "onnx/*", "openvino/*", "coreml/*")
_HUB_ID = r"([A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?)(?:@([\w./-]+))?"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A folder with a model.

    Attributes:
        folder: The folder.
        name: The hub id, or the name of the folder.
        commit: The commit of a model of the hub; None for any other folder.
    """

    folder: Path
    name: str
    commit: str | None = None


def find_snapshot(source: str) -> Snapshot:
    """Return a local folder, or the one into which a model of the hub was downloaded, without pickles.

    Offline, as ``HF_HUB_OFFLINE`` says or as the hub does not answer, the cache of the hub is taken.

    Args:
        source: A folder, or ``ORG/NAME`` or ``ORG/NAME@REVISION``.

    Raises:
        InputError: Neither a folder nor of the form of a hub id.
        ModelError: The hub and its cache do not have it.
    """
    folder = Path(source)
    if folder.is_dir():
        return Snapshot(folder, folder.resolve().name[:100] or "model")
    found = re.fullmatch(_HUB_ID, source, re.ASCII)
    if found is None or ".." in source or source.startswith(("/", ".")):
        accepted = "a folder, or a hub id such as ORG/NAME or ORG/NAME@REVISION"
        raise InputError("no such folder", where="model", got=source, accepted=accepted)
    from huggingface_hub import snapshot_download

    try:
        path = Path(snapshot_download(found[1], revision=found[2], ignore_patterns=list(_UNREAD)))
    except Exception as error:  # offline, gated, no such repository, a full disk: of several libraries
        why = textwrap.shorten(str(error), 150, placeholder=" ...")
        raise ModelError(
            f"neither a local folder nor a model that the hub gave us: {why}",
            where="model",
            got=source,
            hint="check the id, or the network and the access to the hub",
        ) from error
    return Snapshot(path, found[1], path.name)


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
