"""The standings: every decision of a leaderboard is made here, and a renderer only formats.

* Results are grouped by benchmark digest, split, pool and how they were cut: nothing is compared across groups.
* Each task says what its main measure is: of our suites the hit rate at 5. Where all tasks have the same, the overall
  score is its mean over all tasks of the benchmark. A model that lacks one task has no overall score and no rank, and
  stands after those that have. Where tasks have different main measures there is no overall score and no rank.
* Models of one score share a rank. The controls are listed by score too, without a rank.
* A score that does not exist is None with a reason, never 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from mrbench.errors import ResultError
from mrbench.leaderboard.agreement import checked, disagreements, named, trust
from mrbench.leaderboard.by_grain import confusion, panel, reading, sensitivity
from mrbench.leaderboard.certainty import certainty
from mrbench.leaderboard.composed_shortcuts import one_part
from mrbench.leaderboard.data import EVIDENCE, Board, Cell, Row, TaskHead, is_control, shown_variant
from mrbench.leaderboard.overlays import one_of, overlaid
from mrbench.leaderboard.places import places
from mrbench.leaderboard.tasks import lower_is_better, main_of, scored, task_heads
from mrbench.measures import find_measure, in_order
from mrbench.results import Result, TaskResult, model_key
from mrbench.words import one_line


def contestant(result: Result) -> tuple[str | int, ...]:
    """Return what only one result may have: benchmark, split, pool, cut, and which model made it."""
    return (*result.setting, *model_key(result.model))


def boards(results: Sequence[Result], *, allow_limited: bool = False) -> list[Board]:
    """Return the boards of these results, sorted by title, split and pool; their order does not matter.

    See :func:`boards_with_results`.
    """
    return [board for board, _ in boards_with_results(results, allow_limited=allow_limited)]


def boards_with_results(results: Sequence[Result], *, allow_limited: bool = False) -> list[tuple[Board, list[Result]]]:
    """Return the boards of these results, each with the results of its rows in the order of the rows.

    Args:
        results: One or more.
        allow_limited: Take results that were cut to a number of queries; they get boards of their own.

    Raises:
        ResultError: No result; a cut result without leave; two results of one model on one benchmark, but for one with
            an overlay and one without, of which the first is kept; a result that contradicts others of its benchmark.
    """
    if not results:
        raise ResultError("no result to show", hint="mrbench evaluate DIR --model NAME")
    groups: dict[tuple[str | int, ...], list[Result]] = {}
    seen: dict[tuple[str | int, ...], Result] = {}
    for result in results:
        if result.limit is not None and not allow_limited:
            raise ResultError(
                "a result that was cut with --limit is no leaderboard entry",
                where=named(result),
                got=f"{result.limit} queries per task",
                hint="evaluate without --limit, or add --allow-limited",
            )
        first = seen.setdefault(contestant(result), result)
        if first is not result:
            seen[contestant(result)] = one_of(first, result)
    for _, error in disagreements(list(seen.values())):
        raise error
    for result in seen.values():
        groups.setdefault(result.setting, []).append(result)
    made = [_board(sorted(group, key=contestant)) for group in groups.values()]

    def key(pair: tuple[Board, list[Result]]) -> tuple[Any, ...]:
        board = pair[0]
        return board.title, board.name, board.split, board.pool, board.limit or 0, board.digest

    return sorted(made, key=key)


def conflicts(results: Sequence[Result]) -> list[tuple[Result, ResultError]]:
    """Return the results that keep a board of all of these from being made, each with the error that names its file.

    They contradict others of their benchmark, or are second results of one model.
    """
    found = disagreements(results)
    seen: dict[tuple[str | int, ...], Result] = {}
    for result in results:
        first = seen.setdefault(contestant(result), result)
        if first is result:
            continue
        try:
            seen[contestant(result)] = one_of(first, result)
        except ResultError as error:
            found.append((first if trust(first) > trust(result) else result, error))
    return found


def _board(group: list[Result]) -> tuple[Board, list[Result]]:
    benchmark = checked(group)[0].benchmark
    heads = task_heads(group)
    names = [head.name for head in heads]
    parts = [scored(result) for result in group]
    leading = [scored(result) for result in checked(group)]
    grains = sorted({g for p in parts for part in p.values() for g, pair in part.pair_accuracy.items() if pair.count})
    paired = [head for head in heads if grains and (not head.queries or _has_pairs(head.name, parts))]
    noun = "kind" if paired and all(head.listed for head in paired if head.queries) else "grain"
    found = {measure for p in leading for part in p.values() for measure in part.scores} | {head.main for head in heads}
    found |= {m for p in parts for part in p.values() for m in part.scores if find_measure(m)}  # no name is made up
    found -= {"image_only_hit_rate@5", "text_only_hit_rate@5"}  # in the result files; the table is wide enough
    measures = in_order(found)
    main = main_of(heads)
    made = [_row(result, heads, measures, _label(result, group)) for result in group]
    says = [
        reading(part, [head.name for head in paired], control=r.control, noun=noun)
        for part, r in zip(parts, made, strict=True)
    ]
    made = [replace(row, reading=said if paired else "") for row, said in zip(made, says, strict=True)]
    order, rows = _ranked(made, lower=main is not None and lower_is_better(main))
    parts = [parts[i] for i in order]
    rows = _with_certainty(rows, parts, names, main)
    rows = [replace(row, places=found) for row, found in zip(rows, places(rows, parts, heads), strict=True)]
    with_pairs = [head.name for head in paired]
    whole = "mean over all tasks" if len(paired) == len(heads) else "mean over all tasks with pairs"
    panels = [panel("all", whole, with_pairs, rows, parts, grains)] if len(paired) > 1 else []
    panels += [panel(head.name, head.title, [head.name], rows, parts, grains) for head in paired]
    board = Board(
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
        one_part=one_part(leading, names),
        confusion=tuple(confusion(names, rows, parts, grains)),
        main=main,
        noun=noun,
    )
    return board, [group[i] for i in order]


def _has_pairs(name: str, parts: list[dict[str, TaskResult]]) -> bool:
    return any(part[name].pair_accuracy or part[name].cut_pairs for part in parts if name in part)


def _label(result: Result, group: list[Result]) -> str:
    """Return the name of a model, with what others of its name differ in: revision, number format, length, options.

    A result that lies in the repository and was not measured with the others is marked, and so is one without a run.
    """
    name, revision, dtype, length, variant = model_key(result.model)
    others = [model_key(other.model)[1:] for other in group if other.model["name"] == name]
    label = f"{one_line(name)} @ {one_line(revision)}" if len({other[0] for other in others}) > 1 else one_line(name)
    same = [other[1:] for other in others if other[0] == revision]
    said = [one_line(dtype) or "number format unknown"] if len({other[0] for other in same}) > 1 else []
    said += [f"texts of {length} tokens" if length else "whole texts"] if len({other[1] for other in same}) > 1 else []
    said += [shown_variant(variant)] if len({other[2] for other in same}) > 1 else []
    said += ["committed"] if result.committed else []
    said += ["self-reported"] if result.evidence == "self-reported" else []
    return f"{label} ({', '.join(said)})" if said else label


def _row(result: Result, heads: list[TaskHead], measures: list[str], label: str) -> Row:
    names = [head.name for head in heads]
    model, revision = one_line(result.model["name"]), one_line(result.model["revision"])
    cells = tuple(tuple(_cell(result.tasks.get(name), measure) for measure in measures) for name in names)
    tasks = tuple(_main_cell(result.tasks.get(head.name), head) for head in heads)
    scores = [cell.score for cell in tasks if cell.score is not None]
    lacking = [name for name, cell in zip(names, tasks, strict=True) if cell.score is None]
    if main_of(heads) is None:
        overall = Cell(None, reason="the tasks have different main measures")
    elif lacking:
        overall = Cell(None, reason=f"no score on {', '.join(lacking)}")
    elif len(tasks) == 1:
        overall = replace(tasks[0], judged=None)
    else:
        # Rounded so that equal means tie whatever the order of the sum.
        overall = Cell(round(math.fsum(scores) / len(scores), 12), sum(cell.count for cell in tasks))
    return Row(
        rank=None,
        label=label,
        model=model,
        revision=revision,
        control=is_control(result.model),
        overall=overall,
        tasks=tasks,
        measures=cells,
        reading="",
        facts=tuple(_facts(result).items()),
        cut=tuple(_cut(result, names)),
        overlaid=tuple(overlaid(result, heads)),
        dtype=one_line(str(result.model.get("dtype", ""))),
        evidence=result.evidence,
    )


def _main_cell(part: TaskResult | None, head: TaskHead) -> Cell:
    """Return the main measure of a task, and how much of what it looks at was judged."""
    cell = _cell(part, head.main)
    if part is None or cell.score is None or not head.judged:
        return cell
    return replace(cell, judged=part.scores.get(head.judged))


def _cut(result: Result, names: list[str]) -> Iterator[str]:
    """Yield for each task of which a model cut texts how many, and how many pairs are left out for it."""
    for name in names:
        part = scored(result).get(name)
        if part is None or not any(part.cut_texts.values()):
            continue
        totals = {"queries": f" of {part.queries:,}", "candidates": f" of {part.candidates:,}"}
        texts = [f"{n:,}{totals.get(what, '')} {what}" for what, n in part.cut_texts.items() if n]
        pairs = ", ".join(f"{grain} {number:,}" for grain, number in part.cut_pairs.items())
        yield one_line(f"{name}: {', '.join(texts)}" + (f"; pairs left out: {pairs}" if pairs else ""))


def _cell(part: TaskResult | None, measure: str) -> Cell:
    if part is None:
        return Cell(None, reason="not evaluated")
    if part.status != "scored":
        return Cell(None, reason="not supported" + (f": {one_line(part.reason)}" if part.reason else ""))
    if measure not in part.scores:
        return Cell(None, reason=one_line(part.missing.get(measure) or "not in the result"))
    return Cell(part.scores[measure], part.queries, interval=part.intervals.get(measure))


def _ranked(rows: list[Row], *, lower: bool) -> tuple[list[int], list[Row]]:
    """Sort and number the rows: by overall score, then by number of tasks, then by name; return the order too."""

    def key(i: int) -> tuple[Any, ...]:
        row = rows[i]
        missing = sum(cell.score is None for cell in row.tasks)
        score = math.inf if row.overall.score is None else row.overall.score if lower else -row.overall.score
        return score, missing, row.model.casefold(), row.label

    order = sorted(range(len(rows)), key=key)
    scores = [rows[i].overall.score for i in order if not rows[i].control]
    ranked = []
    for row in (rows[i] for i in order):
        counts = row.overall.score is not None and not row.control
        ranked.append(replace(row, rank=1 + scores.index(row.overall.score)) if counts else row)
    return order, ranked


def _with_certainty(
    rows: list[Row], parts: list[dict[str, TaskResult]], names: list[str], main: str | None
) -> list[Row]:
    """Add intervals and groups to the rows of models that were scored on all tasks, in a mean over queries."""
    known = None if main is None else find_measure(main)
    if main is None or (known is not None and known.over_queries != "mean"):
        return rows
    whole = [i for i, row in enumerate(rows) if row.overall.score is not None]
    controls = [rows[i].control for i in whole]
    leader = next((at for at, i in enumerate(whole) if rows[i].evidence != "self-reported"), 0)
    lower = lower_is_better(main)
    found = certainty([parts[i] for i in whole], names, controls, main, lower_is_better=lower, leader=leader)
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
        **({"texts cut at": f"{model['text_limit']} tokens"} if model.get("text_limit") else {}),
        **({"code of the checkpoint": "ran, with --trust-remote-code"} if model.get("remote_code") is True else {}),
        "seed": result.seed,
        "queries per task": "all" if result.limit is None else f"cut to {result.limit}",
        "started": result.started,
        "seconds": f"{result.seconds:.0f}",
        "command": result.command,
        **({"evidence": EVIDENCE[result.evidence]} if result.evidence else {}),
        "versions": ", ".join(f"{name} {value}" for name, value in sorted(result.environment.items())),
    }
    return {name: one_line(value) for name, value in facts.items()}
