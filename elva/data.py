"""What is trained on: pools of queries and candidates from MRBench folders."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import overload

import numpy as np

from elva.negatives import code_grains, grades
from elva.prompts import Input
from mrbench.arrays import Ints
from mrbench.benchmark import Benchmark
from mrbench.benchmark.images import decode
from mrbench.errors import BenchmarkError, InputError
from mrbench.records import Candidate, Grain, Query


class Inputs(Sequence[Input]):
    """Records as inputs; a picture is decoded when it is asked for."""

    def __init__(self, records: Sequence[Query | Candidate]) -> None:
        self._records = records

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> Input: ...
    @overload
    def __getitem__(self, index: slice) -> Inputs: ...
    def __getitem__(self, index: int | slice) -> Input | Inputs:
        if isinstance(index, slice):
            return Inputs(self._records[index])
        record = self._records[index]
        return Input(
            text=record.text,
            image=None if record.image is None else decode(record.image, where=record.id),
            key=None if record.image is None else record.image.sha256,
            instruction=record.instruction if isinstance(record, Query) else "",
        )


class Chosen(Sequence[Input]):
    """Some rows of inputs, still not decoded."""

    def __init__(self, inputs: Sequence[Input], rows: Sequence[int]) -> None:
        self._inputs, self._rows = inputs, rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Input: ...
    @overload
    def __getitem__(self, index: slice) -> Chosen: ...
    def __getitem__(self, index: int | slice) -> Input | Chosen:
        if isinstance(index, slice):
            return Chosen(self._inputs, self._rows[index])
        return self._inputs[self._rows[index]]


@dataclass(frozen=True, slots=True)
class Pool:
    """A task's queries and candidates.

    Attributes:
        task: Name of the task.
        names: Ids of the queries.
        queries: The queries.
        candidates: All candidates of the modality that the task asks for.
        positives: Index of each query's positive, -1 for none; shape ``(num_queries,)``.
        query_grains: From :func:`elva.negatives.code_grains`; one coding for all pools that are read together.
        candidate_grains: Likewise.
        ladders: Indices of each query's known negatives, those that keep most grains first, -1 where there are no more;
            shape ``(num_queries, longest)``.
        query_summaries: The canonical summary of each query; empty where there is none.
        candidate_summaries: Likewise.
    """

    task: str
    names: Sequence[str]
    queries: Sequence[Input]
    candidates: Sequence[Input]
    positives: Ints
    query_grains: Ints
    candidate_grains: Ints
    ladders: Ints = field(default_factory=lambda: np.empty((0, 0), dtype=np.int64))
    query_summaries: Sequence[str] = ()
    candidate_summaries: Sequence[str] = ()


class Summaries:
    """The canonical summary of a set of grains: their values in the order of their types.

    One set of grains has one summary, so that a model can learn to be sure of it. A value that is known under two types
    (``dark`` of a skin tone and of a second skin tone) is told apart by its type.

    Args:
        rows: All sets of grains that there are.

    >>> summaries = Summaries([[Grain("size", "big"), Grain("entity", "dog")], [Grain("second entity", "dog")]])
    >>> summaries.text([Grain("entity", "dog"), Grain("size", "big")])
    'entity dog, big'
    >>> summaries.named("entity dog, small", [Grain("entity", "dog"), Grain("size", "big")])
    {'entity': True, 'size': False}
    """

    def __init__(self, rows: Iterable[Iterable[Grain]]) -> None:
        types: dict[str, set[str]] = {}
        for grain in (grain for row in rows for grain in row):
            types.setdefault(grain.value.lower(), set()).add(grain.type)
        self._ambiguous = {value for value, known in types.items() if len(known) > 1}

    def _word(self, grain: Grain) -> str:
        value = grain.value.lower()
        return f"{grain.type.lower()} {value}" if value in self._ambiguous else value

    def text(self, grains: Iterable[Grain]) -> str:
        """Return the summary."""
        return ", ".join(self._word(grain) for grain in sorted(grains, key=lambda grain: grain.type))

    def named(self, summary: str, grains: Iterable[Grain]) -> dict[str, bool]:
        """Return for each grain type whether a summary names the grain rightly."""
        parts = {" ".join(part.split()) for part in summary.replace(" ,", ",").split(",")}
        return {grain.type: _spaced(self._word(grain)) in {_spaced(part) for part in parts} for grain in grains}


def _spaced(text: str) -> str:
    return "".join(character for character in text if character.isalnum())


def read_benchmarks(folders: Sequence[Path | str], split: str = "train") -> list[Benchmark]:
    """Open MRBench folders that have a split.

    Raises:
        InputError: One has no such split, or two have one name.
        BenchmarkError: One is missing, half-written or altered.
    """
    opened = [Benchmark(folder) for folder in folders]
    names = [benchmark.name for benchmark in opened]
    twice = [benchmark for number, benchmark in enumerate(opened) if benchmark.name in names[:number]]
    if twice:
        raise InputError(
            "two data sets have one name",
            where=twice[0].folder,
            got=twice[0].name,
            accepted="one name each",
            hint="leave one of the two --data out, or build it again under another name",
        )
    for benchmark in opened:
        if split not in benchmark.splits:
            raise InputError(
                "a data set lacks the split",
                where=benchmark.folder,
                got=", ".join(benchmark.splits),
                accepted=split,
                hint=_build_of(benchmark, split),
            )
    return opened


def _build_of(benchmark: Benchmark, split: str) -> str:
    """Return the command that builds a data set with a split."""
    builder = benchmark.manifest.builder.get("name")
    if builder in ("emoji", "scenes"):
        return f"mrbench build {builder} --splits {split} --output {builder}-{split}"
    return "mrbench build captions SPEC --shares 0.8,0.1,0.1 --output DIR"


def read_pools(benchmarks: Sequence[Benchmark], split: str = "train") -> tuple[list[Pool], Summaries]:
    """Return one pool for each task and data set that has queries in the split.

    Raises:
        InputError: There is no query.
        BenchmarkError: A task asks for pictures and there are none.
    """
    found = [(b, task, list(b.queries(task, split))) for b in benchmarks for task in b.task_names]
    found = [(benchmark, task, queries) for benchmark, task, queries in found if queries]
    for benchmark, task, _ in found:
        if benchmark.task(task).judgements == "partial":
            raise InputError(
                "ELVA trains where the grains of every candidate are known, and here they are known in part",
                where=f"{benchmark.folder}, {task}",
                accepted="what mrbench build emoji and mrbench build scenes write",
                hint=f"mrbench train head --help, which takes {shlex.quote(str(benchmark.folder))} as --data",
            )
    if not found:
        raise InputError(
            "no query to train on",
            where=", ".join(str(b.folder) for b in benchmarks),
            got=split,
            hint="mrbench validate DIR says what the split holds",
        )
    keys = [(str(b.folder), b.task(task).candidate_modality) for b, task, _ in found]
    corpora: dict[tuple[str, str], list[Candidate]] = {}
    for (benchmark, task, _), key in zip(found, keys, strict=True):
        if key not in corpora:
            corpora[key] = list(benchmark.corpus(key[1], split))
        if not corpora[key]:
            raise BenchmarkError(
                f"no {key[1]} to retrieve",
                where=f"{benchmark.folder}, {split}",
                got=task,
                hint=f"mrbench validate {shlex.quote(str(benchmark.folder))}",
            )
    everything: list[Query | Candidate] = [query for _, _, queries in found for query in queries]
    everything += [candidate for corpus in corpora.values() for candidate in corpus]
    summaries = Summaries(record.grains for record in everything)
    asked, has = code_grains(
        [query.grains for _, _, queries in found for query in queries],
        [candidate.grains for corpus in corpora.values() for candidate in corpus],
    )
    coded = dict(zip(corpora, np.split(has, np.cumsum([len(corpus) for corpus in corpora.values()])[:-1]), strict=True))
    sides = {key: (Inputs(corpus), [summaries.text(c.grains) for c in corpus]) for key, corpus in corpora.items()}
    pools, start = [], 0
    for (benchmark, task, queries), key in zip(found, keys, strict=True):
        query_grains = asked[start : start + len(queries)]
        positives, ladders = _ladders(benchmark, task, split, query_grains, coded[key])
        pools.append(
            Pool(
                f"{benchmark.name}/{task}",
                [query.id for query in queries],
                Inputs(queries),
                sides[key][0],
                positives,
                query_grains,
                coded[key],
                ladders,
                [summaries.text(query.grains) for query in queries],
                sides[key][1],
            )
        )
        start += len(queries)
    return pools, summaries


def _ladders(benchmark: Benchmark, task: str, split: str, asked: Ints, has: Ints) -> tuple[Ints, Ints]:
    """Return the positive of each query and its negatives, most grains first; -1 for none."""
    ids = benchmark.corpus(benchmark.task(task).candidate_modality, split).ids.to_pylist()
    place = {name: row for row, name in enumerate(ids)}
    ladders = {ladder.query_id: ladder for ladder in benchmark.ladders(task, split)}
    positives = np.full(len(asked), -1, dtype=np.int64)
    rows: list[Ints] = []
    for number, name in enumerate(benchmark.queries(task, split).ids.to_pylist()):
        if name not in ladders:
            raise InputError("a query has no positive", where=f"query {name}, {task}", hint="mrbench validate DIR")
        positives[number] = place[ladders[name].positive_id]
        members = np.array([place[member] for member in ladders[name].candidate_ids])
        kept = grades(asked[[number]], has[members])[0]
        members, kept = members[kept < (asked[number] >= 0).sum()], kept[kept < (asked[number] >= 0).sum()]
        rows.append(members[np.argsort(-kept, kind="stable")])
    table = np.full((len(rows), max(map(len, rows))), -1, dtype=np.int64)
    for number, row in enumerate(rows):
        table[number, : len(row)] = row
    return positives, table
