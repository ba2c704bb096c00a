"""A comparison as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mrbench.comparison.changed import ChangedQuery
from mrbench.comparison.paired import LEVEL, Comparison, Difference
from mrbench.leaderboard.terminal import columns
from mrbench.leaderboard.wording import signed_interval
from mrbench.words import one_line


def comparison_text(comparison: Comparison, changed: Sequence[ChangedQuery] | None = None) -> str:
    """Return a comparison as lines of text.

    Args:
        comparison: The comparison.
        changed: The queries that changed, or None where nobody asked for them.
    """
    first, second, title, split = map(
        one_line, (comparison.first, comparison.second, comparison.benchmark["title"], comparison.benchmark["split"])
    )
    head = ["task", "measure", first, second, "difference", "95 %", "p", "p (Holm)", "won", "same", "lost"]
    rows = [head, *(_row(difference) for difference in comparison.differences)]
    lines = [
        f"{first} and {second} on {title} ({split})",
        *columns(rows, 0, 1),
        "",
        f"  * p (Holm) below {LEVEL}. Difference: {first} less {second} on the same queries; won: {first} is better.",
    ]
    left_out = {d.grain: d.left_out for d in comparison.differences if d.left_out}
    if left_out:
        said = ", ".join(f"{one_line(grain)} {number:,}" for grain, number in left_out.items())
        lines.append(f"  Queries left out, since a model cut a text of theirs: {said}.")
    lines += [f"  {one_line(said)}" for said in comparison.absent]
    return "\n".join([*lines, *([] if changed is None else _changed(changed, first, second))])


def _row(difference: Difference) -> list[str]:
    measure = f"pairs: {one_line(difference.grain)}" if difference.grain else one_line(difference.measure)
    corrected = difference.p if difference.p_holm is None else difference.p_holm
    return [
        one_line(difference.task),
        measure,
        f"{difference.first:.3f}",
        f"{difference.second:.3f}",
        f"{difference.difference:+.3f}",
        signed_interval(difference.interval),
        f"{difference.p:.4f}",
        f"{corrected:.4f}{'*' if corrected < LEVEL else ' '}",
        *(f"{number:,}" for number in (difference.wins, difference.ties, difference.losses)),
    ]


def _changed(changed: Sequence[ChangedQuery], first: str, second: str) -> Iterator[str]:
    yield from ("", f"queries that changed most; rank of the right answer with {first} and with {second}")
    rows = [["task", "query", "measure", "values", "ranks", "grains", "text"]]
    for query in changed:
        grains = [*(f"+{grain}" for grain in query.gained), *(f"-{grain}" for grain in query.lost)]
        values = f"{query.first:.3g} / {query.second:.3g}"
        ranks = " / ".join(f"{rank:,.1f}".removesuffix(".0") for rank in query.ranks)
        text = one_line(query.text or "")
        cells = (query.task, query.query_id, query.measure, values, ranks, ", ".join(grains))
        rows.append([*map(one_line, cells), text if len(text) <= 70 else text[:69] + "…"])
    if len(rows) == 1:
        yield "  none"
        return
    yield from columns(rows, 0, 1, 2, 5, 6)
