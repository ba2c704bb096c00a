"""Embeddings by content: each distinct item is embedded once, in this run, and with a folder, ever.

A folder holds for every model one folder of *units*: files of some hundred vectors, each written whole or not at all,
with a digest of it and the model at its end. A unit is named after the content of its items, so that any process that
makes it makes the same file. One whose digest or name is wrong counts as absent, and is made again. It holds numbers;
nothing in it can run.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mrbench.arrays import Embeddings, Ints
from mrbench.errors import FormatVersionError, InputError, OutputError
from mrbench.files import canonical_json, no_file, output_error, read_versioned_json, write_atomic, write_json_atomic
from mrbench.models.protocol import EmbeddingModel

FORMAT, FORMAT_VERSION, MODEL = "mrbench-cache", 1, "model.json"
_MAGIC = b"MRBEMB04"  # another one where items are given to models in another way, such as images decoded anew
KEY, DIGEST, _SUFFIX = 32, 32, ".unit"  # bytes of a key and of the digest of a unit
_ABANDONED = 3600.0  # seconds after which nobody writes a temporary file any more
_POLL = 0.05
UNKNOWN = "unknown"
_SHOWN = ("name", "revision", "dtype")
MAPPED = 1 << 28  # bytes of vectors from which on they are gathered in a file and mapped


@dataclass(frozen=True, slots=True)
class Share:
    """Which part of the work is this process's: every ``processes``-th unit.

    Attributes:
        process: 0 to ``processes - 1``.
        processes: How many share the work and the folder, on one machine or several.
        patience: Seconds without a new unit after which the work of others is taken over. Doing it twice does no harm.
        workers: Processes of this process that decode and prepare images ahead of the model; 0 takes a thread.

    Raises:
        InputError: No process of them, or a negative number.
    """

    process: int = 0
    processes: int = 1
    patience: float = 300.0
    workers: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.process < self.processes and self.workers >= 0 and self.patience >= 0):
            raise InputError("malformed share", got=self, accepted="0 <= process < processes, numbers of 0 or more")

    @classmethod
    def from_environment(cls, *, patience: float = 300.0, workers: int = 0) -> Share:
        """Return what ``torchrun`` and ``accelerate launch`` say in ``RANK`` and ``WORLD_SIZE``; all, without them.

        Raises:
            InputError: They are no numbers, or the rank is not below the size.
        """
        said = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
        if not all(re.fullmatch("[0-9]{1,9}", word) for word in said) or int(said[0]) >= int(said[1]):
            raise InputError("malformed RANK or WORLD_SIZE", where="environment", got=said, accepted="0 <= RANK < SIZE")
        return cls(int(said[0]), int(said[1]), patience, workers)


def fingerprint(model: EmbeddingModel) -> dict[str, Any]:
    """Return all that decides a model's vectors but the content: a cache is good for this alone.

    Weights are named by the model's ``revision``; where a model says that this is their digest
    (``revision_is_digest``), its name is not part of the key. A model may say more in ``preprocessing`` (what it does
    to texts and pictures, its templates) and ``seed``.
    """
    kind, cut = type(model), getattr(model, "text_limit", None)
    return {
        "class": f"{kind.__module__}.{kind.__qualname__}",
        **{name: str(getattr(model, name)) for name in ("name", "revision", "dtype")},
        **{name: str(getattr(model, name, "")) for name in ("preprocessing", "seed")},
        "dimension": int(model.dimension),
        **({} if cut is None else {"text_limit": int(cut)}),
    }


class LostError(Exception):  # it is caught where vectors are gathered
    """A unit is not there any more."""


class EmbeddingStore:
    """What one model returned, by the content of what it embeds: float32, of any length.

    Args:
        model: The model.
        folder: Where to keep them; None keeps them in memory for as long as the store lives.
        share: The part of the work that is this process's.

    Raises:
        InputError: Several processes, and no folder to share.
        OutputError: The folder cannot be written.
    """

    def __init__(self, model: EmbeddingModel, folder: Path | None = None, share: Share | None = None) -> None:
        self.share = share or Share()
        if folder is None and self.share.processes > 1:
            raise InputError("several processes need a folder to share", accepted="--cache DIR")
        self._dimension = int(model.dimension)
        self._parts: list[Embeddings | Path] = []  # of a folder the files, of which any number may be there
        self._places: dict[bytes, tuple[int, int]] = {}
        self._read: set[str] = set()
        self.turn = 0  # units that were asked for
        self.absent: set[int] = set()  # processes that were waited for in vain: their part is dealt to the others
        self.fits: int | None = None  # items that fit into memory at a time, once that is known
        self.several: set[str] = set()  # labels of what had items with several images
        self._folder: Path | None = None
        if folder is not None:
            self._said = fingerprint(model)
            # Weights that are known by their digest are the same under any name, as in a folder that was renamed.
            unnamed = getattr(model, "revision_is_digest", False)
            key = {name: value for name, value in self._said.items() if name != "name" or not unnamed}
            self._model = hashlib.sha256(canonical_json(key).encode()).digest()
            self._folder = folder / self._model.hex()[:32]
            self._name()

    def __contains__(self, key: bytes) -> bool:
        return key in self._places

    def owner(self, turn: int) -> int:
        """Return which process makes a unit."""
        present = [n for n in range(self.share.processes) if n not in self.absent or n == self.share.process]
        return present[turn % len(present)]

    def refresh(self) -> None:
        """Take in what other processes and earlier runs have written since."""
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")) if self._folder else ():
            if path.name not in self._read:
                self._take(path)

    def put(self, keys: Sequence[bytes], vectors: Embeddings) -> None:
        """Keep vectors, shape ``(len(keys), dimension)``; in a folder as one unit."""
        if self._folder is None:
            self._add(keys, vectors)
            return
        path = self._folder / unit_name(keys)
        write_atomic(path, self._packed(keys, vectors))
        self._name()  # again, where the cache was cleared meanwhile
        self._take(path)

    def gather(self, keys: Sequence[bytes], more: Sequence[tuple[int, bytes]] = ()) -> Embeddings | None:
        """Return the vectors of items that were put; what is larger than memory likes, in a file without a name.

        Args:
            keys: The item of each row.
            more: Rows, each at most once, and the item whose vector is added there.

        Returns:
            float32, shape ``(len(keys), dimension)``; None where some are not there any more, since the folder was
            cleared or altered: they are then not in the store either.
        """
        found = room(len(keys), self._dimension, self._folder)
        rows = np.array([row for row, _ in more], dtype=np.int64)
        try:
            for at, vectors in self._look_up(keys):
                found[at] = vectors
            for at, vectors in self._look_up([key for _, key in more]):
                found[rows[at]] += vectors
        except LostError:
            self._forget_lost()
            return None
        return found

    def _look_up(self, keys: Sequence[bytes]) -> Iterator[tuple[Ints, Embeddings]]:
        """Yield positions of keys and their vectors, a part of the store at a time."""
        try:
            places = np.array([self._places[key] for key in keys], dtype=np.int64).reshape(-1, 2)
        except KeyError as error:
            raise LostError from error
        order = np.argsort(places[:, 0], kind="stable")
        for at in np.split(order, np.flatnonzero(np.diff(places[order, 0])) + 1):
            if len(at):
                yield at, self._vectors(self._parts[places[at[0], 0]])[places[at, 1]]

    def _vectors(self, part: Embeddings | Path) -> Embeddings:
        """Return a part's vectors; of a file checked again, since others may have altered it."""
        if not isinstance(part, Path):
            return part
        unit = self._unit(part)
        if unit is None:
            raise LostError
        return unit[1]

    def _packed(self, keys: Sequence[bytes], vectors: Embeddings) -> bytes:
        return _pack(keys, vectors, self._model)

    def _unit(self, path: Path) -> tuple[list[bytes], Embeddings] | None:
        return _unpack(path, self._dimension, self._model)

    def _forget_lost(self) -> None:
        """Forget what lay in files that are no more, or no longer whole."""
        files = {number: part for number, part in enumerate(self._parts) if isinstance(part, Path)}
        lost = {number for number, path in files.items() if self._unit(path) is None}
        self._places = {key: place for key, place in self._places.items() if place[0] not in lost}
        self._read -= {files[number].name for number in lost}

    def wait(self, units: Iterable[str]) -> set[str]:
        """Wait for units that other processes make, and return those that did not come.

        Waiting ends when all are there, or when nothing new has come for as long as the patience of the share.
        """
        left, since = set(units), time.monotonic()
        while left and time.monotonic() - since < self.share.patience:
            come = {name for name in left if self._folder and (self._folder / name).exists()}
            for name in sorted(come):
                self._take(self._folder / name)  # type: ignore[operator]
                since = time.monotonic()
            left -= come & self._read
            if left:
                time.sleep(_POLL)
        return left

    def _name(self) -> None:
        """Write whose vectors these are, where it is not written, or damaged."""
        with suppress(FormatVersionError):
            if self._folder and _said(self._folder / MODEL) is None:
                said = {"format": FORMAT, "format_version": FORMAT_VERSION, "model": self._said}
                write_json_atomic(self._folder / MODEL, said)

    def _take(self, path: Path) -> None:
        if no_file(path.stat):
            raise OutputError("the cache holds what is not a file", where=path, hint="remove it")
        unit = self._unit(path)
        if unit is None or path.name != unit_name(unit[0]):
            path.unlink(missing_ok=True)  # broken, or not what it says: it is made again
            return
        self._read.add(path.name)
        self._add(unit[0], path)

    def _add(self, keys: Sequence[bytes], part: Embeddings | Path) -> None:
        for row, key in enumerate(keys):
            self._places.setdefault(key, (len(self._parts), row))
        self._parts.append(part)


