"""Batches for a model: decoded ahead of it, of texts of like length, and halved when memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from mrbench.benchmark import decode
from mrbench.models.protocol import Embeddings, Item
from mrbench.records import Candidate, Query

BATCH = 256
BATCH_PIXELS = 1 << 26  # bounds the decoded images in memory to 192 MiB a batch, whatever their size
T = TypeVar("T")
Record = TypeVar("Record", Query, Candidate)


def batches(records: Sequence[Record]) -> Iterator[tuple[list[Record], list[Item]]]:
    """Yield the records in order with their images decoded, as many at a time as the two limits allow."""
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


def ahead(values: Iterator[T]) -> Iterator[T]:
    """Yield what the iterator yields, the next one being made while this one is in use.

    >>> list(ahead(iter("abc")))
    ['a', 'b', 'c']
    """
    end = object()
    with ThreadPoolExecutor(1) as worker:
        following = worker.submit(next, values, end)
        while (value := following.result()) is not end:
            following = worker.submit(next, values, end)
            yield value  # type: ignore[misc]


def by_length(texts: Sequence[str | None]) -> list[int]:
    """Return the positions by length of text, so that a batch pads little; the equally long stay in order.

    >>> by_length(["ccc", None, "a", "bb"])
    [1, 2, 3, 0]
    """
    return sorted(range(len(texts)), key=lambda row: len(texts[row] or ""))


def within_memory(
    embed: Callable[[Sequence[Any], Sequence[Item]], Embeddings], batch: Sequence[Any], items: Sequence[Item]
) -> Iterator[Embeddings]:
    """Yield the vectors of a batch; where memory runs out, of its halves. Any other error passes through."""
    try:
        whole = embed(batch, items)
    except Exception as error:
        if len(batch) == 1 or not out_of_memory(error):
            raise
    else:
        yield whole
        return
    half = len(batch) // 2  # outside the except block: the error holds the frames that hold the memory
    yield from within_memory(embed, batch[:half], items[:half])
    yield from within_memory(embed, batch[half:], items[half:])


def out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out, on a CPU or a GPU, without importing torch to ask.

    >>> out_of_memory(RuntimeError("CUDA error: out of memory")), out_of_memory(RuntimeError("shapes differ"))
    (True, False)
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    said = str(error).lower()
    signs = ("out of memory", "can't allocate memory", "cublas_status_alloc_failed")
    return isinstance(error, RuntimeError) and any(sign in said for sign in signs)
