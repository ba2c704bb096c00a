"""Draws scenes. A picture is a pure function of scene, artist and a key, which decides everything random."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageFilter

from mrbench.build import art
from mrbench.build.scenes.backgrounds import VARIANTS, background
from mrbench.build.scenes.vocabulary import (
    BACKGROUND,
    COUNT,
    COUNTS,
    ENTITIES,
    ENTITY,
    LANDMARKS,
    RELATION,
    SECOND,
    SIZE,
    Scene,
)

# Longest side of a thing as a share of the picture's edge; each step is a factor of 1.6.
EDGES = {"small": 0.115, None: 0.183, "large": 0.290}
LANDMARK_EDGE = 0.300
_MARGIN = 0.014
_PROBE = 96  # pixels at which the extent of art is measured
_SPACE = 0.025  # between things of one group
_GAP = (0.055, 0.16)  # between group and landmark
_DRIFT = 0.03  # how far group and landmark may be off their common axis

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Picture:
    """The description of a picture that is not drawn yet.

    Attributes:
        scene: The grains shown, ``(type, value)`` each.
        artist: One of ``art.ARTISTS``.
        key: Decides the arrangement and everything else that is no grain.
        size: Pixels along an edge.
    """

    scene: tuple[tuple[str, str], ...]
    artist: str
    key: str
    size: int


@dataclass(frozen=True, slots=True)
class Layout:
    """The boxes ``(left, top, right, bottom)`` of things, as shares of the picture's edge, with ``y`` downwards."""

    focus: tuple[Box, ...]
    landmark: Box | None


def arrange(scene: Scene, rng: random.Random) -> Layout:
    """Return a layout with the focus in rows or columns, and the landmark beside, above or below it.

    Boxes never overlap. Focus and landmark are at least 0.055 apart along the axis of their relation and nearly aligned
    along the other axis, so that exactly one of the four relations holds.

    >>> layout = arrange({"count": "two", "relation": "above"}, random.Random(0))
    >>> all(box[3] < layout.landmark[1] for box in layout.focus)
    True
    """
    edge, number = EDGES[scene.get(SIZE)], COUNTS.index(scene[COUNT]) + 1
    room = 1 - 2 * _MARGIN
    relation = scene.get(RELATION)
    beside = relation in ("left of", "right of")
    need = LANDMARK_EDGE + _GAP[0] if relation else 0.0
    wide, high = room - (need if beside else 0.0), room - (need if relation and not beside else 0.0)
    largest = EDGES["large"]  # the arrangement must not depend on the size, which would reveal it
    grid = rng.choice(
        [g for g in _grids(number) if _extent(max(g), largest) <= wide and _extent(len(g), largest) <= high]
    )
    width, height = _extent(max(grid), edge), _extent(len(grid), edge)
    if relation is None:
        left = _MARGIN + rng.random() * (room - width)
        top = _MARGIN + rng.triangular(0, 1, 0.7) * (room - height)
        return Layout(tuple(_cells(grid, edge, left, top)), None)
    long, cross = (width, height) if beside else (height, width)
    gap = _GAP[0] + rng.random() * (min(_GAP[1], room - long - LANDMARK_EDGE) - _GAP[0])
    start = _MARGIN + rng.random() * (room - long - gap - LANDMARK_EDGE)
    half = max(cross, LANDMARK_EDGE) / 2
    drift = min(_DRIFT, (room / 2 - half) / 2)
    middle = _MARGIN + half + drift + rng.triangular(0, 1, 0.7 if beside else 0.5) * (room - 2 * half - 2 * drift)
    along = [start, start + long + gap] if relation in ("left of", "above") else [start + LANDMARK_EDGE + gap, start]
    across = [middle - cross / 2 + rng.uniform(-drift, drift), middle - LANDMARK_EDGE / 2]
    (left, landmark_left), (top, landmark_top) = (along, across) if beside else (across, along)
    landmark = (landmark_left, landmark_top, landmark_left + LANDMARK_EDGE, landmark_top + LANDMARK_EDGE)
    return Layout(tuple(_cells(grid, edge, left, top)), landmark)


def _grids(number: int) -> list[tuple[int, ...]]:
    """Return the possible grids for a number of things: the lengths of the rows, from top to bottom."""
    grids: dict[int, list[tuple[int, ...]]] = {
        1: [(1,)],
        2: [(2,), (1, 1)],
        3: [(3,), (1, 2), (2, 1), (1, 1, 1)],
        4: [(4,), (2, 2), (1, 3), (3, 1)],
    }
    return grids[number]


def _extent(number: int, edge: float) -> float:
    return number * edge + (number - 1) * _SPACE


def _cells(grid: tuple[int, ...], edge: float, left: float, top: float) -> list[Box]:
    step = edge + _SPACE
    cells = []
    for row, length in enumerate(grid):
        start = left + (max(grid) - length) * step / 2
        for column in range(length):
            x, y = start + column * step, top + row * step
            cells.append((x, y, x + edge, y + edge))
    return cells


def draw(picture: Picture) -> Image.Image:
    """Return the picture as an RGB image.

    >>> draw(Picture((("count", "one"), ("entity", "dog")), "twemoji", "key", 64)).size
    (64, 64)
    """
    scene = dict(picture.scene)
    rng = random.Random(f"scenes:{picture.key}")
    canvas = background(scene.get(BACKGROUND), rng.randrange(VARIANTS), picture.size).copy()
    layout = arrange(scene, rng)
    if layout.landmark is not None:
        _place(canvas, picture.artist, LANDMARKS[scene[SECOND]].emoji, layout.landmark)
    for box in layout.focus:
        _place(canvas, picture.artist, ENTITIES[scene[ENTITY]].emoji, box)
    return canvas.convert("RGB")


def _place(canvas: Image.Image, artist: str, emoji: str, box: Box) -> None:
    sprite = _sprite(artist, emoji, round((box[2] - box[0]) * canvas.width), halo(canvas.width))
    x = round((box[0] + box[2]) / 2 * canvas.width - sprite.width / 2)
    y = round((box[1] + box[3]) / 2 * canvas.width - sprite.height / 2)
    canvas.alpha_composite(sprite, (max(x, 0), max(y, 0)))


def halo(size: int) -> int:
    """Return the width of the white border around a thing, which makes black lines visible on dark backgrounds."""
    return max(round(size / 112), 1)


@lru_cache(maxsize=8192)
def _sprite(artist: str, emoji: str, edge: int, border: int) -> Image.Image:
    """Return art whose longest side has ``edge`` pixels, with a white border around it."""
    probe = art.render(artist, emoji, _PROBE).getbbox()
    longest = _PROBE if probe is None else max(probe[2] - probe[0], probe[3] - probe[1])
    drawn = art.render(artist, emoji, round(edge * _PROBE / longest))
    drawn = drawn.crop(drawn.getbbox())
    sprite = Image.new("RGBA", (drawn.width + 2 * border, drawn.height + 2 * border), (255, 255, 255, 0))
    sprite.paste(drawn, (border, border))
    white = Image.new("RGBA", sprite.size, "white")
    white.putalpha(sprite.getchannel("A").filter(ImageFilter.MaxFilter(2 * border + 1)))
    white.alpha_composite(sprite)
    return white
