"""Embeds the records of a task: queries, their variants and parts, and candidates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import Any, Literal

import numpy as np

from mrbench.arrays import Ints, joined
from mrbench.benchmark import Benchmark
from mrbench.encode.batches import Embed, Pending, fetch
from mrbench.encode.store import EmbeddingStore
from mrbench.encode.units import encode_records
from mrbench.models.model_code import embedding
from mrbench.models.protocol import EmbeddingModel, Item, is_multi_vector
from mrbench.pools.pool import TaskPool
from mrbench.records import Candidate, Query
from mrbench.search.vectors import checked, checked_ragged


def encode_queries(
    model: EmbeddingModel,
    benchmark: Benchmark,
    task: str,
    split: str,
    ids: Sequence[str],
    store: EmbeddingStore | None = None,
    instruction: str | None = None,
) -> Any:
    """Return the vectors of queries of a task.

    Args:
        model: The model.
        benchmark: The benchmark.
        task: The task.
        split: The split.
        ids: The queries wanted.
        store: Where vectors are kept; None forgets them.
        instruction: The instruction for all of them; None takes each query's own.

    Returns:
        Unit vectors, float32, shape ``(len(ids), model.dimension)``, in the order of ``ids``.

    Raises:
        ModelError: The model returned another shape, or NaN, infinity or a zero vector.
        BenchmarkError: An image cannot be decoded, or the benchmark lacks a query.
    """
    wanted = set(ids)

    def queries() -> Iterator[Query]:
        asked = (query for query in benchmark.queries(task, split) if query.id in wanted)
        return _instructed(asked, instruction)

    found, embeddings = encode_records(model, queries, len(ids), queries_label(task), _query_embedder(model), store)
    position = {name: row for row, name in enumerate(found)}
    return embeddings[[position[name] for name in ids]]


def encode_variants(
    model: EmbeddingModel,
    benchmark: Benchmark,
    pool: TaskPool,
    split: str,
    store: EmbeddingStore | None = None,
    instruction: str | None = None,
) -> Any:
    """Return the vectors of the variants of a task's queries, each embedded with the instruction of its query.

    Returns:
        Unit vectors, float32, shape ``(num_variants, model.dimension)``, in the order of ``pool.variants``.

    Raises:
        ModelError: The model returned another shape, or NaN, infinity or a zero vector.
        BenchmarkError: An image cannot be decoded.
    """
    table = benchmark.queries(pool.task, split).table(["id", "instruction"])
    own = dict(zip(table["id"].to_pylist(), table["instruction"].to_pylist(), strict=True))
    asked = set(pool.query_ids.tolist())

    def variants() -> Iterator[Query]:
        for v in benchmark.variants(pool.task, split):
            if v.query_id in asked:
                said = own[v.query_id] if instruction is None else instruction
                yield Query(v.query_id, pool.task, said, (), v.text, v.image)

    return encode_records(
        model, variants, len(pool.variants.row), f"{pool.task} variants", _query_embedder(model), store
    )[1]


def encode_part(
    model: EmbeddingModel,
    benchmark: Benchmark,
    pool: TaskPool,
    split: str,
    part: Literal["image", "text"],
    store: EmbeddingStore | None = None,
    instruction: str | None = None,
) -> Any:
    """Return the vectors of one part of each composed query: its image alone or its text alone.

    Returns:
        Unit vectors, float32, shape ``(num_queries, model.dimension)``, in the order of ``pool.query_ids``.

    Raises:
        ModelError: The model returned another shape, or NaN, infinity or a zero vector.
        BenchmarkError: An image cannot be decoded.
    """
    row = {name: number for number, name in enumerate(pool.query_ids.tolist())}

    def parts() -> Iterator[Query]:
        queries = _instructed((query for query in benchmark.queries(pool.task, split) if query.id in row), instruction)
        return (replace(q, text=None) if part == "image" else replace(q, image=None, more_images=()) for q in queries)

    found, embeddings = encode_records(
        model, parts, len(row), f"{pool.task} {part} alone", _query_embedder(model), store
    )
    return embeddings[np.argsort([row[name] for name in found])]


def encode_corpus(
    model: EmbeddingModel,
    benchmark: Benchmark,
    name: str,
    split: str,
    store: EmbeddingStore | None = None,
    rows: Ints | None = None,
) -> Any:
    """Return the vectors of the candidates of one corpus.

    Args:
        model: The model.
        benchmark: The benchmark.
        name: The corpus.
        split: The split.
        store: Where vectors are kept; None forgets them.
        rows: Rows of the candidates wanted, ascending; None takes all.

    Returns:
        Unit vectors, float32, shape ``(num_candidates, model.dimension)``, in the order of the file.

    Raises:
        ModelError: The model returned another shape, or NaN, infinity or a zero vector.
        BenchmarkError: An image cannot be decoded.
    """
    corpus = benchmark.corpus(name, split)

    def embed(batch: Sequence[Candidate], items: Sequence[Item]) -> Pending:
        with embedding(model):
            found = model.embed_candidates(items)
        return _fetch(model, found, [f"candidate {record.id}" for record in batch])

    def candidates() -> Iterator[Candidate]:
        return iter(corpus) if rows is None else (corpus[row] for row in rows.tolist())

    total = len(corpus) if rows is None else len(rows)
    return encode_records(model, candidates, total, corpus_label(name), embed, store)[1]


def queries_label(task: str) -> str:
    """Return the label of a task's queries in progress bars and error messages."""
    return f"{task} queries"


def corpus_label(name: str) -> str:
    """Return the label of a corpus in progress bars and error messages."""
    return f"{name} candidates"


def _instructed(queries: Iterator[Query], instruction: str | None) -> Iterator[Query]:
    return queries if instruction is None else (replace(query, instruction=instruction) for query in queries)


def _query_embedder(model: EmbeddingModel) -> Embed:
    def embed(batch: Sequence[Query], items: Sequence[Item]) -> Pending:
        """Call the model once for each instruction; the results are in the order of the batch."""
        order = sorted(range(len(batch)), key=lambda index: batch[index].instruction)
        parts: list[Pending] = []
        for instruction, group in groupby(order, key=lambda index: batch[index].instruction):
            chosen = list(group)
            with embedding(model):
                part = model.embed_queries([items[index] for index in chosen], instruction)
            parts.append(_fetch(model, part, [f"query {batch[index].id}" for index in chosen]))
        return lambda: joined([part() for part in parts])[np.argsort(order)]

    return embed


def _fetch(model: EmbeddingModel, raw: Any, names: Sequence[str]) -> Pending:
    check = checked_ragged if is_multi_vector(model) else checked
    return fetch(raw, partial(check, dimension=model.dimension, names=names, where=model.name))
