"""All errors of MRBench, in one tree.

A message is one line: what failed, where, the value received, what is accepted, and the next command.
The command line turns every :class:`MRBenchError` into that line on stderr and exit code 2.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager

HIDDEN = "[hidden]"
EVALUATE_AGAIN = "evaluate again: mrbench evaluate BENCHMARK --model SPEC --output DIR"
"""The next step where a result or a run cannot be used."""
_USERS = re.compile(r"(?<=://)(?:[^/?#\s]*|[^/?#\s:@\[]*:(?!\d+(?:[/?#\s]|$))[^\s@]*)@")
_OPTIONS = re.compile(r"(#[^\s?#]+\?)([^\s;'\"]+)")  # of a model behind an API
_SECRETS = re.compile(r"([?&][\w-]*(?:key|token|secret|passw(?:or)?d|auth)[\w-]*=)([^&\s;'\"#]+)", re.IGNORECASE)

_KEYS = re.compile(r"\b(?:(?:sk|nvapi)-(?=[\w-]*\d)[\w-]{16,}|(?:hf|gsk)_[A-Za-z0-9]{30,})", re.ASCII)  # of services


def looks_like_a_key(text: str) -> bool:
    """Return whether a text holds what looks like a key of a service, such as ``sk-`` and what follows.

    >>> looks_like_a_key("/v1/sk-proj-0123456789abcdef/embeddings"), looks_like_a_key("/v1/my-deployment-2024")
    (True, False)
    """
    return _KEYS.search(text) is not None


def redacted(text: str) -> str:
    """Return a text without possible secrets of a URL or a spec: user, password, keys, and the values of keys.

    The name of an environment variable that is set is not a secret.

    >>> redacted("openai:http://bob:pass@host/v1#m@2?api_key=sk-1&batch=8")
    'openai:http://[hidden]@host/v1#m@2?api_key=[hidden]&batch=8'
    """
    text = _KEYS.sub(HIDDEN, _USERS.sub(f"{HIDDEN}@", text))
    text = _OPTIONS.sub(lambda found: found[1] + _without_words(found[2]), text)
    return _SECRETS.sub(lambda found: found[0] if found[2] in os.environ else found[1] + HIDDEN, text)


def redacted_spec(spec: str) -> str:
    """Return the spec of a model without what may be a secret, a bare word among its options too.

    >>> redacted_spec("openai:http://host/v1#m?query=find: {text}&sk-1")
    'openai:http://host/v1#m?query=find: {text}&[hidden]'
    """
    source, mark, options = spec.rpartition("?")
    return redacted(source + mark + (_without_words(options) if mark else options))


def _without_words(options: str) -> str:
    return "&".join(part if "=" in part or not part else HIDDEN for part in options.split("&"))


class MRBenchError(Exception):
    """The base of all errors that MRBench raises on purpose.

    Args:
        what: What failed, as a short clause.
        where: File, line, record id or option.
        got: The value received.
        accepted: What would have been accepted.
        hint: The next command or step.

    Attributes:
        statement: The message without the next command, as results keep it.

    >>> print(InputError("unknown task", where="--task", got="t2x", accepted="t2i, i2t, i2i, it2i"))
    unknown task; where: --task; got: 't2x'; accepted: t2i, i2t, i2i, it2i
    """

    exit_code = 2

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        got: object = None,
        accepted: object = None,
        hint: str | None = None,
    ) -> None:
        parts = [what]
        if where is not None:
            parts.append(f"where: {where}")
        if got is not None:
            shown = redacted(repr(str(got) if isinstance(got, os.PathLike) else got))
            parts.append(f"got: {shown if len(shown) <= 200 else shown[:197] + '...'}")
        if accepted is not None:
            parts.append(f"accepted: {accepted}")
        self.statement = _one_line("; ".join(parts))
        self._advised = False
        super().__init__(self.statement)
        if hint is not None:
            self.advise(hint)

    def advise(self, hint: str) -> None:
        """Add the next command, unless the error has one: code far from the user seldom knows the paths."""
        if not self._advised:
            self._advised = True
            self.args = (_one_line(f"{self.args[0]}; next: {hint}"),)


def _one_line(text: str) -> str:
    line = redacted(" ".join(text.split()))
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)


@contextmanager
def advised(hint: str, kind: type[MRBenchError] = MRBenchError) -> Iterator[None]:
    """Give the errors of a block a next command, where they have none.

    Args:
        hint: The next command or step.
        kind: The errors meant; others pass as they are.

    >>> with advised("mrbench validate scenes"):
    ...     raise BenchmarkError("duplicate id", got="a1")
    Traceback (most recent call last):
    mrbench.errors.BenchmarkError: duplicate id; got: 'a1'; next: mrbench validate scenes
    """
    try:
        yield
    except kind as error:
        error.advise(hint)
        raise


def command_line(*words: object) -> str:
    """Return a command as a shell takes it.

    >>> command_line("mrbench", "validate", "my scenes")
    "mrbench validate 'my scenes'"
    """
    return shlex.join(map(str, words))


class InputError(MRBenchError):
    """An option or argument is not of the accepted form."""


class OutputError(MRBenchError):
    """An output cannot be written, for example because the disk is full or the folder holds something else."""


class BenchmarkError(MRBenchError):
    """A benchmark folder is missing, incomplete, altered or malformed."""


class NothingToScoreError(BenchmarkError):
    """A task has no query or no candidate in this split, or no query has a relevant candidate in the pool."""


class FormatVersionError(BenchmarkError):
    """A file was written by a newer version of MRBench than this one."""


class ModelError(MRBenchError):
    """A model cannot be loaded, or returned embeddings that cannot be scored."""


class ResultError(MRBenchError):
    """A result file or a run is malformed or incomplete."""


class WorkerError(MRBenchError):
    """A worker process was killed."""


class MissingExtraError(MRBenchError):
    """An optional part of MRBench is not installed."""


def out_of_memory(error: Exception) -> bool:
    """Return whether an error means that memory ran out, on a CPU or a GPU. It does not import torch.

    >>> out_of_memory(RuntimeError("CUDA error: out of memory")), out_of_memory(RuntimeError("shapes differ"))
    (True, False)
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    said = str(error).lower()
    signs = ("out of memory", "can't allocate memory", "cublas_status_alloc_failed")
    return isinstance(error, RuntimeError) and any(sign in said for sign in signs)
