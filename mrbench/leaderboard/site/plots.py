"""Figures as plain geometry: where lines, points, ticks and labels of an SVG stand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 460, 300
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 14, 44
COLOURS = 8
"""Series that have a colour and a mark of their own; the others are grey."""


@dataclass(frozen=True, slots=True)
class Point:
    """A point: where it stands, and what it says."""

    x: float
    y: float
    says: str


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one name, joined by a line where ``joined`` says so. ``colour`` is 0 to 7, or 8 for grey."""

    name: str
    points: tuple[Point, ...]
    colour: int
    joined: bool = False

    @property
    def path(self) -> str:
        """The line through the points, as SVG has it."""
        return " ".join(f"{p.x},{p.y}" for p in self.points)


@dataclass(frozen=True, slots=True)
class Plot:
    """A figure. Ticks are pairs of a position and a label."""

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    front: str = ""
    level: float | None = None
    level_says: str = ""


def plot(
    title: str,
    x_label: str,
    y_label: str,
    series: Sequence[tuple[str, Sequence[tuple[float, float, str]]]],
    *,
    joined: bool = False,
    log_x: bool = False,
    front: Sequence[tuple[float, float]] = (),
    level: tuple[float, str] | None = None,
) -> Plot | None:
    """Lay out a figure.

    Args:
        title: What it shows.
        x_label: What stands below.
        y_label: What stands at the left.
        series: Names with their points: x, y and what the point says.
        joined: Whether lines join the points of a series.
        log_x: Whether x is on a logarithmic scale; points at 0 and below are left out.
        front: Points that a line is to join apart from the series.
        level: A horizontal line, and what it says.

    Returns:
        The figure, or None where there is no point.
    """
    kept = [(name, [p for p in points if not log_x or p[0] > 0]) for name, points in series]
    kept = [(name, points) for name, points in kept if points]
    if not kept:
        return None
    xs = [p[0] for _, points in kept for p in points]
    ys = [p[1] for _, points in kept for p in points] + ([level[0]] if level else [])
    x_values, y_values = (_log_ticks(xs) if log_x else _ticks(xs)), _ticks(ys)

    def across(value: float) -> float:
        low, high = x_values[0], x_values[-1]
        share = math.log(value / low) / math.log(high / low) if log_x else (value - low) / (high - low)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def up(value: float) -> float:
        share = (value - y_values[0]) / (y_values[-1] - y_values[0])
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    made = tuple(
        Series(name, tuple(Point(across(x), up(y), says) for x, y, says in points), min(number, COLOURS), joined)
        for number, (name, points) in enumerate(kept)
    )
    return Plot(
        title,
        x_label,
        y_label,
        made,
        tuple((across(value), f"{value:g}") for value in x_values),
        tuple((up(value), f"{value:g}") for value in y_values),
        " ".join(f"{across(x)},{up(y)}" for x, y in front if not log_x or x > 0),
        up(level[0]) if level else None,
        level[1] if level else "",
    )


def pareto(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points that no other beats in both: smaller in the first, larger in the second.

    >>> pareto([(1, 0.2), (2, 0.1), (3, 0.5)])
    [(1, 0.2), (3, 0.5)]
    """
    front: list[tuple[float, float]] = []
    for x, y in sorted(points, key=lambda p: (p[0], -p[1])):
        if not front or y > front[-1][1]:
            front.append((x, y))
    return front


def _ticks(values: Sequence[float]) -> list[float]:
    """Return round numbers around some values, four to seven.

    >>> _ticks([0.0, 1.0])
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    low, high = min(values), max(values)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    raw = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(n * step, 10) for n in range(first, last + 1)]


def _log_ticks(values: Sequence[float]) -> list[float]:
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return [10.0**n for n in range(low, max(high, low + 1) + 1)]
