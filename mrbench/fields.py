"""Dataclasses from YAML that people write: recipes, templates and lists of models.

A field's type is its annotation. A field may have a range, see :func:`limits`. All faults of a file are named in one
message, each with the path of its field.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import types
import typing
from collections import Counter
from typing import Any, Literal, TypeVar

from mrbench.errors import InputError

MOST = 2**31 - 1
"""The highest whole number that a field with a range takes."""

_NOUNS: dict[type, str] = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a finite number",
    list: "a list",
    dict: "a mapping",
}
T = TypeVar("T")


def limits(low: float, high: float = math.inf) -> dict[str, float]:
    """Return the metadata of a field with a range: of a number its value, of a text or a list its length."""
    return {"low": low, "high": high}


def ranged(default: Any, low: float, high: float = math.inf) -> Any:
    """Return a field with a default and a range, see :func:`limits`."""
    return dataclasses.field(default=default, metadata=limits(low, high))


def read_yaml(text: str, *, what: str, where: object) -> Any:
    """Return the value of a YAML text.

    Args:
        text: The text.
        what: A noun for messages, such as ``recipe``.
        where: Its file or name, for messages.

    Raises:
        InputError: The text is not YAML, or a key stands twice in one mapping.

    >>> read_yaml("a: 1", what="recipe", where="r.yaml")
    {'a': 1}
    >>> read_yaml("{a: 1, a: 2}", what="recipe", where="r.yaml")
    Traceback (most recent call last):
    mrbench.errors.InputError: the recipe is not YAML; where: r.yaml; got: 'twice: a'; accepted: YAML, each key once
    """
    import yaml

    class Loader(yaml.SafeLoader):
        """Refuses a key that stands twice; YAML would take the last in silence."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
            twice = [str(key) for key, times in keys.items() if times > 1]
            if twice:
                raise yaml.YAMLError(f"twice: {', '.join(twice)}")
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(text, Loader)  # noqa: S506 - it is a SafeLoader
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        got, accepted = " ".join(str(error).split()), "YAML, each key once"
        raise InputError(f"the {what} is not YAML", where=where, got=got, accepted=accepted) from error


def parse_fields(kind: type[T], raw: Any, problems: list[str], prefix: str = "") -> T:
    """Return the dataclass that a mapping describes. With problems, it holds what was given and is not to be used.

    Args:
        kind: A dataclass. Its fields are texts, truth values, numbers, Literals, dataclasses, and lists and mappings of
            these; each may be optional.
        raw: The mapping, as YAML has it.
        problems: Takes one text for each fault: an unknown field, one that is missing, or a value that is not accepted.
        prefix: Stands before the names of the fields in these texts.

    >>> @dataclasses.dataclass
    ... class Lora:
    ...     rank: int = ranged(8, 1)
    ...     target: str | None = None
    >>> problems = []
    >>> parse_fields(Lora, {"rank": 16}, problems)
    Lora(rank=16, target=None)
    >>> _ = parse_fields(Lora, {"rnak": 16, "target": 3, "rank": 0}, problems)
    >>> problems
    ['rnak: unknown', 'rank=0 (accepted: 1 to 2147483647)', 'target=3 (accepted: a text)']
    """
    given = raw if isinstance(raw, dict) else {}
    if given is not raw:
        problems.append(f"{prefix.rstrip(' .:')}: not a mapping")
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    problems += [f"{prefix}{_short(name, str)}: unknown" for name in given if name not in fields]
    values = {}
    for name, field in fields.items():
        if name in given:
            values[name] = _value(hints[name], given[name], prefix + name, field.metadata, problems)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            problems += [f"{prefix}{name}: missing"] if given is raw else []
            values[name] = None
    return kind(**values)


def _value(hint: Any, value: Any, name: str, metadata: Any, problems: list[str]) -> Any:
    """Return the value that a field gets, and note what is wrong with the one that was given."""
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if hint is Any or (value is None and types.NoneType in options):
        return value
    hint = next(option for option in options if option is not types.NoneType)
    if dataclasses.is_dataclass(hint):
        return parse_fields(hint, value, problems, f"{name}.")  # type: ignore[arg-type]
    if typing.get_origin(hint) is Literal:
        if value not in typing.get_args(hint):
            problems.append(f"{name}={_short(value)} (accepted: {', '.join(typing.get_args(hint))})")
        return value
    kind = typing.get_origin(hint) or hint
    if kind is float and type(value) in (int, str):  # YAML reads 1e-4 as text
        with contextlib.suppress(ValueError, OverflowError):
            value = float(value)
    accepted = _accepted(kind, value, metadata)
    if accepted:
        problems.append(f"{name}={_short(value)} (accepted: {accepted})")
    elif kind is list:
        (of,) = typing.get_args(hint)
        return [_value(of, one, f"{name}[{at}]", {}, problems) for at, one in enumerate(value)]
    elif kind is dict:
        _, of = typing.get_args(hint)
        return {key: _value(of, one, f"{name}.{key}", {}, problems) for key, one in value.items()}
    return value


def _accepted(kind: Any, value: Any, metadata: Any) -> str:
    """Return what a field accepts instead of a value; an empty text where the value is right."""
    if type(value) is not kind or (kind is float and not math.isfinite(value)):
        return _NOUNS[kind]
    if kind is str and value != value.encode("utf-8", "replace").decode():  # half a surrogate pair
        return "text in Unicode"
    if kind is dict and not all(isinstance(key, str) for key in value):
        return "texts as keys"
    if not metadata:
        return ""
    low, high = metadata["low"], min(metadata["high"], MOST) if kind is int else metadata["high"]
    if low <= (len(value) if kind in (str, list, dict) else value) <= high:
        return ""
    unit = " characters" if kind is str else " entries" if kind in (list, dict) else ""
    between: str = f"{low:g}" if low == high else f"{low:g} {'or more' if high == math.inf else f'to {high:.10g}'}"
    return between + unit


def _short(value: Any, shown_by: Any = repr) -> str:
    try:
        shown = str(shown_by(value))
        return shown if len(shown) <= 40 else f"{shown[:37]}..."
    except ValueError:  # Python prints no number of more than 4,300 digits
        return "a very long number"
