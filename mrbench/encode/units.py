"""Embeds each distinct text and image once, in cache units that processes share and the store keeps."""

from __future__ import annotations

import gc
import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
from tqdm import tqdm

from mrbench.arrays import joined
from mrbench.encode.batches import (
    GPU_TEXTS,
    TEXTS,
    Embed,
    Pending,
    WithinMemory,
    batches,
    images_of,
    in_order,
    read_ahead,
)
from mrbench.encode.ragged_store import open_store
from mrbench.encode.store import EmbeddingStore, unit_name
from mrbench.errors import BenchmarkError, ModelError, OutputError
from mrbench.models.protocol import EmbeddingModel, is_multi_vector, on_gpu, takes_several_images
from mrbench.records import Candidate, Query
from mrbench.search.vectors import unit_rows, unit_vectors

WINDOW = 16_384  # most parts of records whose texts are sorted together
WINDOW_BYTES = 1 << 26  # most bytes of their images
FIRST_WINDOW = 4096  # the first window is small, so that the model starts sooner
AHEAD = 2  # batches that a model may still be embedding when it gets the next one
TOGETHER = -1  # marks a record with several images that a model takes together
_TRIES = 3  # attempts to embed items that the cache lost meanwhile: it may be cleared once, but not again and again
_FROZEN = 10_000  # frozen objects: with fewer, only Python itself has frozen some at its start
SEVERAL = 32  # parts with images in a cache unit of a multi-vector model: each may become a thousand vectors
UNIT = 256  # parts with images in a cache unit; of texts a unit has TEXTS or GPU_TEXTS
Record = TypeVar("Record", Query, Candidate)


def encode_records(
    model: EmbeddingModel,
    records: Callable[[], Iterator[Record]],
    total: int,
    label: str,
    embed: Embed,
    store: EmbeddingStore | None,
) -> tuple[list[str], Any]:
    """Embed the records that the store lacks, unit by unit, and return the vectors of all.

    The store keeps the model's output. If a model adds the vectors of image and text, each of the two is embedded
    alone, so that the picture that a query shares with its variants is embedded once. A record with several images is
    embedded whole if the model takes several. Otherwise each image is embedded with the text, and the record's vector
    is the mean of the unit vectors. Units are dealt to the processes in turn. The content of a unit depends on the
    records and on the store at the start, never on other processes.

    Args:
        model: The model.
        records: Returns an iterator from the first record, every time it is called.
        total: Number of records.
        label: Name of the records for messages.
        embed: Starts to embed records, given with their items; returns a function that waits for the vectors.
        store: Where vectors are kept; None forgets them.

    Returns:
        The ids, and the unit vectors of all, shape ``(total, model.dimension)``; or :class:`mrbench.arrays.Ragged`.

    Raises:
        BenchmarkError: The number of records is not ``total``, or an image cannot be decoded.
        ModelError: The model returned vectors that cannot be scored.
        OutputError: The cache cannot be read or written, or loses its units.
    """
    store = open_store(model) if store is None else store
    turn = store.turn
    single, sizes = [], []  # type: tuple[list[int], list[int]]
    ids, keys = [], []  # type: tuple[list[str], list[bytes]]

    def units() -> Iterator[_Unit]:
        store.turn = turn
        for one in (single, sizes, ids, keys):
            one.clear()
        return _units(model, _parts(model, _single(model, records(), single), sizes), store, ids, keys)

    def make_lacking() -> None:
        late: set[str] | None = None  # units that other processes did not make in time; None before the first wait
        while late is None or late:
            others: dict[str, int] = {}
            named = f"{model.name}: {label}"
            with set_aside(), tqdm(total=total, desc=named, unit="item", leave=False, disable=None) as progress:
                tell = partial(_tell, progress, single)
                _embed_units(model, _own(units(), store, late, others, tell), embed, store)
            late = store.wait(others)
            store.absent.update(others[name] for name in late)

    for _ in range(_TRIES):
        store.refresh()
        make_lacking()
        if len(single) != total:
            raise BenchmarkError("records are missing", where=label, got=len(single), accepted=total)
        starts = np.cumsum([0, *sizes])[:-1].tolist()
        second = [(row, keys[starts[row] + 1]) for row, size in enumerate(sizes) if size == 2]
        kept = store.gather([keys[start] for start in starts], second)
        if kept is not None:
            if any(number != 1 for number in single):
                store.several.add(label)
            ids = [ids[start] for start in starts]
            return _averaged(ids, unit_rows(kept, ids, model.name), single, model.name)
    what = "the cache does not keep what is written there"
    raise OutputError(what, where=label, hint="choose another folder for --cache")


