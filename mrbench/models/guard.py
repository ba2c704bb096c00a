"""Keeps a library from running code and reading pickles that come with weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from transformers import dynamic_module_utils

from mrbench.errors import ModelError


class CodeRun:
    """Whether code of a checkpoint ran.

    Attributes:
        ran: Whether it did.
    """

    def __init__(self) -> None:
        self.ran = False


@contextmanager
def guarded(where: str, *, trusted: bool) -> Iterator[CodeRun]:
    """Refuse, inside of a block, code of a checkpoint unless it is trusted, and pickles in any case.

    For libraries that decide by themselves what they load: some models of MTEB allow remote code to themselves. All
    code of checkpoints goes through one function of transformers, and all pickles of weights through ``torch.load``.

    Args:
        where: The model, for messages.
        trusted: Whether its code may run.

    Yields:
        What tells afterwards whether such code ran.

    Raises:
        ModelError: The library asks for one of the two.
    """
    code, fetch = CodeRun(), dynamic_module_utils.get_cached_module_file

    def note_code(*arguments: Any, **options: Any) -> Any:
        code.ran = True
        return fetch(*arguments, **options)

    def refuse_code(name: str, module: str, *_: Any, **__: Any) -> None:
        raise ModelError(
            "the model comes with code of its own, which nobody allowed to run",
            where=where,
            got=f"{module} of {name}",
            hint="read the code, then --trust-remote-code",
        )

    def refuse_pickle(file: Any, *_: Any, **__: Any) -> None:
        raise ModelError(
            "the weights are a pickle, which can run code",
            where=where,
            got=str(file),
            accepted="*.safetensors",
            hint="mrbench models convert FOLDER_OR_ID --output FOLDER, then evaluate that with st: or hf:",
        )

    answer = note_code if trusted else refuse_code
    patches = patch.object(dynamic_module_utils, "get_cached_module_file", answer)
    with patch.object(torch, "load", refuse_pickle), patches:
        yield code
