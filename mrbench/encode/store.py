"""The embedding store: each distinct item is embedded once in a run, and with a cache folder only once ever.

A cache folder holds one folder for each model. That holds *units*: files of a few hundred vectors, each written whole
or not at all, and ending with a digest of the unit and the model. The name of a unit comes from the content of its
items, so every process that makes the unit makes the same file. A unit with a wrong digest or name is made again. Units
hold numbers only; no code can run from them.
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
_MAGIC = b"MRBEMB04"  # changes when models get other input for the same item, such as images decoded otherwise
KEY, DIGEST, _SUFFIX = 32, 32, ".unit"  # bytes of a key and of the digest of a unit
_ABANDONED = 3600.0  # seconds after which a temporary file counts as left behind
_POLL = 0.05
UNKNOWN = "unknown"
_SHOWN = ("name", "revision", "dtype")
MAPPED = 1 << 28  # bytes of vectors from which on they are gathered in a file and mapped


@dataclass(frozen=True, slots=True)
class Share:
    """This process's part of the work: every ``processes``-th unit.

    Attributes:
        process: 0 to ``processes - 1``.
        processes: Number of processes that share the work and the folder, on one machine or several.
        patience: Seconds to wait for a new unit of another process before taking over its share. Embedding a unit twice
            does no harm.
        workers: Worker processes that decode and prepare images ahead of the model; 0 uses a thread.

    Raises:
        InputError: A number is negative, or ``process`` is not below ``processes``.
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
        """Return the share that ``torchrun`` or ``accelerate launch`` sets by ``RANK`` and ``WORLD_SIZE``, or all work.

        Raises:
            InputError: They are not numbers, or the rank is not below the size.
        """
        said = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
        if not all(re.fullmatch("[0-9]{1,9}", word) for word in said) or int(said[0]) >= int(said[1]):
            what, hint = "malformed RANK or WORLD_SIZE", "start with torchrun or accelerate launch, or unset both"
            raise InputError(what, where="environment", got=said, accepted="0 <= RANK < WORLD_SIZE", hint=hint)
        return cls(int(said[0]), int(said[1]), patience, workers)


def fingerprint(model: EmbeddingModel) -> dict[str, Any]:
    """Return everything besides an item's content that decides its vector. It is the key of a model's cache.

    The model's ``revision`` identifies the weights. Where it is their digest (``revision_is_digest``), the model's name
    is not part of the key. ``preprocessing`` (of texts and pictures, templates) and ``seed`` are part of it if the
    model has them.
    """
    kind, cut = type(model), getattr(model, "text_limit", None)
    return {
        "class": f"{kind.__module__}.{kind.__qualname__}",
        **{name: str(getattr(model, name)) for name in ("name", "revision", "dtype")},
        **{name: str(getattr(model, name, "")) for name in ("preprocessing", "seed")},
        "dimension": int(model.dimension),
        **({} if cut is None else {"text_limit": int(cut)}),
    }


class LostError(Exception):  # caught where vectors are gathered
    """A unit has been removed or altered."""


