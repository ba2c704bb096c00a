"""What the method page says: the measures that a site shows, and where its benchmarks come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mrbench.benchmark import Source
from mrbench.leaderboard import wording
from mrbench.leaderboard.site.view import Site


@dataclass(frozen=True, slots=True)
class Method:
    """What the method page says.

    Attributes:
        measures: Title and meaning of each measure that a board shows.
        sources: By digest of a benchmark, whose art and text it holds, with licences.
    """

    measures: tuple[tuple[str, str], ...]
    sources: Mapping[str, tuple[Source, ...]]


def method(site: Site) -> Method:
    """Return what the method page says of a site."""
    names = dict.fromkeys(name for view in site.boards for name in view.board.measures)
    by_grain = dict.fromkeys(name for name in ("grain_sensitivity",) if any(v.board.sensitivity for v in site.boards))
    measures = tuple((wording.measure(name), wording.meaning(name)) for name in (*names, *by_grain))
    return Method(measures, site.sources)
