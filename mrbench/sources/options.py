"""Values of the options of a spec."""

from __future__ import annotations

from collections.abc import Mapping

from mrbench.errors import InputError


def choice(options: Mapping[str, str], name: str, accepted: tuple[str, ...]) -> str:
    """Return the value of an option that has a few; the first one where it is not given.

    Raises:
        InputError: Another value.
    """
    value = options.get(name, accepted[0])
    if value not in accepted:
        raise InputError("malformed option of a spec", where=f"?{name}=", got=value, accepted=", ".join(accepted))
    return value


def whole_number(options: Mapping[str, str], name: str) -> int:
    """Return the value of an option that is a number from 1; 0 where it is not given.

    Raises:
        InputError: Another value.

    >>> whole_number({"limit": "20"}, "limit"), whole_number({}, "limit")
    (20, 0)
    """
    value = options.get(name, "")
    if name in options and not (value.isascii() and value.isdecimal() and int(value) > 0):
        raise InputError("malformed option of a spec", where=f"?{name}=", got=value, accepted="a whole number from 1")
    return int(value or 0)
