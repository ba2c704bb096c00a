"""Runs other people's code so that it cannot end our process, while Ctrl-C still can."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from mrbench.errors import MRBenchError

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


class ForeignExitError(MRBenchError):
    """Other people's code raised an exception that ends a program, such as SystemExit or KeyboardInterrupt."""


@contextmanager
def foreign_code() -> Iterator[None]:
    """Turn exceptions of the block that would end our process into errors that can be caught.

    A KeyboardInterrupt passes if a signal arrived, since a person or the system then sent it. The code may also raise
    one itself; to tell the two apart, signal handlers record the signals that arrive during the block.

    Raises:
        ForeignExitError: The code raised an exception that is not an Exception, and no signal arrived.
    """
    arrived: set[int] = set()
    with _noted(arrived):
        try:
            yield
        except Exception:
            raise
        except BaseException as error:
            if arrived:
                raise
            said = str(error)
            raise ForeignExitError(type(error).__name__ + (f": {said}" if said else "")) from error


@contextmanager
def _noted(arrived: set[int]) -> Iterator[None]:
    """Record the signals that arrive during the block and have a Python handler, and call that handler."""
    before = {}
    if threading.current_thread() is threading.main_thread():  # the only one that may set handlers and runs them
        numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
        before = {number: handler for number in numbers if callable(handler := signal.getsignal(number))}

    def note(number: int, frame: FrameType | None) -> None:
        arrived.add(number)
        before[number](number, frame)

    for number in before:
        signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is note:  # the code may have set one of its own
                signal.signal(number, handler)
