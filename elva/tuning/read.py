"""Read a split to train on: what a frozen encoder makes of its items, or the items themselves."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from elva.tuning.data import PARTS, Lists, Split, Table, TrainTask
from mrbench.arrays import Ints
from mrbench.benchmark import Benchmark
from mrbench.encode import EmbeddingStore, ModelSource
from mrbench.errors import InputError
from mrbench.models.protocol import EmbeddingModel
from mrbench.pools import TaskPool, load_pool, pool_modalities
from mrbench.records import PARTS as SINGLE_PARTS
from mrbench.records import AnyImage, Candidate, Modality, Query

SAMPLE = 48
"""Items that are embedded to tell how long all take."""
Encoders = Mapping[Modality, EmbeddingModel]
"""Who embeds which part. An item of two parts is embedded whole where ``image,text`` is there, else by its parts."""


class Source(Protocol):
    """Where the rows of tables come from: an array with a row for each item, of vectors or of objects."""

    def corpus(self, name: str, rows: Ints | None = None) -> Any:
        """Return the candidates of one corpus, or those in some rows of it."""
        ...

    def queries(self, pool: TaskPool) -> Any:
        """Return a task's queries."""
        ...

    def parts(self, pool: TaskPool) -> Mapping[str, Any]:
        """Return the image halves and the text halves of a task's composed queries, by the name of the half."""
        ...


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded image, the record that it belongs to, and the text that is embedded together with it."""

    record_id: str
    image: AnyImage
    text: str | None = None


class ItemSource:
    """The items themselves: arrays of texts, or of :class:`Picture`.

    Args:
        benchmark: The benchmark.
        split: Its split.
    """

    def __init__(self, benchmark: Benchmark, split: str) -> None:
        self._benchmark, self._split = benchmark, split

    def corpus(self, name: str, rows: Ints | None = None) -> Table:
        """Return the candidates of one corpus, or those in some rows of it."""
        records = self._benchmark.corpus(name, self._split)
        some = records if rows is None else (records[row] for row in rows.tolist())
        return _objects(self._item(record, self._benchmark.corpora[name]) for record in some)

    def queries(self, pool: TaskPool) -> Table:
        """Return a task's queries, in the order of the pool."""
        return self._asked(pool, pool.definition.query_modality)

    def parts(self, pool: TaskPool) -> Mapping[str, Table]:
        """Return images and texts of composed queries."""
        return {part: self._asked(pool, part) for part in SINGLE_PARTS}

    def _asked(self, pool: TaskPool, part: Modality) -> Table:
        wanted = {name: row for row, name in enumerate(pool.query_ids.tolist())}
        found: list[Any] = [None] * len(wanted)
        for query in self._benchmark.queries(pool.task, self._split):
            if query.id in wanted:
                found[wanted[query.id]] = self._item(query, part)
        return _objects(found)

    def _item(self, record: Query | Candidate, part: Modality) -> str | Picture:
        if record.more_images:
            raise InputError(
                "items of several images cannot be trained on",
                where=f"{self._benchmark.folder}, {self._split}, {record.id}",
                accepted="one image an item",
                hint="leave such items out, or split them into one image each",
            )
        if part == "text":
            return record.text or ""
        assert record.image is not None  # noqa: S101 - the modality says so
        return Picture(record.id, record.image, record.text if part == "image,text" else None)


def timed(run: Callable[[Table], object], rows: Table) -> float:
    """Return about how many seconds something takes for all rows, from a sample of them."""
    sample = rows[np.unique(np.linspace(0, len(rows) - 1, SAMPLE).astype(np.int64))]
    run(sample[:4])  # what the first call does once
    begun = time.perf_counter()
    run(sample)
    return (time.perf_counter() - begun) * len(rows) / len(sample)


def _objects(items: Iterable[Any]) -> Table:
    listed = list(items)
    found = np.empty(len(listed), dtype=object)
    found[:] = listed
    return found


def read_split(
    benchmark: Benchmark,
    split: str,
    encoders: Encoders,
    cache: Path | None = None,
    as_items: Collection[Modality] = (),
) -> Split:
    """Embed a split and read its tasks.

    Args:
        benchmark: The benchmark.
        split: The split.
        encoders: Who embeds what.
        cache: Folder of embeddings.
        as_items: Parts that are not embedded, but read as they are.

    Raises:
        InputError: The encoders can take no task of it.
        BenchmarkError: The benchmark is malformed.
    """
    models = {id(model): model for model in encoders.values()}
    sources = {key: ModelSource(model, benchmark, split, EmbeddingStore(model, cache)) for key, model in models.items()}
    items = ItemSource(benchmark, split)
    chosen: dict[Modality, Source] = {
        part: items if part in as_items else sources[id(model)] for part, model in encoders.items()
    }
    return _read(benchmark, split, chosen)


