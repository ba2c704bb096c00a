"""Texts of users as they go into prompts: no text becomes a special token, and what is too long loses its end."""

from __future__ import annotations

import re
from typing import Any


class PlainText:
    """Makes a text one that spells no special token: a space is put after the first sign of the token.

    Args:
        tokenizer: A tokenizer of transformers.
    """

    def __init__(self, tokenizer: Any) -> None:
        spelt = sorted({str(token) for token in tokenizer.get_added_vocab()} | set(tokenizer.all_special_tokens))
        self._spelt = re.compile("|".join(re.escape(token) for token in spelt if token.strip()) or r"(?!)")

    def __call__(self, text: str) -> str:
        """Return the text, which is the same where it spells no such token."""
        while (plain := self._spelt.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)) != text:
            text = plain
        return text


def first_tokens(tokenizer: Any, text: str, number: int) -> str:
    """Return the signs of a text whose tokens are whole among the first ones.

    Args:
        tokenizer: A fast tokenizer of transformers.
        text: The text.
        number: How many tokens; below 1 nothing is left.
    """
    if number < 1:
        return ""
    spans = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)["offset_mapping"]
    return text if len(spans) <= number else text[: min(spans[number - 1][1], spans[number][0])]
