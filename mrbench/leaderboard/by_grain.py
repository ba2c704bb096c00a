"""What a leaderboard says by grain type: pairs, sensitivity, what first results lose, and a sentence a model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import NormalDist

from mrbench.leaderboard.data import CHANCE, Cell, Confusion, Line, Panel, Row, TaskHead, one_line
from mrbench.results import GrainScore, TaskResult


def _pairs(parts: Mapping[str, TaskResult], names: Sequence[str], grain: str) -> Cell:
    """Return the pair accuracy on a grain over several tasks, weighted by pairs."""
    pairs = [p for name in names if (p := parts[name].pair_accuracy.get(grain)) is not None and p.count]
    if not pairs:
        return Cell(None, reason="no pairs")
    count = sum(pair.count for pair in pairs)
    if len(pairs) == 1:
        return Cell(pairs[0].score, count, interval=pairs[0].interval)
    return Cell(round(math.fsum(pair.score * pair.count for pair in pairs) / count, 12), count)


def _sides(parts: Mapping[str, TaskResult], names: Sequence[str], grains: Sequence[str]) -> dict[str, int]:
    """Return on which side of chance the pair accuracy of each grain surely is: 1 above, -1 below, 0 not sure.

    Surely for all grains at once: the 95 % intervals are widened by the number of grains (Bonferroni). Over several
    tasks the bounds are averaged like the scores, as if the tasks moved together: they share art.

    Returns:
        By grain; without those for which a result has no interval.
    """
    found = {}
    normal = NormalDist()
    wider = normal.inv_cdf(1 - 0.025 / max(1, len(grains))) / normal.inv_cdf(0.975)
    for grain in grains:
        pairs = [p for name in names if (p := parts[name].pair_accuracy.get(grain)) is not None and p.count]
        known = [(pair.score, *pair.interval, pair.count) for pair in pairs if pair.interval is not None]
        if not pairs or len(known) < len(pairs):
            continue
        count = sum(number for *_, number in known)
        low = math.fsum((score - wider * (score - low)) * number for score, low, _, number in known) / count
        high = math.fsum((score + wider * (high - score)) * number for score, _, high, number in known) / count
        found[grain] = 1 if low > CHANCE else -1 if high < CHANCE else 0
    return found


def panel(
    task: str,
    title: str,
    names: list[str],
    rows: list[Row],
    parts: list[dict[str, TaskResult]],
    grains: list[str],
) -> Panel:
    """Return the pair accuracy of the models that were scored on all of some tasks."""
    lines = []
    for i, (row, part) in enumerate(zip(rows, parts, strict=True)):
        if not all(name in part for name in names):
            continue
        cells = [_pairs(part, names, grain) for grain in grains]
        if not row.control and not _at_chance(_sides(part, names, grains)):
            cells = _marked(cells)
        lines.append(Line(i, row.label, row.control, tuple(cells)))
    return Panel(task, title, tuple(lines))


def sensitivity(
    heads: list[TaskHead], rows: list[Row], parts: list[dict[str, TaskResult]], grains: list[str]
) -> Iterator[Panel]:
    """Yield the grain sensitivity on each task on which a model has one."""
    for head in heads:
        lines = tuple(
            Line(i, row.label, row.control, tuple(_sensitivity_cell(part[head.name], grain) for grain in grains))
            for i, (row, part) in enumerate(zip(rows, parts, strict=True))
            if head.name in part
        )
        if any(cell.score is not None for line in lines for cell in line.cells):
            yield Panel(head.name, head.title, lines)


def _sensitivity_cell(part: TaskResult, grain: str) -> Cell:
    name = "grain_sensitivity"
    found = part.by_grain.get(name, {}).get(grain)
    if found is not None:
        return Cell(found.score, found.count, interval=found.interval)
    reason = part.missing.get(f"{name}[{grain}]") or part.missing.get(name) or "no query without this grain"
    return Cell(None, reason=f"not scored: {one_line(reason)}")


def confusion(
    names: Sequence[str], rows: Sequence[Row], parts: Sequence[Mapping[str, TaskResult]], grains: Sequence[str]
) -> Iterator[Confusion]:
    """Yield for each model what its first results lose, over the tasks that it takes, weighted by queries."""
    for i, (row, part) in enumerate(zip(rows, parts, strict=True)):
        taken = [name for name in names if name in part and part[name].confusion]
        tables = [part[name].confusion for name in taken]
        lines = tuple(
            (
                one_line(asked),
                tuple(_mean([t[asked][lost] for t in tables if lost in t.get(asked, ())]) for lost in grains),
            )
            for asked in grains
            if any(asked in table for table in tables)
        )
        if lines:
            yield Confusion(i, row.label, row.control, ", ".join(taken), lines)


def _mean(scores: Sequence[GrainScore]) -> Cell:
    count = sum(score.count for score in scores)
    if not count:
        return Cell(None, reason="no query asks for both")
    return Cell(round(math.fsum(score.score * score.count for score in scores) / count, 12), count)


def _marked(cells: list[Cell]) -> list[Cell]:
    """Mark the lowest cells, unless all are equal."""
    scores = [cell.score for cell in cells if cell.score is not None]
    if len(set(scores)) < 2:
        return cells
    return [replace(cell, blindest=cell.score == min(scores)) for cell in cells]


def _at_chance(sides: Mapping[str, int]) -> bool:
    """Whether no grain is surely above or below chance, where that is known of any."""
    return bool(sides) and not any(sides.values())


def reading(parts: Mapping[str, TaskResult], names: Sequence[str], *, control: bool, noun: str = "grain") -> str:
    """Say in a sentence to which grain type a model is most blind, over the tasks that it takes.

    Args:
        parts: Its scored tasks.
        names: The tasks of the board that have pairs.
        control: Whether it is a control, which is at chance on purpose.
        noun: What a grain type is called.
    """
    parts = {name: part for name, part in parts.items() if name in names}
    grains = sorted({grain for part in parts.values() for grain in part.pair_accuracy})
    cells = {one_line(grain): _pairs(parts, list(parts), grain) for grain in grains}
    scores = {grain: cell.score for grain, cell in cells.items() if cell.score is not None}
    if not scores:
        return "no pair was scored"
    few = "" if len(parts) == len(names) else f", on {', '.join(name for name in names if name in parts)} only"
    low, high = min(scores.values()), max(scores.values())
    if control:
        span = f"{low:.2f} to {high:.2f}" if low < high else f"{low:.2f}"
        return f"control: {span} on every {noun} (chance {CHANCE:.2f}; a tie counts as wrong){few}"
    sides = {one_line(grain): side for grain, side in _sides(parts, list(parts), grains).items()}
    if _at_chance(sides):
        span = f"{low:.2f} to {high:.2f}" if low < high else f"{low:.2f}"
        return f"at chance on every {noun} ({span}, chance {CHANCE:.2f}){few}"
    blind = [grain for grain, score in scores.items() if score == low]
    count = sum(cells[grain].count for grain in blind)
    sharp = [grain for grain, score in scores.items() if score == high and sides.get(grain, 1) > 0]
    best = "" if low == high or not sharp else f"; sharpest: {_names(sharp)} ({high:.2f})"
    return f"blindest {noun}: {_names(blind)} ({low:.2f} over {count:,} pairs, chance {CHANCE:.2f}){best}{few}"


def _names(names: list[str]) -> str:
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]
