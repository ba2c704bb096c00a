"""Words and numbers that all renderings share."""

from __future__ import annotations

from mrbench.leaderboard.data import Board

MISSING = "—"
_POOLS = {"task": "candidates of the task's modality", "union": "candidates of all modalities"}


def decimal(score: float | None, digits: int = 3) -> str:
    """Return a score with a fixed number of decimals, or a dash.

    >>> decimal(0.5), decimal(None)
    ('0.500', '—')
    """
    return MISSING if score is None else f"{score:.{digits}f}"


def measure(name: str) -> str:
    """Return the name of a measure for people.

    >>> measure("hit_rate@5")
    'hit rate@5'
    """
    return name.replace("_", " ")


def main_measure() -> str:
    """Say what the ranking shows."""
    return (
        "Hit rate@5: the share of queries with a relevant candidate among the first five "
        "(the paper calls it Recall@5). Overall is the mean over all tasks; "
        f"a model that lacks a task ({MISSING}) has none."
    )


def pool(board: Board) -> str:
    """Say what the pool holds."""
    meaning = _POOLS.get(board.pool)
    return f"pool {board.pool}" + (f" ({meaning})" if meaning else "")


def sizes(board: Board) -> str:
    """Say how many queries and candidates each task has, tasks of one size together."""
    by_size: dict[str, list[str]] = {}
    for head in board.tasks:
        size = f"{head.queries:,} queries, {head.candidates:,} candidates" if head.queries else "nobody was scored"
        by_size.setdefault(size, []).append(head.name)
    return "; ".join(f"{', '.join(names)}: {size}" for size, names in by_size.items())


def cut(board: Board) -> str:
    """Say that the results were cut, or nothing."""
    if board.limit is None:
        return ""
    return f"Cut to {board.limit} queries per task: a quick look, not a leaderboard entry."


def about(board: Board) -> str:
    """Say in one line what was measured."""
    facts = f"split {board.split}; {pool(board)}; {sizes(board)}; digest {board.digest[:12]}."
    return " ".join(filter(None, (cut(board), facts)))
