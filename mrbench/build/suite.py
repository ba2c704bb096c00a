"""Writes a benchmark from a plan of queries and candidates, as a stream.

A builder *plans*: it decides grains, texts and pictures (as small picklable descriptions). This module selects, mixes,
renders in worker processes, judges and writes. It decides nothing about content, and it guarantees for every suite:

* a candidate is relevant exactly when it keeps all grains of the query, wherever it comes from;
* a query with a picture has no candidate that keeps all its grains and adds others (whose picture shows more);
* position in the file and id reveal nothing;
* the bytes do not depend on the number of workers.
"""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from PIL import Image
from tqdm import tqdm

from mrbench.benchmark import BenchmarkWriter, encode_png
from mrbench.build.splits import SplitLedger
from mrbench.errors import BenchmarkError
from mrbench.records import TASKS, Candidate, Grain, ImageData, Judgement, Ladder, Query, Variant, VariantKind, judge
from mrbench.workers import Workers, ordered_map

Render = Callable[[Any], Image.Image]
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class PlannedCandidate:
    """A candidate whose picture is not drawn yet: a picklable description that the suite's renderer can draw."""

    id: str
    grains: tuple[Grain, ...]
    text: str | None = None
    picture: Any = None


@dataclass(frozen=True, slots=True)
class PlannedVariant:
    """A variant of a query; text and picture are complete (the unchanged half is repeated).

    Attributes:
        positive: The candidate that a flipped query asks for; None means the query's own positive.
    """

    kind: VariantKind
    grain: str = ""
    text: str | None = None
    picture: Any = None
    positive: PlannedCandidate | None = None
    number: int = 0


@dataclass(frozen=True, slots=True)
class PlannedQuery:
    """A query with its ladder: the positive, the graded negatives and the random ones."""

    id: str
    task: str
    instruction: str
    grains: tuple[Grain, ...]
    positive: PlannedCandidate
    negatives: tuple[PlannedCandidate, ...]
    text: str | None = None
    picture: Any = None
    image_grains: tuple[Grain, ...] = ()
    variants: tuple[PlannedVariant, ...] = ()

    @property
    def ladder(self) -> tuple[PlannedCandidate, ...]:
        """The positive and the negatives."""
        return (self.positive, *self.negatives)


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """The plan of one split.

    Attributes:
        queries: Queries by task, best first. There may be more than ``wanted``: they replace queries that clash.
        wanted: Queries per task.
        fill: Further candidates for the pool by modality, in any order.
        pool: Candidates per modality to reach, ladders included; None takes all that ``fill`` has.
    """

    split: str
    queries: dict[str, Sequence[PlannedQuery]]
    wanted: int
    fill: dict[str, Iterable[PlannedCandidate]]
    pool: int | None


def record_id(*parts: object) -> str:
    """Return an opaque id: the first 16 hexadecimal digits of a SHA-256 over the parts.

    >>> record_id("emoji", "image", "woman") == record_id("emoji", "image", "woman")
    True
    """
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class _Encoder:
    """Renders and encodes the picture of a description, in worker processes."""

    render: Render

    def __call__(self, picture: Any) -> ImageData | None:
        return None if picture is None else encode_png(self.render(picture))


class _Index:
    """Finds the queries whose grains a candidate keeps, without looking at every query."""

    def __init__(self, queries: Iterable[PlannedQuery]) -> None:
        self._by_types: dict[tuple[str, ...], dict[tuple[str, ...], list[PlannedQuery]]] = {}
        for query in queries:
            values = {g.type: g.value for g in query.grains}
            types = tuple(sorted(values))
            group = self._by_types.setdefault(types, defaultdict(list))
            group[tuple(values[t] for t in types)].append(query)

    def kept_by(self, candidate: PlannedCandidate) -> Iterator[PlannedQuery]:
        values = {g.type: g.value for g in candidate.grains}
        for types, group in self._by_types.items():
            if all(t in values for t in types):
                yield from group.get(tuple(values[t] for t in types), ())

    def clashes(self, candidate: PlannedCandidate) -> Iterator[PlannedQuery]:
        """Yield the image queries that a candidate would answer by mistake: it keeps all their grains and has more."""
        for query in self.kept_by(candidate):
            if query.picture is not None and len(candidate.grains) > len(query.grains):
                yield query


def select_queries(plan: SplitPlan) -> dict[str, list[PlannedQuery]]:
    """Return the wanted number of queries by task, without those that clash with a ladder."""
    chosen = {task: list(queries[: plan.wanted]) for task, queries in plan.queries.items()}
    spare = {task: list(queries[plan.wanted :]) for task, queries in plan.queries.items()}
    while True:
        everything = [query for queries in chosen.values() for query in queries]
        by_modality: dict[str, list[PlannedQuery]] = defaultdict(list)
        for query in everything:
            by_modality[TASKS[query.task].candidate_modality].append(query)
        clashing = set()
        for queries in by_modality.values():
            index = _Index(queries)
            members = {c.id: c for query in queries for c in query.ladder}
            clashing |= {query.id for c in members.values() for query in index.clashes(c)}
        if not clashing:
            return chosen
        for task, queries in chosen.items():
            kept = [query for query in queries if query.id not in clashing]
            missing = len(queries) - len(kept)
            chosen[task] = kept + spare[task][:missing]
            spare[task] = spare[task][missing:]


