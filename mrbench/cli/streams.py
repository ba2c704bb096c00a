"""The streams of a command: closed or not, of any encoding, read to the end or not."""

from __future__ import annotations

import codecs
import io
import os
import sys
from contextlib import suppress
from typing import Any


class _MayBeLeft(io.FileIO):
    """A stream whose reader may leave, as ``| head`` does: what it would not read any more is dropped."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            return memoryview(data).nbytes


def prepare() -> None:
    """Make the three streams fit for whatever is written to them.

    - One that is closed (``2>&-``, a service) leads to the null device. Else it is None in Python, and its number goes
      to the next file that is opened, into which messages would then be written.
    - A character that stdout's encoding lacks is written as ``?``.
    - When the reader of stdout or stderr leaves, the command goes on, and ends with its own exit code.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            os.dup2(opened, number)  # worker processes get it too
            if opened != number:
                os.close(opened)
            else:
                os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False))  # noqa: SIM115
    for number, name, errors in ((1, "stdout", "replace"), (2, "stderr", "backslashreplace")):
        stream = getattr(sys, name)
        if stream is getattr(sys, f"__{name}__") and os.name == "posix":
            setattr(sys, name, _reopened(stream, number, errors))
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=errors)


def _reopened(stream: io.TextIOWrapper, number: int, errors: str) -> io.TextIOWrapper:
    """Return a stream of the same encoding and buffering whose reader may leave."""
    stream.flush()
    raw = _MayBeLeft(number, "wb", closefd=False)
    buffered = isinstance(stream.buffer, io.BufferedWriter)
    return io.TextIOWrapper(
        io.BufferedWriter(raw) if buffered else raw,
        encoding=stream.encoding,
        errors=errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def say(text: str) -> None:
    """Write a line on stdout."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """Write a line on stderr, where somebody may read it."""
    with suppress(OSError, AttributeError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def takes_unicode() -> bool:
    """Return whether stdout is UTF-8, as JSON has to be."""
    with suppress(LookupError, AttributeError, TypeError):
        return codecs.lookup(sys.stdout.encoding).name == "utf-8"
    return False


def finish() -> str | None:
    """Write what is left of stdout; return why it could not be written, where it could not: a full disk.

    Stdout then leads nowhere, so that Python does not try again as it ends.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        with suppress(OSError, ValueError, AttributeError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, sys.stdout.fileno())
            os.close(null)
        return error.strerror or str(error)
    return None
