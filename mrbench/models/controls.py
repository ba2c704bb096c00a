"""Two controls: vectors that know nothing, and vectors that are all the same."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from mrbench.arrays import Embeddings
from mrbench.errors import ModelError
from mrbench.models.protocol import Item
from mrbench.records import MODALITIES, Modality


class RandomModel:
    """Unit vectors drawn from a hash of what is embedded: chance, with the ties of equal content kept.

    A vector depends on the content, the side (query or candidate) and the seed, never on batch or order. The side
    counts so that a query does not find a candidate of the same content. The instruction is ignored.

    Args:
        seed: Another seed gives other vectors.
        device: Not used.
        batch_size: Not used: every item is drawn alone.
    """

    name = "random"
    revision = "1"  # raise it when the vectors change
    control = True
    dimension = 64
    modalities: frozenset[Modality] = frozenset(MODALITIES)
    device = "cpu"
    dtype = "float32"

    def __init__(self, *, seed: int = 0, device: str = "auto", batch_size: int = 1024) -> None:
        self.seed = seed

    def embed_queries(self, items: Sequence[Item], instruction: str) -> Embeddings:
        """Return one unit vector per query, shape ``(len(items), 64)``."""
        return self._embed(items, "query")

    def embed_candidates(self, items: Sequence[Item]) -> Embeddings:
        """Return one unit vector per candidate, shape ``(len(items), 64)``."""
        return self._embed(items, "candidate")

    def _embed(self, items: Sequence[Item], side: str) -> Embeddings:
        digests = b"".join(_digest(item, f"{self.seed}/{side}", 8 * self.dimension) for item in items)
        # Box-Muller on the hash's own bytes: no generator whose stream could change with a version of numpy.
        uniform = (np.frombuffer(digests, dtype="<u4").reshape(len(items), 2, self.dimension) + 0.5) / 2**32
        normal = np.sqrt(-2 * np.log(uniform[:, 0])) * np.cos(2 * np.pi * uniform[:, 1])
        unit: Embeddings = (normal / np.linalg.norm(normal, axis=1, keepdims=True)).astype(np.float32)
        return unit


class ConstantModel:
    """One vector for everything: every score is exactly 1, so every measure has to be at chance.

    A pipeline that lets order or id decide ties shows here, with scores above chance.

    Args:
        seed: Not used.
        device: Not used.
        batch_size: Not used.
    """

    name = "constant"
    revision = "1"
    control = True
    dimension = 2
    modalities: frozenset[Modality] = frozenset(MODALITIES)
    symmetric = True
    device = "cpu"
    dtype = "float32"

    def __init__(self, *, seed: int = 0, device: str = "auto", batch_size: int = 1024) -> None:
        pass

    def embed_queries(self, items: Sequence[Item], instruction: str) -> Embeddings:
        """Return ``(1, 0)`` for each item."""
        return self.embed_candidates(items)

    def embed_candidates(self, items: Sequence[Item]) -> Embeddings:
        """Return ``(1, 0)`` for each item."""
        embeddings = np.zeros((len(items), self.dimension), dtype=np.float32)
        embeddings[:, 0] = 1
        return embeddings


def _digest(item: Item, salt: str, size: int) -> bytes:
    if item.text is None and item.image is None:
        raise ModelError(
            "an item has neither a text nor an image", where="random", accepted="a text, an image, or both"
        )
    content = hashlib.shake_256(salt.encode())
    if item.text is not None:
        text = item.text.encode()
        content.update(b"\0text %d\0" % len(text) + text)
    if item.image is not None:
        content.update(f"\0image {item.image.mode} {item.image.size}\0".encode())
        content.update(item.image.tobytes())
    return content.digest(size)
