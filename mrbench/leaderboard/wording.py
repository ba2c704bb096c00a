"""Words and numbers that all renderings share."""

from __future__ import annotations

from mrbench.leaderboard.data import BAR, Board, Cell, OnePart, TaskHead
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


def signed_interval(bounds: tuple[float, float] | None) -> str:
    """Return an interval of a difference, or nothing.

    >>> signed_interval((-0.1, 0.25))
    '-0.100 to +0.250'
    """
    return "" if bounds is None else f"{bounds[0]:+.3f} to {bounds[1]:+.3f}"


def half_width(bounds: tuple[float, float] | None, digits: int = 2) -> str:
    """Return half the width of an interval, to stand after its score, or nothing.

    >>> half_width((0.1, 0.25), 3)
    ' ±0.075'
    """
    return "" if bounds is None else f" ±{(bounds[1] - bounds[0]) / 2:.{digits}f}"


def span(ranks: tuple[int, int] | None) -> str:
    """Return an interval of ranks, or nothing.

    >>> span((1, 3)), span((2, 2))
    ('1 to 3', '2')
    """
    if ranks is None:
        return ""
    return str(ranks[0]) if ranks[0] == ranks[1] else f"{ranks[0]} to {ranks[1]}"


def sureness() -> str:
    """Return the meaning of intervals, ranks and letters."""
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


def main_measure(board: Board) -> str:
    """Return what the ranking shows, in a few sentences."""
    if board.main is None:
        return (
            f"Each task by its own main measure: {mains(board)}. They are different measures, so there is no mean over "
            f"the tasks, and models have no rank. {MISSING} is no score."
        )
    said = described(board.main)
    if len(board.tasks) == 1:
        return f"{said} {MISSING} is no score."
    return f"{said} Overall is the mean over all tasks; a model that lacks a task ({MISSING}) has none."


def described(name: str) -> str:
    """Return a sentence on a main measure: its meaning, what others call it, and whether low is good.

    >>> described("median_rank")
    'Median rank: the rank of the first relevant candidate, its median over queries (MedR; lower is better).'
    """
    known = find_measure(name)
    if known is None:
        return f"{_capital(measure(name))}."
    facts = "; ".join(filter(None, (known.others, "lower is better" if known.higher_is_better is False else "")))
    return f"{_capital(known.title)}: {known.meaning}" + (f" ({facts})." if facts else ".")


def mains(board: Board) -> str:
    """Name the main measure of each task."""
    return ", ".join(f"{measure(head.main)} of {head.name}" for head in board.tasks)


def lower(name: str) -> bool:
    """Return whether low scores are good."""
    known = find_measure(name)
    return known is not None and known.higher_is_better is False


def is_share(name: str) -> bool:
    """Return whether scores are from 0 to 1."""
    known = find_measure(name)
    return known is not None and (known.low, known.high) == (0.0, 1.0)


def overall(board: Board) -> str:
    """Return the meaning of the column of overall scores, in a few words."""
    if board.main is None:
        return "no overall score: the tasks have different main measures"
    return "overall is the mean over all tasks" if len(board.tasks) > 1 else "one task"


def judged(head: TaskHead, cell: Cell) -> str:
    """Return which share of the results behind a score was judged; empty where all were.

    >>> judged(TaskHead("a", "A", 9, 9, judged="judged@5"), Cell(0.5, judged=0.25))
    'judged@5 0.250'
    """
    return "" if cell.judged is None else f"{head.judged} {decimal(cell.judged)}"


def chances(board: Board) -> list[str]:
    """Return what a random order gets on each task; nothing where that is known of none."""
    if all(head.chance is None for head in board.tasks):
        return []
    return [MISSING if head.chance is None else decimal(head.chance) for head in board.tasks]


def open_tasks(board: Board) -> list[str]:
    """Return a line for each open task: how it is judged and searched, and its protocol."""
    return [f"{head.name} ({head.category}): {'. '.join(head.facts)}." for head in board.tasks if head.facts]


def pairs(board: Board) -> str:
    """Return what a pair is, in a sentence."""
    other = "the wrong one" if board.noun == "kind" else "a candidate that differs in this grain alone"
    return f"How often the right answer scores above {other}; a tie counts as wrong."


def cut_texts(board: Board) -> str:
    """Return what cut texts mean for the scores; empty where no model cut any."""
    if not any(row.cut for row in board.rows):
        return ""
    return (
        "Texts longer than a model takes are cut: it does not read their end. Pairs and variants with such a text are "
        f"in no measure of {board.noun}s; rank measures keep every query."
    )


def overlays(board: Board) -> str:
    """Return what further judgements laid over a data set mean; empty where no result has any."""
    if not any(row.overlaid for row in board.rows):
        return ""
    return (
        "With further judgements laid over those of the data set, such as known false negatives, beside the scores "
        "without them. Ranks are those without."
    )


def sensitivity() -> str:
    """Return the meaning of the calibrated grain sensitivity."""
    return f"{_capital(declared('grain_sensitivity').meaning)}. It is comparable between models."


def confusion() -> str:
    """Return what the table of lost grains shows."""
    return (
        "Of the queries that ask for both grains, the share whose first result loses the second; the diagonal is over "
        "all that ask for the grain. 0 is best. A mean over the model's tasks, weighted by queries."
    )


def one_part(part: OnePart) -> str:
    """Return a sentence on how many composed queries picture or text alone solves, over all models.

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
    """Return the name of the pool and what it holds."""
    meaning = _POOLS.get(board.pool)
    if board.pool == "task" and any(head.facts for head in board.tasks):
        meaning = "each task's own candidates"
    return f"pool {board.pool}" + (f" ({meaning})" if meaning else "")


def size(head: TaskHead) -> str:
    """Return the number of queries of a task, and of candidates where all are searched.

    >>> size(TaskHead("a", "A", 250, 4200)), size(TaskHead("b", "B", 250, 500, listed=True))
    ('250 queries in 4,200', '250 queries')
    """
    return f"{head.queries:,} queries" + ("" if head.listed else f" in {head.candidates:,}")


def sizes(board: Board) -> str:
    """Return the number of queries and candidates of each task, tasks of one size together."""
    by_size: dict[str, list[str]] = {}
    for head in board.tasks:
        size = f"{head.queries:,} queries, {head.candidates:,} candidates" if head.queries else "nobody was scored"
        by_size.setdefault(size, []).append(head.name)
    return "; ".join(f"{', '.join(names)}: {size}" for size, names in by_size.items())


def cut(board: Board) -> str:
    """Return the warning that results were cut; empty where they were not."""
    if board.limit is None:
        return ""
    return f"Cut to {board.limit} queries per task: a quick look, not a leaderboard entry."


def about(board: Board) -> str:
    """Return in one line what was measured."""
    facts = f"split {board.split}; {pool(board)}; {sizes(board)}; digest {board.digest[:12]}."
    return " ".join(filter(None, (cut(board), facts)))


def _capital(text: str) -> str:
    """Begin with a capital, but for a word that has others, as nDCG."""
    return text if text[1:2].isupper() else text[:1].upper() + text[1:]
