"""What the method page says of the measures that a site shows."""

from __future__ import annotations

from mrbench.leaderboard import wording
from mrbench.leaderboard.site.view import Site


def measures(site: Site) -> list[tuple[str, str]]:
    """Return title and meaning of each measure that a board shows."""
    names = dict.fromkeys(name for view in site.boards for name in view.board.measures)
    if any(view.board.sensitivity for view in site.boards):
        names["grain_sensitivity"] = None
    return [(wording.measure(name), wording.meaning(name)) for name in names]
