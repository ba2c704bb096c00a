"""The pages of the site, through templates that escape every text.

The content policy of each page allows scripts, styles and pictures of the site's own folder, and nothing else: no
script or style inside a page, no event attribute, no frame, no request.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined

from mrbench.leaderboard import wording
from mrbench.leaderboard.by_grain import FEWEST
from mrbench.leaderboard.data import CHANCE, Cell
from mrbench.leaderboard.site import figures, plots
from mrbench.leaderboard.site.method import card, measures
from mrbench.leaderboard.site.view import Site

HEAT_STEPS = 10
"""Colour steps on either side of chance."""
POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "img-src 'self' file:",  # photos that lie where their data set lies
        "base-uri 'none'",
        "form-action 'none'",
    )
)
NAVIGATION = (
    ("index.html", "Overview"),
    ("grains.html", "Grains"),
    ("explore.html", "Queries"),
    ("compare.html", "Compare"),
    ("method.html", "Method"),
)


def pages(site: Site) -> Iterator[tuple[str, str]]:
    """Yield the path and the text of every page."""
    environment = _environment()
    for path, _ in NAVIGATION:
        template = environment.get_template(path.replace(".html", ".html.j2"))
        yield path, template.render(site=site, here=path, root="")
    template = environment.get_template("model.html.j2")
    for slug, found in site.models.items():
        yield f"models/{slug}.html", template.render(site=site, here="", root="../", slug=slug, found=found)


def assets() -> Iterator[tuple[str, bytes]]:
    """Yield the path and the bytes of every style sheet and script, and of the icon."""
    folder = files("mrbench.leaderboard") / "assets"
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith((".css", ".js", ".svg")):
            yield f"assets/{file.name}", file.read_bytes()


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("mrbench.leaderboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(decimal=wording.decimal, heat=heat_class, sensitivity_heat=sensitivity_class)
    environment.globals.update(
        wording=wording,
        figures=figures,
        measures=measures,
        card=card,
        plots=plots,
        chance=CHANCE,
        fewest=FEWEST,
        policy=POLICY,
        navigation=NAVIGATION,
        steps=range(2 * HEAT_STEPS + 1),
        near_chance=near_chance,
        no_better=no_better,
    )
    return environment


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


def near_chance(interval: tuple[float, float] | None, chance: float | None) -> bool:
    """Return whether an interval holds the chance level.

    >>> near_chance((0.4, 0.6), 0.5), near_chance((0.51, 0.6), 0.5), near_chance(None, 0.5)
    (True, False, False)
    """
    return interval is not None and chance is not None and interval[0] <= chance <= interval[1]


def no_better(interval: tuple[float, float] | None, chance: float | None, lower: bool) -> bool:
    """Return whether a score may be no better than chance.

    >>> no_better((0.0, 0.0), 0.1, False), no_better((0.2, 0.3), 0.1, False), no_better((1.0, 9.0), 5.0, True)
    (True, False, True)
    """
    if interval is None or chance is None:
        return False
    return interval[1] >= chance if lower else interval[0] <= chance
