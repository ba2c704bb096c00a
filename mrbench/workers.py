"""Work done ahead, in order, by threads or by worker processes."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context
from typing import TypeVar

from mrbench.errors import WorkerError

Workers = int | Executor
CHUNK, IN_FLIGHT = 32, 32
A = TypeVar("A")
B = TypeVar("B")


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def worker_pool(workers: int) -> Iterator[Workers]:
    """Yield what :func:`ordered_map` takes: worker processes that keep what they cache until the block ends."""
    if workers <= 1:
        yield 1
        return
    with processes(workers) as pool:
        yield pool


def processes(workers: int) -> ProcessPoolExecutor:
    """Return worker processes that start when they are needed, and leave when this process is no more."""
    return ProcessPoolExecutor(workers, get_context("spawn"), initializer=_leave_with, initargs=(os.getpid(),))


def ordered_map(
    function: Callable[[A], B],
    items: Iterable[A],
    workers: Workers,
    *,
    chunk: int = CHUNK,
    in_flight: int = IN_FLIGHT,
) -> Iterator[B]:
    """Map in worker processes, in order, with a bounded number of items in flight.

    Args:
        function: What to apply; picklable unless there is one worker, or the workers are threads.
        items: Its arguments.
        workers: How many processes, started for this call, or a :func:`worker_pool`, or any other executor.
        chunk: Items that go to a worker together.
        in_flight: Chunks that are worked on or wait to be fetched.

    >>> list(ordered_map(str.upper, "abc", 1))
    ['A', 'B', 'C']
    """
    if isinstance(workers, int):
        if workers <= 1:
            yield from map(function, items)
        else:
            with worker_pool(workers) as pool:
                yield from ordered_map(function, items, pool, chunk=chunk, in_flight=in_flight)
        return
    source = iter(items)
    pending: deque[Future[list[B]]] = deque()
    try:
        while True:
            while len(pending) < in_flight and (part := list(islice(source, chunk))):
                with _interrupts_blocked():
                    pending.append(workers.submit(_map_chunk, function, part))
            if not pending:
                return
            yield from pending.popleft().result()
    except BrokenExecutor as error:
        raise WorkerError(
            "a worker process was killed", hint="memory may have run out: with fewer workers less is needed"
        ) from error
    finally:
        for future in pending:
            future.cancel()


def _map_chunk(function: Callable[[A], B], chunk: list[A]) -> list[B]:
    return [function(item) for item in chunk]


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Start workers that do not hear Ctrl-C, which reaches the whole process group: the parent alone answers it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _leave_with(parent: int) -> None:
    """Watch for the end of the parent: a worker waits on a queue whose other end it holds itself, and never hears."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
