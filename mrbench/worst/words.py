"""The worst queries as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from mrbench.words import one_line
from mrbench.worst.find import Above, WorstQuery


def worst_text(found: Sequence[WorstQuery]) -> str:
    """Return the worst queries as lines of text, the worst first."""
    return "\n".join(line for one in found for line in _lines(one)) or "no query"


def _lines(one: WorstQuery) -> list[str]:
    margin = "" if one.margin is None else f", margin {one.margin:+.2f}"
    rank = f"{one.rank:,.1f}".removesuffix(".0")
    lines = [
        f"{one_line(one.query.id)}  {one.query.task}, rank {rank}{margin}",
        f"  query   {one_line(one.query.text or '(a picture)')}",
        f"  answer  {one_line(one.positive.id)}  {one.score:.4f}  {one_line(one.positive.text or '')}".rstrip(),
    ]
    return [*lines, *(f"  above   {_above(above)}".rstrip() for above in one.above)]


def _above(above: Above) -> str:
    rank = "" if above.rank is None else f"rank {above.rank}  "
    parts = f"{one_line(above.candidate.id)}  {above.score:.4f}  {rank}{loses(above)}"
    return f"{parts}  {one_line(above.candidate.text or '')}"


def loses(above: Above) -> str:
    """Return what a candidate loses, or that nobody judged it."""
    if above.judgement is None:
        return "not judged"
    if above.lost is None:
        return "not relevant"
    return f"loses {', '.join(map(one_line, above.lost))}" if above.lost else "loses no grain"
