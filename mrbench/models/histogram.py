"""Colour histograms: what colour alone can find."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from mrbench.arrays import Embeddings
from mrbench.models.common import embed_items, rgb_array
from mrbench.models.protocol import Item
from mrbench.records import Modality

BINS = 8
"""Bins per channel."""
CELLS = 2
"""Cells per side of the grid over the picture."""


class ColourHistogram:
    """The shares of 8 x 8 x 8 RGB colours in each quarter of a picture, square-rooted.

    With the square root the dot product of two embeddings is the Bhattacharyya coefficient of their histograms
    (the Hellinger kernel), so that a white background does not drown everything else. The vectors have unit
    length. The instruction is ignored.

    Args:
        seed: Not used.
        device: Not used.
        batch_size: Not used: every picture is counted alone.
    """

    name = "colour-histogram"
    revision = "1"  # raise it when the vectors change
    dimension = CELLS**2 * BINS**3
    modalities: frozenset[Modality] = frozenset({"image"})
    symmetric = True
    device = "cpu"
    dtype = "float32"

    def __init__(self, *, seed: int = 0, device: str = "auto", batch_size: int = 1024) -> None:
        pass

    def embed_queries(self, items: Sequence[Item], instruction: str) -> Embeddings:
        """Embed query pictures, shape ``(len(items), 2048)``."""
        return self.embed_candidates(items)

    def embed_candidates(self, items: Sequence[Item]) -> Embeddings:
        """Embed candidate pictures, shape ``(len(items), 2048)``."""
        return embed_items(self.name, items, self.dimension, embed_images=_embed_images)


def colour_histogram(image: Image.Image) -> Embeddings:
    """Return the square-rooted shares of colours by quarter, shape ``(2048,)``, of unit length.

    >>> vector = colour_histogram(Image.new("RGB", (4, 4), "red"))
    >>> vector.nonzero()[0].tolist(), vector.max().item()
    ([448, 960, 1472, 1984], 0.5)
    """
    pixels = rgb_array(image).astype(np.int64) * BINS // 256
    height, width, _ = pixels.shape
    rows, columns = np.arange(height) * CELLS // height, np.arange(width) * CELLS // width
    colours = (pixels[..., 0] * BINS + pixels[..., 1]) * BINS + pixels[..., 2]
    cells = rows[:, None] * CELLS + columns[None, :]
    counts = np.bincount((cells * BINS**3 + colours).ravel(), minlength=CELLS**2 * BINS**3)
    histogram: Embeddings = np.sqrt(counts / counts.sum()).astype(np.float32)
    return histogram


def _embed_images(images: list[Image.Image]) -> Embeddings:
    return np.stack([colour_histogram(image) for image in images])
