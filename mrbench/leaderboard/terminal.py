"""The leaderboard as plain text for a terminal: no escape sequences, so that it can be piped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from unicodedata import combining, east_asian_width

from mrbench.leaderboard.data import CHANCE, MAIN_MEASURE, Board, Cell, Line, Panel
from mrbench.leaderboard.wording import MISSING, about, decimal, interval, span

NAME_WIDTH = 32


def terminal(board: Board) -> str:
    """Return a board as text: the ranking, the pair accuracy by grain type, and a sentence for each model.

    A model that lacks a task has a line for each task that it takes, in place of a mean over all.
    """
    ranking = [["rank", "model", "overall", "95 %", "ranks", "group", *(head.name for head in board.tasks)]]
    for row in board.rows:
        scores = [decimal(cell.score) for cell in row.tasks]
        sure = [interval(row.overall.interval), span(row.ranks), row.group]
        ranking.append([str(row.rank or ""), _name(row.label, row.control), decimal(row.overall.score), *sure, *scores])
    grains = [["model", "task", *board.grains]]
    for panel, line in _lines(board):
        grains.append([_name(line.label, line.control), panel.task, *map(_grain, line.cells)])
    readings = [[_name(row.label, row.control), row.reading] for row in board.rows]
    lines = [board.title, about(board), ""]
    about_overall = f"overall is the mean over all tasks; {MISSING} is no score; one letter in group: not told apart"
    lines += [f"{MAIN_MEASURE}: {about_overall}", *_columns(ranking, 1), ""]
    lines += [f"pair accuracy by grain: {CHANCE:.2f} is chance; * marks the blindest grain", *_columns(grains, 0, 1)]
    return "\n".join([*lines, "", *_columns(readings, 0, 1), ""])


def _lines(board: Board) -> Iterator[tuple[Panel, Line]]:
    """Yield one line for each model with all tasks, then those of the others by task."""
    whole = {line.row for line in board.panels[0].lines} if board.panels else set()
    for i in range(len(board.rows)):
        for panel in board.panels[:1] if i in whole else board.panels[1:]:
            yield from ((panel, line) for line in panel.lines if line.row == i)


def _name(label: str, control: bool) -> str:
    while _width(label) > NAME_WIDTH:
        label = label.removesuffix("…")[:-1] + "…"
    return f"{label} (control)" if control else label


def _grain(cell: Cell) -> str:
    return decimal(cell.score, 2) + ("*" if cell.blindest else " ")


def _width(text: str) -> int:
    """Return the number of columns that text takes."""
    return sum(0 if combining(c) else 1 + (east_asian_width(c) in "WF") for c in text)


def _columns(rows: Sequence[Sequence[str]], *texts: int) -> list[str]:
    """Return aligned lines: the columns in ``texts`` to the left, the others to the right."""
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = []
        for i, (cell, width) in enumerate(zip(row, widths, strict=True)):
            space = " " * (width - _width(cell))
            cells.append(cell + space if i in texts else space + cell)
        lines.append(("  " + "  ".join(cells)).rstrip())
    return lines
