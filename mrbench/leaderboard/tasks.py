"""The tasks of a board: their sizes, main measures and chance levels, and what is to say of open ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mrbench.leaderboard.agreement import checked
from mrbench.leaderboard.data import TaskHead
from mrbench.measures import find_measure, in_order, parse_name
from mrbench.pools.corpora import NOTHING
from mrbench.records import TASKS, Task
from mrbench.results import Result, TaskResult
from mrbench.words import one_line


def scored(result: Result) -> dict[str, TaskResult]:
    """Return the tasks that a result has scores of."""
    return {name: part for name, part in result.tasks.items() if part.status == "scored"}


def task_heads(group: Sequence[Result]) -> list[TaskHead]:
    """Return the tasks in the order of the benchmark, as its checked results describe them.

    A task without queries in the split that was evaluated is left out: no model can have a score on it.

    Args:
        group: Results of one benchmark that agree (:func:`mrbench.leaderboard.agreement.disagreements`).
    """
    leading = checked(group)
    wanted = dict.fromkeys(name for result in leading for name in (*result.benchmark.get("tasks", ()), *result.tasks))
    wanted |= dict.fromkeys(name for result in group for name in result.tasks)
    empty = {name for name in wanted if _is_empty(name, group)}
    if len(empty) < len(wanted):
        wanted = {name: None for name in wanted if name not in empty}
    usual = [name for name in TASKS if name in wanted]
    return [_head(name, group, leading) for name in (usual if len(usual) == len(wanted) else wanted)]


def _is_empty(name: str, group: Sequence[Result]) -> bool:
    """Return whether nobody has a score on a task, since the split has no queries of it."""
    parts = [result.tasks[name] for result in group if name in result.tasks]
    return any(part.reason.startswith(NOTHING) for part in parts) and all(part.status != "scored" for part in parts)


def main_of(heads: Sequence[TaskHead]) -> str | None:
    """Return the main measure of all tasks, None where they have different ones."""
    names = {head.main for head in heads}
    return names.pop() if len(names) == 1 else None


def lower_is_better(measure: str) -> bool:
    """Return whether low scores are good."""
    known = find_measure(measure)
    return known is not None and known.higher_is_better is False


def _head(name: str, group: Sequence[Result], leading: Sequence[Result]) -> TaskHead:
    known = [result.tasks[name] for result in leading if name in result.tasks]
    known = known or [result.tasks[name] for result in group if name in result.tasks]
    if not known:
        title = TASKS[name].title if name in TASKS else name
        return TaskHead(name, one_line(title), 0, 0)
    known.sort(key=lambda part: (part.status != "scored", not part.task))  # first those that say most
    task = known[0].definition(name)
    sized = next((part for part in (*known, *_scored_parts(name, group)) if part.status == "scored"), None)
    fixed = find_measure(task.main)
    chance = next((p.chance[task.main] for p in known if task.main in p.chance), fixed.chance if fixed else None)
    judged = _judged(known, task.main)
    counted = any(name.startswith("judged@") for part in known for name in part.scores)
    facts = _facts(known[0], task, all_judged=counted and not judged) if task.judgements == "partial" else ()
    return TaskHead(
        name,
        one_line(task.title),
        *((0, 0) if sized is None else (sized.queries, sized.candidates)),
        main=one_line(task.main),
        chance=chance,
        judged=judged,
        category=task.category,
        listed=task.pool == "lists",
        facts=tuple(map(one_line, facts)),
    )


def _scored_parts(name: str, group: Sequence[Result]) -> Iterator[TaskResult]:
    return (result.tasks[name] for result in group if name in scored(result))


def _judged(known: Sequence[TaskResult], main: str) -> str:
    """Return the judged@k that belongs to a measure, or the deepest; nothing where all results are judged."""
    found = in_order({name for part in known for name in part.scores if name.startswith("judged@")})
    if not found or all(part.scores.get(name, 1.0) == 1.0 for part in known for name in found):
        return ""
    own = f"judged@{parse_name(main)[1]}"
    return own if own in found else found[-1]


def _facts(part: TaskResult, task: Task, *, all_judged: bool) -> Iterator[str]:
    setting: Mapping[str, object] = part.setting
    judges = setting.get("judgements")
    by = f" ({judges})" if judges else ""
    if all_judged:
        yield f"Every result is judged{by}"
    else:
        yield f"Partial judgements{by}: what is not judged counts as not relevant"
    corpora = setting.get("corpora") or ", ".join(task.own_corpora)
    if task.pool == "lists":
        each = setting.get("candidates per query", "")
        yield f"Each query is searched among its own {each} candidates".replace("  ", " ")
    else:
        yield f"Pool: all candidates of {corpora}"
    for key, said in (
        ("excluded candidates", "{} candidates excluded, each from the search of one query"),
        ("queries without a relevant candidate", "{} queries without a relevant candidate left out"),
    ):
        if setting.get(key):
            yield said.format(f"{setting[key]:,}")
    if task.protocol:
        yield task.protocol.rstrip(".")
