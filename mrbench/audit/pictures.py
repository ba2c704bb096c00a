"""Pictures made small, and pairs of them that look the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from scipy import fft

from mrbench.benchmark import decode
from mrbench.records import AnyImage

SIDE = 64
"""Pictures are compared at this size."""
LEVELS = 24  # of 255: a pixel that differs by no more looks the same
INDISTINCT = 0.003
"""Share of the pixels that must differ, or a person could not tell two pictures apart."""
BITS = 4
"""Pictures whose perceptual hashes, of 64 bits, differ in no more are compared by their pixels."""
_BLOCK = 512
Pixels = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True, slots=True)
class Thumbnails:
    """Small pictures.

    Attributes:
        names: What to call each.
        pixels: Shape ``(num_pictures, SIDE, SIDE, 3)``.
    """

    names: list[str]
    pixels: Pixels

    @classmethod
    def of(cls, pictures: Iterable[tuple[str, AnyImage]]) -> Thumbnails:
        """Decode pictures, one at a time, and make them small."""
        names, found = [], [np.zeros((0, SIDE, SIDE, 3), dtype=np.uint8)]
        for name, data in pictures:
            names.append(name)
            small = decode(data, where=name).resize((SIDE, SIDE), Image.Resampling.BOX)
            found.append(np.asarray(small)[None])
        return cls(names, np.concatenate(found))

    def hashes(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return perceptual hashes: 64 signs of low frequencies about their median, shape ``(num_pictures, 64)``."""
        grey = self.pixels.astype(np.float64).mean(axis=3)[:, ::2, ::2]
        low = fft.dctn(grey, axes=(1, 2))[:, :8, :8].reshape(len(self.names), 64)
        return np.where(low > np.median(low, axis=1, keepdims=True), 1.0, -1.0).astype(np.float32)


def difference(one: Pixels, other: Pixels) -> float:
    """Return the share of the pixels that differ.

    >>> difference(np.zeros((2, 2, 3), np.uint8), np.eye(2, dtype=np.uint8)[..., None] * 255)
    0.5
    """
    return float((np.abs(one.astype(np.int16) - other).max(axis=-1) > LEVELS).mean())


def look_alikes(one: Thumbnails, other: Thumbnails) -> Iterator[tuple[int, int, float]]:
    """Yield the pairs that a person could not tell apart, and the share of the pixels that differ.

    Pairs whose hashes differ in more than :data:`BITS` are not looked at. The hash of pictures of one colour says
    little, but their pixels do.
    """
    known = other.hashes().T
    hashes = one.hashes()
    for start in range(0, len(hashes), _BLOCK):
        differing = (64 - hashes[start : start + _BLOCK] @ known) / 2
        for row, column in zip(*np.nonzero(differing < BITS + 0.5), strict=True):
            share = difference(one.pixels[start + row], other.pixels[column])
            if share < INDISTINCT:
                yield int(start + row), int(column), share
