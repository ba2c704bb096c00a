"""The embedding store of a multi-vector model: it keeps the number of vectors of each item too."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mrbench.arrays import Ragged, Rows, ranges
from mrbench.encode.store import DIGEST, KEY, EmbeddingStore, LostError, Share, room, whole_unit
from mrbench.models.protocol import EmbeddingModel, is_multi_vector

_MAGIC = b"MRBMUL01"


def open_store(model: EmbeddingModel, folder: Path | None = None, share: Share | None = None) -> EmbeddingStore:
    """Return a store for a model's embeddings, with one vector an item or several."""
    kind = RaggedStore if is_multi_vector(model) else EmbeddingStore
    return kind(model, folder, share)


class RaggedStore(EmbeddingStore):
    """The embeddings of one multi-vector model, keyed by the content of the items.

    A cache unit holds one flat array of vectors and the number of vectors of each item.

    Args:
        model: The model.
        folder: Where to keep the embeddings; None keeps them in memory while the store lives.
        share: This process's part of the work.
    """

    def __init__(self, model: EmbeddingModel, folder: Path | None = None, share: Share | None = None) -> None:
        self._counts: dict[bytes, int] = {}
        super().__init__(model, folder, share)

    def put(self, keys: Sequence[bytes], vectors: Any) -> None:
        """Keep the vectors of items; in a folder they become one cache unit."""
        self._counts.update(zip(keys, vectors.counts.tolist(), strict=True))
        super().put(keys, vectors)

    def gather(self, keys: Sequence[bytes], more: Sequence[tuple[int, bytes]] = ()) -> Any:
        """Return the vectors of stored items. With a folder, 256 MiB or more are mapped from an unnamed file.

        Args:
            keys: The items.
            more: Must be empty: several vectors an item are not added up.

        Returns:
            :class:`Ragged`; None if some items have been removed.
        """
        try:
            counts = np.array([self._counts[key] for key in keys], dtype=np.int64)
            found = Ragged.of_counts(room(int(counts.sum()), self._dimension, self._folder), counts)
            for at, rows in self._look_up(keys):
                found.flat[ranges(found.ends[at], counts[at])] = rows.flat
        except (KeyError, LostError):
            self._forget_lost()
            return None
        return found

    def _packed(self, keys: Sequence[bytes], vectors: Any) -> bytes:
        """Return a unit: header (magic, items, vectors, length), keys, numbers of vectors, vectors, and a SHA-256.

        The digest covers all before it and the model. Numbers are little-endian with 64 bits; vectors are float32.
        """
        shape = np.array([len(vectors), *vectors.flat.shape], dtype="<u8").tobytes()
        counts = vectors.counts.astype("<u8").tobytes()
        data: bytes = (
            _MAGIC + shape + b"".join(keys) + counts + np.ascontiguousarray(vectors.flat, dtype="<f4").tobytes()
        )
        return data + hashlib.sha256(data + self._model).digest()

    def _unit(self, path: Path) -> tuple[list[bytes], Any] | None:
        raw = whole_unit(path, _MAGIC, self._model)
        header = len(_MAGIC) + 24
        if raw is None or len(raw) < header + DIGEST:
            return None
        items, vectors, length = np.frombuffer(raw, "<u8", 3, len(_MAGIC)).tolist()
        keys_end = header + items * KEY
        flat_start = keys_end + 8 * items
        if length != self._dimension or len(raw) != flat_start + 4 * vectors * length + DIGEST:
            return None
        counts = np.frombuffer(raw, "<u8", items, keys_end).astype(np.int64)
        if counts.min(initial=1) < 1 or counts.sum() != vectors:
            return None
        flat = np.frombuffer(raw, "<f4", vectors * length, flat_start).reshape(vectors, length)
        keys = [bytes(raw[at : at + KEY]) for at in range(header, keys_end, KEY)]
        self._counts.update(zip(keys, counts.tolist(), strict=True))
        return keys, Ragged.of_counts(flat, counts)


def stacked(parts: Sequence[Rows], folder: Path | None) -> Any:
    """Return the embeddings of several corpora as one. With a folder, 256 MiB or more are mapped from an unnamed file.

    Args:
        parts: One or more, all arrays or all :class:`Ragged`.
        folder: Where the file lies; None stacks in memory.
    """
    if len(parts) == 1:
        return parts[0]
    flats = [part.flat if isinstance(part, Ragged) else part for part in parts]
    found = room(sum(map(len, flats)), flats[0].shape[1], folder)
    np.concatenate(flats, out=found)
    if not isinstance(parts[0], Ragged):
        return found
    return Ragged.of_counts(found, np.concatenate([part.counts for part in parts if isinstance(part, Ragged)]))
