"""Text for messages and pages: data on one line, and numbers with their nouns."""

from __future__ import annotations


def one_line(text: object) -> str:
    """Return text as one line without control characters: unprintable characters become a space.

    >>> one_line("a\\n\\tb\\x1b[31m")
    'a b [31m'
    """
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun, in the singular or the plural.

    Args:
        number: The number.
        one: The words after 1.
        many: The words after any other number; None takes ``one`` with an s.

    >>> counted(1, "fault"), counted(0, "fault"), counted(1200, "judgement names", "judgements name")
    ('1 fault', '0 faults', '1,200 judgements name')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"
