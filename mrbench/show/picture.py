"""Draws the picture of a query: the query on the left, its ladder on the right."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import matplotlib as mpl
from PIL import Image, ImageDraw, ImageFont

from mrbench.benchmark import decode
from mrbench.records import AnyImage, Candidate, Grain, Judgement, Variant
from mrbench.show.describe import caption
from mrbench.show.find import Shown

# Lengths in pixels. The picture is meant to be shown at half its size.
CELL, GAP, MARGIN, QUERY, COLUMNS, TALLEST = 224, 28, 40, 460, 6, 8000
PAPER, INK, GREY, LINE, GREEN, RED = "#ffffff", "#1f2430", "#6b7280", "#d8dce3", "#16a34a", "#c2410c"
# Pale colours that differ in hue and brightness; a label always accompanies the colour.
TINTS = ("#fde68a", "#bfdbfe", "#bbf7d0", "#fbcfe8", "#ddd6fe", "#fed7aa", "#a5f3fc", "#e5e7eb")
Tints = Mapping[str, str]
_VARIANTS = {
    "degrained": "The query without one grain",
    "flipped": "The query with another value of one grain",
    "paraphrased": "The query in another form, all grains kept",
}


@cache
def _font(size: int, face: str = "") -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(Path(mpl.get_data_path(), "fonts", "ttf", f"DejaVuSans{face}.ttf")), size)


def draw(shown: Shown) -> bytes:
    """Return the picture as PNG bytes.

    Args:
        shown: The query with its ladder.
    """
    tints = tints_of(grain.type for grain in shown.query.grains)
    rows = -(-len(shown.steps) // COLUMNS)
    columns = -(-len(shown.steps) // rows)
    width = MARGIN + QUERY + 2 * GAP + columns * (CELL + GAP) - GAP + MARGIN
    sheet = Sheet(width, tints)
    bottom = max(_query(sheet, shown), _ladder(sheet, shown, columns))
    return sheet.png(bottom + MARGIN)


def tints_of(types: Iterable[str]) -> dict[str, str]:
    """Return a colour for each grain type."""
    return {kind: TINTS[number % len(TINTS)] for number, kind in enumerate(types)}


class Sheet:
    """A sheet to draw on. Every method that draws downwards returns the y below its drawing.

    Args:
        width: In pixels.
        tints: The colour behind each grain type.
        height: In pixels.
    """

    def __init__(self, width: int, tints: Tints, height: int = TALLEST) -> None:
        self.image = Image.new("RGB", (width, height), PAPER)
        self.pen = ImageDraw.Draw(self.image)
        self.tints = tints

    def text(
        self,
        at: tuple[int, int],
        text: str,
        width: int,
        *,
        size: int = 20,
        face: str = "",
        colour: str = INK,
        marked: Iterable[Grain] = (),
    ) -> int:
        """Draw wrapped text, with the spans of grains on their tints."""
        font, (x, y), step = _font(size, face), at, round(size * 1.5)
        said, text = text, _drawable(text)
        for start, end in _wrapped(text, font, width):
            for grain in marked:
                if grain.start is None or grain.end is None:
                    continue
                span = (len(_drawable(said[:index])) for index in (grain.start, grain.end))
                first, last = max(start, next(span)), min(end, next(span))
                if first < last:
                    left, right = (x + font.getlength(text[start:index]) for index in (first, last))
                    box = (left - 3, y - size * 0.14, right + 3, y + size * 1.26)
                    self.pen.rounded_rectangle(box, 5, fill=self.tints.get(grain.type, TINTS[-1]))
            self.pen.text((x, y), text[start:end], font=font, fill=colour)
            y += step
        return y

    def pills(self, at: tuple[int, int], labels: Iterable[str], width: int, *, indent: int = 0, size: int = 16) -> int:
        """Draw grain types on their tints, as many on a line as fit."""
        font, (left, y), x = _font(size), at, at[0] + indent
        for label in labels:
            length = round(_length(label, font)) + 14
            if x > left and x + length > left + width:
                x, y = left, y + size + 14
            self.pen.rounded_rectangle((x, y, x + length, y + size + 9), 8, fill=self.tints.get(label, TINTS[-1]))
            self.pen.text((x + 7, y + 3), _drawable(label), font=font, fill=INK)
            x += length + 6
        return y + size + 14

    def picture(self, at: tuple[int, int], image: AnyImage, side: int, frame: str, thick: int, where: str) -> int:
        """Draw a picture into a framed square."""
        picture = decode(image, where=where)
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
        if max(picture.size) < side:
            scale = side / max(picture.size)
            size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
            picture = picture.resize(size, Image.Resampling.BICUBIC)
        x, y = at
        self.image.paste(picture, (x + (side - picture.width) // 2, y + (side - picture.height) // 2))
        self.frame(at, side, frame, thick)
        return y + side

    def png(self, height: int) -> bytes:
        """Return the sheet, cut to a height, as PNG bytes."""
        buffer = io.BytesIO()
        self.image.crop((0, 0, self.image.width, min(height, self.image.height))).save(buffer, "PNG", optimize=True)
        return buffer.getvalue()

    def frame(self, at: tuple[int, int], side: int, colour: str, thick: int) -> None:
        """Draw a frame around a square, outside of it."""
        (x, y), t = at, thick + 1
        self.pen.rounded_rectangle((x - t, y - t, x + side + t, y + side + t), 8, outline=colour, width=thick)


def _drawable(text: str) -> str:
    """Return a text with plain spaces, without control characters and lone surrogates."""
    spaced = (" " if character.isspace() else character for character in text)
    return "".join(character for character in spaced if unicodedata.category(character) not in ("Cc", "Cs"))


def _length(text: str, font: ImageFont.FreeTypeFont) -> float:
    return font.getlength(_drawable(text))


def _wrapped(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[tuple[int, int]]:
    """Return the start and end of every line as indices into the text."""
    lines: list[tuple[int, int]] = []
    start = end = position = 0
    for word in text.split(" "):
        stop = position + len(word)
        if end > start and font.getlength(text[start:stop]) > width:
            lines.append((start, end))
            start = position
        end, position = stop, stop + 1
    return [*lines, (start, end)]


def _query(sheet: Sheet, shown: Shown) -> int:
    query, x, y = shown.query, MARGIN, MARGIN
    y = sheet.text((x, y), f"Query, {shown.task.title}", QUERY, size=24, face="-Bold")
    y = sheet.text((x, y + 2), query.instruction, QUERY, size=17, colour=GREY) + 14
    if query.image is not None:
        y = sheet.picture((x + 3, y), query.image, CELL + 60, LINE, 2, query.id) + 20
    if query.text is not None:
        y = sheet.text((x, y), query.text, QUERY, size=26, marked=query.grains) + 14
    if query.grains:
        y = sheet.text((x, y + 4), "Grains", QUERY, size=18, face="-Bold") + 4
    indent = max((round(_length(grain.type, _font(16))) for grain in query.grains), default=0) + 34
    for grain in query.grains:
        sheet.pills((x, y), [grain.type], QUERY)
        y = max(y + 32, sheet.text((x + indent, y + 3), grain.value, QUERY - indent, size=17))
    for kind, title in _VARIANTS.items():
        variants = [variant for variant in shown.variants if variant.kind == kind]
        if variants:
            y = _variants(sheet, shown, title, variants, y + 10)
    return y


def _variants(sheet: Sheet, shown: Shown, title: str, variants: list[Variant], y: int) -> int:
    x = MARGIN
    y = sheet.text((x, y), title, QUERY, size=18, face="-Bold") + 6
    pictures = [v for v in variants if v.image is not None and v.text == shown.query.text]
    indent = max(round(_length(v.grain, _font(16))) for v in variants) + 28 if variants[0].grain else 0
    for variant in variants:
        if variant not in pictures and variant.text is not None:
            if variant.grain:
                sheet.pills((x, y), [variant.grain], QUERY)
            y = sheet.text((x + indent, y + 3), variant.text, QUERY - indent, size=16, colour=GREY) + 8
    side, bottom = (QUERY - 2 * GAP) // 3, y
    for number, variant in enumerate(pictures):
        left = x + 3 + number % 3 * (side + GAP)
        if number and number % 3 == 0:
            y = bottom
        if variant.image is not None:
            where = f"{variant.query_id} {variant.kind} {variant.grain}"
            bottom = below = sheet.picture((left, y + 6), variant.image, side, LINE, 2, where)
            if variant.grain:
                bottom = max(bottom, sheet.pills((left, below + 10), [variant.grain], side))
    return bottom


def _ladder(sheet: Sheet, shown: Shown, columns: int) -> int:
    left, top = MARGIN + QUERY + 2 * GAP, MARGIN
    sheet.pen.line((left - GAP, MARGIN, left - GAP, TALLEST), fill=LINE, width=2)
    room = columns * (CELL + GAP) - GAP
    title = f"Its positive, and a ladder of {len(shown.steps) - 1} graded negatives"
    if not shown.ladder:
        title = f"{len(shown.steps)} of {shown.judged} judged candidates"
    top = sheet.text((left, top), title, room, size=24, face="-Bold") + 16
    bottom = top
    for number, (candidate, judgement) in enumerate(shown.steps):
        column = number % columns
        if number and column == 0:
            top, bottom = bottom + GAP - 6, bottom
        corner = (left + column * (CELL + GAP), top)
        positive = candidate.id == shown.positive_id if shown.ladder else judgement.relevance > 0
        bottom = max(bottom, draw_candidate(sheet, corner, candidate, judgement, positive, len(shown.query.grains)))
    return bottom


def draw_candidate(
    sheet: Sheet,
    corner: tuple[int, int],
    candidate: Candidate,
    judgement: Judgement,
    positive: bool,
    total: int,
    *,
    label: str | None = None,
) -> int:
    """Draw a candidate with its judgement, and return the y below.

    Args:
        sheet: The sheet.
        corner: Left and top.
        candidate: The candidate.
        judgement: Its judgement.
        positive: Whether it is a right answer.
        total: Number of grains of the query.
        label: Text in place of a judgement without a grade.
    """
    frame, thick = (GREEN, 5) if positive else (LINE, 2)
    if candidate.image is not None:
        sheet.picture(corner, candidate.image, CELL, frame, thick, candidate.id)
    else:
        marked = [grain for grain in candidate.grains if grain.type in (judgement.violates or ()) or positive]
        size = next(s for s in (19, 17, 15, 13, 11, 9) if _fits(candidate.text or "", s) or s == 9)
        inside = (corner[0] + 12, corner[1] + 12)
        sheet.text(inside, candidate.text or "", CELL - 24, size=size, marked=marked)
        sheet.frame(corner, CELL, frame, thick)
    x, y = corner[0], corner[1] + CELL + 14
    if judgement.grade is None:
        colour = GREEN if judgement.relevance > 0 else RED
        says = label or caption(None, None, list(judgement.violates or ()), judgement.relevance)
        return sheet.text((x, y), says, CELL, size=18, face="-Bold", colour=colour)
    grade = f"{judgement.grade}/{total}"
    if not judgement.violates:
        return sheet.text((x, y), f"{grade}  relevant", CELL, size=18, face="-Bold", colour=GREEN)
    sheet.text((x, y), grade, CELL, size=18, face="-Bold", colour=RED)
    indent = round(_font(18, "-Bold").getlength(grade)) + 10
    sheet.text((x + indent, y + 1), "not:", CELL, size=17, colour=GREY)
    indent += round(_font(17).getlength("not:")) + 8
    violates = [kind for kind in sheet.tints if kind in judgement.violates]
    return sheet.pills((x, y - 2), violates, CELL, indent=indent)


def _fits(text: str, size: int) -> bool:
    return len(_wrapped(_drawable(text), _font(size), CELL - 24)) * round(size * 1.5) <= CELL - 20