def write_split(
    writer: BenchmarkWriter, plan: SplitPlan, render: Render, ledger: SplitLedger, *, seed: int, workers: Workers
) -> None:
    """Select, mix, render, judge and write one split.

    Raises:
        BenchmarkError: A task has no query.
    """
    chosen = select_queries(plan)
    for task, queries in chosen.items():
        if not queries:
            raise BenchmarkError(
                "no query could be made", where=f"{plan.split}/{task}", hint="ask for a larger pool, with --pool"
            )
        _write_queries(writer, plan.split, task, queries, _Encoder(render), ledger, workers)
    for modality in dict.fromkeys(TASKS[task].candidate_modality for task in chosen):
        queries = [q for task in chosen if TASKS[task].candidate_modality == modality for q in chosen[task]]
        _write_pool(writer, plan, modality, queries, _Encoder(render), ledger, seed, workers)


def _write_queries(
    writer: BenchmarkWriter,
    split: str,
    task: str,
    queries: list[PlannedQuery],
    encode: _Encoder,
    ledger: SplitLedger,
    workers: Workers,
) -> None:
    queries = sorted(queries, key=lambda query: query.id)
    pictures = [p for q in queries for p in (q.picture, *(v.picture for v in q.variants))]
    label = f"{split}: {task} queries"
    drawn = iter(list(tqdm(ordered_map(encode, pictures, workers), label, len(pictures), leave=False, disable=None)))
    for query in queries:
        ledger.add(split, query.grains)
        if query.image_grains:
            ledger.add(split, query.image_grains)
        image = next(drawn)
        writer.add_queries(
            split,
            [Query(query.id, task, query.instruction, query.grains, query.text, image, query.image_grains)],
        )
        writer.add_variants(
            split,
            task,
            [
                Variant(query.id, v.kind, v.grain, (v.positive or query.positive).id, v.text, next(drawn), v.number)
                for v in query.variants
            ],
        )
        ids = tuple(sorted(candidate.id for candidate in query.ladder))
        writer.add_ladders(split, task, [Ladder(query.id, query.positive.id, ids)])


def _write_pool(
    writer: BenchmarkWriter,
    plan: SplitPlan,
    modality: str,
    queries: list[PlannedQuery],
    encode: _Encoder,
    ledger: SplitLedger,
    seed: int,
    workers: Workers,
) -> None:
    index = _Index(queries)
    ladders = {c.id: c for query in queries for c in query.ladder}
    judgements: dict[str, dict[str, Judgement]] = {q.id: {} for q in queries}
    for query in queries:
        asked = Query(query.id, query.task, "", query.grains)
        for candidate in query.ladder:
            judgements[query.id][candidate.id] = judge(asked, Candidate(candidate.id, candidate.grains))

    def candidates() -> Iterator[PlannedCandidate]:
        for candidate in _mixed(plan, modality, ladders, index, seed):
            ledger.add(plan.split, candidate.grains)
            for query in index.kept_by(candidate):
                judgements[query.id].setdefault(
                    candidate.id, Judgement(query.id, candidate.id, 1, len(query.grains), ())
                )
            yield candidate

    first, second = _tee_bounded(candidates())
    drawn = ordered_map(encode, (c.picture for c in first), workers if modality == "image" else 1)
    for image in tqdm(drawn, f"{plan.split}: {modality} pool", plan.pool, leave=False, disable=None):
        candidate = second()
        writer.add_candidates(plan.split, [Candidate(candidate.id, candidate.grains, candidate.text, image)])
    for query in sorted(queries, key=lambda query: query.id):
        rows = judgements[query.id]
        writer.add_judgements(plan.split, query.task, [rows[key] for key in sorted(rows)])


def _tee_bounded(items: Iterator[A]) -> tuple[Iterator[A], Callable[[], A]]:
    """Return the iterator, and a function that returns, in order and once, each item that the iterator has given."""
    waiting: deque[A] = deque()

    def first() -> Iterator[A]:
        for item in items:
            waiting.append(item)
            yield item

    return first(), waiting.popleft


def _mixed(
    plan: SplitPlan, modality: str, ladders: dict[str, PlannedCandidate], index: _Index, seed: int
) -> Iterator[PlannedCandidate]:
    """Yield the candidates of a pool: ladder members spread evenly among the fill, by sequential sampling."""
    rng = random.Random(f"{seed}:{plan.split}:{modality}:mix")
    members = [ladders[key] for key in sorted(ladders)]
    rng.shuffle(members)
    fill = (
        candidate
        for candidate in plan.fill.get(modality, ())
        if candidate.id not in ladders and not any(index.clashes(candidate))
    )
    if plan.pool is None:
        everything = members + list(fill)
        rng.shuffle(everything)
        yield from everything
        return
    room = max(plan.pool - len(members), 0)
    while members or room:
        if rng.random() * (len(members) + room) < len(members):
            yield members.pop()
            continue
        candidate = next(fill, None)
        if candidate is None:
            room = 0
        else:
            room -= 1
            yield candidate
