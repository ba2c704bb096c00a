"""Runs work ahead, in order, in threads or worker processes."""

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
_UNGUARDED = "put the script's work below: if __name__ == '__main__':, because worker processes run its file again"
A = TypeVar("A")
B = TypeVar("B")


def cores() -> int:
    """Return the number of CPUs that this process may use: by its affinity, or by a container's quota if lower."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(cores, _quota())))


@cache
def _quota() -> float:
    """Return the number of CPUs that the control groups of this process allow; infinity without a limit."""
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
    """Return the number of CPUs that one control group (version 2 or 1) allows."""
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
    """Yield worker processes for :func:`ordered_map`. They keep their caches until the block ends.

    If no process can be started, this process does the work.

    Args:
        workers: Number of processes.
        function: The function that they will run.
    """
    pool = _started(workers, script=is_of_script(function)) if workers > 1 else None
    if pool is None:
        yield 1
        return
    with pool:
        yield pool


def processes(workers: int, *, script: bool = False) -> Executor:
    """Return worker processes that end with this process; or one thread, if no process can be started.

    Args:
        workers: Number of processes.
        script: Whether they run the program's main file, which they must if their function is defined there.
    """
    return _started(workers, script=script) or ThreadPoolExecutor(1)


def is_of_script(function: object) -> bool:
    """Return whether a worker process must run the program's main file to find a function or an object in it."""
    try:
        return b"__main__" in pickle.dumps(function)
    except Exception:
        return False  # it cannot be pickled; sending it raises the error


def _started(workers: int, *, script: bool) -> ProcessPoolExecutor | None:
    """Return as many worker processes as can be started; None, with a line on stderr, if none can.

    A pool needs semaphores, which Linux keeps in /dev/shm, and the right to start processes. A sandbox may lack either.

    Raises:
        SystemExit: This is itself a worker process that runs the program's main file; it would start workers forever.
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
    """Keep workers started in the block from running the program's main file, as `multiprocessing` makes them do.

    A script without ``if __name__ == "__main__":`` would do all its work again in each worker. A script from stdin, or
    an interactive session, has no file to run.
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
    """End a pool that did not start completely: its manager thread is missing, which would end its processes."""
    if pool is not None:
        for process in dict(getattr(pool, "_processes", None) or {}).values():
            process.terminate()
        pool.shutdown(cancel_futures=True)


def _nothing() -> None:
    """Do nothing: an empty task that makes a pool start a process."""


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error)


def _blame() -> str:
    """Return a clause that names /dev/shm if it cannot be written; else an empty text."""
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
    """Yield the results of a function on items, in order, from workers, with a bounded number of items in flight.

    Args:
        function: The function; it must be picklable unless there is one worker or the workers are threads.
        items: Its arguments.
        workers: A number of processes to start for this call, a :func:`worker_pool`, or any other executor.
        chunk: Items that are sent to a worker together.
        in_flight: Most chunks that are being worked on or wait to be yielded.

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
        hint = "use fewer workers: memory may have run out"
        raise WorkerError("a worker process was killed", hint=_UNGUARDED if is_of_script(function) else hint) from error
    finally:
        for future in pending:
            future.cancel()


def _map_chunk(function: Callable[[A], B], chunk: list[A]) -> list[B]:
    return [function(item) for item in chunk]


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Start workers in the block that ignore Ctrl-C: it reaches all processes, but only the parent handles it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _leave_with(parent: int) -> None:
    """End this worker when its parent ends. Its queue cannot show that: the worker holds the other end open too."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
