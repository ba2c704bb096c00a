"""Templates of MLLM embedders: what stands around an input, and how a vector is read from the network, as data."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import unicodedata
from dataclasses import dataclass, field
from typing import Any, Literal

from mrbench.fields import limits, ranged
from mrbench.files import canonical_json

Side = Literal["query", "candidate"]
PARTS = ("text", "image", "both")
SUM = "sum"
"""In place of the prompt of ``both``: the vector is the sum of those of the text and of the picture."""


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

    min_pixels: int | None = ranged(None, 1)
    max_pixels: int | None = ranged(None, 1)
    resize: list[int] | None = field(default=None, metadata=limits(2, 2))
    smallest_side: list[int] | None = field(default=None, metadata=limits(2, 2))


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

    architectures: list[str] = field(metadata=limits(1))
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
        pooling: ``last``: the state at the last token. ``mean``: the mean over all. ``mean_of_image``: the mean over
            the tokens of the picture and the one on either side; over all where there is no picture.
        padding: Side at which short prompts of a batch are filled up. What fills up is masked: the side shows in no
            more than the last digits.
        normalise: Whether vectors are scaled to unit length.
        positions: ``grid``: tokens of a picture have a row and a column (M-RoPE), as transformers counts. ``linear``:
            they count on as those of a text do.
        tokenised: ``whole``: the prompt in one piece. ``in_pieces``: what is filled in, and what stands between, each
            by itself.
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
    source: list[str] = field(metadata=limits(1))
    model_types: list[str] = field(metadata=limits(1))
    query: dict[str, str]
    candidate: dict[str, str]
    frame: str = "{input}"
    instruction: Instruction = field(default_factory=Instruction)
    pooling: Literal["last", "mean", "mean_of_image"] = "last"
    padding: Literal["left", "right"] = "right"
    normalise: bool = True
    positions: Literal["grid", "linear"] = "grid"
    tokenised: Literal["whole", "in_pieces"] = "whole"
    max_length: int | None = ranged(None, 1)
    max_text: int | None = ranged(None, 1)
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
        said: str | None = instruction if side == "query" else ""
        if rule.full_stop:
            said = (said or "").strip()
            said += "." if said and not unicodedata.category(said[-1]).startswith("P") else ""
        said = said + rule.after if said else rule.default
        if said is None:
            side = "candidate"
        whole = self.frame.replace("{input}", (self.query if side == "query" else self.candidate)[part])
        found = [piece for piece in re.split(r"(\{(?:text|image|instruction)\})", whole) if piece]
        return [(said or "", True) if piece == "{instruction}" else (piece, False) for piece in found]