def room(rows: int, dimension: int, folder: Path | None) -> Embeddings:
    """Return space for vectors: in memory, or where there is a folder, from 256 MiB on, in a file without a name.

    Raises:
        OutputError: The folder cannot be written, or its disk is full.
    """
    size = 4 * rows * dimension
    if folder is None or size < MAPPED:
        return np.empty((rows, dimension), dtype=np.float32)
    try:
        with tempfile.TemporaryFile(dir=folder) as nameless:
            if hasattr(os, "posix_fallocate"):  # a full disk is an error here, and a crash when the map is written
                os.posix_fallocate(nameless.fileno(), 0, size)
            return np.memmap(nameless, dtype=np.float32, mode="r+", shape=(rows, dimension))
    except OSError as error:
        raise output_error(error, folder) from error


def unit_name(keys: Sequence[bytes]) -> str:
    """Return the file name of the unit that holds these items."""
    return hashlib.sha256(b"".join(keys)).hexdigest()[:32] + _SUFFIX


def _pack(keys: Sequence[bytes], vectors: Embeddings, model: bytes) -> bytes:
    """Header (magic, rows, length), keys, vectors as little-endian float32, SHA-256 of all that and the model."""
    shape = np.array(vectors.shape, dtype="<u8").tobytes()
    data = _MAGIC + shape + b"".join(keys) + np.ascontiguousarray(vectors, dtype="<f4").tobytes()
    return data + hashlib.sha256(data + model).digest()


