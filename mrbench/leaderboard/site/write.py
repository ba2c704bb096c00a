"""Writes the site: the pages, their styles and scripts, and the data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mrbench.benchmark import Benchmark
from mrbench.errors import ResultError
from mrbench.leaderboard.audits import Audit
from mrbench.leaderboard.data import Board
from mrbench.leaderboard.reported import Reported
from mrbench.leaderboard.site.differences import differences
from mrbench.leaderboard.site.explorer import write_task
from mrbench.leaderboard.site.found import by_contestant, contestant_of
from mrbench.leaderboard.site.pages import assets, pages
from mrbench.leaderboard.site.pictures import Pictures
from mrbench.leaderboard.site.scripts import write_script
from mrbench.leaderboard.site.view import BoardView, Site, views
from mrbench.leaderboard.wording import measure
from mrbench.results import Result


def write_site(
    folder: Path,
    output: Path,
    made: Sequence[tuple[Board, list[Result]]],
    *,
    benchmarks: Sequence[Benchmark],
    runs: Sequence[Path],
    reported: Sequence[Reported],
    audits: Mapping[str, Audit],
    pictures: int,
) -> None:
    """Write the site of some boards into a folder; see :func:`mrbench.leaderboard.publish`."""
    opened = {benchmark.digest: benchmark for benchmark in benchmarks}
    boards = views(made, opened)
    _check_used(opened, boards)
    known = by_contestant(runs) if opened else {}
    art = {digest: Pictures(folder, output) for digest in opened}
    tasks = Counter(one.board.digest for one in boards for _ in one.explored)
    for one in boards:
        for at, head in enumerate(one.board.tasks):
            if head.name in one.explored:
                taken = _runs(one, at, known)
                digest, place = one.board.digest, f"{one.key}/t{at}"
                most = pictures // tasks[digest]
                write_task(folder, place, opened[digest], head.name, one.results[0], taken, art[digest], most)
        write_script(folder, f"{one.key}/compare", differences(one))
    cards = {digest: benchmark.manifest for digest, benchmark in sorted(opened.items())}
    site = Site(boards, tuple(reported), cards, audits)
    write_script(folder, "site", [_about(one) for one in boards])
    for path, text in pages(site):
        _write(folder / path, text.encode())
    for path, content in assets():
        _write(folder / path, content)


def _check_used(opened: Mapping[str, Benchmark], boards: Sequence[BoardView]) -> None:
    """Raise where a benchmark was named that no result is of.

    Raises:
        ResultError: There is such a benchmark.
    """
    for digest, benchmark in opened.items():
        if digest not in {one.board.digest for one in boards}:
            raise ResultError(
                "no result is of this benchmark",
                where=f"{benchmark.name}, digest {digest[:12]}",
                accepted=", ".join(f"{one.board.name}, digest {one.board.digest[:12]}" for one in boards),
                hint="evaluate on it, or leave it out of --benchmarks",
            )


def _runs(one: BoardView, task: int, known: Mapping[tuple[Any, ...], Path]) -> dict[int, Path]:
    """Return the run of each row of a board that has one with the task."""
    found = {}
    for row, result in enumerate(one.results):
        path = known.get(contestant_of(result))
        if path is not None and one.board.rows[row].tasks[task].score is not None:
            found[row] = path
    return found


def _about(one: BoardView) -> dict[str, Any]:
    board = one.board
    return {
        "key": one.key,
        "title": board.title,
        "about": one.about,
        "grains": board.grains,
        "noun": board.noun,
        "tasks": [
            {"title": head.title, "main": measure(head.main), "explored": head.name in one.explored}
            for head in board.tasks
        ],
        "models": [
            {"label": row.label, "slug": slug, "control": row.control}
            for row, slug in zip(board.rows, one.slugs, strict=True)
        ],
    }


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
