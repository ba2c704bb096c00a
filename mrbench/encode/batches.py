"""Batches for a model: images are decoded ahead, texts are sorted by length, and a batch fits into memory."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import cache, partial
from itertools import chain
from typing import Any, TypeVar

from mrbench.arrays import Rows
from mrbench.benchmark import check_pixels, decode, header_pixels
from mrbench.errors import ModelError, WorkerError, out_of_memory
from mrbench.models.protocol import Item
from mrbench.records import AnyImage, Candidate, ImageFile, Query
from mrbench.workers import is_of_script, ordered_map, processes

BATCH = 256  # images in a batch
FIRST_IMAGES = 32  # images in a CPU's first batch, so that the network starts sooner
TEXTS = 512  # texts in a batch for a CPU: a model may order the texts of a batch as it likes
GPU_TEXTS = 1024  # texts in a batch for a GPU: launching a pass takes the same time for few as for many
BATCH_PIXELS = 1 << 26  # bounds the decoded images in memory to 192 MiB a batch, whatever their size
Prepare = Callable[[Any], Any]
PrepareTexts = Callable[[list[str]], list[Any]]
Record = TypeVar("Record", Query, Candidate)


def batches(records: Iterable[Record], *, gpu: bool = False) -> Iterator[list[Record]]:
    """Yield batches of the records, in order, as large as the limits allow. Image sizes are read from headers."""
    batch: list[Record] = []
    pixels, images = 0, BATCH if gpu else FIRST_IMAGES
    for record in records:
        more = sum(map(header_pixels, images_of(record)))
        most = images if pixels + more else GPU_TEXTS if gpu else TEXTS
        if batch and (len(batch) >= most or pixels + more > BATCH_PIXELS):
            yield batch
            batch, pixels, images = [], 0, BATCH
        batch.append(record)
        pixels += more
    if batch:
        yield batch


def read_ahead(
    made: Iterable[list[Record]],
    prepare: Prepare | None = None,
    workers: int = 0,
    prepare_texts: PrepareTexts | None = None,
) -> Iterator[tuple[list[Record], list[Item]]]:
    """Yield batches of records with their items. While one batch is in use, the next is decoded and prepared.

    Args:
        made: The batches; two or more are taken ahead.
        prepare: The model's preprocessing of a decoded image; None leaves it as it is.
        workers: Processes that decode and prepare; 0 uses a thread, which is better for texts, and where a CPU runs the
            network.
        prepare_texts: The model's preprocessing of texts, used where no worker process decodes images; None leaves
            texts as they are.

    Raises:
        BenchmarkError: An image cannot be decoded.
        WorkerError: A process was killed.
    """
    made = iter(made)
    first = next(made, None)
    if first is None:
        return
    workers = workers if any(record.image is not None for record in first) else 0
    waiting: deque[list[Record]] = deque()

    def parts() -> Iterator[list[Record]]:
        """Yield each batch in eight parts, so that several processes can work on it."""
        for batch in chain([first], made):
            waiting.append(batch)
            size = -(-len(batch) // 8) if workers else len(batch)
            yield from (batch[start : start + size] for start in range(0, len(batch), size))

    read = partial(_items, prepare, None if workers else prepare_texts)
    with ThreadPoolExecutor(1) as thread:
        in_flight = 2 * workers + 16 if workers else 2
        items: list[Item] = []
        pool = _processes(workers, is_of_script(read)) if workers else thread
        try:
            for part in ordered_map(read, parts(), pool, chunk=1, in_flight=in_flight):
                items += part
                if len(items) == len(waiting[0]):
                    yield waiting.popleft(), items
                    items = []
        except WorkerError:
            _processes.cache_clear()  # the next call starts new processes
            raise


def in_order(texts: Sequence[str | None]) -> list[int]:
    """Return the positions sorted by length of text, so that a batch needs little padding; equals keep their order.

    >>> in_order(["ccc", None, "a", "bb"])
    [1, 2, 3, 0]
    """
    return sorted(range(len(texts)), key=lambda row: len(texts[row] or ""))


Pending = Callable[[], Any]
"""A function that waits for vectors that are being embedded, and returns them."""
Embed = Callable[[Sequence[Any], Sequence[Item]], Pending]
"""A function that starts to embed records, given with their items."""


def fetch(raw: Any, check: Callable[[Any], Rows]) -> Pending:
    """Start copying a model's output from the GPU, and return a function that waits for the copy and checks it.

    Output in main memory is checked at once, since a model may reuse its buffer.
    """
    if not getattr(raw, "is_cuda", False):
        found = check(raw)
        return lambda: found
    here, wait = _start_copy(raw)

    def finish() -> Rows:
        wait()
        return check(here)

    return finish


def _start_copy(raw: Any) -> tuple[Any, Callable[[], None]]:
    """Start copying a tensor from a GPU; return the copy and a function that waits for it.

    A copy waits for all earlier work of the GPU, so it must start before the GPU is given the next batch.
    """
    torch = sys.modules["torch"]
    here = torch.empty(raw.shape, dtype=raw.dtype, device="cpu", pin_memory=True)
    here.copy_(raw.detach(), non_blocking=True)
    arrived = torch.cuda.Event()
    arrived.record(torch.cuda.current_stream(raw.device))
    return here, arrived.synchronize


class WithinMemory:
    """Embeds batches. When memory runs out, it halves the number of items at a time. Other errors pass through.

    Args:
        embed: The function that embeds.
        size: Items at a time at first; None takes a whole batch.
    """

    def __init__(self, embed: Embed, size: int | None = None) -> None:
        self._embed, self.size = embed, size or GPU_TEXTS

    def __call__(self, batch: Sequence[Any], items: Sequence[Item]) -> Iterator[Pending]:
        """Start to embed the parts of a batch, in order, and yield a function for each that waits for its vectors."""
        start = 0
        while start < len(batch):
            part = slice(start, start + self.size)
            found = self._try(batch[part], items[part])
            if found is None:  # not in the except block: there the error keeps the memory alive
                self.size = len(batch[part]) // 2
                _free()
            else:
                yield found
                start = part.stop

    def _try(self, batch: Sequence[Any], items: Sequence[Item]) -> Pending | None:
        try:
            return self._embed(batch, items)
        except Exception as error:
            if len(batch) == 1 or not out_of_memory(error):
                raise
            return None


def _items(
    prepare: Prepare | None, prepare_texts: PrepareTexts | None, records: Sequence[Query | Candidate]
) -> list[Item]:
    texts: list[Any] = [record.text for record in records]
    some = [row for row, text in enumerate(texts) if text is not None]
    if prepare_texts is not None and some:
        ready = prepare_texts([texts[row] for row in some])
        if not isinstance(ready, list) or len(ready) != len(some):
            got = f"{len(ready)} of them" if isinstance(ready, list) else type(ready).__name__
            accepted = f"a list of {len(some)} texts"
            raise ModelError("the model's prepare_texts returns something else", got=got, accepted=accepted)
        for row, one in zip(some, ready, strict=True):
            texts[row] = one
    images = ([_image(prepare, image, record.id) for image in images_of(record)] for record in records)
    return [Item(text, own[0] if own else None, tuple(own[1:])) for text, own in zip(texts, images, strict=True)]


def images_of(record: Query | Candidate) -> tuple[AnyImage, ...]:
    """Return all images of a record, in order."""
    return () if record.image is None else (record.image, *record.more_images)


def _image(prepare: Prepare | None, image: AnyImage, where: str) -> Any:
    decoded = decode(image, where=where)
    if isinstance(image, ImageFile) and image.sha256:  # bytes in a table have the digest of their file
        check_pixels(decoded, image, where=where)
    return decoded if prepare is None else prepare(decoded)


@cache
def _processes(workers: int, script: bool) -> Executor:
    """Return worker processes, started once. They serve all tasks and end with this process."""
    return processes(workers, script=script)


def _free() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
