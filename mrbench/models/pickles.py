"""``mrbench models convert``: a checkpoint whose weights are pickles, written again with safetensors."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from mrbench.errors import MissingExtraError, ModelError, OutputError
from mrbench.files import walk_files
from mrbench.folders import FolderKind, replaced_folder
from mrbench.models.checkpoint_folders import PICKLES, UNREAD, WEIGHTS_OF_PICKLES, find_with_pickles
from mrbench.models.pretrained import loading

_INDEX = "pytorch_model.bin.index.json"
_SAFE_FROM = (2, 6)  # before that torch.load(weights_only=True) could be made to run code (CVE-2025-32434)
_KIND = FolderKind("config.json", "(?!)")  # never replaced: the output has to be new or empty


@dataclass(frozen=True, slots=True)
class Conversion:
    """What was converted.

    Attributes:
        folder: The folder that was written.
        weights: The files of weights that were written, below the folder.
        left: The pickles that hold no weights by a known name, and are not in the folder.
    """

    folder: Path
    weights: tuple[str, ...]
    left: tuple[str, ...]


def convert(source: str, output: Path) -> Conversion:
    """Write a checkpoint again with its pickled weights as safetensors; every other file is copied.

    A pickle is read with ``torch.load(weights_only=True)``, which builds tensors and runs no code of the file. Nothing
    else of MRBench reads a pickle of a checkpoint.

    Args:
        source: A folder; ``ORG/NAME`` or ``ORG/NAME@REVISION`` of the hub; or one file of weights.
        output: The folder to write, new or empty.

    Raises:
        InputError: Neither a file, nor a folder, nor of the form of a hub id.
        MissingExtraError: A torch older than 2.6.
        ModelError: No pickled weights, a file that is damaged or holds more than tensors, or no such model.
        OutputError: The output holds something, or cannot be written.
    """
    if tuple(int(part) for part in torch.__version__.split(".")[:2]) < _SAFE_FROM:
        raise MissingExtraError("a safe reader of pickles needs torch 2.6", hint='pip install "torch>=2.6"')
    if output.is_dir() and any(output.iterdir()):
        raise OutputError("the output folder is not empty", where=output, accepted="a new or empty folder")
    path = Path(source).expanduser()
    if path.is_file():
        folder, found = path.parent, {path.name: f"{path.stem}.safetensors"}
        kept: list[str] = []
    else:
        folder = find_with_pickles(source).folder
        names = [file.relative_to(folder).as_posix() for file in walk_files(folder) if _below(file, folder)]
        found = {name: new for name in names if (new := _converted(folder, name))}
        kept = [name for name in names if not any(fnmatch(name, one) for one in UNREAD) and Path(name).name != _INDEX]
    if not found:
        accepted = ", ".join(named for named, _, _ in WEIGHTS_OF_PICKLES)
        raise ModelError("there are no pickled weights to convert", where=source, accepted=accepted)
    with replaced_folder(output, _KIND, overwrite=False) as made:
        for name in kept:
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, made / name)
        for name, new in found.items():
            (made / new).parent.mkdir(parents=True, exist_ok=True)
            _write(folder / name, made / new)
    left = [] if path.is_file() else [n for n in names if n not in found and any(fnmatch(n, one) for one in PICKLES)]
    return Conversion(output, tuple(found.values()), tuple(left))


def _below(file: Path, folder: Path) -> bool:
    """Return whether no folder on the way to a file is a link: what such a link leads to is not the checkpoint's."""
    return not any(part.is_symlink() for part in file.parents if part.is_relative_to(folder) and part != folder)


def _converted(folder: Path, name: str) -> str | None:
    """Return the name that the weights in a pickle, or their index, get; None for what is converted by nobody.

    Weights that lie beside safetensors are not read by anybody.
    """
    path = Path(name)
    if any((folder / path.parent).glob("*.safetensors")):
        return None
    if path.name == _INDEX:
        return (path.parent / "model.safetensors.index.json").as_posix()
    for _, pattern, new in WEIGHTS_OF_PICKLES:
        if re.fullmatch(pattern, path.name):
            return (path.parent / re.sub(pattern, new, path.name)).as_posix()
    return None


def _write(path: Path, target: Path) -> None:
    """Write one pickle as safetensors, or an index of pickles as one of safetensors."""
    if path.name == _INDEX:
        with loading(str(path.parent), path.name):
            said = json.loads(path.read_text(encoding="utf-8"))
            renamed = {key: _converted(path.parent, name) for key, name in _shards(path, said).items()}
            target.write_text(json.dumps(said | {"weight_map": renamed}, indent=2, sort_keys=True), encoding="utf-8")
        return
    with loading(str(path), "the pickle"):
        held = torch.load(path, map_location="cpu", weights_only=True)
        # Not save_file, whose file only its owner may read, whatever the umask.
        target.write_bytes(save(_tensors(path, held), metadata={"format": "pt"}))


def _shards(path: Path, said: Any) -> dict[str, str]:
    """Return which shard holds which tensor, by the index of a checkpoint.

    Raises:
        ModelError: It is no such index, or names a file that is no pickle of weights beside it.
    """
    shards = said.get("weight_map") if isinstance(said, dict) else None
    if not isinstance(shards, dict) or not shards:
        raise ModelError("malformed index of weights", where=path, accepted='{"weight_map": {NAME: FILE}}')
    for name in shards.values():
        beside = isinstance(name, str) and Path(name).name == name and (path.parent / name).is_file()
        if not beside or _converted(path.parent, name) is None:
            raise ModelError(
                "the index names no shard of the folder", where=path, got=name, accepted="a file beside it"
            )
    return shards


def _tensors(path: Path, held: Any) -> dict[str, torch.Tensor]:
    """Return the tensors of a file by name, each with memory of its own.

    Training scripts write them below ``state_dict``, and put ``module.`` before each name.

    Raises:
        ModelError: It holds something else.
    """
    held = held.get("state_dict", held) if isinstance(held, dict) else held
    if not isinstance(held, dict) or not held or not all(isinstance(one, torch.Tensor) for one in held.values()):
        raise ModelError("the pickle holds something else than tensors by name", where=path, got=type(held).__name__)
    for name in held:
        if not isinstance(name, str) or name == "__metadata__":  # safetensors keeps this one for itself
            raise ModelError(
                "a tensor has a name that safetensors cannot hold", where=path, got=name, accepted="a text"
            )
    wrapped = all(name.startswith("module.") for name in held)
    return {name.removeprefix("module.") if wrapped else name: one.clone().contiguous() for name, one in held.items()}
