"""From records to unit vectors: each distinct item once, images decoded ahead of the model, every vector checked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby, islice
from typing import Any, Literal, TypeVar

import numpy as np
from tqdm import tqdm

from mrbench.benchmark import Benchmark
from mrbench.errors import BenchmarkError, ModelError
from mrbench.models.protocol import EmbeddingModel, Embeddings, Item
from mrbench.records import Candidate, Query
from mrbench.retrieve.batches import ahead, batches, by_length, within_memory
from mrbench.retrieve.pool import TaskPool
from mrbench.retrieve.store import EmbeddingStore, unit_name

WINDOW = 1024  # records whose texts are sorted by length together, and whose vectors are one unit of a cache
Record = TypeVar("Record", Query, Candidate)
Embed = Callable[[Sequence[Any], Sequence[Item]], Embeddings]


def encode_queries(
    model: EmbeddingModel,
    benchmark: Benchmark,
    task: str,
    split: str,
    ids: Sequence[str],
    store: EmbeddingStore | None = None,
) -> Embeddings:
    """Embed queries of a task.

    Args:
        model: The model.
        benchmark: The benchmark.
        task: The task.
        split: The split.
        ids: The queries wanted.
        store: Where vectors are kept; None forgets them.

    Returns:
        Unit vectors, float32, shape ``(len(ids), model.dimension)``, in the order of ``ids``.

    Raises:
        ModelError: The model returned another shape, or NaN, infinity or a zero vector.
        BenchmarkError: An image cannot be decoded, or a query is not there.
    """
    wanted = set(ids)

    def queries() -> Iterator[Query]:
        return (query for query in benchmark.queries(task, split) if query.id in wanted)

    found, embeddings = encode_records(model, queries, len(ids), f"{task} queries", _query_embedder(model), store)
    position = {name: row for row, name in enumerate(found)}
    return embeddings[[position[name] for name in ids]]


def encode_variants(
    model: EmbeddingModel, benchmark: Benchmark, pool: TaskPool, split: str, store: EmbeddingStore | None = None
) -> Embeddings:
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

    def variants() -> Iterator[Query]:
        for v in benchmark.variants(pool.task, split):
            if v.query_id in asked:
                yield Query(v.query_id, pool.task, instruction[v.query_id], (), v.text, v.image)

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
) -> Embeddings:
    """Embed one part of each composed query: its image alone or its text alone.

    Returns:
        Unit vectors, float32, shape ``(num_queries, model.dimension)``, in the order of ``pool.query_ids``.

    Raises:
        ModelError: The model returned another shape, or NaN, infinity or a zero vector.
        BenchmarkError: An image cannot be decoded.
    """
    row = {name: number for number, name in enumerate(pool.query_ids.tolist())}

    def parts() -> Iterator[Query]:
        queries = (query for query in benchmark.queries(pool.task, split) if query.id in row)
        return (replace(q, text=None) if part == "image" else replace(q, image=None) for q in queries)

    found, embeddings = encode_records(
        model, parts, len(row), f"{pool.task} {part} alone", _query_embedder(model), store
    )
    return embeddings[np.argsort([row[name] for name in found])]


def encode_corpus(
    model: EmbeddingModel, benchmark: Benchmark, modality: str, split: str, store: EmbeddingStore | None = None
) -> Embeddings:
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

    return encode_records(model, lambda: iter(corpus), len(corpus), f"{modality} candidates", embed, store)[1]


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


def encode_records(
    model: EmbeddingModel,
    records: Callable[[], Iterator[Record]],
    total: int,
    label: str,
    embed: Embed,
    store: EmbeddingStore | None,
) -> tuple[list[str], Embeddings]:
    """Embed records that the store does not hold, window by window.

    What a window adds depends on the records and on what was there before, never on who else works or was killed.

    Args:
        model: The model.
        records: Starts at the first record, every time it is called.
        total: How many there are.
        label: What to call them.
        embed: Records and their items to unit vectors.
        store: Where vectors are kept; None forgets them.

    Returns:
        The ids, and the vectors of all, shape ``(total, model.dimension)``.

    Raises:
        BenchmarkError: There are fewer or more records, or an image cannot be decoded.
        ModelError: The model returned what cannot be scored.
    """
    store = EmbeddingStore(model) if store is None else store
    store.refresh()
    ids: list[str] = []
    keys: list[bytes] = []
    others: dict[int, tuple[str, list[int]]] = {}
    seen: set[bytes] = set()
    with tqdm(total=total, desc=f"{model.name}: {label}", unit="item", leave=False, disable=None) as progress:
        for number, window in enumerate(_windows(records())):
            mine = [_key(model, record) for record in window]
            first = {key: row for row, key in reversed(list(enumerate(mine)))}
            new = sorted(row for key, row in first.items() if key not in seen and key not in store)
            seen.update(first)
            ids += [record.id for record in window]
            keys += mine
            if number % store.share.processes == store.share.process:
                _embed_window(window, mine, new, embed, store)
            elif new:
                others[number] = unit_name([mine[row] for row in new]), new
            progress.update(len(window))
    late = store.wait(name for name, _ in others.values())
    if late:
        for number, window in enumerate(_windows(records())):
            name, new = others.get(number, ("", []))
            if name in late:
                _embed_window(window, [_key(model, record) for record in window], new, embed, store)
    if len(ids) != total:
        raise BenchmarkError("records are missing", where=label, got=len(ids), accepted=total)
    return ids, store.gather(keys)


def _windows(records: Iterator[Record]) -> Iterator[list[Record]]:
    while window := list(islice(records, WINDOW)):
        yield window


def _embed_window(
    window: Sequence[Record], keys: Sequence[bytes], new: Sequence[int], embed: Embed, store: EmbeddingStore
) -> None:
    if not new:
        return
    order = by_length([window[row].text for row in new])
    chosen = [window[new[at]] for at in order]
    vectors = [part for batch, items in ahead(batches(chosen)) for part in within_memory(embed, batch, items)]
    store.put([keys[row] for row in new], np.concatenate(vectors)[np.argsort(order)])


def _key(model: EmbeddingModel, record: Query | Candidate) -> bytes:
    """Return the digest of all that a model is given: side and instruction, where it listens to them, and content."""
    side = "candidate" if isinstance(record, Candidate) else f"query {record.instruction}"
    parts = ["" if getattr(model, "symmetric", False) else side, "-" if record.text is None else f"+{record.text}"]
    digest = hashlib.sha256()
    for part in (*(text.encode() for text in parts), b"-" if record.image is None else b"+" + record.image.data):
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.digest()
