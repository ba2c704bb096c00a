"""Running other people's code, which must not end our process, while a Ctrl-C still does."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from mrbench.errors import MRBenchError

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


class ForeignExitError(MRBenchError):
    """Other people's code raised what ends a program: SystemExit, KeyboardInterrupt, or another of their kind."""


@contextmanager
def foreign_code() -> Iterator[None]:
    """Run other people's code in a block: what would end our process becomes an error that can be caught.

    A KeyboardInterrupt passes where a signal arrived in the block, since a person or the system then asked for it. One
    that the code raises by itself looks the same; so the handlers of signals note what arrives while the block runs.

    Raises:
        ForeignExitError: The code raised an exception that is no Exception, and no signal arrived.
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
    """Note the signals that arrive in a block and have a handler in Python, which is called as before."""
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
