"""Options at the end of a spec, such as ``?dimension=256&prompt=query: ``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from urllib.parse import quote, unquote

from mrbench.errors import InputError


def split_options(kind: str, rest: str, known: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Return a spec without its options, and the options.

    Options follow the last question mark as ``name=value``, joined by ``&``. In a value ``%26`` stands for ``&``,
    ``%0A`` for the end of a line, as in a URL; a plus sign stands for itself.

    Args:
        kind: What stands before the first colon of the spec, for messages.
        rest: What stands after it.
        known: What each option is, by name.

    Raises:
        InputError: An option is unknown, there twice, or without a value.

    >>> split_options("st", "some/folder?dimension=64&prompt=find:%20", {"dimension": "", "prompt": ""})
    ('some/folder', {'dimension': '64', 'prompt': 'find: '})
    """
    rest, mark, text = rest.rpartition("?") if "?" in rest else (rest, "", "")
    found: dict[str, str] = {}
    accepted = ", ".join(f"{name}={meaning}" for name, meaning in known.items())
    for part in text.split("&") if mark else []:
        name, equals, value = part.partition("=")
        if name not in known or not equals:
            got = name if equals or name in known else None  # a word alone may be a key
            raise InputError("unknown option in the spec of a model", where=kind, got=got, accepted=accepted)
        if name in found:
            raise InputError(
                "an option is there twice in the spec of a model", where=kind, got=name, accepted="each once"
            )
        found[name] = unquote(value)
    return rest, found


def variant_of(options: Mapping[str, str], *, without: Collection[str] = ()) -> str:
    """Return the options that decide vectors in one text, in one order.

    >>> variant_of({"query": "find: ", "batch": "8", "dimension": "64"}, without=["batch"])
    'dimension=64&query=find%3A%20'
    """
    return "&".join(f"{name}={quote(text)}" for name, text in sorted(options.items()) if name not in without)


def whole_number(kind: str, options: Mapping[str, str], name: str, default: int | None = None) -> int | None:
    """Return an option that is a whole number of 1 or more, or the default where it is not given.

    Raises:
        InputError: It is not.

    >>> whole_number("st", {"dimension": "64"}, "dimension")
    64
    """
    if name not in options:
        return default
    if not options[name].isdecimal() or not options[name].isascii() or int(options[name]) < 1:
        accepted = "a whole number, 1 or more"
        raise InputError(f"malformed option {name}", where=kind, got=options[name], accepted=accepted)
    return int(options[name])
