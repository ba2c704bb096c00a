"""The leaderboard as one page that opens without a server and asks for nothing from the network.

Every text goes through Jinja's autoescape. The content policy in the page allows the one style sheet and the one
script that are part of it, named by their hashes, and nothing else: no style or event attribute, no picture, no frame.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mrbench.leaderboard import wording
from mrbench.leaderboard.data import CHANCE, Board, Cell

HEAT_STEPS = 10
"""Colour steps on either side of chance."""


def render_html(boards: Sequence[Board]) -> str:
    """Return the page: for each board the ranking, the heat map of grains, all measures, and how it was measured."""
    environment = Environment(
        loader=PackageLoader("mrbench.leaderboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(decimal=wording.decimal, heat=heat_class, sensitivity_heat=sensitivity_class)
    style, script = _asset("style.css"), _asset("sort.js")
    return environment.get_template("index.html.j2").render(
        boards=boards,
        wording=wording,
        chance=CHANCE,
        steps=range(2 * HEAT_STEPS + 1),
        # Both are files of this package, not data, and a style sheet must not be escaped.
        style=Markup(style),  # noqa: S704
        script=Markup(script),  # noqa: S704
        policy="; ".join(
            (
                "default-src 'none'",
                f"style-src '{_hash(style)}'",
                f"script-src '{_hash(script)}'",
                "base-uri 'none'",
                "form-action 'none'",
            )
        ),
    )


def heat_class(cell: Cell) -> str:
    """Return the class of a heat-map cell: ``h0`` is 0, ``h10`` is chance, ``h20`` is 1.

    >>> [heat_class(Cell(score)) for score in (0.0, 0.48, 0.5, 0.57, 1.0, None)]
    ['h0', 'h10', 'h10', 'h11', 'h20', 'none']
    """
    if cell.score is None:
        return "none"
    return f"h{round(HEAT_STEPS * cell.score / CHANCE)}"


def sensitivity_class(cell: Cell) -> str:
    """Return the class of a cell of grain sensitivity: ``h10`` is 0, ``h20`` is 1 and above, ``h0`` is -1 and below.

    >>> [sensitivity_class(Cell(score)) for score in (-3.0, 0.0, 0.26, 1.2, None)]
    ['h0', 'h10', 'h13', 'h20', 'none']
    """
    if cell.score is None:
        return "none"
    return f"h{round(HEAT_STEPS * (1 + min(1.0, max(-1.0, cell.score))))}"


def _asset(name: str) -> str:
    return (files("mrbench.leaderboard") / "templates" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
