"""What a model's code raises becomes one line that names the place."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from mrbench.errors import ModelError, MRBenchError, out_of_memory
from mrbench.foreign import ForeignExitError, foreign_code
from mrbench.models.protocol import EmbeddingModel


@contextmanager
def running(where: str, file: str | None = None) -> Iterator[None]:
    """Turn what a model's code raises in a block into an error with file and line.

    Args:
        where: The model, or what of it runs.
        file: The file whose last line is named; None, or a file that is not in the traceback, names the very last one.

    Raises:
        ModelError: The code raised something. Errors of ours, a missing module, and memory or threads that ran out
            pass as they are.
    """
    try:
        with foreign_code():
            yield
    except ForeignExitError as error:
        place = _place(error.__cause__, file)
        raise ModelError(
            f"the code of the model raises {error}", where=f"{where}, {place}", hint="--debug shows where"
        ) from error
    except (MRBenchError, ModuleNotFoundError):
        raise
    except Exception as error:
        if out_of_memory(error) or "start new thread" in str(error):
            raise
        raised = f"{type(error).__name__}: {error}"
        raise ModelError(
            f"the code of the model raises {raised}",
            where=f"{where}, {_place(error, file)}",
            hint="--debug shows where",
        ) from error


@contextmanager
def embedding(model: EmbeddingModel) -> Iterator[None]:
    """Turn what a model raises while it embeds into an error with file and line, as :func:`running` does."""
    with running(str(model.name), getattr(sys.modules.get(type(model).__module__), "__file__", None)):
        yield


def _place(error: BaseException | None, file: str | None) -> str:
    """Return the file and line that raised, or that cannot be parsed."""
    if isinstance(error, SyntaxError) and file is None:
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__ if error else None)
    last = next((frame for frame in reversed(frames) if frame.filename == file), frames[-1])
    return f"{last.filename}:{last.lineno}"
