"""What the pages show: the boards, the scale of their numbers, their models, and what others report."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from mrbench.benchmark import Manifest
from mrbench.leaderboard.audits import Audit
from mrbench.leaderboard.data import Board, Row, TaskHead
from mrbench.leaderboard.reported import Reported
from mrbench.leaderboard.tasks import lower_is_better
from mrbench.results import Result, model_key


@dataclass(frozen=True, slots=True)
class Scale:
    """What the numbers of a task are to be read against.

    Attributes:
        chance: What a random order gives, or None.
        control: The best score of a control, or None.
        by: Which control that is.
        oracle: What a reader of the grains gets, where that follows from the judgements; else None.
    """

    chance: float | None
    control: float | None = None
    by: str = ""
    oracle: float | None = None

    @property
    def floor(self) -> float | None:
        """What a score has to beat: chance, or the best control where older results do not say what chance gives."""
        return self.control if self.chance is None else self.chance


@dataclass(frozen=True, slots=True)
class BoardView:
    """A board with what belongs to it.

    Attributes:
        key: Its name in links: ``b1``, ``b2``, ...
        results: The result of each row.
        scales: One for each task.
        slugs: The name of each row's model page.
        explored: The names of the tasks whose queries can be looked at.
        about: Split and pool, and the digest where another board has the same title, split and pool.
    """

    key: str
    board: Board
    results: tuple[Result, ...]
    scales: tuple[Scale, ...]
    slugs: tuple[str, ...]
    explored: tuple[str, ...] = ()
    about: str = ""

    def rows(self, kind: str) -> list[int]:
        """Return the rows of models that take all tasks (``all``), of others (``some``), or of controls."""
        return [i for i, row in enumerate(self.board.rows) if _kind(row) == kind]


@dataclass(frozen=True, slots=True)
class Site:
    """All that the pages show.

    Attributes:
        boards: The boards.
        reported: What others report.
        cards: What a benchmark that was opened says of itself, by digest.
        audits: Audits of benchmarks, by digest.
    """

    boards: tuple[BoardView, ...]
    reported: tuple[Reported, ...] = ()
    cards: Mapping[str, Manifest] = field(default_factory=dict)
    audits: Mapping[str, Audit] = field(default_factory=dict)

    @property
    def models(self) -> dict[str, list[tuple[BoardView, int]]]:
        """The boards and rows of each model, by the name of its page."""
        found: dict[str, list[tuple[BoardView, int]]] = {}
        for view in self.boards:
            for row, slug in enumerate(view.slugs):
                found.setdefault(slug, []).append((view, row))
        return dict(sorted(found.items()))


def views(made: Sequence[tuple[Board, Sequence[Result]]], digests: Collection[str] = ()) -> tuple[BoardView, ...]:
    """Return boards with what belongs to them.

    Args:
        made: Boards with the results of their rows.
        digests: The benchmarks whose queries the site shows.
    """
    names = Counter((board.title, board.split, board.pool) for board, _ in made)
    found = []
    for number, (board, results) in enumerate(made, start=1):
        about = f"{board.split}, pool {board.pool}"
        if names[board.title, board.split, board.pool] > 1:
            about += f", {board.digest[:6]}"
        explored = [head.name for head in board.tasks if board.digest in digests and head.queries]
        found.append(_view(number, board, results, explored, about))
    return tuple(found)


def _view(number: int, board: Board, results: Sequence[Result], explored: Sequence[str], about: str) -> BoardView:
    scales = tuple(_scale(board, i, head) for i, head in enumerate(board.tasks))
    slugs = tuple(map(slug, results))
    return BoardView(f"b{number}", board, tuple(results), scales, slugs, tuple(explored), about)


def slug(result: Result) -> str:
    """Return a name for the page of a model: ASCII, and another one for whatever makes it another model."""
    stem = re.sub(r"[^a-z0-9]+", "-", result.model["name"].lower()).strip("-")[:40]
    key = repr(model_key(result.model)).encode("utf-8", "surrogatepass")
    return f"{stem or 'model'}-{hashlib.sha256(key).hexdigest()[:8]}"


def _kind(row: Row) -> str:
    if row.control:
        return "control"
    return "some" if any(cell.score is None for cell in row.tasks) else "all"


def _scale(board: Board, number: int, head: TaskHead) -> Scale:
    controls = [
        (cell.score, row.label)
        for row in board.rows
        if row.control and row.evidence != "self-reported" and (cell := row.tasks[number]).score
    ]
    best: tuple[float | None, str] = (None, "")
    if controls:
        best = min(controls) if lower_is_better(head.main) else max(controls)
    # All candidates are judged by their grains, so whoever reads the grains puts a relevant one first.
    complete = not head.facts and not head.judged
    sure = complete and head.queries and re.fullmatch(r"hit_rate@\d+|mrr(@\d+)?", head.main)
    return Scale(head.chance, *best, oracle=1.0 if sure and board.grains else None)
