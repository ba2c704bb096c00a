"""Options at the end of a spec of a model or of a benchmark, such as ``?dimension=256&prompt=query:%20``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from urllib.parse import quote, unquote

from mrbench.errors import InputError

_MALFORMED = "malformed option of a spec"


def split_options(spec: str) -> tuple[str, dict[str, str]]:
    """Return a spec without its options, and the options.

    Options follow the last question mark as ``name=value``, joined by ``&``. In a value ``%26`` stands for ``&``,
    ``%0A`` for the end of a line, as in a URL; a plus sign stands for itself.

    Raises:
        InputError: An option has no name or no equals sign, or is there twice. No value is shown: it may be a secret.

    >>> split_options("some/folder?dimension=64&prompt=find:%20")
    ('some/folder', {'dimension': '64', 'prompt': 'find: '})
    """
    rest, mark, text = spec.rpartition("?") if "?" in spec else (spec, "", "")
    options: dict[str, str] = {}
    for part in text.split("&") if mark else []:
        name, equals, value = part.partition("=")
        if not (name and equals):
            raise InputError(_MALFORMED, accepted="?NAME=VALUE&NAME=VALUE")
        if name in options:
            raise InputError("an option of a spec is there twice", where=f"?{name}=", accepted="one value")
        options[name] = unquote(value)
    return rest, options


def check_options(options: Mapping[str, str], accepted: Mapping[str, str], *, where: str | None = None) -> None:
    """Raise for an option that a model or a source does not have.

    Args:
        options: Those of the spec.
        accepted: The meaning of each option, by name.
        where: The kind of model, for messages.

    Raises:
        InputError: An option is unknown.
    """
    for name in options:
        if name not in accepted:
            known = "; ".join(f"{key}: {meaning}" for key, meaning in accepted.items()) or "none"
            raise InputError("unknown option of a spec", where=where, got=name, accepted=known)


def choice(options: Mapping[str, str], name: str, accepted: Sequence[str]) -> str:
    """Return the value of an option that has a few, or the first of these where it is not given.

    Raises:
        InputError: It has another value.
    """
    value = options.get(name, accepted[0])
    if value not in accepted:
        raise InputError(_MALFORMED, where=f"?{name}=", got=value, accepted=", ".join(accepted))
    return value


def whole_number(options: Mapping[str, str], name: str) -> int | None:
    """Return the value of an option that is a whole number from 1, or None where it is not given.

    Raises:
        InputError: It is no such number.

    >>> whole_number({"limit": "20"}, "limit"), whole_number({}, "limit")
    (20, None)
    """
    if name not in options:
        return None
    value = options[name]
    if not (value.isascii() and value.isdecimal() and int(value) > 0):
        raise InputError(_MALFORMED, where=f"?{name}=", got=value, accepted="a whole number from 1")
    return int(value)


def variant_of(options: Mapping[str, str], *, without: Collection[str] = ()) -> str:
    """Return the options that decide vectors in one text, in one order.

    >>> variant_of({"query": "find: ", "batch": "8", "dimension": "64"}, without=["batch"])
    'dimension=64&query=find%3A%20'
    """
    return "&".join(f"{name}={quote(text)}" for name, text in sorted(options.items()) if name not in without)
