"""Each distinct text and image once: windows of records through the model, shared by processes, kept by content."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from tqdm import tqdm

from mrbench.errors import BenchmarkError
from mrbench.models.protocol import EmbeddingModel, Embeddings, Item
from mrbench.records import Candidate, Query
from mrbench.retrieve.batches import WithinMemory, by_length, read_ahead
from mrbench.retrieve.store import EmbeddingStore, unit_name
from mrbench.search.vectors import unit_vectors

WINDOW = 1024  # parts of records whose texts are sorted by length together, and whose vectors are one unit of a cache
Record = TypeVar("Record", Query, Candidate)
Embed = Callable[[Sequence[Any], Sequence[Item]], Embeddings]


def encode_records(
    model: EmbeddingModel,
    records: Callable[[], Iterator[Record]],
    total: int,
    label: str,
    embed: Embed,
    store: EmbeddingStore | None,
) -> tuple[list[str], Embeddings]:
    """Embed records that the store does not hold, window by window.

    The store keeps what the model returned. Where a model adds up image and text, each of the two is embedded by
    itself: the picture of a query and of all its variants once. What a window adds depends on the records and on what
    was there before, never on who else works or was killed.

    Args:
        model: The model.
        records: Starts at the first record, every time it is called.
        total: How many there are.
        label: What to call them.
        embed: Records and their items to vectors.
        store: Where vectors are kept; None forgets them.

    Returns:
        The ids, and the unit vectors of all, shape ``(total, model.dimension)``.

    Raises:
        BenchmarkError: There are fewer or more records, or an image cannot be decoded.
        ModelError: The model returned what cannot be scored.
    """
    store = EmbeddingStore(model) if store is None else store
    store.refresh()
    sizes: list[int] = []

    def windows() -> Iterator[list[Record]]:
        sizes.clear()
        flat = _parts(model, records(), sizes)
        while window := list(islice(flat, WINDOW)):
            yield window

    embed_window = _window_embedder(model, embed, store)
    ids: list[str] = []
    keys: list[bytes] = []
    others: dict[int, tuple[str, list[int]]] = {}
    seen: set[bytes] = set()
    with tqdm(total=total, desc=f"{model.name}: {label}", unit="item", leave=False, disable=None) as progress:
        for number, window in enumerate(windows()):
            mine = [_key(model, record) for record in window]
            first = {key: row for row, key in reversed(list(enumerate(mine)))}
            new = sorted(row for key, row in first.items() if key not in seen and key not in store)
            seen.update(first)
            ids += [record.id for record in window]
            keys += mine
            if number % store.share.processes == store.share.process:
                embed_window(window, mine, new)
            elif new:
                others[number] = unit_name([mine[row] for row in new]), new
            progress.update(len(sizes) - progress.n)
    late = store.wait(name for name, _ in others.values())
    if late:
        for number, window in enumerate(windows()):
            name, new = others.get(number, ("", []))
            if name in late:
                embed_window(window, [_key(model, record) for record in window], new)
    if len(sizes) != total:
        raise BenchmarkError("records are missing", where=label, got=len(sizes), accepted=total)
    starts = np.cumsum([0, *sizes])[:-1].tolist()
    second = [(row, keys[starts[row] + 1]) for row, size in enumerate(sizes) if size == 2]
    ids = [ids[start] for start in starts]
    return ids, unit_vectors(store.gather([keys[start] for start in starts], second), ids, model.name)


def _parts(model: EmbeddingModel, records: Iterator[Record], sizes: list[int]) -> Iterator[Record]:
    """Yield what is embedded by itself, and append to ``sizes`` how much of it each record is: 1, or 2 that add up."""
    for record in records:
        if getattr(model, "additive", False) and record.text is not None and record.image is not None:
            sizes.append(2)
            yield replace(record, image=None)
            yield replace(record, text=None)
        else:
            sizes.append(1)
            yield record


def _window_embedder(
    model: EmbeddingModel, embed: Embed, store: EmbeddingStore
) -> Callable[[Sequence[Any], Sequence[bytes], Sequence[int]], None]:
    fitting = WithinMemory(embed)
    prepare = getattr(model, "prepare", None)

    def embed_window(window: Sequence[Any], keys: Sequence[bytes], new: Sequence[int]) -> None:
        """Embed the new rows of a window and keep them as one unit."""
        if not new:
            return
        order = by_length([window[row].text for row in new])
        ready = read_ahead([window[new[at]] for at in order], prepare, store.share.workers)
        vectors = [part for batch, items in ready for part in fitting(batch, items)]
        store.put([keys[row] for row in new], np.concatenate(vectors)[np.argsort(order)])

    return embed_window


def _key(model: EmbeddingModel, record: Query | Candidate) -> bytes:
    """Return the digest of all that a model is given: side and instruction, where it listens to them, and content."""
    side = "candidate" if isinstance(record, Candidate) else f"query {record.instruction}"
    parts = ["" if getattr(model, "symmetric", False) else side, "-" if record.text is None else f"+{record.text}"]
    digest = hashlib.sha256()
    for part in (*(text.encode() for text in parts), b"-" if record.image is None else b"+" + record.image.data):
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.digest()
