"""What FashionIQ and its extension to several turns share: three garments, and names of photos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mrbench.benchmark import ImageRoot
from mrbench.errors import BenchmarkError
from mrbench.records import Split

GARMENTS = ("dress", "shirt", "toptee")
NAMES: dict[Split, str] = {"train": "train", "validation": "val"}
"""What the files call our splits; the tests have no published answers."""
_SUFFIXES = (".jpg", ".png", ".jpeg")


def joined(sentences: object, where: str) -> str:
    """Return what people wrote of a pair of photos as one text, ``a and b``, without dots at the ends.

    An empty sentence is left out: three pairs of FashionIQ have one.

    Raises:
        BenchmarkError: It is no list of texts, or all are empty.

    >>> joined(["is shiny. ", " has sleeves"], "")
    'is shiny and has sleeves'
    """
    if not isinstance(sentences, list) or not all(isinstance(text, str) for text in sentences):
        raise BenchmarkError("a value is of another type", where=where, got=sentences, accepted="a list of texts")
    texts = [text.strip(".?, \t\n") for text in sentences]
    if not any(texts):
        raise BenchmarkError("a text is missing or empty", where=where, got=sentences, accepted="one sentence or more")
    return " and ".join(text for text in texts if text)


def photo_suffix(images: ImageRoot, names: Sequence[str]) -> str:
    """Return how the files of photos end: as that of the first photo that is there, else ``.jpg``."""
    root = images.path or Path()
    found = (suffix for name in names[:100] for suffix in _SUFFIXES if (root / f"{name}{suffix}").is_file())
    return next(found, ".jpg")


def key(garment: str, name: str) -> str:
    """Return the id of a photo: some photos are in the lists of two garments.

    >>> key("dress", "B009PMCJLW")
    'dress/B009PMCJLW'
    """
    return f"{garment}/{name}"
