"""Every error that a user of MRBench can cause or meet, in one tree.

A message is one line: what failed, where, the value received, what is accepted, and the next command.
The command line turns every :class:`MRBenchError` into that line on stderr and exit code 2.
"""

from __future__ import annotations


class MRBenchError(Exception):
    """Base of all errors that MRBench raises on purpose.

    Args:
        what: What failed, as a short clause.
        where: File, line, record id or option.
        got: The value received.
        accepted: What would have been accepted.
        hint: The next command or step.

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
            shown = repr(got)
            parts.append(f"got: {shown if len(shown) <= 200 else shown[:197] + '...'}")
        if accepted is not None:
            parts.append(f"accepted: {accepted}")
        if hint is not None:
            parts.append(f"next: {hint}")
        line = " ".join("; ".join(parts).split())
        super().__init__("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line))


class InputError(MRBenchError):
    """An option or argument is not of the accepted form."""


class OutputError(MRBenchError):
    """An output cannot be written: a foreign folder, a full disk, a path that is not ours."""


class BenchmarkError(MRBenchError):
    """A benchmark folder is missing, incomplete, altered or malformed."""


class FormatVersionError(BenchmarkError):
    """A file was written by a newer version of MRBench than this one."""


class ModelError(MRBenchError):
    """A model cannot be loaded, or returned embeddings that cannot be scored."""


class ResultError(MRBenchError):
    """A result file or a run is malformed or incomplete."""


class WorkerError(MRBenchError):
    """A process that did part of the work is no more."""


class MissingExtraError(MRBenchError):
    """An optional part of MRBench is not installed."""


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
