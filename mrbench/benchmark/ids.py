"""The one rule that ids of queries and candidates obey, wherever they come from."""

from __future__ import annotations

ID_FORM = "text without a line break or a zero byte, not empty"
"""What an id may be, for messages."""


def is_id(text: str) -> bool:
    """Return whether a text may be an id: it ends no line and no text of other programs; all else is escaped there.

    >>> is_id("photos/a b.png#0"), is_id("two\\nlines"), is_id("")
    (True, False, False)
    """
    return bool(text) and not any(character in text for character in "\n\r\x00")
