"""The leaderboard as one page that opens without a server and asks for nothing from the network.

The content policy in the page allows its style sheet and its script, and nothing else: no style or event attribute, no
picture, no frame.
"""

from __future__ import annotations

from collections.abc import Sequence

from mrbench.leaderboard import wording
from mrbench.leaderboard.data import CHANCE, Board, Cell
from mrbench.pages import asset, environment, policy

HEAT_STEPS = 10
"""Colour steps on either side of chance."""


def render_html(boards: Sequence[Board]) -> str:
    """Return the page: for each board the ranking, the heat map of grains, all measures, and how it was measured."""
    made = environment(
        "mrbench.leaderboard", decimal=wording.decimal, heat=heat_class, sensitivity_heat=sensitivity_class
    )
    style, script = (asset("mrbench.leaderboard", name) for name in ("style.css", "sort.js"))
    return made.get_template("index.html.j2").render(
        boards=boards,
        wording=wording,
        chance=CHANCE,
        steps=range(2 * HEAT_STEPS + 1),
        style=style,
        script=script,
        policy=policy(style, script),
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
