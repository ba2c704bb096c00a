"""Backgrounds of scenes: flat drawings without any object of the vocabularies."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache

from PIL import Image, ImageDraw

VARIANTS = 3
_UNITS = 100  # a drawing is planned on a square of 100 x 100 units
_DETAIL = 3  # it is drawn three times too large and then reduced, which smooths edges


class _Canvas:
    """A canvas to draw on in units, with ``y`` downwards."""

    def __init__(self, size: int, sky: str) -> None:
        self._scale = size * _DETAIL / _UNITS
        self.image = Image.new("RGB", (size * _DETAIL, size * _DETAIL), sky)
        self._draw = ImageDraw.Draw(self.image)

    def _points(self, *points: tuple[float, float]) -> list[tuple[float, float]]:
        return [(x * self._scale, y * self._scale) for x, y in points]

    def area(self, colour: str, *points: tuple[float, float]) -> None:
        self._draw.polygon(self._points(*points), colour)

    def band(self, colour: str, top: float, bottom: float) -> None:
        self.area(colour, (0, top), (_UNITS, top), (_UNITS, bottom), (0, bottom))

    def oval(self, colour: str, x: float, y: float, rx: float, ry: float | None = None) -> None:
        ry = rx if ry is None else ry
        self._draw.ellipse([c for p in self._points((x - rx, y - ry), (x + rx, y + ry)) for c in p], colour)

    def line(self, colour: str, width: float, *points: tuple[float, float]) -> None:
        self._draw.line(self._points(*points), colour, max(round(width * self._scale), 1), "curve")


def _beach(c: _Canvas, rng: random.Random) -> None:
    c.band("#4FB3D9", 34, 58)
    for y in (40, 47, 53):
        x = rng.uniform(0, 30)
        for step in range(3):
            c.line("#8FD3EA", 1, (x + step * 33, y), (x + step * 33 + 14, y))
    c.band("#FFFFFF", 57, 60)
    c.band("#F5DEA3", 60, 100)
    for _ in range(22):
        c.oval("#E3C47D", rng.uniform(0, 100), rng.uniform(65, 98), 0.7)


def _desert(c: _Canvas, rng: random.Random) -> None:
    shift = rng.uniform(-12, 12)
    c.oval("#F4B860", 20 + shift, 92, 70, 46)
    c.oval("#E59F45", 85 + shift, 104, 70, 46)
    c.oval("#D98A33", 10 + shift, 122, 90, 48)
    for row in range(4):
        c.line("#C67A2B", 0.6, (8 + shift, 84 + row * 4), (34 + shift, 82 + row * 4), (58 + shift, 85 + row * 4))


def _snow(c: _Canvas, rng: random.Random) -> None:
    c.oval("#EEF5FB", 25, 110, 80, 50)
    c.oval("#FFFFFF", 85, 118, 80, 50)
    for row in range(9):
        for column in range(9):
            x, y = column * 12 + rng.uniform(-3, 3), row * 12 + rng.uniform(-3, 3)
            c.oval("#FFFFFF", x, y, 1.5)


def _meadow(c: _Canvas, rng: random.Random) -> None:
    shift = rng.uniform(-10, 10)
    c.oval("#8FCB5A", 20 + shift, 100, 75, 56)
    c.oval("#73B844", 90 + shift, 108, 80, 56)
    for _ in range(34):
        x, y = rng.uniform(2, 98), rng.uniform(68, 97)
        c.line("#4F9230", 0.7, (x - 1.3, y - 3), (x, y), (x + 1.3, y - 3))


def _night(c: _Canvas, rng: random.Random) -> None:
    for _ in range(60):
        c.oval("#FFF4C2", rng.uniform(0, 100), rng.uniform(0, 68), rng.choice((0.4, 0.6, 0.9)))
    x = rng.choice((13.0, 87.0))
    c.oval("#FFE88A", x, 13, 9)
    c.oval("#17204D", x + 4, 11, 8)
    c.oval("#0C1230", 25, 112, 80, 38)
    c.oval("#0A0E26", 90, 116, 70, 38)


def _sunset(c: _Canvas, rng: random.Random) -> None:
    for number, colour in enumerate(("#7B4B94", "#B4558F", "#E0607E", "#F5815F", "#FBA656", "#FDC75C")):
        c.band(colour, number * 11, number * 11 + 11)
    x = rng.uniform(30, 70)
    c.oval("#FFF0A0", x, 66, 17)
    c.band("#5A3A6E", 66, 100)
    for y, half in ((69, 15), (74, 11), (79, 7)):
        c.line("#F5A35F", 1.4, (x - half, y), (x + half, y))


def _rain(c: _Canvas, rng: random.Random) -> None:
    c.band("#66727D", 76, 100)
    for _ in range(5):
        c.oval("#8798A6", rng.uniform(5, 95), rng.uniform(82, 96), 9, 1.8)
    for row in range(8):
        for column in range(9):
            x, y = column * 12 + rng.uniform(-3, 3), row * 13 + rng.uniform(-4, 4)
            c.line("#D3ECFB", 1, (x, y), (x - 2.5, y + 8))


def _mountains(c: _Canvas, rng: random.Random) -> None:
    shift = rng.uniform(-8, 8)
    for middle, top, width, colour in ((12, 30, 34, "#8C93A8"), (88, 26, 38, "#8C93A8"), (50, 12, 46, "#6F7790")):
        x = middle + shift
        c.area(colour, (x - width, 80), (x, top), (x + width, 80))
        cap = (80 - top) * 0.3
        side = width * 0.3
        zigzag = ((x + side / 2, top + cap * 0.75), (x, top + cap * 1.1), (x - side / 2, top + cap * 0.75))
        c.area("#FFFFFF", (x - side, top + cap), (x, top), (x + side, top + cap), *zigzag)
    c.band("#7E8B6B", 74, 100)
    c.oval("#8D9A78", 30, 78, 60, 8)


def _under_water(c: _Canvas, rng: random.Random) -> None:
    for number, colour in enumerate(("#1F8FC0", "#1880B2", "#1271A3", "#0D6294", "#095485")):
        c.band(colour, number * 18, number * 18 + 18)
    for ray in (12, 45, 78):
        c.area("#3BA3CF", (ray, 0), (ray + 9, 0), (ray + 1, 44), (ray - 6, 44))
    c.oval("#C9B37E", 30, 102, 70, 16)
    c.oval("#BBA46D", 90, 104, 50, 16)
    for _ in range(16):
        x, y, r = rng.uniform(3, 97), rng.uniform(5, 84), rng.uniform(1, 2.4)
        c.oval("#BFE6F5", x, y, r)
        c.oval("#2D8EBB", x, y, r * 0.65)


def _moon(c: _Canvas, rng: random.Random) -> None:
    for _ in range(30):
        c.oval("#FFFFFF", rng.uniform(0, 100), rng.uniform(0, 34), rng.choice((0.3, 0.5)))
    x = rng.uniform(70, 88)
    c.oval("#3E8EDE", x, 14, 9)
    c.oval("#63B55B", x - 3, 12, 4, 3)
    c.oval("#63B55B", x + 4, 17, 3, 2.5)
    c.oval("#B9B9BE", 50, 116, 110, 80)
    for crater_x, crater_y, r in ((12, 56, 8), (46, 47, 6), (84, 58, 9), (30, 76, 11), (70, 82, 12), (8, 92, 8)):
        dx = rng.uniform(-4, 4)
        c.oval("#96969D", crater_x + dx, crater_y, r, r * 0.42)
        c.oval("#A7A7AD", crater_x + dx, crater_y + 0.8, r * 0.82, r * 0.28)


def _rainbow(c: _Canvas, rng: random.Random) -> None:
    x = rng.uniform(40, 60)
    colours = ("#E8503A", "#F79433", "#FBDD4B", "#5FBF56", "#3F8FE0", "#7E57C2", "#DDEFF9")
    for number, colour in enumerate(colours):
        c.oval(colour, x, 74, 62 - number * 4.4, 66 - number * 4.4)
    c.band("#A9D18E", 74, 100)
    c.oval("#B8DBA0", 70, 76, 50, 5)


def _stage(c: _Canvas, rng: random.Random) -> None:
    c.area("#6E3A2A", (0, 0), (100, 0), (100, 100), (0, 100))
    c.oval("#8A4B36", 50, 40, 44, 52)
    c.band("#C58B52", 76, 100)
    for y in (82, 88, 94):
        c.line("#A87240", 0.6, (0, y), (100, y))
    folds = rng.uniform(4.5, 5.5)
    for number in range(3):
        colour = ("#C2182B", "#A01224")[number % 2]
        for left in (number * folds, 100 - (number + 1) * folds):
            c.area(colour, (left, 0), (left + folds, 0), (left + folds, 84), (left, 84))
    for number in range(8):
        c.oval(("#C2182B", "#A01224")[number % 2], 6.25 + number * 12.5, 0, 7.5, 10)


def _room(c: _Canvas, rng: random.Random) -> None:
    shift = rng.uniform(0, 10)
    for number in range(11):
        c.area("#F3D9DC", *((number * 10 - shift + dx, y) for dx, y in ((0, 0), (4, 0), (4, 70), (0, 70))))
    c.band("#FFFFFF", 68, 72)
    c.band("#B98252", 72, 100)
    for row, y in enumerate((79, 86, 93)):
        c.line("#936238", 0.7, (0, y), (100, y))
        for number in range(4):
            x = number * 30 + row * 11
            c.line("#936238", 0.7, (x, y - 7), (x, y))


def _road(c: _Canvas, rng: random.Random) -> None:
    c.band("#9CC27B", 22, 30)
    c.band("#C9C9C9", 29, 34)
    c.band("#5B5F66", 34, 90)
    shift = rng.uniform(0, 24)
    for number in range(-1, 5):
        x = number * 24 + shift
        c.area("#FFFFFF", (x, 60), (x + 13, 60), (x + 13, 64), (x, 64))
    c.band("#C9C9C9", 90, 95)
    c.band("#9CC27B", 95, 100)


_DRAWINGS: dict[str, tuple[str, Callable[[_Canvas, random.Random], None]]] = {
    "beach": ("#BFE6F7", _beach),
    "desert": ("#FCE7B2", _desert),
    "snow": ("#BCD3E6", _snow),
    "meadow": ("#C5E8FA", _meadow),
    "night": ("#17204D", _night),
    "sunset": ("#7B4B94", _sunset),
    "rain": ("#92A2AF", _rain),
    "mountains": ("#D5E6F3", _mountains),
    "under water": ("#1F8FC0", _under_water),
    "moon": ("#0B0B14", _moon),
    "rainbow": ("#DDEFF9", _rainbow),
    "stage": ("#6E3A2A", _stage),
    "room": ("#FBEFF0", _room),
    "road": ("#CFE5F2", _road),
}


@cache
def background(name: str | None, variant: int, size: int) -> Image.Image:
    """Return a background as an RGBA image of ``size`` x ``size`` pixels. Do not change the image: it is shared.

    Args:
        name: A key of ``vocabulary.BACKGROUNDS``, or None for plain white.
        variant: 0 to ``VARIANTS - 1``: decides details that are no grain.
        size: Pixels along an edge.

    >>> background(None, 0, 4).getpixel((0, 0))
    (255, 255, 255, 255)
    """
    if name is None:
        return Image.new("RGBA", (size, size), "white")
    sky, draw = _DRAWINGS[name]
    canvas = _Canvas(size, sky)
    draw(canvas, random.Random(f"{name}:{variant}"))
    return canvas.image.reduce(_DETAIL).convert("RGBA")
