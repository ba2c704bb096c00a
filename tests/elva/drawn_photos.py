"""Photos that tests draw: a coloured shape on a coloured ground, with two captions each."""

import json
import random

from PIL import Image, ImageDraw

COLOURS = {
    "red": (210, 30, 30),
    "green": (30, 170, 40),
    "blue": (40, 50, 210),
    "yellow": (235, 220, 40),
    "black": (10, 10, 10),
    "white": (245, 245, 245),
}


def write_photos(folder, number=60, *, splits=("train", "validation", "test"), change=lambda row: row, seed=0):
    """Draw photos and write their captions; return the spec. ``change`` may change the rows of the file."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn, rows = random.Random(seed), []
    for index in range(number):
        shape, ground = drawn.sample(sorted(COLOURS), 2)
        picture = Image.new("RGB", (32, 32), COLOURS[ground])
        left, top = drawn.randrange(2, 12), drawn.randrange(2, 12)
        ImageDraw.Draw(picture).ellipse((left, top, left + 16, top + 16 - seed), fill=COLOURS[shape])
        picture.save(folder / f"{index:03d}.png")
        captions = [
            f"A {shape} ball on {ground}, number {index + 100 * seed}.",
            f"On {ground} lies one {shape} ball, the {index + 100 * seed}th.",
        ]
        rows.append({"image": f"{index:03d}.png", "captions": captions, "split": splits[index % len(splits)]})
    lines = [json.dumps(row) for row in map(change, rows) if row]
    (folder / "captions.jsonl").write_text("\n".join(lines) + "\n")
    return f"captions:{folder / 'captions.jsonl'}"
