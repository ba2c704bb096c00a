"""The one rule for ids of queries and candidates from any source."""

from __future__ import annotations

ID_FORM = "text without a line break or a zero byte, not empty"
"""The rule in words, for messages."""


def is_id(text: str) -> bool:
    """Return whether a text may be an id: not empty, without line break and zero byte. The rest can be escaped.

    >>> is_id("photos/a b.png#0"), is_id("two\\nlines"), is_id("")
    (True, False, False)
    """
    return bool(text) and not any(character in text for character in "\n\r\x00")
