"""Words of messages and pages: texts of data in one line, and numbers with their nouns."""

from __future__ import annotations


def one_line(text: object) -> str:
    """Return text in one line that cannot steer a terminal: what is not printable becomes a space.

    >>> one_line("a\\n\\tb\\x1b[31m")
    'a b [31m'
    """
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
