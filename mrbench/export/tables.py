"""Results as a table for a paper (LaTeX), for a model card (Markdown), and for a spreadsheet (CSV)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from mrbench.export.targets import write_text
from mrbench.leaderboard import boards
from mrbench.leaderboard.csv_file import COLUMNS, render_csv
from mrbench.leaderboard.data import CHANCE, Board, Cell
from mrbench.leaderboard.latex import HEAD, grain_rows, render_latex, with_kind
from mrbench.leaderboard.markdown import escape, table
from mrbench.leaderboard.wording import about, decimal, half_width, interval, measure
from mrbench.results import Result

MARKDOWN = "<!-- Written by mrbench export markdown. -->"


def write_latex(results: Sequence[Result], output: Path, *, overwrite: bool = False) -> None:
    """Write a table of models for each benchmark, and one of pair accuracy by grain; they need ``booktabs``.

    Raises:
        ResultError: As :func:`mrbench.leaderboard.boards`.
        OutputError: The file is there and may not be replaced, or cannot be written.
    """
    write_text(output, render_latex(boards(results)), HEAD, overwrite=overwrite)


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


def _markdown(board: Board) -> Iterator[str]:
    """Yield a line for each model and task, and the pair accuracy by grain."""
    head = ["model", "task", "measure", "score", "95 %", "chance"]
    rows = [
        [
            escape(with_kind(row.label, row.control)),
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
        names, lines = grain_rows(board, _with_half)
        yield from (f"Pair accuracy by {board.noun}, {CHANCE:.2f} is chance; ± half the 95 % interval.", "")
        yield from table([escape(name) for name in names], [[escape(cell) for cell in row] for row in lines], texts=2)


def _with_half(cell: Cell, digits: int) -> str:
    return decimal(cell.score, digits) + half_width(cell.interval, digits)
