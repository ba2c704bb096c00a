"""The leaderboard as GitHub-flavoured Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from mrbench.leaderboard.data import CHANCE, Board, Cell, TaskHead
from mrbench.leaderboard.wording import (
    MISSING,
    about,
    chances,
    confusion,
    cut_texts,
    decimal,
    half_width,
    interval,
    judged,
    main_measure,
    measure,
    one_part,
    open_tasks,
    overlays,
    sensitivity,
    span,
    sureness,
)
from mrbench.measures import find_measure

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def render_markdown(boards: Sequence[Board]) -> str:
    """Return the Markdown text: for each board the ranking, the grains, all measures, and how it was measured."""
    return "\n".join(["# MRBench leaderboard", "", *(line for board in boards for line in _board(board))])


def escape(text: str) -> str:
    """Return Markdown that shows the text as it is, also inside a table.

    >>> escape("a|b <i>_x_</i>")
    'a\\\\|b &lt;i&gt;\\\\_x\\\\_&lt;/i&gt;'
    """
    text = re.sub(r"[&<>]", lambda match: _ENTITIES[match[0]], text)
    text = re.sub(r"([\\`*_\[\]{}|~$!#])", r"\\\1", text)
    text = re.sub(r"(?<!\w)@", "&#64;", text)
    return text.replace("://", r"\://").replace("www.", r"www\.")


def _board(board: Board) -> Iterable[str]:
    yield from (f"## {escape(board.title)}", "", escape(about(board)), "")
    if said := open_tasks(board):
        yield from (*(f"- {escape(line)}" for line in said), "")
    yield from _ranking(board)
    if board.grains:
        yield from _pairs(board)
    if board.sensitivity:
        yield from (
            f"Calibrated grain sensitivity. {sensitivity()} ± half the 95 % interval; {MISSING} is no score.",
            "",
        )
        moved = [
            [panel.title, _name(line.label, line.control), *(_with_interval(cell) for cell in line.cells)]
            for panel in board.sensitivity
            for line in panel.lines
        ]
        yield from table(["task", "model", *map(escape, board.grains)], moved, texts=2)
    for part in board.one_part:
        yield from (escape(one_part(part)), "")
    if text := cut_texts(board):
        yield from ("### Cut texts", "", text, "")
        yield from (f"- **{escape(row.label)}**, {escape(line)}" for row in board.rows for line in row.cut)
        yield ""
    if text := overlays(board):
        yield from ("### With further judgements", "", text, "")
        yield from (f"- **{escape(row.label)}**, {escape(line)}" for row in board.rows for line in row.overlaid)
        yield ""
    if board.confusion:
        yield from ("### What the first result loses", "", confusion(), "")
        lost = [
            [_name(table.label, table.control), escape(asked), *(_score(cell, 2) for cell in cells)]
            for table in board.confusion
            for asked, cells in table.lines
        ]
        yield from table(["model", "asked", *(f"loses {escape(grain)}" for grain in board.grains)], lost, texts=2)
    yield from ("### All measures", "")
    measure_rows = [
        [head.name, _name(row.label, row.control), *map(_score, cells)]
        for i, head in enumerate(board.tasks)
        for row, cells in ((row, row.measures[i]) for row in board.rows)
        if any(cell.score is not None for cell in cells)
    ]
    yield from table(["task", "model", *(escape(measure(name)) for name in board.measures)], measure_rows, texts=2)
    yield from ("### How it was measured", "")
    names = list(dict.fromkeys(name for row in board.rows for name, _ in row.facts))
    facts = [[escape(row.label), *(escape(dict(row.facts).get(name, "")) for name in names)] for row in board.rows]
    yield from table(["model", *names], facts, texts=1 + len(names))
    reasons = [
        f"- {escape(row.label)}, {head.name}: {escape(cell.reason)}"
        for row in board.rows
        for head, cell in zip(board.tasks, row.tasks, strict=True)
        if cell.score is None
    ]
    if reasons:
        yield from (f"Without a score ({MISSING}):", "", *reasons, "")


def _ranking(board: Board) -> Iterable[str]:
    """Yield the table of main measures; without an overall score it has no columns of ranks."""
    said = main_measure(board)
    said = said if board.main and find_measure(board.main) else escape(said)  # our own words stay as they are
    sures = f" Controls have no rank. {sureness()}" if board.main else ""
    yield from ("### Ranking" if board.main else "### Scores", "", said + sures, "")
    sure = ["overall", "95 %", "ranks", "group"] if board.main else []
    rank = ["rank"] if board.main else []
    rows = []
    for row in board.rows:
        about_overall = [_score(row.overall), interval(row.overall.interval), span(row.ranks), row.group]
        cells = [_main(head, cell) for head, cell in zip(board.tasks, row.tasks, strict=True)]
        start = [str(row.rank or "")] if rank else []
        rows.append([*start, _name(row.label, row.control), *(about_overall if sure else []), *cells])
    if chance := chances(board):
        rows.append([*("" for _ in rank), "*a random order gives*", *("" for _ in sure), *chance])
    titles = [escape(head.title) + ("" if board.main else f", {measure(head.main)}") for head in board.tasks]
    yield from table([*rank, "model", *sure, *titles], rows, texts=1 + len(rank))


def _main(head: TaskHead, cell: Cell) -> str:
    beside = judged(head, cell)
    return _score(cell) + (f" ({beside})" if beside else "")


def _pairs(board: Board) -> Iterable[str]:
    yield from (f"### Which {board.noun} is each model blind to?", "")
    yield from (f"- **{escape(row.label)}**: {escape(row.reading)}" for row in board.rows)
    noun, kind = board.noun, "grain type" if board.noun == "grain" else board.noun
    said = f"Pair accuracy by {kind}, {CHANCE:.2f} is chance; ± half the 95 % interval; the blindest {noun} is bold."
    yield from ("", said, "")
    grain_rows = [
        [escape(panel.title), _name(line.label, line.control), *(_with_interval(cell) for cell in line.cells)]
        for panel in board.panels
        for line in panel.lines
    ]
    yield from table(["task", "model", *map(escape, board.grains)], grain_rows, texts=2)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, texts: int) -> Iterable[str]:
    """Yield a table whose first columns are text and whose other columns are numbers."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'|'.join(' --- ' if i < texts else ' ---: ' for i in range(len(head)))}|"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


def _name(label: str, control: bool) -> str:
    return f"{escape(label)} *(control)*" if control else escape(label)


def _with_interval(cell: Cell) -> str:
    return _score(cell, 2) + half_width(cell.interval)


def _score(cell: Cell, digits: int = 3) -> str:
    text = decimal(cell.score, digits)
    return f"**{text}**" if cell.blindest else text