@contextmanager
def set_aside() -> Iterator[None]:
    """Exclude existing objects from garbage collection during the block, unless the caller has done so.

    A collection of all objects of torch and transformers takes 0.4 s, about once in ten thousand texts.
    """
    nobody = gc.get_freeze_count() < _FROZEN
    if nobody:
        gc.freeze()
    try:
        yield
    finally:
        if nobody:
            gc.unfreeze()


def _single(model: EmbeddingModel, records: Iterator[Record], single: list[int]) -> Iterator[Record]:
    """Yield the records to embed, with several images split if need be, and append to ``single`` how each was split.

    That is 1 for a record as it is, the number of its images if the model takes them one by one, or -1 if the model
    takes several together.
    """
    together = takes_several_images(model)
    for record in records:
        images = images_of(record)
        if len(images) < 2 or together:
            single.append(1 if len(images) < 2 else TOGETHER)
            yield record
            continue
        if is_multi_vector(model):
            where = f"{model.name}, {record.id}"
            what = "an item has several images, and a multi-vector model takes one: vectors of several have no mean"
            hint = "name other tasks with --task, or take a model of one vector an item"
            raise ModelError(what, where=where, got=f"{len(images)} images", accepted="one image an item", hint=hint)
        single.append(len(images))
        for image in images:
            yield replace(record, image=image, more_images=())


def _averaged(ids: list[str], vectors: Any, single: list[int], name: str) -> tuple[list[str], Any]:
    """Return ids and unit vectors of records. The vector of a record with several rows is their normalised mean.

    Raises:
        ModelError: The rows of a record add up to nothing.
    """
    counts = np.abs(np.array(single, dtype=np.int64))
    if len(counts) == len(ids):  # one row each
        return ids, vectors
    starts = np.cumsum(counts) - counts
    ids = [ids[start] for start in starts.tolist()]
    averaged = vectors[starts]
    some = np.flatnonzero(counts > 1)
    ends = starts + counts
    means = np.array([vectors[starts[row] : ends[row]].mean(axis=0, dtype=np.float64) for row in some.tolist()])
    averaged[some] = unit_vectors(means.astype(np.float32), [ids[row] for row in some.tolist()], name)
    return ids, averaged


def _parts(model: EmbeddingModel, records: Iterator[Record], sizes: list[int]) -> Iterator[Record]:
    """Yield the parts to embed, and append to ``sizes`` the number of parts of each record: 1, or 2 to be added."""
    for record in records:
        if getattr(model, "additive", False) and record.text is not None and record.image is not None:
            sizes.append(2)
            yield replace(record, image=None, more_images=())
            yield replace(record, text=None)
        else:
            sizes.append(1)
            yield record


@dataclass(frozen=True, slots=True)
class _Unit:
    """Parts of records that the store lacks.

    Attributes:
        turn: Its number among all units of the store.
        records: The parts, their texts sorted.
        keys: Their keys.
    """

    turn: int
    records: list[Any]
    keys: list[bytes]


