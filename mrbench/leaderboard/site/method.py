"""What the method page says of measures, and of the benchmarks that were opened."""

from __future__ import annotations

from mrbench.benchmark import Manifest
from mrbench.leaderboard import wording
from mrbench.leaderboard.site.view import Site
from mrbench.words import one_line


def measures(site: Site) -> list[tuple[str, str]]:
    """Return title and meaning of each measure that a board shows."""
    names = dict.fromkeys(name for view in site.boards for name in view.board.measures)
    if any(view.board.sensitivity for view in site.boards):
        names["grain_sensitivity"] = None
    return [(wording.measure(name), wording.meaning(name)) for name in names]


def card(manifest: Manifest, split: str) -> list[tuple[str, str]]:
    """Return what a benchmark says of itself: names and values."""
    counts = manifest.counts.get(split, {})
    facts = {
        what: ", ".join(f"{name} {number:,}" for name, number in sorted(counts.get(what, {}).items()))
        for what in ("queries", "candidates")
    }
    builder = f"{manifest.builder.get('name', '')} {manifest.builder.get('version', '')}".strip()
    facts |= {
        "grain types": ", ".join(manifest.grain_types),
        "made by": f"{builder}, seed {manifest.seed}" if builder else "",
        "licence": manifest.licence,
        "sources": "; ".join(
            f"{source.package} {source.version} ({source.licence}): {source.attribution}" for source in manifest.sources
        ),
    }
    return [(name, one_line(value)) for name, value in facts.items() if value]
