"""Which texts are longer than what a text tower takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mrbench.arrays import Bools
from mrbench.errors import InputError
from mrbench.models.common import batches

_AT_ONCE = 1024  # texts that are tokens in memory at a time


def limit_of(own: int, asked: int | None, *, where: str, least: int = 1) -> int:
    """Return how many tokens of a text are read: those that the user asks for, else as many as the model takes.

    Args:
        own: What the model takes.
        asked: What the user asks for, or None.
        where: The model, for messages.
        least: Tokens that a text has at least: those that the tokenizer adds, and one.

    Raises:
        InputError: More than the model takes, or too few for any text.

    >>> limit_of(77, 32, where="clip"), limit_of(77, None, where="clip")
    (32, 77)
    """
    if asked is None:
        return own
    if not least <= asked <= own:
        accepted = f"{least} to {own} tokens, which the model takes"
        raise InputError("the length of texts does not fit the model", where=where, got=asked, accepted=accepted)
    return asked


def longer_than(
    limit: int, texts: Sequence[str], tokenize: Callable[[list[str]], list[list[int]]], added: int
) -> Bools:
    """Return which texts have more tokens than a limit, shape ``(len(texts),)``.

    A text of ASCII has no more tokens than characters, and one for the space that some tokenizers put before it: what
    is short is not tokenized. Other characters may become several tokens, or several characters.

    Args:
        limit: Most tokens that are read, those that the tokenizer adds among them.
        texts: The texts.
        tokenize: Returns the tokens of each text, not cut and not filled up.
        added: Tokens that the tokenizer adds to every text.

    >>> longer_than(6, ["a b", "a b c d"], lambda texts: [[0, *text.encode(), 1] for text in texts], 2).tolist()
    [False, True]
    """
    found = np.zeros(len(texts), dtype=np.bool_)
    longest = limit - added - 1
    rows = [row for row, text in enumerate(texts) if len(text) > longest or not text.isascii()]
    for some in batches(rows, _AT_ONCE):
        found[some] = [len(tokens) > limit for tokens in tokenize([texts[row] for row in some])]
    return found


def cut_by_tokenizer(tokenizer: Any, limit: int, texts: Sequence[str]) -> Bools:
    """Return which texts a tokenizer of transformers makes more than ``limit`` tokens of, with those that it adds."""

    def tokenize(some: list[str]) -> list[list[int]]:
        whole = {"truncation": False, "padding": False, "return_attention_mask": False, "verbose": False}
        tokens: list[list[int]] = tokenizer(some, **whole)["input_ids"]
        return tokens

    return longer_than(limit, texts, tokenize, int(tokenizer.num_special_tokens_to_add()))
