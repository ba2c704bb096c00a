"""The leaderboard as one tidy CSV table: a line for each score.

Columns: benchmark, digest, split, pool, limit (empty when not cut), rank (empty without one), model, revision, dtype
(empty where the result does not say it), control (yes or no), evidence (run, recomputed or self-reported), task
(``all`` for the overall score and for pair accuracy over all tasks), measure, grain (empty unless the measure is the
pair accuracy or the sensitivity of one grain type), score (empty when there is none), low and high (its 95 % interval,
where there is one), count (queries, pairs or probes), candidates, reason (why there is no score). Where the tasks have
different main measures, the line of ``all`` has neither a measure nor a score.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from mrbench.leaderboard.data import Board, Cell

COLUMNS = (
    "benchmark", "digest", "split", "pool", "limit", "rank", "model", "revision", "dtype", "control", "evidence",
    "task", "measure", "grain", "score", "low", "high", "count", "candidates", "reason",
)  # fmt: skip
# A cell that begins so is a formula to a spreadsheet (CWE-1236); the last four are the full-width forms.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def render_csv(boards: Sequence[Board]) -> str:
    """Return the CSV text; text that a spreadsheet would run gets an apostrophe in front, numbers are left alone."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for board in boards:
        writer.writerows([_safe(value) for value in line] for line in _lines(board))
    return stream.getvalue()


def _lines(board: Board) -> Iterator[tuple[object, ...]]:
    for i, row in enumerate(board.rows):
        cut = board.limit if board.limit is not None else ""
        about = (board.title, board.digest, board.split, board.pool, cut)
        control = "yes" if row.control else "no"
        start = (*about, row.rank or "", row.model, row.revision, row.dtype, control, row.evidence)
        yield (*start, "all", board.main or "", "", *_score(row.overall, ""))
        for head, cells in zip(board.tasks, row.measures, strict=True):
            for measure, cell in zip(board.measures, cells, strict=True):
                yield (*start, head.name, measure, "", *_score(cell, head.candidates))
        for panel in board.panels:
            for line in (line for line in panel.lines if line.row == i):
                for grain, cell in zip(board.grains, line.cells, strict=True):
                    yield (*start, panel.task, "pair_accuracy", grain, *_score(cell, ""))
        for panel in board.sensitivity:
            for line in (line for line in panel.lines if line.row == i):
                for grain, cell in zip(board.grains, line.cells, strict=True):
                    yield (*start, panel.task, "grain_sensitivity", grain, *_score(cell, ""))


def _score(cell: Cell, candidates: int | str) -> tuple[object, ...]:
    missing = cell.score is None
    low, high = cell.interval or ("", "")
    count = "" if missing else cell.count
    return "" if missing else cell.score, low, high, count, "" if missing else candidates, cell.reason


def _safe(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
