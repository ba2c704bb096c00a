"""The tasks of a board: their sizes, main measures and chance levels, and what is to say of open ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mrbench.benchmark.manifest import STEM
from mrbench.errors import ResultError
from mrbench.leaderboard.data import TaskHead
from mrbench.measures import find_measure, in_order, parse_name
from mrbench.records import TASKS, Task
from mrbench.results import Result, TaskResult
from mrbench.words import one_line


def scored(result: Result) -> dict[str, TaskResult]:
    """Return the tasks that a result has scores of."""
    return {name: part for name, part in result.tasks.items() if part.status == "scored"}


def task_heads(group: Sequence[Result]) -> list[TaskHead]:
    """Return the tasks in the order of the benchmark, after checking that all results saw the same one.

    Raises:
        ResultError: Results disagree on queries, candidates or pairs, or on what a task is.
    """
    wanted = dict.fromkeys(name for result in group for name in (*_declared(result), *result.tasks))
    usual = [name for name in TASKS if name in wanted]
    return [_head(name, group) for name in (usual if len(usual) == len(wanted) else wanted)]


def main_of(heads: Sequence[TaskHead]) -> str | None:
    """Return the main measure of all tasks, None where they have different ones."""
    names = {head.main for head in heads}
    return names.pop() if len(names) == 1 else None


def lower_is_better(measure: str) -> bool:
    """Say whether low scores are good."""
    known = find_measure(measure)
    return known is not None and known.higher_is_better is False


def _head(name: str, group: Sequence[Result]) -> TaskHead:
    size: tuple[int, int, dict[str, int]] | None = None
    for result in group:
        part = scored(result).get(name)
        if part is None:
            continue
        seen = (part.queries, part.candidates, _pairs(part))
        size = size or seen
        if seen != size:
            raise ResultError(
                "results of one benchmark disagree on its queries, candidates or pairs",
                where=f"{result.model['name']}, {name}",
                got=seen,
                accepted=size,
                hint="evaluate again",
            )
    known = [result.tasks[name] for result in group if name in result.tasks]
    if not known:
        title = TASKS[name].title if name in TASKS else name
        return TaskHead(name, one_line(title), 0, 0)
    known.sort(key=lambda part: (part.status != "scored", not part.task))  # first those that say most
    task = known[0].definition(name)
    if any(part.definition(name).main != task.main for part in known):
        raise ResultError("results of one benchmark disagree on the main measure", where=name, hint="evaluate again")
    fixed = find_measure(task.main)
    chance = next((p.chance[task.main] for p in known if task.main in p.chance), fixed.chance if fixed else None)
    judged = _judged(known, task.main)
    counted = any(name.startswith("judged@") for part in known for name in part.scores)
    facts = _facts(known[0], task, all_judged=counted and not judged) if task.judgements == "partial" else ()
    return TaskHead(
        name,
        one_line(task.title),
        *(size[:2] if size else (0, 0)),
        main=one_line(task.main),
        chance=chance,
        judged=judged,
        category=task.category,
        listed=task.pool == "lists",
        facts=tuple(map(one_line, facts)),
    )


def _pairs(part: TaskResult) -> dict[str, int]:
    """Return the number of pairs of each grain, those with a text that the model cut among them."""
    numbers = {grain: pair.count for grain, pair in part.pair_accuracy.items()}
    numbers |= {grain: number + numbers.get(grain, 0) for grain, number in part.cut_pairs.items()}
    return {grain: number for grain, number in sorted(numbers.items()) if number}


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


def _declared(result: Result) -> tuple[str, ...]:
    """Return the tasks that the benchmark has, also those that nobody ran, where the result tells."""
    names = result.benchmark.get("tasks", ())
    sound = isinstance(names, (list, tuple)) and all(isinstance(name, str) and STEM.fullmatch(name) for name in names)
    if not sound:
        raise ResultError("malformed list of tasks in a result", where=result.model["name"], got=names)
    return tuple(names)
