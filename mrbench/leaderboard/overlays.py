"""Results whose data set has further judgements laid over it: which of two to keep, and what they change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mrbench.leaderboard.agreement import duplicate, trust
from mrbench.leaderboard.data import TaskHead
from mrbench.leaderboard.tasks import scored
from mrbench.results import Result, difference
from mrbench.words import counted, one_line


def with_overlay(one: Result, other: Result) -> Result | None:
    """Return the one of two results of a model that has scores with an overlay, where the other adds nothing.

    A result with an overlay holds the scores without it too, so it stands for a result without any whose scores are
    the same. None where both have an overlay or none has, or where the scores without it differ.
    """
    first, second = (any(part.overlay for part in result.tasks.values()) for result in (one, other))
    if first == second or difference(one, other, overlay=False) is not None:
        return None
    return one if first else other


def one_of(first: Result, second: Result) -> Result:
    """Return the one of two results of a model to show: see :func:`with_overlay`.

    Raises:
        ResultError: Neither stands for the other, or a self-reported one would stand for a checked one.
    """
    kept = with_overlay(first, second)
    if kept is None or trust(kept) > min(trust(first), trust(second)):
        raise duplicate(first, second)
    return kept


def overlaid(result: Result, heads: Sequence[TaskHead]) -> Iterator[str]:
    """Yield for each task with an overlay the main measure with it, and without it, over the same run."""
    for head in heads:
        part = scored(result).get(head.name)
        if part is None or head.main not in part.overlay.get("scores", {}) or head.main not in part.scores:
            continue
        over, judged = part.overlay, part.overlay["judged_queries"]
        number = counted(over["queries"], "query", "queries")
        said = (
            f"{head.name}, with {over['name']} laid over: {head.main} {over['scores'][head.main]:.3f} over {number}, "
            f"{part.scores[head.main]:.3f} without it over {part.queries:,}"
        )
        if head.main in judged["with"] and judged["queries"] != over["queries"]:
            number = counted(judged["queries"], "query", "queries")
            said += (
                f"; over the {number} that it judges {judged['with'][head.main]:.3f}, "
                f"{judged['without'][head.main]:.3f} without it"
            )
        yield one_line(said)
