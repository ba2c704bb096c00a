"""What results of one benchmark must agree on: its tasks, sizes, pairs, clusters and chance levels.

What a board says of a benchmark comes from checked results: those with a run, or those that were computed again before
they were committed. A self-reported result never sets it. A result that contradicts them is named and refused. Titles
are no part of a benchmark's digest, so they may differ, and those of checked results are shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

from mrbench.errors import ResultError
from mrbench.results import Result, TaskResult
from mrbench.words import one_line

_DIGITS = 9  # chance levels that differ later than this differ by rounding
_SETTINGS = ("corpora", "excluded candidates", "queries without a relevant candidate", "candidates per query")
_TRUST = {"recomputed": 0, "run": 1, "": 1, "self-reported": 2}


def trust(result: Result) -> int:
    """Return how far a result is to be believed: 0 computed again, 1 with its run, 2 self-reported."""
    return _TRUST[result.evidence]


def named(result: Result) -> str:
    """Return the file of a result for a message, or its model and benchmark where it was read from none."""
    return result.file or f"{result.model['name']} on {result.benchmark['name']}, {result.benchmark['split']}"


def checked(group: Sequence[Result]) -> list[Result]:
    """Return the results that say what their benchmark is: those that are not self-reported, or all if all are."""
    return [result for result in group if result.evidence != "self-reported"] or list(group)


def duplicate(first: Result, second: Result) -> ResultError:
    """Return the error for two results of one model on one benchmark; it names the self-reported one of them."""
    model = f"{first.model['name']} {first.model['revision']}"
    if trust(first) // 2 == trust(second) // 2:
        files = f"{first.file} and {second.file}" if first.file and second.file else named(second)
        overlaid = all(any(part.overlay for part in one.tasks.values()) for one in (first, second))
        what = "two files hold results of one model on one benchmark" + (", each with an overlay" if overlaid else "")
        return ResultError(what, where=files, got=model, hint="name only one of them")
    stated, kept = (first, second) if trust(first) > trust(second) else (second, first)
    what = "a self-reported result of a model that has a checked result"
    return ResultError(what, where=named(stated), got=model, hint=f"remove it; {named(kept)} stays")


def disagreements(results: Sequence[Result]) -> list[tuple[Result, ResultError]]:
    """Return the results that contradict others of their benchmark, each once, with the error that says where.

    The most trusted results are right, and of several equally trusted ones the majority is; without a majority none of
    them is.

    Args:
        results: Results of any benchmarks; those that cannot be compared are not.
    """
    groups: dict[tuple[str | int, ...], list[Result]] = {}
    for result in results:
        groups.setdefault(result.setting, []).append(result)
    return [found for group in groups.values() for found in _in_group(group)]


@dataclass(frozen=True, slots=True)
class _Statement:
    """What one result says of its benchmark: about what, the value to compare, and the value for a message."""

    about: str
    value: Hashable
    shown: object


def _in_group(group: Sequence[Result]) -> Iterator[tuple[Result, ResultError]]:
    said: dict[str, list[tuple[Result, _Statement]]] = {}
    known: dict[Hashable, Hashable] = {}  # clusters are long, and mostly the same
    for result in group:
        for statement in _statements(result, known):
            said.setdefault(statement.about, []).append((result, statement))
    wrong: dict[int, tuple[Result, ResultError]] = {}
    for about, sayings in said.items():
        for result, error in _odd_ones(about, sayings):
            wrong.setdefault(id(result), (result, error))
    for result, error in _unknown_tasks(group):
        wrong.setdefault(id(result), (result, error))
    yield from wrong.values()


def _odd_ones(about: str, sayings: list[tuple[Result, _Statement]]) -> Iterator[tuple[Result, ResultError]]:
    if len({statement.value for _, statement in sayings}) == 1:
        return
    most = min(trust(result) for result, _ in sayings)
    trusted = [(result, statement) for result, statement in sayings if trust(result) == most]
    votes = Counter(statement.value for _, statement in trusted).most_common()
    undecided = len(votes) > 1 and votes[0][1] == votes[1][1]
    right = [next(one for one in trusted if one[1].value == value) for value, _ in votes[: 1 + undecided]]
    for result, statement in sayings:
        if statement.value != right[0][1].value:
            yield result, _error(about, result, statement, *right[0])
        elif undecided and trust(result) == most:
            yield result, _error(about, result, statement, *right[1])


def _error(about: str, result: Result, said: _Statement, other: Result, accepted: _Statement) -> ResultError:
    evidence = ("computed again from its run", "with its run", "self-reported")[trust(other)]
    return ResultError(
        f"results of one benchmark disagree on {about}",
        where=named(result),
        got=said.shown,
        accepted=f"{accepted.shown!r}, as in {named(other)} ({evidence})",
        hint=f"remove {named(result)}, or evaluate again",
    )


def _unknown_tasks(group: Sequence[Result]) -> Iterator[tuple[Result, ResultError]]:
    """Yield results with a task that the benchmark does not have, where the checked results tell its tasks."""
    names = next((names for result in sorted(group, key=trust) if (names := result.benchmark.get("tasks"))), ())
    for result in group if names else ():
        if added := [name for name in result.tasks if name not in names]:
            what, accepted = "a result has a task that its benchmark does not have", ", ".join(names)
            hint = f"remove {named(result)}, or evaluate again"
            yield result, ResultError(what, where=named(result), got=added[0], accepted=accepted, hint=hint)


def _statements(result: Result, known: dict[Hashable, Hashable]) -> Iterator[_Statement]:
    if names := result.benchmark.get("tasks"):
        yield _Statement("the tasks of the benchmark", tuple(names), list(names))
    for name, part in result.tasks.items():
        definition = part.definition(name)
        yield _Statement(f"the main measure of {name}", definition.main, definition.main)
        if part.task:
            kind = (definition.category, definition.judgements, definition.pool)
            yield _Statement(f"category, judgements and pool of {name}", kind, ", ".join(kind))
        if part.status == "scored":
            yield from _of_scores(name, part, known)


def _of_scores(name: str, part: TaskResult, known: dict[Hashable, Hashable]) -> Iterator[_Statement]:
    yield _Statement(f"the number of queries of {name}", part.queries, part.queries)
    yield _Statement(f"the number of candidates of {name}", part.candidates, part.candidates)
    yield _Statement(f"the number of pairs of {name}", tuple(pairs(part).items()), pairs(part))
    for key in _SETTINGS:
        if key in part.setting:
            yield _Statement(f"{key} of {name}", part.setting[key], part.setting[key])
    for measure, value in part.chance.items():
        yield _Statement(f"the chance level of {one_line(measure)} on {name}", round(value, _DIGITS), value)
    if part.clusters:
        said = f"{len(set(part.clusters))} clusters"
        yield _Statement(f"its queries of {name}", _numbered(part.clusters, known), said)


def pairs(part: TaskResult) -> dict[str, int]:
    """Return the number of pairs of each grain, those with a text that the model cut among them."""
    numbers = {grain: pair.count for grain, pair in part.pair_accuracy.items()}
    numbers |= {grain: number + numbers.get(grain, 0) for grain, number in part.cut_pairs.items()}
    return {grain: number for grain, number in sorted(numbers.items()) if number}


def _numbered(clusters: tuple[str, ...], known: dict[Hashable, Hashable]) -> Hashable:
    """Return the number of each query's cluster in the order of their names: entries call photos by such numbers."""
    if clusters not in known:
        number = {name: at for at, name in enumerate(sorted(set(clusters)))}
        known[clusters] = tuple(number[name] for name in clusters)
    return known[clusters]
