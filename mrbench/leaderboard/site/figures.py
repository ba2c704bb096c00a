"""The figures of a board: ladders, sensitivity against recall, and what a score costs."""

from __future__ import annotations

from collections.abc import Iterator

from mrbench.leaderboard import wording
from mrbench.leaderboard.by_grain import FEWEST
from mrbench.leaderboard.data import Row
from mrbench.leaderboard.site.plots import Plot, pareto, plot
from mrbench.leaderboard.site.view import BoardView

CURVE = "standardised_score"


def ladders(view: BoardView) -> Iterator[Plot]:
    """Yield a plot for each task: every model's mean score of candidates, by how many grains they lose.

    A step of fewer than :data:`mrbench.leaderboard.by_grain.FEWEST` candidates is left out.
    """
    for head in view.board.tasks:
        series = []
        for row, result in zip(view.board.rows, view.results, strict=True):
            part = result.tasks.get(head.name)
            steps = {} if part is None else part.by_loss.get(CURVE, {})
            points = [
                (float(lost), score.score, f"{row.label}: {score.score:.2f} at {lost} lost, {score.count:,} candidates")
                for lost, score in sorted(steps.items(), key=lambda step: _number(step[0]))
                if lost.isdecimal() and score.count >= FEWEST
            ]
            if len(points) > 1:
                series.append((row.label, points))
        made = plot(head.title, "grains lost", "score, in deviations above the pool's mean", series, joined=True)
        if made:
            yield made


def sensitivity_against_recall(view: BoardView) -> Iterator[Plot]:
    """Yield for each task the mean grain sensitivity of each model against its main measure."""
    for panel in view.board.sensitivity:
        number = [head.name for head in view.board.tasks].index(panel.task)
        head = view.board.tasks[number]
        series = []
        for line in panel.lines:
            found = [cell.score for cell in line.cells if cell.score is not None]
            main = view.board.rows[line.row].tasks[number].score
            if found and main is not None:
                mean = sum(found) / len(found)
                says = f"{line.label}: sensitivity {mean:.2f}, {wording.measure(head.main)} {main:.3f}"
                series.append((line.label, [(main, mean, says)]))
        made = plot(head.title, wording.measure(head.main), "grain sensitivity, mean over grains", series)
        if made:
            yield made


def costs(view: BoardView) -> Iterator[Plot]:
    """Yield the score against what it costs: the seconds of the evaluation, and the size of an embedding."""
    for title, label, cost in (
        ("Seconds against score", "seconds for the whole evaluation", [r.seconds for r in view.results]),
        ("Size against score", "numbers in an embedding", [_number(r.model.get("dimension")) for r in view.results]),
    ):
        rows = [(row, value) for row, value in zip(view.board.rows, cost, strict=True) if not row.control and value > 0]
        scored = [(row.label, value, score) for row, value in rows if (score := _score(row)) is not None]
        series = [(name, [(x, y, f"{name}: {y:.3f} at {x:g}")]) for name, x, y in scored]
        front = pareto([(x, y) for _, x, y in scored])
        made = plot(title, label, "mean over the tasks it takes", series, log_x=True, front=front)
        if made:
            yield made


def _score(row: Row) -> float | None:
    found = [cell.score for cell in row.tasks if cell.score is not None]
    return sum(found) / len(found) if found else None


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return 0.0
