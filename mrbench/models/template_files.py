"""Templates of MLLM embedders as YAML files: those of the package, in ``templates/``, and those that users write."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from mrbench.errors import InputError
from mrbench.models.template import PARTS, SUM, Instruction, Pictures, Remote, RemoteMethod, Template

_PLACES = {"text": ["text"], "image": ["image"], "both": ["image", "text"]}
_CHOICES = {
    "pooling": ("last", "mean", "mean_of_image"),
    "padding": ("left", "right"),
    "positions": ("grid", "linear"),
    "tokenised": ("whole", "in_pieces"),
}


def template_names() -> list[str]:
    """Return the names of the templates that come with the package, in alphabetical order.

    >>> "gme" in template_names()
    True
    """
    files = resources.files("mrbench.models").joinpath("templates").iterdir()
    return sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml"))


def load_template(source: str) -> Template:
    """Read a template.

    Args:
        source: A name of :func:`template_names`, or a YAML file.

    Raises:
        InputError: No such template, or malformed; all problems are named in one line.

    >>> load_template("gme").pooling
    'last'
    """
    if source in template_names():
        text = resources.files("mrbench.models").joinpath("templates", f"{source}.yaml").read_text(encoding="utf-8")
        return parse_template(text, name=source, where=source)
    path = Path(source)
    if path.suffix not in (".yaml", ".yml") or not path.is_file():
        accepted = f"{', '.join(template_names())}, or a YAML file"
        raise InputError("no such template", where="mllm", got=source, accepted=accepted)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(
            "the template cannot be read", where=path, got=str(error), accepted="a YAML file in UTF-8"
        ) from error
    return parse_template(text, name=path.stem, where=source)


def parse_template(text: str, *, name: str, where: str) -> Template:
    """Check the text of a template and return it.

    Raises:
        InputError: Not YAML, unknown fields, or values that are not accepted; all in one line.

    >>> parse_template("summary: x", name="mine", where="mine.yaml")
    Traceback (most recent call last):
    mrbench.errors.InputError: malformed template; where: mine.yaml; got: 'source: missing; model_types: missing; ...
    """
    try:
        raw = yaml.safe_load(text)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise InputError(
            "the template is not YAML",
            where=where,
            got=" ".join(str(error).split()),
            accepted="YAML, as in docs/reference/models.md",
        ) from error
    if not isinstance(raw, dict):
        raise InputError("the template is no mapping", where=where, got=type(raw).__name__, accepted="fields: values")
    problems: list[str] = []
    fields = _fields(Template, {**raw, "name": name}, "", problems)
    if "name" in raw:
        problems.append("name: unknown; it is that of the file")
    problems += [] if problems else list(_contradictions(fields))
    if problems:
        raise InputError(
            "malformed template", where=where, got="; ".join(problems), hint="docs/reference/models.md lists all fields"
        )
    return Template(**fields)


_NESTED = {"instruction": Instruction, "image": Pictures, "remote": Remote}
_METHODS = {"text": RemoteMethod, "image": RemoteMethod}


def _fields(cls: Any, raw: Mapping[str, Any], path: str, problems: list[str]) -> dict[str, Any]:
    """Return the fields of a class from a mapping, and note what is wrong with it."""
    known = {one.name: one for one in dataclasses.fields(cls)}
    problems += [f"{path}{name}: unknown" for name in raw if name not in known]
    nested = _NESTED if cls is Template else _METHODS if cls is Remote else {}
    found: dict[str, Any] = {}
    for name, one in known.items():
        if name not in raw:
            needed = one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING
            problems += [f"{path}{name}: missing"] if needed else []
        elif name in nested:
            if isinstance(raw[name], dict):
                inner = _fields(nested[name], raw[name], f"{path}{name}.", problems)
                found[name] = None if problems else nested[name](**inner)
            else:
                problems.append(f"{path}{name}: no mapping")
        else:
            found[name] = raw[name]
            problems += _wrong(f"{path}{name}", str(one.type), raw[name])
    return found


def _wrong(path: str, kind: str, value: Any) -> list[str]:
    """Return what is wrong with a value, given the type that it should have; nothing where it is right."""
    texts, whole = kind == "list[str]", "int" in kind
    right = {
        "str": isinstance(value, str),
        "str | None": value is None or isinstance(value, str),
        "bool": isinstance(value, bool),
        "int | None": value is None or _is_count(value),
        "list[int] | None": value is None
        or (isinstance(value, list) and len(value) == 2 and all(_is_count(one) for one in value)),
        "list[str]": isinstance(value, list) and bool(value) and all(isinstance(one, str) for one in value),
        "dict[str, str]": isinstance(value, dict) and all(isinstance(one, str) for one in value.values()),
        "dict[str, Any]": isinstance(value, dict),
        "list[dict[str, str]]": isinstance(value, list)
        and all(isinstance(one, dict) and one and set(one) <= {"name", "architecture", "token"} for one in value),
    }[kind]
    accepted = "texts" if texts else "whole numbers, 1 or more" if whole else kind.split(" |")[0]
    return [] if right else [f"{path}={json.dumps(value, default=str)[:60]} (accepted: {accepted})"]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _contradictions(fields: Mapping[str, Any]) -> Iterator[str]:
    """Yield what no embedder could do."""
    for name, accepted in _CHOICES.items():
        if fields.get(name, accepted[0]) not in accepted:
            yield f"{name}={fields[name]} (accepted: {', '.join(accepted)})"
    default = getattr(fields.get("instruction"), "default", None)
    frame = fields.get("frame", "{input}")
    if frame.count("{input}") != 1 or "{text}" in frame or "{image}" in frame:
        yield "frame: {input} once, and neither {text} nor {image}"
    if "{instruction}" in frame and default is None:
        yield "frame: no {instruction} without instruction.default"
    for side in ("query", "candidate"):
        yield from _wrong_prompts(side, fields[side], instructed=side == "query" or default is not None)
    if (fields["query"].get("both") == SUM) != (fields["candidate"].get("both") == SUM):
        yield f"both: {SUM} on both sides or on none"
    for rule in fields.get("identified_by", []):
        try:
            re.compile(rule.get("name", ""))
        except (re.error, TypeError) as error:
            yield f"identified_by.name: {error}"


def _wrong_prompts(side: str, prompts: Mapping[str, str], *, instructed: bool) -> Iterator[str]:
    """Yield what is wrong with the prompts of a side, which may or may not have an instruction."""
    if set(prompts) != set(PARTS):
        yield f"{side}: text, image and both, each once"
        return
    for part, prompt in prompts.items():
        if part == "both" and prompt == SUM:
            continue
        places = re.findall(r"\{(text|image|instruction)\}", prompt)
        if sorted(set(places) - {"instruction"}) != _PLACES[part] or len(set(places)) != len(places):
            yield f"{side}.{part}: {' and '.join(f'{{{one}}}' for one in _PLACES[part])}, each once"
        if "instruction" in places and not instructed:
            yield f"{side}.{part}: no {{instruction}} without instruction.default"
