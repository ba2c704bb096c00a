"""What ``mrbench evaluate`` and ``mrbench rescore`` print of a result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from mrbench.words import counted

if TYPE_CHECKING:
    from mrbench.records import Task
    from mrbench.results import GrainScore, Result, TaskResult

USUAL = ("hit_rate@1", "hit_rate@5", "mrr", "ndcg@10")
MOST = 6  # rank measures in a line
_INDENT = " " * 8
_LACKS = "the benchmark has no "  # how scoring begins to say that


def summary(result: Result) -> str:
    """Return the scores of a result as lines of text: for each task the main measure first, then what is beside it."""
    lines = [f"{result.model['name']} on {result.benchmark['title']} ({result.benchmark['split']})"]
    for name, part in result.tasks.items():
        if part.status != "scored":
            lines.append(f"  {name:<5} not supported: {part.reason}")
            continue
        task = part.definition(name)
        lines.append(f"  {name:<5} {_scores(part, task)}  ({_size(part, task)})")
        lines += [f"{_INDENT}{line}" for line in _details(part, task)]
    return "\n".join(lines)


def _scores(part: TaskResult, task: Task) -> str:
    """Return the main measure with its chance level, and other rank measures."""
    from mrbench.measures import find_measure

    shown = dict.fromkeys(name for name in (task.main, *task.measures[: MOST - 1]) if name in part.scores)
    if not task.measures:
        usual = [name for name in USUAL if name in part.scores]
        shown = dict.fromkeys((*usual, task.main) if task.main in (*usual, "") else (task.main, *usual))
    found = []
    for name in shown:
        if name not in part.scores:
            found.append(f"no {name}: {part.missing.get(name, 'not in the result')}")
            continue
        known = find_measure(name)
        chance = part.chance.get(name, None if known is None else known.chance)
        beside = f" (chance {chance:.3f})" if name == task.main and chance is not None else ""
        found.append(f"{name} {part.scores[name]:.3f}{beside}")
    return "  ".join(found)


def _size(part: TaskResult, task: Task) -> str:
    if task.pool == "lists":
        each = part.setting.get("candidates per query", "")
        return counted(part.queries, "query", "queries") + (f", {each} candidates each" if each else "")
    return f"{counted(part.queries, 'query', 'queries')}, {counted(part.candidates, 'candidate')}"


def _details(part: TaskResult, task: Task) -> Iterator[str]:
    from mrbench.measures import in_order

    judged = {name: part.scores[name] for name in in_order(part.scores) if name.startswith("judged@")}
    if any(share < 1 for share in judged.values()):
        yield "  ".join(f"{name} {share:.3f}" for name, share in judged.items())
    yield from _overlay(part)
    if part.pair_accuracy:
        some = task.judgements == "partial" or task.pool == "lists"  # pairs for some grains of some queries
        yield f"pair accuracy: {_by_grain(part.pair_accuracy, counts=some)}"
    if every := part.by_grain.get("all_positives_accuracy"):
        yield f"all-positives accuracy: {_by_grain(every, counts=True)}"
    if heard := part.by_grain.get("grain_sensitivity"):
        yield f"grain sensitivity: {_by_grain(heard)}"
    if any(part.cut_texts.values()):
        yield cut_texts(part)
    yield from _missing(part, task)


def _overlay(part: TaskResult) -> Iterator[str]:
    """Yield what further judgements change: every score with them, and without them in brackets."""
    over = part.overlay
    if not over:
        return
    gone = over["without_relevant"]
    left = f"; {counted(gone, 'query has', 'queries have')} no relevant candidate any more" if gone else ""
    yield f"with {over['name']} (without): {over['changed']:,} of {counted(over['pairs'], 'pair')} changed{left}"
    yield f"  over {counted(over['queries'], 'query', 'queries')}: {_compared(over['scores'], part.scores)}"
    judged = over["judged_queries"]
    if judged["queries"] not in (0, over["queries"]):
        number = counted(judged["queries"], "query", "queries")
        yield f"  over the {number} that it judges: {_compared(judged['with'], judged['without'])}"


def _compared(with_it: Mapping[str, float], without: Mapping[str, float]) -> str:
    shown = (f"{name} {value:.3f} ({without[name]:.3f})" for name, value in with_it.items() if name in without)
    return "  ".join(shown)


def _by_grain(scores: Mapping[str, GrainScore], *, counts: bool = False) -> str:
    return "  ".join(
        f"{grain} {part.score:.3f}" + (f" ({part.count:,})" if counts else "") for grain, part in scores.items()
    )


def cut_texts(part: TaskResult) -> str:
    """Return how many texts were cut, and how many pairs are left out for it, as a line."""
    totals = {"queries": part.queries, "candidates": part.candidates}
    said = [
        f"{number:,}" + (f" of {totals[what]:,}" if what in totals else "") + f" {what}"
        for what, number in part.cut_texts.items()
        if number
    ]
    pairs = ", ".join(f"{grain} {number:,}" for grain, number in part.cut_pairs.items())
    return f"texts cut by the model: {', '.join(said)}" + (f"; pairs left out: {pairs}" if pairs else "")


def _missing(part: TaskResult, task: Task) -> Iterator[str]:
    """Yield what could not be measured by reason; in one line where a data set that states no grains explains it."""
    names_of: dict[str, list[str]] = {}
    for name, reason in part.missing.items():
        names_of.setdefault(reason, []).append(name)
    if task.judgements == "complete":
        yield from (f"no {', '.join(names)}: {reason}" for reason, names in names_of.items())
    elif names_of:
        lacking = ", ".join(reason.removeprefix(_LACKS) for reason in names_of if reason.startswith(_LACKS))
        others = [reason for reason in names_of if not reason.startswith(_LACKS)]
        if part.by_grain or part.cut_pairs or not lacking:
            reasons = "; ".join([*([_LACKS + lacking] if lacking else []), *others])
            yield f"{len(part.missing)} measures of grains are missing: {reasons}"
        else:
            yield f"no measure of grains: {_LACKS}{lacking}"
