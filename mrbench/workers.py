"""Work done ahead, in order, by threads or by worker processes."""

from __future__ import annotations

import math
import os
import pickle
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from functools import cache
from itertools import islice
from multiprocessing import current_process, get_context
from pathlib import Path
from typing import Any, TypeVar

from mrbench.errors import WorkerError

Workers = int | Executor
CHUNK, IN_FLIGHT = 32, 32
OWN_GROUPS, CGROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - where Linux has them
_UNGUARDED = "the script has to do its work below: if __name__ == '__main__':, as worker processes run its file again"
A = TypeVar("A")
B = TypeVar("B")


def cores() -> int:
    """Return how many processors this process may use: its affinity, or what a container's quota comes to, if less."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(found, _quota())))


@cache
def _quota() -> float:
    """Return how many processors' time the control groups of this process allow; infinity without a limit."""
    try:
        groups = [line.split(":", 2) for line in OWN_GROUPS.read_text(encoding="utf-8").splitlines()]
    except OSError:  # not on Linux
        return math.inf
    least = math.inf
    for _, controllers, name in (group for group in groups if len(group) == 3):
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = CGROUPS / controllers if controllers else CGROUPS
        here = root / name.lstrip("/")
        for folder in (here, *here.parents, root):  # a container sees its own group as the root
            if folder.is_relative_to(root):
                least = min(least, _allowed(folder))
    return least


def _allowed(folder: Path) -> float:
    """Return what the files of one control group, of version 2 or 1, allow."""
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        else:
            quota, period = (
                (folder / f"cpu.cfs_{what}_us").read_text(encoding="ascii").strip() for what in ("quota", "period")
            )
        return int(quota) / int(period) if int(quota) > 0 else math.inf
    except (OSError, ValueError, ZeroDivisionError):  # no limit here: "max" is no number
        return math.inf


@contextmanager
def worker_pool(workers: int, function: Callable[..., object] | None = None) -> Iterator[Workers]:
    """Yield what :func:`ordered_map` takes: worker processes that keep what they cache until the block ends.

    Where no process can be started, the work is done in this one.

    Args:
        workers: How many.
        function: As for :func:`processes`.
    """
    pool = _started(workers, script=is_of_script(function)) if workers > 1 else None
    if pool is None:
        yield 1
        return
    with pool:
        yield pool


def processes(workers: int, *, script: bool = False) -> Executor:
    """Return worker processes that leave when this process is no more; where none can be started, one thread.

    Args:
        workers: How many.
        script: Whether they run the program's main file again, as they must where a function is defined there.
    """
    return _started(workers, script=script) or ThreadPoolExecutor(1)


def is_of_script(function: object) -> bool:
    """Whether a worker process has to run the program's main file to find a function, or something that it holds."""
    try:
        return b"__main__" in pickle.dumps(function)
    except Exception:
        return False  # it cannot be sent at all, which is said where it is


def _started(workers: int, *, script: bool) -> ProcessPoolExecutor | None:
    """Start worker processes, or as many as can be; None, and a line on stderr, where none can.

    A pool needs semaphores, which Linux keeps in /dev/shm, and the right to start processes. A sandbox may lack either.

    Raises:
        SystemExit: This is itself a worker process that runs the program's main file, which would go on for ever.
    """
    if getattr(current_process(), "_inheriting", False):
        sys.exit(f"error: {_UNGUARDED}")
    pool, running = None, 0
    try:
        pool = _pool(workers)
        with _interrupts_blocked(), nullcontext() if script else _main_file_hidden():
            while running < workers:
                pool.submit(_nothing)
                running += 1
        return pool
    except (OSError, ImportError, RuntimeError) as error:  # no semaphore, none on this system, no thread
        _end(pool)
        left = "the work is done in this process" if running == 0 else f"{running} of {workers} do the work"
        at = "" if running else _blame()
        _say(f"note: worker processes cannot be started ({_reason(error)}{at}); {left}")
    return _started(running, script=script) if running else None


@contextmanager
def _main_file_hidden() -> Iterator[None]:
    """Start workers that do not run the program's main file again, as `multiprocessing` has them do.

    A script without ``if __name__ == "__main__":`` would do all its work again in each of them, and one that was read
    from stdin or typed cannot be run again.
    """
    main: dict[str, Any] = sys.modules["__main__"].__dict__
    hidden: dict[str, Any] = {name: main[name] for name in ("__file__", "__spec__") if name in main}
    main.pop("__file__", None)
    main["__spec__"] = None
    try:
        yield
    finally:
        main.pop("__spec__")
        main.update(hidden)


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, get_context("spawn"), initializer=_leave_with, initargs=(os.getpid(),))


def _end(pool: ProcessPoolExecutor | None) -> None:
    """End a pool that is not complete: without its thread nobody would tell its processes to leave."""
    if pool is not None:
        for process in dict(getattr(pool, "_processes", None) or {}).values():
            process.terminate()
        pool.shutdown(cancel_futures=True)


def _nothing() -> None:
    """Work that makes a pool start a process."""


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error)


def _blame() -> str:
    """Name /dev/shm where it cannot be written."""
    return "" if os.access(SHARED_MEMORY, os.W_OK) or os.name != "posix" else f"; {SHARED_MEMORY} cannot be written"


def _say(line: str) -> None:
    with suppress(OSError, AttributeError):
        sys.stderr.write(f"{line}\n")


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
            with worker_pool(workers, function) as pool:
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
        hint = "memory may have run out: with fewer workers less is needed"
        raise WorkerError("a worker process was killed", hint=_UNGUARDED if is_of_script(function) else hint) from error
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