def _units(
    model: EmbeddingModel, parts: Iterator[Any], store: EmbeddingStore, ids: list[str], keys: list[bytes]
) -> Iterator[_Unit]:
    """Yield the units of the parts that the store lacks, for all processes, and append ids and keys of all parts."""
    seen: set[bytes] = set()
    most = min(FIRST_WINDOW, WINDOW)
    while window := _window(parts, most):
        most = WINDOW
        mine = [_key(model, record) for record in window]
        ids += [record.id for record in window]
        keys += mine
        # The records and the kind of device alone decide the units, so a unit is in the store whole or not at all.
        first = {key: row for row, key in reversed(list(enumerate(mine))) if key not in seen}
        seen.update(first)
        rows = sorted(first.values())
        texts = [window[row].text for row in rows]
        rows = [rows[at] for at in in_order(texts)]
        start = 0
        while start < len(rows):
            pictures = SEVERAL if is_multi_vector(model) else UNIT
            size = pictures if window[rows[start]].image is not None else GPU_TEXTS if on_gpu(model) else TEXTS
            lacking = [row for row in rows[start : start + size] if mine[row] not in store]
            if lacking:
                yield _Unit(store.turn, [window[row] for row in lacking], [mine[row] for row in lacking])
            store.turn += 1
            start += size


def _window(parts: Iterator[Record], most: int) -> list[Record]:
    """Return the next parts, as many as the two limits allow."""
    window: list[Record] = []
    size = 0
    for part in parts:
        window.append(part)
        size += sum(image.size for image in images_of(part))
        if len(window) == most or size >= WINDOW_BYTES:
            break
    return window


def _own(
    units: Iterator[_Unit],
    store: EmbeddingStore,
    wanted: set[str] | None,
    others: dict[str, int],
    tell: Callable[[], None],
) -> Iterator[_Unit]:
    """Yield this process's units (only wanted ones, if given), and record the owners of the other units by name."""
    for unit in units:
        name, owner = unit_name(unit.keys), store.owner(unit.turn)
        if wanted is None or name in wanted:
            if owner == store.share.process:
                yield unit
            else:
                others[name] = owner
        tell()


def _tell(progress: Any, single: list[int]) -> None:
    progress.update(len(single) - progress.n)


def _embed_units(model: EmbeddingModel, units: Iterator[_Unit], embed: Embed, store: EmbeddingStore) -> None:
    """Embed units, reading ahead of the model, and store each unit when it is done."""
    waiting: deque[_Unit] = deque()
    pending: deque[Pending] = deque()

    def made() -> Iterator[list[Any]]:
        for unit in units:
            waiting.append(unit)
            yield from batches(unit.records, gpu=on_gpu(model))

    fitting = WithinMemory(embed, store.fits)
    vectors: list[Any] = []

    def finish(ahead: int) -> None:
        """Wait for the vectors of all batches but the last ``ahead``, and store the units that are complete."""
        while len(pending) > ahead:
            vectors.append(pending.popleft()())
            if sum(map(len, vectors)) == len(waiting[0].records):
                store.put(waiting.popleft().keys, joined(vectors))
                vectors.clear()

    prepare, prepare_texts = (getattr(model, name, None) for name in ("prepare", "prepare_texts"))
    for batch, items in read_ahead(made(), prepare, store.share.workers, prepare_texts):
        for part in fitting(batch, items):
            pending.append(part)
            store.fits = fitting.size
            finish(AHEAD)
    finish(0)


def _key(model: EmbeddingModel, record: Query | Candidate) -> bytes:
    """Return the digest of a model's input: content, and side and instruction if the model uses them."""
    side = "candidate" if isinstance(record, Candidate) else f"query {record.instruction}"
    parts = ["" if getattr(model, "symmetric", False) else side, "-" if record.text is None else f"+{record.text}"]
    digest = hashlib.sha256()
    pictures = [b"+" + image.data for image in images_of(record)] or [b"-"]
    for part in (*(text.encode() for text in parts), *pictures):
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.digest()
