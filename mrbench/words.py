"""Words of messages and pages: texts of data in one line, and numbers with their nouns."""

from __future__ import annotations


def one_line(text: object) -> str:
    """Return text in one line that cannot steer a terminal: what is not printable becomes a space.

    >>> one_line("a\\n\\tb\\x1b[31m")
    'a b [31m'
    """
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return a number with what is counted, in the singular or the plural.

    Args:
        number: How many.
        one: The words after 1.
        many: The words after any other number; ``one`` and an s where None.

    >>> counted(1, "fault"), counted(0, "fault"), counted(1200, "judgement names", "judgements name")
    ('1 fault', '0 faults', '1,200 judgements name')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"
