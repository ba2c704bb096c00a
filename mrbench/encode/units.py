"""Each distinct text and image once: units of records through the model, shared by processes, kept by content."""

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

WINDOW = 16_384  # parts of records whose texts are sorted together, at most, and
WINDOW_BYTES = 1 << 26  # of their images
FIRST_WINDOW = 4096  # so that the model has something to do while the second window is looked at
AHEAD = 2  # batches that a model may still be embedding when it is given the next
TOGETHER = -1  # marks a record with several images that a model takes together
_TRIES = 3  # to make what a cache lost meanwhile: somebody may clear it, but not again and again
_FROZEN = 10_000  # objects; Python itself sets some hundred aside as it starts
SEVERAL = 32  # parts with images that are one unit of a cache where each becomes several vectors: a thousand, it may be
UNIT = 256  # parts that are one unit of a cache, TEXTS or GPU_TEXTS: what a process embeds before another has its turn
Record = TypeVar("Record", Query, Candidate)


def encode_records(
    model: EmbeddingModel,
    records: Callable[[], Iterator[Record]],
    total: int,
    label: str,
    embed: Embed,
    store: EmbeddingStore | None,
) -> tuple[list[str], Any]:
    """Embed records that the store does not hold, unit by unit.

    The store keeps what the model returned. Where a model adds up image and text, each of the two is embedded by
    itself: the picture of a query and of all its variants once. A record with several images is embedded whole where
    the model takes several; otherwise once for each image, with the text, and its vector is the mean of their unit
    vectors. Units are dealt to the processes in turn. What is in
    them depends on the records and on what was there before, never on who else works or was killed.

    Args:
        model: The model.
        records: Starts at the first record, every time it is called.
        total: How many there are.
        label: What to call them.
        embed: Starts to embed records, given with their items, and returns what waits for the vectors.
        store: Where vectors are kept; None forgets them.

    Returns:
        The ids, and the unit vectors of all, shape ``(total, model.dimension)``; or :class:`mrbench.arrays.Ragged`.

    Raises:
        BenchmarkError: There are fewer or more records, or an image cannot be decoded.
        ModelError: The model returned what cannot be scored.
        OutputError: The cache cannot be read or written, or loses what it is given.
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
        late: set[str] | None = None  # what other processes did not make in time; None: nothing was waited for yet
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
        found = store.gather([keys[start] for start in starts], second)
        if found is not None:
            if any(number != 1 for number in single):
                store.several.add(label)
            ids = [ids[start] for start in starts]
            return _averaged(ids, unit_rows(found, ids, model.name), single, model.name)
    raise OutputError(
        "the cache does not keep what is written there", where=label, accepted="another folder for --cache"
    )


@contextmanager
def set_aside() -> Iterator[None]:
    """Keep what is there already out of Python's garbage collection, where nobody else does.

    Looking through all that torch and transformers hold takes 0.4 s, and comes once in some ten thousand texts.
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
    """Yield what the model is given at once, and append to ``single`` how many of it are one record.

    That is 1, the number of its images where the model takes them one by one, or -1 where it takes several together.
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
            raise ModelError(what, where=where, got=f"{len(images)} images", accepted="one image an item")
        single.append(len(images))
        for image in images:
            yield replace(record, image=image, more_images=())


def _averaged(ids: list[str], vectors: Any, single: list[int], name: str) -> tuple[list[str], Any]:
    """Return ids and unit vectors of records: of one with several rows the mean of them, brought to length 1.

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
    """Yield what is embedded by itself, and append to ``sizes`` how much of it each record is: 1, or 2 that add up."""
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
        turn: Its number, over all that the store was asked for.
        records: The parts, their texts sorted.
        keys: Their keys.
    """

    turn: int
    records: list[Any]
    keys: list[bytes]


def _units(
    model: EmbeddingModel, parts: Iterator[Any], store: EmbeddingStore, ids: list[str], keys: list[bytes]
) -> Iterator[_Unit]:
    """Yield the units of what the store lacks, of all processes, and note ids and keys of all parts."""
    seen: set[bytes] = set()
    most = min(FIRST_WINDOW, WINDOW)
    while window := _window(parts, most):
        most = WINDOW
        mine = [_key(model, record) for record in window]
        ids += [record.id for record in window]
        keys += mine
        # Which parts belong together depends on the records, and the kind of device: a
        # unit that was made so is whole in the store, or not in it at all.
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
    """Take the next parts, as many as the two limits allow."""
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
    """Yield this process's units among those wanted, where not all are, and note whose the others are, by name."""
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
    """Embed units, reading ahead of the model, and keep each as it is done."""
    waiting: deque[_Unit] = deque()
    pending: deque[Pending] = deque()

    def made() -> Iterator[list[Any]]:
        for unit in units:
            waiting.append(unit)
            yield from batches(unit.records, gpu=on_gpu(model))

    fitting = WithinMemory(embed, store.fits)
    vectors: list[Any] = []

    def finish(ahead: int) -> None:
        """Wait for the vectors of all batches but the last few, and keep whole units."""
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
    """Return the digest of all that a model is given: side and instruction, where it listens to them, and content."""
    side = "candidate" if isinstance(record, Candidate) else f"query {record.instruction}"
    parts = ["" if getattr(model, "symmetric", False) else side, "-" if record.text is None else f"+{record.text}"]
    digest = hashlib.sha256()
    pictures = [b"+" + image.data for image in images_of(record)] or [b"-"]
    for part in (*(text.encode() for text in parts), *pictures):
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.digest()
