"""What a leaderboard says by grain type: pairs, sensitivity, what first results lose, and a sentence a model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import NormalDist

from scipy.special import betaincinv

from mrbench.leaderboard.data import CHANCE, Cell, Confusion, Line, Panel, Row, TaskHead
from mrbench.results import GrainScore, TaskResult
from mrbench.words import one_line

FAR = 0.15
"""A pair accuracy so far from chance that may still be chance is of too few pairs."""
FEWEST = 20  # pairs of a grain type below which it is not called the blindest
"""With fewer pairs no accuracy differs from chance: five of five has probability 1 in 16 (two-sided)."""


def _pairs(parts: Mapping[str, TaskResult], names: Sequence[str], grain: str) -> Cell:
    """Return the pair accuracy on a grain over several tasks, weighted by pairs."""
    pairs = [p for name in names if (p := parts[name].pair_accuracy.get(grain)) is not None and p.count]
    if not pairs:
        cut = any(parts[name].cut_pairs.get(grain) for name in names)
        return Cell(None, reason="the model cut a text of every pair" if cut else "no pairs")
    count = sum(pair.count for pair in pairs)
    if len(pairs) == 1:
        return Cell(pairs[0].score, count, interval=pairs[0].interval)
    return Cell(round(math.fsum(pair.score * pair.count for pair in pairs) / count, 12), count)


def _sides(
    parts: Mapping[str, TaskResult], names: Sequence[str], grains: Sequence[str], *, level: float = 0.95
) -> dict[str, set[int]]:
    """Return on which sides of chance the pair accuracy of each grain surely is: 1 above, -1 below.

    It is sure where the interval of a task excludes chance, or that of the mean over tasks. The bounds of the mean are
    the means of the bounds, as if all tasks erred alike: they share art. A missing interval is computed from the number
    of pairs, as exact binomial; pairs of one picture are then counted as independent.

    Args:
        parts: The scored tasks of a model.
        names: The tasks.
        grains: The grain types.
        level: How sure; the 95 % intervals are stretched to it.

    Returns:
        By grain, empty where it may be chance, both where tasks differ; no grain without pairs.
    """
    found = {}
    for grain in grains:
        pairs = [p for name in names if (p := parts[name].pair_accuracy.get(grain)) is not None and p.count]
        if not pairs:
            continue
        bounds = [(*_bounds(pair, level), pair.count) for pair in pairs]
        count = sum(number for *_, number in bounds)
        low, high = (math.fsum(bound[side] * bound[2] for bound in bounds) / count for side in (0, 1))
        found[grain] = {_side(low, high)} - {0} or {_side(*bound[:2]) for bound in bounds} - {0}
    return found


def _bounds(pair: GrainScore, level: float) -> tuple[float, float]:
    """Return the interval of a pair accuracy at a level: its own stretched, else the exact one of its pairs."""
    if pair.interval is None:
        return _exact(round(pair.score * pair.count), pair.count, level)
    normal = NormalDist()
    wider = normal.inv_cdf((1 + level) / 2) / normal.inv_cdf(0.975)
    low, high = (pair.score + wider * (bound - pair.score) for bound in pair.interval)
    return low, high


def _exact(right: int, count: int, level: float) -> tuple[float, float]:
    """Return the exact binomial interval of a share (Clopper and Pearson, Biometrika 1934).

    >>> [round(bound, 4) for bound in _exact(8, 10, 0.95)]
    [0.4439, 0.9748]
    """
    tail = (1 - level) / 2
    low = float(betaincinv(right, count - right + 1, tail)) if right else 0.0
    high = float(betaincinv(right + 1, count - right, 1 - tail)) if right < count else 1.0
    return low, high


def _side(low: float, high: float) -> int:
    return 1 if low > CHANCE else -1 if high < CHANCE else 0


def _at_chance(parts: Mapping[str, TaskResult], names: Sequence[str], grains: Sequence[str]) -> bool:
    """Return whether no grain is surely above or below chance on any task.

    The intervals are stretched by the number of grains and tasks (Bonferroni), since one in twenty excludes chance by
    chance.
    """
    tests = sum(grain in parts[name].pair_accuracy for name in names for grain in grains)
    sides = _sides(parts, names, grains, level=1 - 0.05 / max(1, tests))
    return bool(sides) and not any(sides.values())


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
        if not row.control and not _at_chance(part, names, grains):
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
    """Mark the lowest cells of those with enough pairs, unless all are equal."""
    scores = [cell.score for cell in cells if cell.score is not None and cell.count >= FEWEST]
    if len(set(scores)) < 2:
        return cells
    return [replace(cell, blindest=cell.score == min(scores) and cell.count >= FEWEST) for cell in cells]


def reading(parts: Mapping[str, TaskResult], names: Sequence[str], *, control: bool, noun: str = "grain") -> str:
    """Return a sentence on the grain type that a model is most blind to, over the tasks that it takes.

    Only types with at least :data:`FEWEST` pairs count.

    Args:
        parts: Its scored tasks.
        names: The tasks of the board that have pairs.
        control: Whether it is a control, which is at chance on purpose.
        noun: What a grain type is called.
    """
    if not parts:
        return "takes none of these tasks"
    parts = {name: part for name, part in parts.items() if name in names}
    grains = sorted({grain for part in parts.values() for grain in part.pair_accuracy})
    cells = {one_line(grain): _pairs(parts, list(parts), grain) for grain in grains}
    scores = {grain: cell.score for grain, cell in cells.items() if cell.score is not None}
    if not scores:
        return "no pair was scored"
    few = "" if len(parts) == len(names) else f", on {', '.join(name for name in names if name in parts)} only"
    enough = {grain: score for grain, score in scores.items() if cells[grain].count >= FEWEST}
    if not enough:
        who = "control: " if control else ""
        return f"{who}too few pairs to tell any {noun} from chance (fewer than {FEWEST} of each {noun}){few}"
    low, high = min(enough.values()), max(enough.values())
    span = f"{low:.2f} to {high:.2f}" if low < high else f"{low:.2f}"
    kind = noun if len(enough) == len(scores) else f"{noun} with {FEWEST} pairs or more"
    if control:
        return f"control: {span} on every {kind} (chance {CHANCE:.2f}; a tie counts as wrong){few}"
    if _at_chance(parts, list(parts), grains):
        if max(high - CHANCE, CHANCE - low) > FAR:
            return f"too few pairs to tell any {kind} from chance ({span}, chance {CHANCE:.2f}){few}"
        return f"at chance on every {kind} ({span}, chance {CHANCE:.2f}){few}"
    blind = [grain for grain, score in enough.items() if score == low]
    count = sum(cells[grain].count for grain in blind)
    sides = {one_line(grain): found for grain, found in _sides(parts, list(parts), grains).items()}
    sharp = [grain for grain, score in enough.items() if score == high and sides.get(grain) == {1}]
    best = "" if low == high or not sharp else f"; sharpest: {_names(sharp)} ({high:.2f})"
    return f"blindest {noun}: {_names(blind)} ({low:.2f} over {count:,} pairs, chance {CHANCE:.2f}){best}{few}"


def _names(names: list[str]) -> str:
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]
