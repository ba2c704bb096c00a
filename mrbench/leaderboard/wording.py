"""Words and numbers that all renderings share."""

from __future__ import annotations

from mrbench.leaderboard.data import BAR, MAIN_MEASURE, Board, OnePart
from mrbench.measures import declared, find_measure

MISSING = "—"
_POOLS = {"task": "candidates of the task's modality", "union": "candidates of all modalities"}


def decimal(score: float | None, digits: int = 3) -> str:
    """Return a score with a fixed number of decimals, or a dash.

    >>> decimal(0.5), decimal(None)
    ('0.500', '—')
    """
    return MISSING if score is None else f"{score:.{digits}f}"


def interval(bounds: tuple[float, float] | None) -> str:
    """Return an interval, or nothing.

    >>> interval((0.1, 0.25))
    '0.100 to 0.250'
    """
    return "" if bounds is None else f"{bounds[0]:.3f} to {bounds[1]:.3f}"


def span(ranks: tuple[int, int] | None) -> str:
    """Return an interval of ranks, or nothing.

    >>> span((1, 3)), span((2, 2))
    ('1 to 3', '2')
    """
    if ranks is None:
        return ""
    return str(ranks[0]) if ranks[0] == ranks[1] else f"{ranks[0]} to {ranks[1]}"


def sureness() -> str:
    """Say what the interval, the ranks and the letters mean."""
    return (
        "95 %: interval over queries, those that share art drawn together. Ranks: the ranks that these draws give. "
        "Models that share a letter cannot be told apart (paired randomisation test, Holm)."
    )


def measure(name: str) -> str:
    """Return the title of a measure, or its name where nobody declared it.

    >>> measure("hit_rate@5"), measure("of_a_plugin")
    ('hit rate@5', 'of a plugin')
    """
    known = find_measure(name)
    return name.replace("_", " ") if known is None else known.title


def meaning(name: str) -> str:
    """Return what a measure says, which way is better and what chance gives, or nothing where nobody declared it.

    >>> meaning("pair_accuracy").partition(" (")[2]
    'higher is better; chance: 0.5)'
    """
    known = find_measure(name)
    if known is None:
        return ""
    better = {True: "higher is better", False: "lower is better", None: ""}[known.higher_is_better]
    chance = known.chance_rule if known.chance is None else f"{known.chance:.3g}"
    facts = "; ".join(filter(None, (better, f"chance: {chance}" if chance else "")))
    return known.meaning + (f" ({facts})" if facts else "")


def main_measure() -> str:
    """Say what the ranking shows."""
    main = declared(MAIN_MEASURE)
    return (
        f"{_capital(main.title)}: {main.meaning} ({main.others}). Overall is the mean over all tasks; "
        f"a model that lacks a task ({MISSING}) has none."
    )


def sensitivity() -> str:
    """Say what the calibrated grain sensitivity means."""
    return f"{_capital(declared('grain_sensitivity').meaning)}. It is comparable between models."


def confusion() -> str:
    """Say what the table of lost grains shows."""
    return (
        "Of the queries that ask for both grains, the share whose first result loses the second; the diagonal is over "
        "all that ask for the grain. 0 is best. A mean over the model's tasks, weighted by queries."
    )


def one_part(part: OnePart) -> str:
    """Say how many composed queries picture or text alone solves over all models, and what that means.

    >>> one_part(OnePart("it2i", 0, 2, reason="nothing known"))
    'it2i, picture or text alone: not scored: nothing known.'
    """
    about = f"{part.task}, picture or text alone"
    if part.share is None or part.beyond is None or part.chance is None:
        return f"{about}: not scored: {part.reason}."
    sure = f" (95 %: {interval(part.interval)})" if part.interval else ""
    return (
        f"{about}: {part.share:.1%} of {part.queries:,} queries{sure} have their answer put first by at least one of "
        f"{part.models} models (of {part.of} scored) that sees one half of the query; guessers would solve "
        f"{part.chance:.1%}. Beyond chance: {100 * part.beyond:+.1f} points; at most {100 * BAR:.0f} are accepted, "
        + ("and that holds for these models." if part.passes else "so that too many need only one half.")
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


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