def whole_unit(path: Path, magic: bytes, model: bytes) -> memoryview | None:
    """Return the bytes of a unit; None where it is not there, not whole, or not what it was.

    Args:
        path: The file.
        magic: What it has to begin with.
        model: Digest of the model that it is of.

    Raises:
        OutputError: It cannot be read, which is no reason to take it for a broken one.
    """
    try:
        raw = memoryview(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OutputError(f"cannot read the cache: {error.strerror or error}", where=path) from error
    if len(raw) < len(magic) + DIGEST or raw[: len(magic)] != magic:
        return None
    digest = hashlib.sha256(raw[:-DIGEST])
    digest.update(model)
    return raw if digest.digest() == raw[-DIGEST:] else None


def _unpack(path: Path, dimension: int, model: bytes) -> tuple[list[bytes], Embeddings] | None:
    """Return the keys and vectors of a cached unit; None where the file is incomplete, altered or of another model."""
    raw = whole_unit(path, _MAGIC, model)
    header = len(_MAGIC) + 16
    if raw is None or len(raw) < header + DIGEST:
        return None
    rows, length = np.frombuffer(raw, "<u8", 2, len(_MAGIC)).tolist()
    ends = header + rows * KEY, header + rows * (KEY + 4 * length)
    if length != dimension or len(raw) != ends[1] + DIGEST:
        return None
    vectors = np.frombuffer(raw, "<f4", rows * length, ends[0]).reshape(rows, length)
    return [bytes(raw[at : at + KEY]) for at in range(header, ends[0], KEY)], vectors


@dataclass(frozen=True, slots=True)
class Cached:
    """What a cache holds of one model.

    Attributes:
        folder: The model's folder.
        model: Its fingerprint.
        units: Number of files.
        bytes: Their size.
    """

    folder: Path
    model: dict[str, Any]
    units: int
    bytes: int


def cached(folder: Path) -> list[Cached]:
    """Return what a cache holds, by the model's name.

    Returns:
        One for each model; ``unknown`` where a folder of it does not say whose it is, as its ``model.json`` is damaged
        or of a newer version of MRBench.
    """
    found = []
    for path in sorted(folder.glob("*")):
        if re.fullmatch("[0-9a-f]{32}", path.name) and path.is_dir():
            files = list(_files(path))
            units = sum(not file.name.startswith(".") for file, _ in files)
            if units or (path / MODEL).exists():
                said = None
                with suppress(FormatVersionError):
                    said = _said(path / MODEL)
                size = sum(size for _, size in files)
                found.append(Cached(path, said or dict.fromkeys(_SHOWN, UNKNOWN), units, size))
    return sorted(found, key=lambda entry: (entry.model["name"], entry.folder.name))


def _said(path: Path) -> dict[str, Any] | None:
    """Return whose a folder of a cache says that it is; None where it does not say so, or in damaged words.

    Raises:
        FormatVersionError: Written by a newer version of MRBench.
    """
    try:
        raw = read_versioned_json(path, what="cache", name=FORMAT, newest=FORMAT_VERSION, error=OutputError)
        said = raw.get("model")
        if isinstance(said, dict) and all(isinstance(said.get(name), str) for name in _SHOWN):
            return said
    except OutputError:
        pass
    return None


def clear(entry: Cached) -> None:
    """Remove what a cache holds of a model, and its folder where nothing else is in it.

    Raises:
        OutputError: A file cannot be removed.
    """
    try:
        for path in [*(path for path, _ in _files(entry.folder)), entry.folder / MODEL]:
            path.unlink(missing_ok=True)
        if not entry.folder.is_symlink():
            with suppress(OSError):  # something else is in it
                entry.folder.rmdir()
    except OSError as error:
        raise OutputError(f"cannot remove: {error.strerror or error}", where=entry.folder) from error


def _files(folder: Path) -> Iterator[tuple[Path, int]]:
    """Yield the units of a model and their sizes, and those that a killed process has begun, not a running one."""
    for path in folder.glob("*"):
        if re.fullmatch(rf"[0-9a-f]{{32}}\{_SUFFIX}|\.([0-9a-f]{{32}}\{_SUFFIX}|{MODEL})\..*", path.name):
            with suppress(FileNotFoundError):  # others write, rename and remove meanwhile
                found = path.stat()
                begun = path.name.startswith(".") and time.time() - found.st_mtime < _ABANDONED
                if stat.S_ISREG(found.st_mode) and not begun:
                    yield path, found.st_size
