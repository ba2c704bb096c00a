"""Templates of MLLM embedders: what stands around an input, and how a vector is read from the network, as data.

A template is a YAML file. Those that come with the package are in ``templates/``; a user may write another.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml

from mrbench.errors import InputError
from mrbench.files import canonical_json

Side = Literal["query", "candidate"]
PARTS = ("text", "image", "both")
SUM = "sum"
"""In place of the prompt of ``both``: the vector is the sum of those of the text and of the picture."""
_PLACES = {"text": {"text"}, "image": {"image"}, "both": {"text", "image"}}
_CHOICES = {
    "pooling": ("last", "mean", "mean_of_image"),
    "padding": ("left", "right"),
    "positions": ("grid", "linear"),
    "tokenised": ("whole", "in_pieces"),
}


@dataclass(frozen=True, slots=True)
class Instruction:
    """What is done to the instruction of a query.

    Attributes:
        default: What stands in the place of an empty one, and in the frame of a candidate; None where a query without
            an instruction takes the prompt of a candidate instead.
        full_stop: Whether one that does not end in a punctuation mark gets a full stop.
        after: What follows an instruction that is not empty.
    """

    default: str | None = None
    full_stop: bool = False
    after: str = ""


@dataclass(frozen=True, slots=True)
class Pictures:
    """How large pictures are made. What is None stays as the checkpoint's image processor has it.

    Attributes:
        min_pixels: Smaller pictures are enlarged to so many pixels, for processors of the Qwen2-VL kind.
        max_pixels: Larger pictures are reduced to so many, likewise.
        resize: Width and height to which every picture is scaled first, whatever its shape.
        smallest_side: Two numbers: a picture with a side below the first is scaled to a square with the second.
    """

    min_pixels: int | None = None
    max_pixels: int | None = None
    resize: list[int] | None = None
    smallest_side: list[int] | None = None


@dataclass(frozen=True, slots=True)
class RemoteMethod:
    """A method of a model that comes with code of its own.

    Attributes:
        method: Its name; it takes a list, and returns a vector for each.
        options: Options that it is given in any case.
        query: Further options for queries.
        candidate: Further options for candidates.
    """

    method: str
    options: dict[str, Any] = field(default_factory=dict)
    query: dict[str, Any] = field(default_factory=dict)
    candidate: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Remote:
    """How a checkpoint with code of its own embeds, for those whose configuration names one of the architectures.

    Attributes:
        architectures: Names in ``architectures`` of ``config.json``.
        text: The method for texts.
        image: The method for pictures.
    """

    architectures: list[str]
    text: RemoteMethod
    image: RemoteMethod


@dataclass(frozen=True, slots=True)
class Template:
    """How a checkpoint embeds.

    Attributes:
        name: Name of the file without its ending.
        summary: One line for listings.
        source: Where this is from, a line each.
        model_types: Types of ``config.json`` that it is made for.
        query: Prompts of queries by what an item has: ``text``, ``image``, ``both``. ``{text}``, ``{image}`` and
            ``{instruction}`` are filled in; ``{image}`` becomes the tokens of the picture.
        candidate: The same of candidates; ``{instruction}`` may stand in the frame alone.
        frame: What stands around each prompt, which takes the place of ``{input}``.
        instruction: What is done to instructions.
        pooling: ``last``: the state at the last token. ``mean``: the mean over all. ``mean_of_image``: the mean over the
            tokens of the picture and the one on either side; over all where there is no picture.
        padding: Side at which short prompts of a batch are filled up. What fills up is masked: the side shows in no more
            than the last digits.
        normalise: Whether vectors are scaled to unit length.
        positions: ``grid``: tokens of a picture have a row and a column (M-RoPE), as transformers counts. ``linear``: they
            count on as those of a text do.
        tokenised: ``whole``: the prompt in one piece. ``in_pieces``: what is filled in, and what stands between, each by
            itself.
        max_length: Longer prompts are cut, in tokens: the end of the text, and nothing else; None cuts none.
        max_text: The same of the text alone.
        image: How large pictures are made.
        identified_by: Checkpoints of which this is the default: each has ``name`` (a regular expression for a whole hub
            id), ``architecture`` (in ``config.json``) or ``token`` (in the vocabulary), and all that it has must agree.
        remote: How those with code of their own embed.
        notes: What else should be known, for readers.
    """

    name: str
    summary: str
    source: list[str]
    model_types: list[str]
    query: dict[str, str]
    candidate: dict[str, str]
    frame: str = "{input}"
    instruction: Instruction = field(default_factory=Instruction)
    pooling: str = "last"
    padding: str = "right"
    normalise: bool = True
    positions: str = "grid"
    tokenised: str = "whole"
    max_length: int | None = None
    max_text: int | None = None
    image: Pictures = field(default_factory=Pictures)
    identified_by: list[dict[str, str]] = field(default_factory=list)
    remote: Remote | None = None
    notes: str = ""

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits over all that decides a vector."""
        idle = ("name", "summary", "source", "identified_by", "notes")
        said = {name: value for name, value in dataclasses.asdict(self).items() if name not in idle}
        return hashlib.sha256(canonical_json(said).encode()).hexdigest()[:16]

    @property
    def symmetric(self) -> bool:
        """Whether queries and candidates are embedded alike, whatever the instruction."""
        methods = [] if self.remote is None else [self.remote.text, self.remote.image]
        listens = any("{instruction}" in text for text in (self.frame, *self.query.values()))
        return self.query == self.candidate and not listens and all(one.query == one.candidate for one in methods)

    @property
    def sums(self) -> bool:
        """Whether a picture with a text is the sum of both."""
        return self.query["both"] == SUM

    def prompt(self, side: Side, part: str, instruction: str) -> str:
        """Return a prompt that ``{text}`` and ``{image}`` are still to be filled into.

        Args:
            side: Of a query or of a candidate.
            part: ``text``, ``image`` or ``both``.
            instruction: That of the query; of a candidate it is ignored.
        """
        return "".join(text for text, _ in self.pieces(side, part, instruction))

    def pieces(self, side: Side, part: str, instruction: str) -> list[tuple[str, bool]]:
        """Return the pieces of a prompt, and whether each is the user's: then it is no place of special tokens."""
        rule = self.instruction
        said = instruction if side == "query" else ""
        if rule.full_stop:
            said = said.strip()
            said += "." if said and not unicodedata.category(said[-1]).startswith("P") else ""
        said = said + rule.after if said else rule.default
        if said is None:
            side = "candidate"
        whole = self.frame.replace("{input}", (self.query if side == "query" else self.candidate)[part])
        found = [piece for piece in re.split(r"(\{(?:text|image|instruction)\})", whole) if piece]
        return [(said or "", True) if piece == "{instruction}" else (piece, False) for piece in found]


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
        raise InputError("the template cannot be read", where=path, got=str(error)) from error
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
        raise InputError("the template is not YAML", where=where, got=" ".join(str(error).split())) from error
    if not isinstance(raw, dict):
        raise InputError("the template is no mapping", where=where, got=type(raw).__name__, accepted="fields: values")
    problems: list[str] = []
    fields = _fields(Template, {**raw, "name": name}, "", problems)
    if "name" in raw:
        problems.append("name: unknown; it is that of the file")
    problems += [] if problems else list(_contradictions(fields))
    if problems:
        raise InputError("malformed template", where=where, got="; ".join(problems))
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
    frame = fields.get("frame", "{input}")
    if frame.count("{input}") != 1 or {"{text}", "{image}"} & set(re.findall(r"\{\w+\}", frame)):
        yield "frame: {input} once, and neither {text} nor {image}"
    for side in ("query", "candidate"):
        prompts = fields[side]
        if set(prompts) != set(PARTS):
            yield f"{side}: text, image and both, each once"
            continue
        for part, prompt in prompts.items():
            places = re.findall(r"\{(text|image|instruction)\}", prompt)
            if part == "both" and prompt == SUM:
                continue
            if sorted(set(places) - {"instruction"}) != sorted(_PLACES[part]) or len(set(places)) != len(places):
                yield f"{side}.{part}: {' and '.join(f'{{{one}}}' for one in sorted(_PLACES[part]))}, each once"
            if side == "candidate" and "instruction" in places and "instruction" not in fields:
                yield f"{side}.{part}: no {{instruction}} without instruction.default"
    if (fields["query"].get("both") == SUM) != (fields["candidate"].get("both") == SUM):
        yield f"both: {SUM} on both sides or on none"
    if "{instruction}" in frame and getattr(fields.get("instruction"), "default", None) is None:
        yield "frame: no {instruction} without instruction.default"
    for rule in fields.get("identified_by", []):
        try:
            re.compile(rule.get("name", ""))
        except (re.error, TypeError) as error:
            yield f"identified_by.name: {error}"