class EmbeddingStore:
    """The embeddings of one model, keyed by the content of the items: float32, not normalised.

    Args:
        model: The model.
        folder: Where to keep the embeddings; None keeps them in memory while the store lives.
        share: This process's part of the work.

    Raises:
        InputError: Several processes have no folder to share.
        OutputError: The folder cannot be written.
    """

    def __init__(self, model: EmbeddingModel, folder: Path | None = None, share: Share | None = None) -> None:
        self.share = share or Share()
        if folder is None and self.share.processes > 1:
            hint = "add --cache DIR, a folder that all of them see"
            raise InputError("several processes need a folder to share", hint=hint)
        self._dimension = int(model.dimension)
        self._parts: list[Embeddings | Path] = []  # with a folder, its files, which are opened one at a time
        self._rows_of: dict[bytes, tuple[int, int]] = {}
        self._read: set[str] = set()
        self.turn = 0  # number of units so far
        self.absent: set[int] = set()  # processes whose units did not come in time: the others take over their share
        self.fits: int | None = None  # items that fit into memory at a time, once known
        self.several: set[str] = set()  # labels of record sets that had items with several images
        self._folder: Path | None = None
        if folder is not None:
            self._said = fingerprint(model)
            # Weights identified by their digest are the same under any name, as when their folder was renamed.
            unnamed = getattr(model, "revision_is_digest", False)
            key = {name: value for name, value in self._said.items() if name != "name" or not unnamed}
            self._model = hashlib.sha256(canonical_json(key).encode()).digest()
            self._folder = folder / self._model.hex()[:32]
            self._name()

    def __contains__(self, key: bytes) -> bool:
        return key in self._rows_of

    def owner(self, turn: int) -> int:
        """Return the process that makes the unit with this number."""
        present = [n for n in range(self.share.processes) if n not in self.absent or n == self.share.process]
        return present[turn % len(present)]

    def refresh(self) -> None:
        """Read the units that other processes and earlier runs have written."""
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")) if self._folder else ():
            if path.name not in self._read:
                self._take(path)

    def put(self, keys: Sequence[bytes], vectors: Embeddings) -> None:
        """Keep vectors, shape ``(len(keys), dimension)``; in a folder they become one unit."""
        if self._folder is None:
            self._add(keys, vectors)
            return
        path = self._folder / unit_name(keys)
        write_atomic(path, self._packed(keys, vectors))
        self._name()  # again, in case the cache was cleared meanwhile
        self._take(path)

    def gather(self, keys: Sequence[bytes], more: Sequence[tuple[int, bytes]] = ()) -> Embeddings | None:
        """Return the vectors of stored items. With a folder, 256 MiB or more are mapped from an unnamed file.

        Args:
            keys: The item of each row.
            more: Rows, each at most once, with the item whose vector is added to that row.

        Returns:
            float32, shape ``(len(keys), dimension)``. None if some items have been removed because the folder was
            cleared or altered; the store then no longer contains them.
        """
        gathered = room(len(keys), self._dimension, self._folder)
        rows = np.array([row for row, _ in more], dtype=np.int64)
        try:
            for at, vectors in self._look_up(keys):
                gathered[at] = vectors
            for at, vectors in self._look_up([key for _, key in more]):
                gathered[rows[at]] += vectors
        except LostError:
            self._forget_lost()
            return None
        return gathered

    def _look_up(self, keys: Sequence[bytes]) -> Iterator[tuple[Ints, Embeddings]]:
        """Yield the positions of keys and their vectors, one part of the store at a time."""
        try:
            rows = np.array([self._rows_of[key] for key in keys], dtype=np.int64).reshape(-1, 2)
        except KeyError as error:
            raise LostError from error
        order = np.argsort(rows[:, 0], kind="stable")
        for at in np.split(order, np.flatnonzero(np.diff(rows[order, 0])) + 1):
            if len(at):
                yield at, self._vectors(self._parts[rows[at[0], 0]])[rows[at, 1]]

    def _vectors(self, part: Embeddings | Path) -> Embeddings:
        """Return a part's vectors. A file is checked again, since other processes may have altered it."""
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
        """Forget the items of files that are gone or damaged."""
        files = {number: part for number, part in enumerate(self._parts) if isinstance(part, Path)}
        lost = {number for number, path in files.items() if self._unit(path) is None}
        self._rows_of = {key: row for key, row in self._rows_of.items() if row[0] not in lost}
        self._read -= {files[number].name for number in lost}

    def wait(self, units: Iterable[str]) -> set[str]:
        """Wait until other processes have written some cache units, and return the units that are still missing.

        Waiting ends when all are there, or when no new unit has come for ``share.patience`` seconds.
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
        """Write the model's fingerprint into the folder unless it is there and sound."""
        with suppress(FormatVersionError):
            if self._folder and _said(self._folder / MODEL) is None:
                said = {"format": FORMAT, "format_version": FORMAT_VERSION, "model": self._said}
                write_json_atomic(self._folder / MODEL, said)

    def _take(self, path: Path) -> None:
        if no_file(path.stat):
            hint = f"remove it, or choose another folder than {self._folder.parent if self._folder else path.parent}"
            raise OutputError("the cache holds what is not a file", where=path, hint=hint)
        unit = self._unit(path)
        if unit is None or path.name != unit_name(unit[0]):
            path.unlink(missing_ok=True)  # damaged or renamed: it is made again
            return
        self._read.add(path.name)
        self._add(unit[0], path)

    def _add(self, keys: Sequence[bytes], part: Embeddings | Path) -> None:
        for row, key in enumerate(keys):
            self._rows_of.setdefault(key, (len(self._parts), row))
        self._parts.append(part)


