"""Results as a table for a paper (LaTeX), for a model card (Markdown), and for a spreadsheet (CSV)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from mrbench.export.targets import write_text
from mrbench.leaderboard import boards
from mrbench.leaderboard.csv_file import COLUMNS, render_csv
from mrbench.leaderboard.data import CHANCE, Board, Cell, one_line
from mrbench.leaderboard.markdown import escape, table
from mrbench.leaderboard.wording import MISSING, about, decimal, interval, measure
from mrbench.results import Result

LATEX = "% Written by mrbench export latex."
MARKDOWN = "<!-- Written by mrbench export markdown. -->"
_SYMBOLS = {"→": r"$\rightarrow$", "—": "---", "±": r"$\pm$"}


def write_latex(results: Sequence[Result], output: Path, *, overwrite: bool = False) -> None:
    """Write a table of models for each benchmark, and one of pair accuracy by grain; they need ``booktabs``.

    Raises:
        ResultError: As :func:`mrbench.leaderboard.boards`.
        OutputError: The file is there and may not be replaced, or cannot be written.
    """
    parts = [LATEX, r"% Needs \usepackage{booktabs}; names in other scripts need LuaLaTeX or XeLaTeX.", ""]
    for board in boards(results):
        parts += [f"% {one_line(board.title)}: {about(board)}", _latex(*_ranking(board), 1), ""]
        if board.grains:
            parts += [f"% Pair accuracy by {board.noun}, {CHANCE:.2f} is chance.", _latex(*_grains(board), 2), ""]
    write_text(output, "\n".join(parts), LATEX, overwrite=overwrite)


def write_markdown(results: Sequence[Result], output: Path, *, overwrite: bool = False) -> None:
    """Write the tables of a model card: scores with intervals and chance, and pair accuracy by grain.

    Raises:
        ResultError: As :func:`mrbench.leaderboard.boards`.
        OutputError: The file is there and may not be replaced, or cannot be written.
    """
    lines = [MARKDOWN, ""]
    for board in boards(results):
        lines += [f"### {escape(board.title)}", "", escape(about(board)), "", *_markdown(board)]
    write_text(output, "\n".join(lines), MARKDOWN, overwrite=overwrite)


def write_csv(results: Sequence[Result], output: Path, *, overwrite: bool = False) -> None:
    """Write a line for each score, as the leaderboard's CSV.

    Raises:
        ResultError: As :func:`mrbench.leaderboard.boards`.
        OutputError: The file is there and may not be replaced, or cannot be written.
    """
    write_text(output, render_csv(boards(results)), ",".join(COLUMNS), overwrite=overwrite)


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
        [_name(row.label, row.control), *([_score(row.overall)] if overall else []), *map(_score, row.tasks)]
        for row in board.rows
    ]
    chance = [MISSING if h.chance is None else decimal(h.chance) for h in board.tasks]
    return head, [*rows, ["a random order", *(MISSING for _ in overall), *chance]]


def _grains(board: Board) -> tuple[list[str], list[list[str]]]:
    head = ["task", "model", *board.grains]
    rows = [
        [panel.title, _name(line.label, line.control), *(_score(cell, 2) for cell in line.cells)]
        for panel in board.panels
        for line in panel.lines
    ]
    return head, rows


def _name(label: str, control: bool) -> str:
    return f"{label} (control)" if control else label


def _score(cell: Cell, digits: int = 3) -> str:
    """Return a score with half the width of its interval."""
    text = decimal(cell.score, digits)
    half = 0 if cell.interval is None else (cell.interval[1] - cell.interval[0]) / 2
    return f"{text} ±{half:.{digits}f}" if half else text


def _latex(head: list[str], rows: list[list[str]], texts: int) -> str:
    """Return a tabular; pandas escapes the texts."""
    import pandas as pd

    columns = "l" * texts + "r" * (len(head) - texts)
    frame = pd.DataFrame(rows, columns=head, dtype=str)
    text = frame.to_latex(index=False, escape=True, column_format=columns)
    for character, command in _SYMBOLS.items():
        text = text.replace(character, command)
    return str(text).rstrip()


def _markdown(board: Board) -> Iterator[str]:
    """Yield a line for each model and task, and the pair accuracy by grain."""
    head = ["model", "task", "measure", "score", "95 %", "chance"]
    rows = [
        [
            escape(_name(row.label, row.control)),
            escape(task.title),
            escape(measure(task.main)),
            decimal(cell.score),
            interval(cell.interval),
            decimal(task.chance),
        ]
        for row in board.rows
        for task, cell in zip(board.tasks, row.tasks, strict=True)
    ]
    yield from table(head, rows, texts=3)
    if board.grains:
        names, lines = _grains(board)
        yield from (f"Pair accuracy by {board.noun}, {CHANCE:.2f} is chance; ± half the 95 % interval.", "")
        yield from table([escape(name) for name in names], [[escape(cell) for cell in row] for row in lines], texts=2)
