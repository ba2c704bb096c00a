"""Where the files of a checkpoint lie, which of them are wanted, and whether they are all there.

Two kinds of readers want other files of a repository. Our own adapters on transformers read named files from the top
folder (:func:`find_checkpoint`). Libraries that load by themselves get everything but pickles
(:func:`find_whole_checkpoint`). Whoever loads afterwards reads a folder and never asks the network.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from shlex import quote

from huggingface_hub import snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError
from huggingface_hub.utils import filter_repo_objects  # type: ignore[attr-defined]  # not listed as exported

from mrbench.errors import ModelError
from mrbench.files import absent_content
from mrbench.models.hub import (
    COMMIT,
    Checkpoint,
    cached_model,
    hub_model_at,
    of_hub,
    quiet_hub,
    split_id,
    unless_edited,
)

PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle")
_PICKLED = tuple(pattern.removeprefix("*") for pattern in PICKLES)
_OTHER_BACKENDS = ("onnx", "openvino")
_OF_OTHERS = ("*.onnx*", "*.h5", "*.msgpack", "*.gguf", "*.tflite", "onnx/*", "openvino/*", "coreml/*")
UNREAD = (*PICKLES, *_OF_OTHERS)
"""Patterns of files that no library reads here: pickles, and weights for other backends."""
WEIGHTS_OF_PICKLES = (
    ("pytorch_model.bin and its shards", r"pytorch_model(-\d+-of-\d+)?\.bin", r"model\1.safetensors"),
    ("open_clip_pytorch_model.bin", r"open_clip_pytorch_model\.bin", "open_clip_model.safetensors"),
    ("adapter_model.bin", r"adapter_model\.bin", "adapter_model.safetensors"),
)
"""Pickles that hold weights: what they are called, the pattern of their names, and the name of safetensors instead."""
_READ = (".json", ".txt", ".model", ".jinja")
_INDEX = "model.safetensors.index.json"
_LONGEST = 100  # characters of a name


def find_checkpoint(source: str) -> Checkpoint:
    """Return where a checkpoint lies of which transformers reads configuration, tokenizer and weights.

    Of the hub these files are downloaded where the cache lacks them, and never a pickle. The hub is asked for the
    commit of a branch or a tag. Where it does not answer in :data:`mrbench.models.hub.ANSWER_SECONDS`, or where
    ``HF_HUB_OFFLINE`` is set, the cache is taken. A commit that is in the cache is not asked for.

    Args:
        source: A folder, in which ``~`` is expanded, or ``ORG/NAME`` or ``ORG/NAME@REVISION`` with a branch, a tag or a
            commit, which may be short. A folder of this name comes before a model of the hub.

    Raises:
        InputError: Neither a folder nor of the form of a hub id.
        ModelError: The hub and its cache do not have it.
    """
    if _local(source) is None:
        repository, revision = split_id(source)
        cached = cached_model(repository, revision) if revision and re.fullmatch(COMMIT, revision) else None
        if cached is not None and is_complete(cached.folder):
            return unless_edited(cached)
    return unless_edited(_found(source, _read_by_transformers, _no_weights))


def find_whole_checkpoint(source: str) -> Checkpoint:
    """Return where a checkpoint lies of which a library reads what it likes: all files but pickles.

    The hub is asked as by :func:`find_checkpoint`.

    Args:
        source: As for :func:`find_checkpoint`.

    Raises:
        InputError: Neither a folder nor of the form of a hub id.
        ModelError: The hub and its cache do not have it.
    """
    return unless_edited(_found(source, _all_but_pickles, _listed_but_missing))


def find_with_pickles(source: str) -> Checkpoint:
    """Return where a checkpoint lies, with its pickled weights, for whoever converts them: nobody else may read them.

    Args:
        source: As for :func:`find_checkpoint`.

    Raises:
        InputError: Neither a folder nor of the form of a hub id.
        ModelError: The hub and its cache do not have it.
    """
    return _found(source, _with_pickled_weights, lambda found: None)


def conversion_of(source: object) -> str:
    """Return the command that writes a checkpoint without pickles, for an error about one that has them alone.

    >>> conversion_of("org/model")
    'mrbench models convert org/model --output FOLDER writes them as safetensors, where you trust them'
    """
    return (
        f"mrbench models convert {quote(str(source))} --output FOLDER writes them as safetensors, where you trust them"
    )


def _found(
    source: str, wanted: Callable[[str, list[str]], list[str]], lacks: Callable[[Checkpoint], str | None]
) -> Checkpoint:
    """Return where a checkpoint lies: a folder, or a snapshot of the hub with the files that are wanted.

    Args:
        source: A folder or a hub id.
        wanted: Takes the id and the names of the files, and returns those to download.
        lacks: What is missing in a snapshot, as a clause; None for nothing.
    """
    local = _local(source)
    if local is not None:
        return local
    found = of_hub(*split_id(source), wanted)
    check_download(found, lacks(found))
    return found


def _no_weights(found: Checkpoint) -> str | None:
    return None if any(_weights(path) for path in found.folder.iterdir()) else "it has no weights"


def _local(source: str) -> Checkpoint | None:
    """Return a local folder as a checkpoint; None where there is none of this name."""
    source = os.path.expanduser(source)  # noqa: PTH111 - of an unknown user it leaves the path as it is
    if not source or not os.path.isdir(source):  # noqa: PTH112 - Path.is_dir raises where the name is too long
        return None
    folder = Path(source)
    return hub_model_at(folder) or Checkpoint(folder, folder.resolve().name[:_LONGEST] or "model")


def check_download(found: Checkpoint, lacks: str | None = None) -> None:
    """Refuse a snapshot of the hub's cache of which an interrupted download left a part.

    Args:
        found: The snapshot.
        lacks: What the caller knows to be missing, as a clause.

    Raises:
        ModelError: A file is a link to what is not there, a shard is missing, or something else is.
    """
    for path in sorted(found.folder.rglob("*")):
        if lacks is None and path.name.endswith((*_READ, ".safetensors")) and (absent := absent_content(path)):
            lacks = f"{path.name} is {absent}"
        if lacks is None and path.name == _INDEX and not (path.parent / "model.safetensors").is_file():
            lacks = next((f"{name} is missing" for name in missing_shards(path.parent)), None)
    if lacks is not None:
        raise ModelError(
            f"the download is not complete: {lacks}",
            where=found.folder,
            got=found.name,
            hint="run the same again where the hub answers, which downloads the rest",
        )


def _weights(path: Path) -> bool:
    return path.name.endswith((".safetensors", ".safetensors.index.json", *_PICKLED))


def is_complete(folder: Path) -> bool:
    """Return whether a snapshot has all that loading needs: configuration, weights, image processor and tokenizer.

    An interrupted download leaves a part of them. All the shards that an index names have to be there, and the merges
    beside a ``vocab.json``.
    """
    names = {path.name for path in folder.iterdir() if path.is_file()}
    whole = {"tokenizer.json", "vocab.txt", "spiece.model", "sentencepiece.bpe.model"}
    return (
        {"config.json", "tokenizer_config.json"} <= names
        and bool(names & {"preprocessor_config.json", "processor_config.json"})
        and (bool(names & whole) or {"vocab.json", "merges.txt"} <= names)
        and ("vocab.json" not in names or "merges.txt" in names)
        and ("model.safetensors" in names or (_INDEX in names and not missing_shards(folder)))
    )


def missing_shards(folder: Path) -> list[str]:
    """Return the shards that the index of a checkpoint names and the folder lacks; the index where it is malformed."""
    try:
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        shards = sorted(set(index["weight_map"].values()))
        return [name for name in shards if not (folder / name).is_file()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return [_INDEX]


def _read_by_transformers(where: str, names: list[str]) -> list[str]:
    """Return the files of a repository that loading reads: never a pickle, nor weights twice.

    Raises:
        ModelError: It holds no safetensors.
    """
    above = [name for name in names if "/" not in name]
    weights = [name for name in above if name.endswith(".safetensors")]
    if "model.safetensors" in weights:
        weights = ["model.safetensors"]
    if not weights:
        raise ModelError(
            "the repository holds no safetensors weights, and pickled ones can run code",
            where=where,
            got=", ".join(name for name in above if name.endswith(_PICKLED)) or None,
            accepted="model.safetensors",
            hint=conversion_of(where),
        )
    return [*(name for name in above if name.endswith(_READ)), *weights]


def _all_but_pickles(where: str, names: list[str]) -> list[str]:
    """Return the files of a repository that a library may read.

    Raises:
        ModelError: There are none, or the only weights are pickles.
    """
    found = list(filter_repo_objects(names, ignore_patterns=list(UNREAD)))
    pickles = [name for name in names if name.endswith(_PICKLED)]
    if found and pickles and not any(name.endswith(".safetensors") for name in found):
        raise ModelError(
            "the repository holds no safetensors weights, and pickled ones can run code",
            where=where,
            got=", ".join(pickles),
            accepted="*.safetensors",
            hint=conversion_of(where),
        )
    if not found:
        raise ModelError(
            "the repository holds no files but pickles and those of other backends",
            where=where,
            accepted="config.json and *.safetensors",
            hint="name another revision: ORG/NAME@REVISION",
        )
    return found


def _with_pickled_weights(where: str, names: list[str]) -> list[str]:
    """Return the files of a repository that a conversion reads: all that a library may read, and pickled weights."""
    pickled = [n for n in names if any(re.fullmatch(one, n.rpartition("/")[2]) for _, one, _ in WEIGHTS_OF_PICKLES)]
    return [*filter_repo_objects(names, ignore_patterns=list(UNREAD)), *pickled]


def _listed_but_missing(found: Checkpoint) -> str | None:
    """Return what a snapshot lacks, as a clause, where the hub's library listed a file that is missing; else None."""
    try:
        with quiet_hub():
            snapshot_download(found.name, revision=found.commit, local_files_only=True, ignore_patterns=list(UNREAD))
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
                hint=conversion_of(folder),
            )