def room(rows: int, dimension: int, folder: Path | None) -> Embeddings:
    """Return an empty array for vectors: in memory, or with a folder and from 256 MiB on, mapped from an unnamed file.

    Raises:
        OutputError: The folder cannot be written, or its disk is full.
    """
    size = 4 * rows * dimension
    if folder is None or size < MAPPED:
        return np.empty((rows, dimension), dtype=np.float32)
    try:
        with tempfile.TemporaryFile(dir=folder) as nameless:
            if hasattr(os, "posix_fallocate"):  # a full disk is an error here; writing to the map would crash
                os.posix_fallocate(nameless.fileno(), 0, size)
            return np.memmap(nameless, dtype=np.float32, mode="r+", shape=(rows, dimension))
    except OSError as error:
        raise output_error(error, folder) from error


def unit_name(keys: Sequence[bytes]) -> str:
    """Return the file name of the unit that holds these items."""
    return hashlib.sha256(b"".join(keys)).hexdigest()[:32] + _SUFFIX


def _pack(keys: Sequence[bytes], vectors: Embeddings, model: bytes) -> bytes:
    """Return a unit: header (magic, rows, length), keys, vectors as little-endian float32, and a SHA-256.

    The digest covers all before it and the model.
    """
    shape = np.array(vectors.shape, dtype="<u8").tobytes()
    data = _MAGIC + shape + b"".join(keys) + np.ascontiguousarray(vectors, dtype="<f4").tobytes()
    return data + hashlib.sha256(data + model).digest()


def whole_unit(path: Path, magic: bytes, model: bytes) -> memoryview | None:
    """Return the bytes of a unit; None if it is missing, incomplete or altered.

    Args:
        path: The file.
        magic: The bytes that it must begin with.
        model: Digest of the model whose vectors it should hold.

    Raises:
        OutputError: It cannot be read. It may be sound, so it is not treated as damaged.
    """
    try:
        raw = memoryview(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        hint = "let this user read the file, remove it, or choose another --cache"
        raise OutputError(f"cannot read the cache: {error.strerror or error}", where=path, hint=hint) from error
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
    """The part of a cache that belongs to one model.

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
    """Return the contents of a cache, sorted by model name.

    Returns:
        One entry for each model. The model is ``unknown`` where a folder's ``model.json`` is damaged or of a newer
        version of MRBench.
    """
    entries = []
    for path in sorted(folder.glob("*")):
        if re.fullmatch("[0-9a-f]{32}", path.name) and path.is_dir():
            files = list(_files(path))
            units = sum(not file.name.startswith(".") for file, _ in files)
            if units or (path / MODEL).exists():
                said = None
                with suppress(FormatVersionError):
                    said = _said(path / MODEL)
                size = sum(size for _, size in files)
                entries.append(Cached(path, said or dict.fromkeys(_SHOWN, UNKNOWN), units, size))
    return sorted(entries, key=lambda entry: (entry.model["name"], entry.folder.name))


def _said(path: Path) -> dict[str, Any] | None:
    """Return the fingerprint in a folder of a cache; None where it is missing or damaged.

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
    """Remove the units of a model from a cache, and its folder if nothing else is in it.

    Raises:
        OutputError: A file cannot be removed.
    """
    try:
        for path in [*(path for path, _ in _files(entry.folder)), entry.folder / MODEL]:
            path.unlink(missing_ok=True)
        if not entry.folder.is_symlink():
            with suppress(OSError):  # the folder holds something else
                entry.folder.rmdir()
    except OSError as error:
        hint = "let this user write in the folder, and run the command again"
        raise OutputError(f"cannot remove: {error.strerror or error}", where=entry.folder, hint=hint) from error


def _files(folder: Path) -> Iterator[tuple[Path, int]]:
    """Yield the units of a model with their sizes, and the unfinished ones of killed processes, not of running ones."""
    for path in folder.glob("*"):
        if re.fullmatch(rf"[0-9a-f]{{32}}\{_SUFFIX}|\.([0-9a-f]{{32}}\{_SUFFIX}|{MODEL})\..*", path.name):
            with suppress(FileNotFoundError):  # other processes may write, rename and remove files meanwhile
                entry = path.stat()
                begun = path.name.startswith(".") and time.time() - entry.st_mtime < _ABANDONED
                if stat.S_ISREG(entry.st_mode) and not begun:
                    yield path, entry.st_size
