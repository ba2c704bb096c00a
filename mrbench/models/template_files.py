"""Templates of MLLM embedders as YAML files: those of the package, in ``templates/``, and those that users write."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path

from mrbench.errors import InputError
from mrbench.fields import parse_fields, read_yaml
from mrbench.models.template import PARTS, SUM, Template

_PLACES = {"text": ["text"], "image": ["image"], "both": ["image", "text"]}
_RULE = ("name", "architecture", "token")


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
    raw = read_yaml(text, what="template", where=where)
    if not isinstance(raw, dict):
        raise InputError("the template is no mapping", where=where, got=type(raw).__name__, accepted="fields: values")
    problems: list[str] = []
    template = parse_fields(Template, {**raw, "name": name}, problems)
    if "name" in raw:
        problems.append("name: unknown; it is that of the file")
    problems += [] if problems else list(_contradictions(template))
    if problems:
        hint = "docs/reference/models.md lists all fields"
        raise InputError("malformed template", where=where, got="; ".join(problems), hint=hint)
    return template


def _contradictions(template: Template) -> Iterator[str]:
    """Yield what no embedder could do."""
    default, frame = template.instruction.default, template.frame
    if frame.count("{input}") != 1 or "{text}" in frame or "{image}" in frame:
        yield "frame: {input} once, and neither {text} nor {image}"
    if "{instruction}" in frame and default is None:
        yield "frame: no {instruction} without instruction.default"
    for side, prompts in (("query", template.query), ("candidate", template.candidate)):
        yield from _wrong_prompts(side, prompts, instructed=side == "query" or default is not None)
    if (template.query.get("both") == SUM) != (template.candidate.get("both") == SUM):
        yield f"both: {SUM} on both sides or on none"
    for name in ("resize", "smallest_side"):
        if min(getattr(template.image, name) or [1]) < 1:
            yield f"image.{name}: two whole numbers, 1 or more"
    for rule in template.identified_by:
        if not rule or not set(rule) <= set(_RULE):
            yield f"identified_by: {', '.join(rule) or 'nothing'} (accepted: {', '.join(_RULE)})"
        try:
            re.compile(rule.get("name", ""))
        except re.error as error:
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
