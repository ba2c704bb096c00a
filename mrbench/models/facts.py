"""Facts of a checkpoint that its results state: number of parameters, licence."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_CARD, _MOST = "README.md", 1 << 16  # bytes of a card that are looked at


def parameter_count(module: Any) -> int:
    """Return the number of parameters of a torch module; what several parts share counts once."""
    return sum(int(weight.numel()) for weight in module.parameters())


def licence_of(folder: Path) -> str:
    """Return the licence that the header of a checkpoint's model card states, empty where it states none."""
    path = folder / _CARD
    if not path.is_file():
        return ""
    with path.open(encoding="utf-8", errors="replace") as stream:
        header = re.match(r"---\s*\n(.*?)\n---", stream.read(_MOST), re.DOTALL)
    found = re.search(r"^license:[ \t]*[\"']?([\w.+-]+)", header[1], re.MULTILINE) if header else None
    return found[1] if found else ""


def image_size_of(size: Any) -> str:
    """Return width and height in words, empty where they are not known.

    >>> image_size_of(224), image_size_of((384, 256)), image_size_of(None)
    ('224x224', '256x384', '')

    Args:
        size: One number, or height and width.
    """
    if isinstance(size, int):
        return f"{size}x{size}"
    if isinstance(size, tuple | list) and len(size) == 2 and all(isinstance(one, int) for one in size):
        return f"{size[1]}x{size[0]}"
    return ""
