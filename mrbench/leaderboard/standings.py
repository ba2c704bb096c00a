"""The standings: every decision of a leaderboard is made here, and a renderer only formats.

* Results are grouped by benchmark digest, split, pool and how they were cut: nothing is compared across groups.
* The main measure is the hit rate at 5 of a task; the overall score is its mean over all tasks of the benchmark.
  A model that lacks one task has no overall score and no rank, and stands after those that have.
* Models of one score share a rank. The controls are listed by score too, without a rank.
* A score that does not exist is None with a reason, never 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mrbench.benchmark.manifest import STEM
from mrbench.errors import ResultError
from mrbench.leaderboard.by_grain import confusion, panel, reading, sensitivity
from mrbench.leaderboard.certainty import certainty
from mrbench.leaderboard.data import MAIN_MEASURE, Board, Cell, Row, TaskHead, is_control, one_line
from mrbench.leaderboard.one_part import one_part
from mrbench.measures import in_order
from mrbench.records import TASKS
from mrbench.results import Result, TaskResult


def contestant(result: Result) -> tuple[str | int, ...]:
    """Return what only one result may have: benchmark digest, split, pool, how it was cut, model and revision."""
    return (*_group(result), result.model["name"], result.model["revision"])


def boards(results: Sequence[Result], *, allow_limited: bool = False) -> list[Board]:
    """Return the boards of these results, sorted by title, split and pool; their order does not matter.

    Args:
        results: One or more.
        allow_limited: Take results that were cut to a number of queries; they get boards of their own.

    Raises:
        ResultError: No result; a cut result without leave; two results of one model on one benchmark; results of one
            benchmark that disagree on its size.
    """
    if not results:
        raise ResultError("no result to show", hint="mrbench evaluate DIR --model NAME")
    groups: dict[tuple[str | int, ...], list[Result]] = {}
    seen: set[tuple[str | int, ...]] = set()
    for result in results:
        where = f"{result.model['name']} on {result.benchmark['name']}, {result.benchmark['split']}"
        if result.limit is not None and not allow_limited:
            raise ResultError(
                "a result that was cut with --limit is no leaderboard entry",
                where=where,
                got=f"{result.limit} queries per task",
                hint="evaluate without --limit, or add --allow-limited",
            )
        if contestant(result) in seen:
            raise ResultError("two results of one model on one benchmark", where=where)
        seen.add(contestant(result))
        groups.setdefault(_group(result), []).append(result)
    made = [_board(sorted(group, key=contestant)) for group in groups.values()]
    return sorted(made, key=lambda b: (b.title, b.name, b.split, b.pool, b.limit or 0, b.digest))


def _group(result: Result) -> tuple[str | int, ...]:
    benchmark = result.benchmark
    cut = () if result.limit is None else (result.limit, benchmark.get("distractors", 0), result.seed)
    return benchmark["digest"], benchmark["split"], benchmark["pool"], *cut


def _board(group: list[Result]) -> Board:
    benchmark = group[0].benchmark
    heads = _heads(group)
    names = [head.name for head in heads]
    parts = [_scored(result) for result in group]
    grains = sorted({g for p in parts for part in p.values() for g, pair in part.pair_accuracy.items() if pair.count})
    found = {measure for p in parts for part in p.values() for measure in part.scores} | {MAIN_MEASURE}
    found -= {"image_only_hit_rate@5", "text_only_hit_rate@5"}  # in the result files; the table is wide enough
    measures = in_order(found)
    order, rows = _ranked([_row(result, names, measures, _same_name(result, group)) for result in group])
    parts = [parts[i] for i in order]
    rows = _with_certainty(rows, parts, names)
    panels = [panel("all", "mean over all tasks", names, rows, parts, grains)] if len(names) > 1 else []
    panels += [panel(head.name, head.title, [head.name], rows, parts, grains) for head in heads]
    return Board(
        name=one_line(benchmark["name"]),
        title=one_line(benchmark.get("title") or benchmark["name"]),
        digest=one_line(benchmark["digest"]),
        split=one_line(benchmark["split"]),
        pool=one_line(benchmark["pool"]),
        limit=group[0].limit,
        tasks=tuple(heads),
        measures=tuple(map(one_line, measures)),
        grains=tuple(map(one_line, grains)),
        rows=tuple(rows),
        panels=tuple(panels),
        sensitivity=tuple(sensitivity(heads, rows, parts, grains)),
        one_part=one_part(parts, names),
        confusion=tuple(confusion(names, rows, parts, grains)),
    )


def _scored(result: Result) -> dict[str, TaskResult]:
    return {name: part for name, part in result.tasks.items() if part.status == "scored"}


def _same_name(result: Result, group: list[Result]) -> bool:
    return [other.model["name"] for other in group].count(result.model["name"]) > 1


def _heads(group: list[Result]) -> list[TaskHead]:
    """Return the tasks in the order of the benchmark, after checking that all results saw the same one."""
    wanted = dict.fromkeys(name for result in group for name in (*_declared(result), *result.tasks))
    usual = [name for name in TASKS if name in wanted]
    heads = []
    for name in usual if len(usual) == len(wanted) else wanted:
        size: tuple[int, int, dict[str, int]] | None = None
        for result in group:
            part = _scored(result).get(name)
            if part is None:
                continue
            seen = (part.queries, part.candidates, {g: p.count for g, p in part.pair_accuracy.items() if p.count})
            size = size or seen
            if seen != size:
                raise ResultError(
                    "results of one benchmark disagree on its queries, candidates or pairs",
                    where=f"{result.model['name']}, {name}",
                    got=seen,
                    accepted=size,
                    hint="evaluate again",
                )
        described = next((result.tasks[name] for result in group if name in result.tasks), None)
        title = described.definition(name).title if described else TASKS[name].title if name in TASKS else name
        heads.append(TaskHead(name, one_line(title), *(size[:2] if size else (0, 0))))
    return heads


def _declared(result: Result) -> tuple[str, ...]:
    """Return the tasks that the benchmark has, also those that nobody ran, where the result tells."""
    names = result.benchmark.get("tasks", ())
    sound = isinstance(names, (list, tuple)) and all(isinstance(name, str) and STEM.fullmatch(name) for name in names)
    if not sound:
        raise ResultError("malformed list of tasks in a result", where=result.model["name"], got=names)
    return tuple(names)


def _row(result: Result, names: list[str], measures: list[str], full_label: bool) -> Row:
    model, revision = one_line(result.model["name"]), one_line(result.model["revision"])
    cells = tuple(tuple(_cell(result.tasks.get(name), measure) for measure in measures) for name in names)
    tasks = tuple(task[measures.index(MAIN_MEASURE)] for task in cells)
    scores = [cell.score for cell in tasks if cell.score is not None]
    lacking = [name for name, cell in zip(names, tasks, strict=True) if cell.score is None]
    if lacking:
        overall = Cell(None, reason=f"no score on {', '.join(lacking)}")
    else:
        # Rounded so that equal means tie whatever the order of the sum.
        overall = Cell(round(math.fsum(scores) / len(scores), 12), sum(cell.count for cell in tasks))
    return Row(
        rank=None,
        label=f"{model} @ {revision}" if full_label else model,
        model=model,
        revision=revision,
        control=is_control(result.model),
        overall=overall,
        tasks=tasks,
        measures=cells,
        reading=reading(_scored(result), names, control=is_control(result.model)),
        facts=tuple(_facts(result).items()),
    )


def _cell(part: TaskResult | None, measure: str) -> Cell:
    if part is None:
        return Cell(None, reason="not evaluated")
    if part.status != "scored":
        return Cell(None, reason="not supported" + (f": {one_line(part.reason)}" if part.reason else ""))
    if measure not in part.scores:
        return Cell(None, reason="not in the result")
    return Cell(part.scores[measure], part.queries, interval=part.intervals.get(measure))


def _ranked(rows: list[Row]) -> tuple[list[int], list[Row]]:
    """Sort and number the rows: by overall score, then by number of tasks, then by name; return the order too."""

    def key(i: int) -> tuple[Any, ...]:
        row = rows[i]
        missing = sum(cell.score is None for cell in row.tasks)
        return -(row.overall.score if row.overall.score is not None else -1.0), missing, row.model.casefold(), row.label

    order = sorted(range(len(rows)), key=key)
    scores = [rows[i].overall.score for i in order if not rows[i].control]
    ranked = []
    for row in (rows[i] for i in order):
        counts = row.overall.score is not None and not row.control
        ranked.append(replace(row, rank=1 + scores.index(row.overall.score)) if counts else row)
    return order, ranked


def _with_certainty(rows: list[Row], parts: list[dict[str, TaskResult]], names: list[str]) -> list[Row]:
    """Add intervals and groups to the rows of models that were scored on all tasks."""
    whole = [i for i, row in enumerate(rows) if row.overall.score is not None]
    found = certainty([parts[i] for i in whole], names, [rows[i].control for i in whole], MAIN_MEASURE)
    for i, sure in zip(whole, found or (), strict=False):
        cell = replace(rows[i].overall, interval=sure.interval)
        rows[i] = replace(rows[i], overall=cell, ranks=sure.ranks, group=sure.group)
    return rows


def _facts(result: Result) -> dict[str, str]:
    model = result.model
    modalities = model.get("modalities", ())
    shown = sorted(map(str, modalities)) if isinstance(modalities, (list, tuple, set, frozenset)) else [str(modalities)]
    facts: dict[str, object] = {
        "revision": model["revision"],
        "dimension": model.get("dimension", ""),
        "modalities": " · ".join(shown),
        "device": model.get("device", ""),
        "dtype": model.get("dtype", ""),
        "seed": result.seed,
        "queries per task": "all" if result.limit is None else f"cut to {result.limit}",
        "started": result.started,
        "seconds": f"{result.seconds:.0f}",
        "command": result.command,
        "versions": ", ".join(f"{name} {value}" for name, value in sorted(result.environment.items())),
    }
    return {name: one_line(value) for name, value in facts.items()}
