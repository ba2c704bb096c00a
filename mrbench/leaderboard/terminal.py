"""The leaderboard as plain text for a terminal: no escape sequences, so that it can be piped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from unicodedata import combining, east_asian_width

from mrbench.leaderboard.data import CHANCE, Board, Cell, Line, Panel, Row
from mrbench.leaderboard.wording import (
    MISSING,
    about,
    chances,
    cut_texts,
    decimal,
    interval,
    mains,
    open_tasks,
    overall,
    overlays,
    span,
)

NAME_WIDTH, SHORTEST_NAME = 34, 6


def terminal(board: Board) -> str:
    """Return a board as text: the ranking, the pair accuracy by grain type, and a sentence for each model.

    A model that lacks a task has a line for each task that it takes, in place of a mean over all. Models that take none
    are named below the table.
    """
    lines = [board.title, about(board), *open_tasks(board), ""]
    main = board.main or mains(board)
    sure = "; one letter in group: not told apart" if any(row.group for row in board.rows) else ""
    lines += [f"{main}: {overall(board)}; {MISSING} is no score{sure}", *columns(_ranking(board), 1)]
    if idle := [row.label for row in board.rows if not _scored(row)]:
        lines.append(f"  takes none of these tasks: {', '.join(idle)}")
    lines.append("")
    if board.grains:
        grains = [["model", "task", *board.grains]]
        for panel, line in _lines(board):
            grains.append([_name(line.label, line.control), panel.task, *map(_grain, line.cells)])
        about_pairs = f"{CHANCE:.2f} is chance; * marks the blindest {board.noun}"
        lines += [f"pair accuracy by {board.noun}: {about_pairs}", *columns(grains, 0, 1), ""]
        says = [[_name(row.label, row.control), row.reading] for row in board.rows if _scored(row)]
        lines += [*columns(says, 0, 1), ""]
    if said := cut_texts(board):
        cut = [[_name(row.label, row.control), text] for row in board.rows for text in row.cut]
        lines += [said, *columns(cut, 0, 1), ""]
    if said := overlays(board):
        over = [[_name(row.label, row.control), text] for row in board.rows for text in row.overlaid]
        lines += [said, *columns(over, 0, 1), ""]
    return "\n".join(lines)


def _ranking(board: Board) -> list[list[str]]:
    """Return the table of main measures, judged@k beside those that are not wholly judged, and what chance gives."""
    sure = ["overall", "95 %", "ranks", "group"] if board.main is not None else []
    heads = [[head.name, *([head.judged] if head.judged else [])] for head in board.tasks]
    ranking = [["rank", "model", *sure, *(name for names in heads for name in names)]]
    for row in filter(_scored, board.rows):
        scores = [
            text
            for head, cell in zip(board.tasks, row.tasks, strict=True)
            for text in (decimal(cell.score), *([decimal(cell.judged)] if head.judged else []))
        ]
        about_overall = [decimal(row.overall.score), interval(row.overall.interval), span(row.ranks), row.group]
        ranking.append([str(row.rank or ""), _name(row.label, row.control), *(about_overall if sure else []), *scores])
    if chance := chances(board):
        cells = [text for names, level in zip(heads, chance, strict=True) for text in (level, *("" for _ in names[1:]))]
        ranking.append(["", "a random order gives", *("" for _ in sure), *cells])
    return ranking


def _scored(row: Row) -> bool:
    return any(cell.score is not None for cell in row.tasks)


def _lines(board: Board) -> Iterator[tuple[Panel, Line]]:
    """Yield one line for each model with all tasks, then those of the others by task."""
    whole = {line.row for line in board.panels[0].lines} if board.panels else set()
    for i in range(len(board.rows)):
        for panel in board.panels[:1] if i in whole else board.panels[1:]:
            yield from ((panel, line) for line in panel.lines if line.row == i)


def _name(label: str, control: bool) -> str:
    """Return a label of at most ``NAME_WIDTH`` columns: the name is cut, not what is said of it behind it."""
    end = label.rfind(" (") if label.endswith(")") else len(label)
    name, said = label[:end], label[end:]
    while _width(name + said) > NAME_WIDTH and _width(name) > SHORTEST_NAME:
        name = name.removesuffix("…")[:-1] + "…"
    while _width(name + said) > NAME_WIDTH:
        said = "…" + said.removeprefix("…")[1:]
    return f"{name}{said} (control)" if control else f"{name}{said}"


def _grain(cell: Cell) -> str:
    return decimal(cell.score, 2) + ("*" if cell.blindest else " ")


def _width(text: str) -> int:
    """Return the number of columns that text takes."""
    return sum(0 if combining(c) else 1 + (east_asian_width(c) in "WF") for c in text)


def columns(rows: Sequence[Sequence[str]], *texts: int) -> list[str]:
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
