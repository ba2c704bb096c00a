"""Photos with captions that a test draws and writes itself."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw

_WHO = {
    "dog": (120, 80, 40),
    "cat": (90, 90, 90),
    "horse": (60, 30, 10),
    "man": (200, 160, 130),
    "girl": (230, 190, 160),
}
_COLOURS = {"red": (200, 30, 30), "blue": (30, 30, 200), "green": (30, 150, 40), "white": (240, 240, 240)}
_WHERE = {"park": (110, 180, 90), "kitchen": (220, 200, 170), "street": (140, 140, 150), "beach": (235, 215, 150)}
_DOES = ("sitting", "standing", "running", "jumping", "sleeping")


def write_captioned(folder: Path, photos: int = 24, *, seed: int = 0) -> Path:
    """Write photos of somebody beside something, and two captions of each; return the file of captions."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = random.Random(seed)
    rows = []
    for number in range(photos):
        who, colour, where = (drawn.choice(sorted(table)) for table in (_WHO, _COLOURS, _WHERE))
        does = drawn.choice(_DOES)
        picture = Image.new("RGB", (64, 48), _WHERE[where])
        pen = ImageDraw.Draw(picture)
        pen.rectangle((4 + number, 20, 24 + number, 44), fill=_WHO[who])
        pen.ellipse((34, 6 + number % 20, 54, 26 + number % 20), fill=_COLOURS[colour])
        picture.save(folder / f"{number:03d}.png")
        captions = [
            f"A {who} {does} next to a {colour} ball in the {where}.",
            f"A {colour} ball near a {who} in a {where}.",
        ]
        rows.append({"image": f"{number:03d}.png", "captions": captions, "colour": colour})
    return write_rows(folder, rows)


def write_rows(folder: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    """Write the file of captions."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "captions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
