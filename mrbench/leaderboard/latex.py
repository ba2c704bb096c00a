"""The leaderboard as tables of LaTeX, for a paper."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mrbench.leaderboard.data import CHANCE, Board, Cell
from mrbench.leaderboard.wording import MISSING, about, decimal, measure
from mrbench.words import one_line

HEAD = "% Written by mrbench export latex."
"""The first line, by which a file of ours is known."""
_DOWN, _UP, _END = "\ue000", "\ue001", "\ue002"
_SYMBOLS = {"→": r"$\rightarrow$", "—": "---", "±": r"$\pm$", _DOWN: "$_{-", _UP: "}^{+", _END: "}$"}


def render_latex(boards: Sequence[Board]) -> str:
    """Return a table of models for each board, and one of pair accuracy by grain; they need ``booktabs``."""
    parts = [HEAD, r"% Needs \usepackage{booktabs}; names in other scripts need LuaLaTeX or XeLaTeX.", ""]
    for board in boards:
        parts += [f"% {one_line(board.title)}: {about(board)}", _tabular(*_ranking(board), 1), ""]
        if board.grains:
            parts += [
                f"% Pair accuracy by {board.noun}, {CHANCE:.2f} is chance.",
                _tabular(*grain_rows(board, _score), 2),
                "",
            ]
    return "\n".join(parts)


def grain_rows(board: Board, written: Callable[[Cell, int], str]) -> tuple[list[str], list[list[str]]]:
    """Return head and rows of the pair accuracies: a line for each task and model, a column for each grain type."""
    head = ["task", "model", *board.grains]
    rows = [
        [panel.title, with_kind(line.label, line.control), *(written(cell, 2) for cell in line.cells)]
        for panel in board.panels
        for line in panel.lines
    ]
    return head, rows


def with_kind(label: str, control: bool) -> str:
    """Return the name of a row, and that it is a control where it is one."""
    return f"{label} (control)" if control else label


def _ranking(board: Board) -> tuple[list[str], list[list[str]]]:
    """Return head and rows of the main measures: a column for each task, and the mean where there is one."""
    overall = ["overall"] if board.main and len(board.tasks) > 1 else []
    mains = {head.main for head in board.tasks}
    head = [
        "model",
        *overall,
        *(f"{h.title}" + ("" if len(mains) == 1 else f", {measure(h.main)}") for h in board.tasks),
    ]
    rows = [
        [with_kind(row.label, row.control), *([_score(row.overall)] if overall else []), *map(_score, row.tasks)]
        for row in board.rows
    ]
    chance = [MISSING if h.chance is None else decimal(h.chance) for h in board.tasks]
    return head, [*rows, ["a random order", *(MISSING for _ in overall), *chance]]


def _score(cell: Cell, digits: int = 3) -> str:
    """Return a score and how far its interval goes down and up: after ±, or as index and exponent where they differ."""
    text = decimal(cell.score, digits)
    if cell.score is None or cell.interval is None or cell.interval[0] == cell.interval[1]:
        return text
    down, up = (f"{abs(bound - cell.score):.{digits}f}" for bound in cell.interval)
    return f"{text} ±{up}" if up == down else f"{text} {_DOWN}{down}{_UP}{up}{_END}"


def _tabular(head: list[str], rows: list[list[str]], texts: int) -> str:
    """Return a tabular; pandas escapes the texts."""
    import pandas as pd

    columns = "l" * texts + "r" * (len(head) - texts)
    frame = pd.DataFrame(rows, columns=head, dtype=str)
    text = frame.to_latex(index=False, escape=True, column_format=columns)
    for character, command in _SYMBOLS.items():
        text = text.replace(character, command)
    return str(text).rstrip()
