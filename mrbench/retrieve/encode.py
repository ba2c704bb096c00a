"""From records to unit vectors: batches, images decoded as they are needed, every vector checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Literal, TypeVar

import numpy as np
from tqdm import tqdm

from mrbench.benchmark import Benchmark, decode
from mrbench.errors import BenchmarkError, ModelError
from mrbench.models.protocol import EmbeddingModel, Embeddings, Item
from mrbench.records import Candidate, Query
from mrbench.retrieve.pool import TaskPool

BATCH = 256
BATCH_PIXELS = 1 << 26  # bounds the decoded images in memory to 192 MiB, whatever their size
Record = TypeVar("Record", Query, Candidate)


def encode_queries(
    model: EmbeddingModel, benchmark: Benchmark, task: str, split: str, ids: Sequence[str]
) -> Embeddings:
    """Embed queries of a task.

    Args:
        model: The model.
        benchmark: The benchmark.
        task: The task.
        split: The split.
        ids: The queries wanted.

    Returns:
        Unit vectors, float32, shape ``(len(ids), model.dimension)``, in the order of ``ids``.

    Raises:
        ModelError: The model returned another shape, or NaN, infinity or a zero vector.
        BenchmarkError: An image cannot be decoded, or a query is not there.
    """
    wanted = set(ids)
    queries = (query for query in benchmark.queries(task, split) if query.id in wanted)

    found, embeddings = _encode(model, queries, len(ids), f"{task} queries", _query_embedder(model))
    position = {name: row for row, name in enumerate(found)}
    return embeddings[[position[name] for name in ids]]


def encode_variants(model: EmbeddingModel, benchmark: Benchmark, pool: TaskPool, split: str) -> Embeddings:
    """Embed the variants of a task's queries, each under the instruction of its query.

    Returns:
        Unit vectors, float32, shape ``(num_variants, model.dimension)``, in the order of ``pool.variants``.

    Raises:
        ModelError: The model returned another shape, or NaN, infinity or a zero vector.
        BenchmarkError: An image cannot be decoded.
    """
    table = benchmark.queries(pool.task, split).table(["id", "instruction"])
    instruction = dict(zip(table["id"].to_pylist(), table["instruction"].to_pylist(), strict=True))
    asked = set(pool.query_ids.tolist())
    variants = (
        Query(v.query_id, pool.task, instruction[v.query_id], (), v.text, v.image)
        for v in benchmark.variants(pool.task, split)
        if v.query_id in asked
    )
    return _encode(model, variants, len(pool.variants.row), f"{pool.task} variants", _query_embedder(model))[1]


def encode_part(
    model: EmbeddingModel, benchmark: Benchmark, pool: TaskPool, split: str, part: Literal["image", "text"]
) -> Embeddings:
    """Embed one part of each composed query: its image alone or its text alone.

    Returns:
        Unit vectors, float32, shape ``(num_queries, model.dimension)``, in the order of ``pool.query_ids``.

    Raises:
        ModelError: The model returned another shape, or NaN, infinity or a zero vector.
        BenchmarkError: An image cannot be decoded.
    """
    row = {name: number for number, name in enumerate(pool.query_ids.tolist())}
    queries = (query for query in benchmark.queries(pool.task, split) if query.id in row)
    parts = (replace(q, text=None) if part == "image" else replace(q, image=None) for q in queries)
    found, embeddings = _encode(model, parts, len(row), f"{pool.task} {part} alone", _query_embedder(model))
    return embeddings[np.argsort([row[name] for name in found])]


def encode_corpus(model: EmbeddingModel, benchmark: Benchmark, modality: str, split: str) -> Embeddings:
    """Embed all candidates of one modality.

    Returns:
        Unit vectors, float32, shape ``(num_candidates, model.dimension)``, in the order of the file.

    Raises:
        ModelError: The model returned another shape, or NaN, infinity or a zero vector.
        BenchmarkError: An image cannot be decoded.
    """
    corpus = benchmark.corpus(modality, split)

    def embed(batch: Sequence[Candidate], items: Sequence[Item]) -> Embeddings:
        return _checked(model, model.embed_candidates(items), [f"candidate {record.id}" for record in batch])

    return _encode(model, corpus, len(corpus), f"{modality} candidates", embed)[1]


def unit_vectors(raw: Any, dimension: int, names: Sequence[str], where: str) -> Embeddings:
    """Check a batch of embeddings, and divide each by its length.

    Whatever the number format, vectors are converted to float32 first: what is scored does not depend on how a
    format of lower precision would have added them up. The length is summed in float64.

    Args:
        raw: What a model returned: an array of numbers, or a torch tensor on any device.
        dimension: The length that an embedding should have.
        names: What to call each vector in an error.
        where: The model's name.

    Returns:
        float32, shape ``(len(names), dimension)``.

    Raises:
        ModelError: Another shape, or a vector that has NaN, infinity or the length 0.

    >>> unit_vectors([[3, 4]], 2, ["query a"], "example")
    array([[0.6, 0.8]], dtype=float32)
    """
    if hasattr(raw, "detach"):  # a torch tensor; numpy knows neither its devices nor bfloat16
        raw = raw.detach().cpu().float().numpy()
    try:
        if np.iscomplexobj(raw):
            raise TypeError("complex numbers")
        with np.errstate(over="ignore"):
            vectors = np.asarray(raw).astype(np.float32)
    except (TypeError, ValueError) as error:
        raise ModelError("the embeddings are not an array of numbers", where=where, got=str(error)) from error
    if vectors.shape != (len(names), dimension):
        raise ModelError(
            "the embeddings have another shape",
            where=f"{where}, {names[0]}",
            got=vectors.shape,
            accepted=f"({len(names)}, {dimension}): one row per item, as long as the model's dimension",
        )
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    for what, bad in (("has NaN or infinity", ~np.isfinite(lengths)), ("is all zeros", lengths == 0)):
        if bad.any():
            raise ModelError(f"an embedding {what}", where=f"{where}, {names[int(np.argmax(bad))]}")
    units: Embeddings = (vectors / lengths).astype(np.float32)
    return units


def _query_embedder(model: EmbeddingModel) -> Callable[[Sequence[Query], Sequence[Item]], Any]:
    def embed(batch: Sequence[Query], items: Sequence[Item]) -> Any:
        """One call per instruction, results in the order of the batch."""
        order = sorted(range(len(batch)), key=lambda index: batch[index].instruction)
        parts, indices = [], []
        for instruction, group in groupby(order, key=lambda index: batch[index].instruction):
            chosen = list(group)
            part = model.embed_queries([items[index] for index in chosen], instruction)
            parts.append(_checked(model, part, [f"query {batch[index].id}" for index in chosen]))
            indices += chosen
        return np.concatenate(parts)[np.argsort(indices)]

    return embed


def _checked(model: EmbeddingModel, raw: Any, names: Sequence[str]) -> Embeddings:
    return unit_vectors(raw, model.dimension, names, model.name)


def _encode(
    model: EmbeddingModel,
    records: Iterable[Record],
    total: int,
    label: str,
    embed: Callable[[Sequence[Record], Sequence[Item]], Embeddings],
) -> tuple[list[str], Embeddings]:
    ids: list[str] = []
    embeddings = np.empty((total, model.dimension), dtype=np.float32)
    with tqdm(total=total, desc=f"{model.name}: {label}", unit="item", leave=False, disable=None) as progress:
        for batch, items in _batches(records):
            embeddings[len(ids) : len(ids) + len(batch)] = embed(batch, items)
            ids += [record.id for record in batch]
            progress.update(len(batch))
    if len(ids) != total:
        raise BenchmarkError("records are missing", where=label, got=len(ids), accepted=total)
    return ids, embeddings


def _batches(records: Iterable[Record]) -> Iterator[tuple[list[Record], list[Item]]]:
    batch: list[Record] = []
    items: list[Item] = []
    pixels = 0
    for record in records:
        image = None if record.image is None else decode(record.image, where=record.id)
        batch.append(record)
        items.append(Item(record.text, image))
        pixels += 0 if image is None else image.width * image.height
        if len(batch) == BATCH or pixels >= BATCH_PIXELS:
            yield batch, items
            batch, items, pixels = [], [], 0
    if batch:
        yield batch, items
