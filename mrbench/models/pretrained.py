"""Loading weights without surprises: devices, safetensors only, no missing key, nothing printed."""

from __future__ import annotations

import os
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from logging import CRITICAL
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from transformers import AutoModel
from transformers.utils import logging

from mrbench.errors import InputError, ModelError, MRBenchError, OutputError, out_of_memory

_SAYS_LITTLE = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError)
"""Errors of a program rather than of its input: their messages alone, such as ``'nope'``, explain nothing."""


def resolve_device(device: str) -> torch.device:
    """Return the device; ``auto`` is a GPU where there is one, the first or that of this process, else the CPU.

    Raises:
        InputError: It is not a device, or this machine lacks it.
    """
    accepted = "auto, cpu, cuda, cuda:N"
    if device == "auto":
        local = os.environ.get("LOCAL_RANK", "")  # torchrun and accelerate number the processes of a machine
        own = f":{int(local) % torch.cuda.device_count()}" if local.isdecimal() and torch.cuda.is_available() else ""
        device = f"cuda{own}" if torch.cuda.is_available() else "cpu"
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise InputError("unknown device", where="device", got=device, accepted=accepted) from error
    if resolved.type == "cuda" and (resolved.index or 0) >= torch.cuda.device_count():
        raise InputError("this machine lacks the device", where="device", got=device, accepted=accepted)
    return resolved


def load_transformer(source: str, *, dtype: torch.dtype, loader: Any = AutoModel, idle: str = r"(?!)") -> Any:
    """Load a model of transformers in evaluation mode, from safetensors alone and without code from its folder.

    Args:
        source: A folder.
        dtype: Number format of the weights in memory.
        loader: The class of transformers that loads it.
        idle: Regular expression of keys that the files may hold though the model has no such weights.

    Raises:
        ModelError: A key is missing, unexpected or of another shape, or the files cannot be read.
    """
    with loading(source):
        model, info = loader.from_pretrained(
            source,
            dtype=dtype,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # so that the keys are named below
            output_loading_info=True,
        )
    mismatched = [key if isinstance(key, str) else key[0] for key in info["mismatched_keys"]]
    unexpected = [key for key in info["unexpected_keys"] if not re.search(idle, key)]
    check_keys(source, info["missing_keys"], unexpected, mismatched)
    return model.eval()


def check_keys(source: str, missing: Iterable[str], unexpected: Iterable[str], mismatched: Iterable[str] = ()) -> None:
    """Raise :class:`ModelError` unless the file held exactly the weights that the model has.

    A key that was not in the file stays at its random start, and the model still runs: its scores would be noise
    under a good name. ``position_ids`` are exempt: a buffer that old versions wrote and new ones compute.
    """
    for fault, keys in (("lack", missing), ("hold unexpected", unexpected), ("hold wrongly shaped", mismatched)):
        named = sorted(key for key in keys if not key.endswith("position_ids"))
        if named:
            more = f" and {len(named) - 3} more" if len(named) > 3 else ""
            raise ModelError(
                f"the weights {fault} keys: {', '.join(named[:3])}{more}",
                where=source,
                hint="take all files from one checkpoint: half-loaded weights score as noise",
            )


def check_finite(vectors: Any, unset: Sequence[str], source: str) -> None:
    """Raise :class:`ModelError` where a vector is not finite.

    Args:
        vectors: Vectors of a trial, of any shape.
        unset: Keys of weights that were not in the file; NaN in the model.
        source: The model, for messages.
    """
    if np.isfinite(np.asarray(vectors)).all():
        return
    check_keys(source, unset, ())
    hint = "try --dtype float32; where that changes nothing, the weights are damaged"
    raise ModelError("the model returns vectors that are not finite", where=source, hint=hint)


def load_error(
    source: str, error: Exception, part: str | None = None, *, got: object = None, accepted: object = None
) -> ModelError:
    """Return an error that says in one line why a checkpoint could not be loaded.

    Args:
        source: The checkpoint.
        error: What was raised.
        part: What of it is at fault, such as ``the text tower``, where that is known.
        got: What the part was given, or was made of.
        accepted: What it takes.

    >>> print(load_error("clip", KeyError("nope"), "the text tower"))
    cannot load the model: the text tower: KeyError: 'nope'; where: clip
    """
    kind, said = type(error).__name__, str(error).rstrip(".")
    reason = textwrap.shorten(said, 200, placeholder=" ...") or kind
    if isinstance(error, _SAYS_LITTLE) and reason != kind:
        reason = f"{kind}: {reason}"
    what = f"{part}: {reason}" if part else reason
    hint = "run without -OO and PYTHONOPTIMIZE=2: transformers reads docstrings" if sys.flags.optimize > 1 else None
    return ModelError(f"cannot load the model: {what}", where=source, got=got, accepted=accepted, hint=hint)


@contextmanager
def loading(source: str, part: str | None = None, *, got: object = None, accepted: object = None) -> Iterator[None]:
    """Do a step of loading quietly: what it raises becomes :func:`load_error`, which has the same arguments.

    Errors of ours and a lack of memory pass as they are.
    """
    try:
        with quiet(), np.errstate(all="ignore"):
            yield
    except MRBenchError:
        raise
    except Exception as error:  # transformers, tokenizers and safetensors raise whatever they like
        if out_of_memory(error):
            raise
        raise load_error(source, error, part, got=got, accepted=accepted) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from drawing bars and printing reports while it loads: what matters becomes an error."""
    bars, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.set_verbosity(CRITICAL)
    try:
        with redirect_stdout(sys.stderr):  # stdout is for results
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


@contextmanager
def writing_weights(folder: Path) -> Iterator[None]:
    """Write a checkpoint quietly.

    Raises:
        OutputError: The weights cannot be written, for example because the disk is full.
    """
    try:
        with quiet():
            yield
    except SafetensorError as error:
        raise OutputError(
            f"cannot write the weights: {error}", where=folder, hint="free space on the disk, or choose another folder"
        ) from error
