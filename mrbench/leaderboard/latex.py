"""The rankings as LaTeX tables, with the package booktabs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from mrbench.leaderboard.data import Board
from mrbench.leaderboard.wording import decimal, measure

_ESCAPES = {
    **{char: f"\\{char}" for char in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "→": r"$\rightarrow$",
    "—": "--",
}


def render_latex(boards: Sequence[Board]) -> str:
    """Return one table a board: the main measure of each model on each task, controls below a rule."""
    head = "% \\usepackage{booktabs}\n"
    return head + "\n".join("\n".join(_table(board)) + "\n" for board in boards)


def escape(text: str) -> str:
    r"""Return LaTeX that shows the text as it is.

    >>> escape("a_b & 100%")
    'a\\_b \\& 100\\%'
    """
    return re.sub(r"[&%$#_{}\\~^→—]", lambda match: _ESCAPES[match[0]], text)


def _table(board: Board) -> Iterator[str]:
    overall = ["overall"] if board.main else []
    yield f"\\begin{{tabular}}{{l{'r' * (len(overall) + len(board.tasks))}}}"
    yield "\\toprule"
    titles = [head.title if board.main else f"{head.title}, {measure(head.main)}" for head in board.tasks]
    yield " & ".join(["model", *overall, *map(escape, titles)]) + " \\\\"
    yield "\\midrule"
    for control in (False, True):
        rows = [row for row in board.rows if row.control == control]
        if control and rows:
            yield "\\midrule"
        for row in rows:
            cells = [*([row.overall] if overall else []), *row.tasks]
            yield " & ".join([escape(row.label), *(escape(decimal(cell.score)) for cell in cells)]) + " \\\\"
    yield "\\bottomrule"
    yield "\\end{tabular}"
    yield f"% {escape(board.title)}, {escape(board.split)}, digest {escape(board.digest[:12])}"
