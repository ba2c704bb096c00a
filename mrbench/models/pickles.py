"""``mrbench models convert``: a checkpoint whose weights are pickles, written again with safetensors."""

from __future__ import annotations

import json
import re
import shutil
import warnings
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save

from mrbench.errors import MissingExtraError, ModelError, OutputError, out_of_memory
from mrbench.files import absent_content, walk_files
from mrbench.folders import FolderKind, replaced_folder
from mrbench.models.checkpoint_folders import PICKLES, UNREAD, WEIGHTS_OF_PICKLES, find_with_pickles
from mrbench.models.pretrained import loading

_INDEX = "pytorch_model.bin.index.json"
_SAFE_FROM = (2, 6)  # before that torch.load(weights_only=True) could be made to run code (CVE-2025-32434)
_KIND = FolderKind("config.json", "(?!)")  # never replaced: the output has to be new or empty
_GLOBAL = re.compile(r"GLOBAL (\S+)")  # what torch.load says that a pickle would have built
_INDEX_FORM = '{"weight_map": {NAME: FILE}}'
_AGAIN = "download the file again, and compare its size with that at its source"
_STATE_DICT = "save the weights alone with the code that wrote it: torch.save(model.state_dict(), FILE)"


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
        raise OutputError(
            "the output folder is not empty",
            where=output,
            accepted="a new or empty folder",
            hint="choose another --output",
        )
    path = Path(source).expanduser()
    if path.suffix == ".safetensors" and path.is_file():
        hint = "give its folder to mrbench models check"
        raise ModelError("the file is one of safetensors, which needs no conversion", where=path, hint=hint)
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
        hint = "give one file of weights itself, whatever its name"
        raise ModelError("there are no pickled weights to convert", where=source, accepted=accepted, hint=hint)
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
        said = _index(path)
        renamed = {key: _converted(path.parent, name) for key, name in said["weight_map"].items()}
        target.write_text(json.dumps(said | {"weight_map": renamed}, indent=2, sort_keys=True), encoding="utf-8")
        return
    tensors = _tensors(path, _read(path))
    with loading(str(path), "the weights"):
        target.write_bytes(save(tensors, metadata={"format": "pt"}))  # a file of save_file only its owner may read


def _index(path: Path) -> dict[str, Any]:
    """Return the index of a checkpoint's shards, whose ``weight_map`` says which file holds which tensor.

    Raises:
        ModelError: It is no such index, or names a file that is no pickle of weights beside it.
    """
    try:
        said: Any = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(
            "the index of the weights is not JSON", where=path, got=str(error), accepted=_INDEX_FORM, hint=_AGAIN
        ) from error
    shards = said.get("weight_map") if isinstance(said, dict) else None
    if not isinstance(shards, dict) or not shards:
        got = "null" if said is None else said
        raise ModelError("malformed index of weights", where=path, got=got, accepted=_INDEX_FORM, hint=_AGAIN)
    for name in shards.values():
        beside = isinstance(name, str) and Path(name).name == name and (path.parent / name).is_file()
        if not beside or _converted(path.parent, name) is None:
            raise ModelError(
                "the index names no shard of the folder",
                where=path,
                got=name,
                accepted="a file beside it",
                hint="put the shard there, or correct the index",
            )
    found: dict[str, Any] = said
    return found


def _read(path: Path) -> Any:
    """Return what a pickle holds, without running code of it.

    Raises:
        ModelError: Its content is missing or damaged, or it holds objects that only code could build.
    """
    absent = absent_content(path)
    if absent:
        raise ModelError(f"the file of weights is {absent}", where=path, hint=_AGAIN)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch, about formats
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises whatever it likes, with advice that nobody should follow
        if out_of_memory(error):
            raise
        raise _unreadable(path, str(error)) from error


def _unreadable(path: Path, said: str) -> ModelError:
    """Return the error of a file that ``torch.load`` cannot read, by what it said."""
    needed = _GLOBAL.search(said)
    if needed:
        return ModelError(
            "the pickle holds more than tensors, and reading it would run code",
            where=path,
            got=needed[1],
            accepted="tensors by name",
            hint=_STATE_DICT,
        )
    if "TorchScript" in said:
        hint = "load it with torch.jit.load where you trust it, and save its state_dict() with torch.save"
        return ModelError("the file is a program of TorchScript", where=path, accepted="tensors by name", hint=hint)
    with path.open("rb") as stream:
        start = stream.read(16)
    got = f"{path.stat().st_size} bytes, which begin with {start!r}"
    accepted = "what torch.save wrote, whole"
    return ModelError(
        "the file is damaged or no file of torch.save", where=path, got=got, accepted=accepted, hint=_AGAIN
    )


def _tensors(path: Path, held: Any) -> dict[str, torch.Tensor]:
    """Return the tensors of a file by name, each with memory of its own.

    Training scripts write them below ``state_dict``, and put ``module.`` before each name.

    Raises:
        ModelError: It holds something else, or tensors of a kind that safetensors cannot hold.
    """
    held = held.get("state_dict", held) if isinstance(held, dict) else held
    others = {} if not isinstance(held, dict) else {n: one for n, one in held.items() if not _is_tensor(one)}
    if not isinstance(held, dict) or not held or others:
        named = ", ".join(f"{name}: {type(one).__name__}" for name, one in others.items())
        raise ModelError(
            "the pickle holds something else than tensors by name",
            where=path,
            got=named or ("nothing" if held == {} else type(held).__name__),
            accepted="tensors by name, at the top or below state_dict",
            hint=_STATE_DICT,
        )
    for name, one in held.items():
        if not isinstance(name, str) or name == "__metadata__":  # safetensors keeps this one for itself
            raise ModelError(
                "a tensor has a name that safetensors cannot hold",
                where=path,
                got=name,
                accepted="a text",
                hint="rename it, and save the file again",
            )
        kind = _unfit(one)
        if kind:
            raise ModelError(
                "safetensors cannot hold a tensor of this kind",
                where=f"{path}, {name}",
                got=kind,
                accepted="dense tensors of floats, integers or booleans",
                hint="turn it into one with the library that wrote it, and save the state dict again",
            )
    wrapped = all(name.startswith("module.") for name in held)
    return {name.removeprefix("module.") if wrapped else name: one.clone().contiguous() for name, one in held.items()}


def _is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)


def _unfit(tensor: torch.Tensor) -> str | None:
    """Return why safetensors cannot hold a tensor, as a word or two; None where it can."""
    if tensor.is_nested or tensor.layout != torch.strided:
        return "nested" if tensor.is_nested else str(tensor.layout).removeprefix("torch.")
    if tensor.is_meta:
        return "without values (meta)"
    try:
        save({"a": torch.empty(0, dtype=tensor.dtype)})
    except (KeyError, ValueError, RuntimeError, SafetensorError):
        return str(tensor.dtype).removeprefix("torch.")
    return None