def read_items(benchmark: Benchmark, split: str, parts: Collection[Modality] = ("image", "text")) -> Split:
    """Read a split and its tasks; nothing is embedded.

    Args:
        benchmark: The benchmark.
        split: The split.
        parts: What can be embedded.

    Raises:
        InputError: There is no task of these parts, or an item has several images.
        BenchmarkError: The benchmark is malformed.
    """
    source = ItemSource(benchmark, split)
    return _read(benchmark, split, dict.fromkeys(parts, source))


def _read(benchmark: Benchmark, split: str, sources: Mapping[Modality, Source]) -> Split:
    reader = _Reader(benchmark, sources)
    skipped: dict[str, str] = {}
    tasks = []
    for name in benchmark.task_names:
        if not benchmark.count("queries", name, split):
            continue
        asked, answered = benchmark.task(name).query_modality, pool_modalities(benchmark, name, split, "task")
        lacking = [*(() if reader.takes(asked) else (asked,)), *(side for side in answered if side not in sources)]
        if lacking:
            skipped[name] = f"the encoders take no {lacking[0].replace(',', '+')}"
        else:
            tasks.append(reader.task(load_pool(benchmark, name, split)))
    if not tasks:
        raise InputError(
            f"no task of the {split} split can be trained on",
            where=benchmark.folder,
            got="; ".join(f"{name}: {reason}" for name, reason in skipped.items()) or "no query",
            accepted="tasks of " + ", ".join(sorted({part.replace(",", "+") for part in sources})),
            hint="mrbench models list",
        )
    return Split(reader.tables(), tuple(tasks), skipped)


class _Reader:
    """Makes tables of what tasks need, of each corpus once."""

    def __init__(self, benchmark: Benchmark, sources: Mapping[Modality, Source]) -> None:
        self._benchmark, self._sources = benchmark, sources
        self._tables: dict[Modality, list[Table]] = {part: [] for part in PARTS}
        self._corpora: dict[str, Ints] = {}

    def takes(self, modality: Modality) -> bool:
        return modality in self._sources or (modality == "image,text" and {"image", "text"} <= set(self._sources))

    def task(self, pool: TaskPool) -> TrainTask:
        stacked = np.concatenate([self._corpus(name, pool) for name in pool.corpora])
        number = len(pool.query_ids)
        query, position = pool.relevant
        relevant = Lists.of(query, position, number)
        key = query * len(pool.candidate_ids) + position
        negative = ~np.isin(pool.ladder.query * len(pool.candidate_ids) + pool.ladder.position, key)
        ladder = Lists.of(pool.ladder.query[negative], pool.ladder.position[negative], number)
        pairs = (pool.pairs.query, pool.pairs.kind, pool.pairs.position)
        rows = np.arange(number), np.arange(len(pool.candidate_ids))
        return TrainTask(pool.task, self._queries(pool), stacked[pool.row], *rows, relevant, ladder, pairs, pool)

    def _queries(self, pool: TaskPool) -> Ints:
        asked = pool.definition.query_modality
        if asked in self._sources:
            return self._add(asked, self._sources[asked].queries(pool))
        parts = [self._add(part, self._sources[part].parts(pool)[part]) for part in SINGLE_PARTS]
        return np.maximum(*parts)  # each has -1 where the other has a row

    def tables(self) -> dict[Modality, Table]:
        return {part: np.concatenate(found) for part, found in self._tables.items() if found}

    def _corpus(self, name: str, pool: TaskPool) -> Ints:
        rows = pool.corpus_rows.get(name)
        if rows is not None:
            return self._embedded(name, rows)
        if name not in self._corpora:
            self._corpora[name] = self._embedded(name, None)
        return self._corpora[name]

    def _embedded(self, name: str, rows: Ints | None) -> Ints:
        modality = self._benchmark.corpora[name]
        return self._add(modality, self._sources[modality].corpus(name, rows))

    def _add(self, part: Modality, items: Table) -> Ints:
        """Add items to the table of a part, and return their rows in it."""
        assert isinstance(items, np.ndarray)  # noqa: S101 - encoders have one vector an item, see load_encoder
        rows = np.full((len(items), len(PARTS)), -1, dtype=np.int64)
        rows[:, PARTS.index(part)] = np.arange(len(items)) + sum(map(len, self._tables[part]))
        self._tables[part].append(items)
        return rows
