"""From an item to the tokens of its prompt, and pictures to what the network takes of them, as a template says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from mrbench.errors import ModelError
from mrbench.models.pixels import widened
from mrbench.models.plain_text import PlainText, first_tokens
from mrbench.models.template import Pictures, Side, Template


@dataclass(frozen=True, slots=True)
class Picture:
    """What a network takes of a picture.

    Attributes:
        arrays: By the names that the network gives them, each with a first axis of one picture or of its patches.
        tokens: Number of tokens that the picture becomes.
    """

    arrays: dict[str, np.ndarray[Any, Any]]
    tokens: int


class PictureReader:
    """Makes a :class:`Picture` of a decoded image; it can be pickled, and runs ahead of the network.

    Grey pictures and those with transparency come as RGB, as everywhere. A picture more than 200 times as long as wide,
    which processors of the Qwen2-VL kind refuse, is widened to that.

    Args:
        processor: The image processor.
        how: How large pictures are made.
        counter: For the LLaVA kind: its whole processor, which counts a picture's tokens. None for the Qwen2-VL kind.
        token: The token of a picture's place, as text.

    Attributes:
        scales: Whether pixels are rescaled and normalised here; else they stay bytes, a fourth of the memory, for
            :class:`mrbench.models.pixels.Scaling` to do it one pass at a time.
    """

    def __init__(self, processor: Any, how: Pictures, counter: Any, token: str) -> None:
        self._processor, self._how, self._counter, self._token = processor, how, counter, token
        self.scales = True
        if counter is None:
            edges = {"shortest_edge": how.min_pixels, "longest_edge": how.max_pixels}
            processor.size = dict(processor.size) | {name: edge for name, edge in edges.items() if edge is not None}

    @property
    def image_size(self) -> str:
        """The size of pictures, or the most pixels that one has; empty where only the processor knows."""
        if self._how.resize is not None:
            return f"{self._how.resize[0]}x{self._how.resize[1]}"
        most = dict(self._processor.size).get("longest_edge") if self._counter is None else None
        return f"at most {most} pixels" if most else ""

    def __call__(self, image: Image.Image) -> Picture:
        """Return what the network takes of an image."""
        image = self._resized(image.convert("RGB"))
        options = {} if self.scales else {"do_rescale": False, "do_normalize": False}
        if self._counter is None:
            found = self._processor(images=[image], return_tensors="np", **options)
            tokens = int(found["image_grid_thw"][0].prod()) // self._processor.merge_size**2
            return Picture(self._arrays(found, "image_grid_thw"), tokens)
        found = self._counter(text=[self._token], images=[image], return_tensors="np", **options)
        ids = np.asarray(found["input_ids"][0])
        tokens = int((ids == self._counter.tokenizer.convert_tokens_to_ids(self._token)).sum())
        return Picture(self._arrays(found, "image_sizes"), tokens)

    def _arrays(self, found: Any, sizes: str) -> dict[str, np.ndarray[Any, Any]]:
        pixels = np.asarray(found["pixel_values"])
        return {"pixel_values": pixels if self.scales else pixels.astype(np.uint8), sizes: np.asarray(found[sizes])}

    def _resized(self, image: Image.Image) -> Image.Image:
        how = self._how
        if how.resize is not None:
            return image.resize((how.resize[0], how.resize[1]), Image.Resampling.BICUBIC)
        if how.smallest_side is not None and min(image.size) < how.smallest_side[0]:
            return image.resize((how.smallest_side[1],) * 2, Image.Resampling.BICUBIC)
        return widened(image) if self._counter is None else image


class PromptTokens:
    """Builds the tokens of prompts. No text or instruction becomes a special token.

    Args:
        tokenizer: A fast tokenizer of transformers.
        template: The template.
        image_token: Id of the token that a picture's place is filled with.

    Attributes:
        max_length: Longer prompts lose the end of their text, in tokens; None cuts none.
        max_text: The same of the text alone.
    """

    def __init__(self, tokenizer: Any, template: Template, image_token: int) -> None:
        self._tokenizer, self._template = tokenizer, template
        self._image_id, self._image = image_token, tokenizer.convert_ids_to_tokens(image_token)
        self.max_length, self.max_text = template.max_length, template.max_text
        self._plain = PlainText(tokenizer)
        for name in (token for token in ("[RET]",) if token in template.frame):
            if name not in tokenizer.get_vocab():
                raise ModelError(
                    "the vocabulary lacks a token of the template",
                    where=template.name,
                    got=name,
                    hint="name another template: PATH@TEMPLATE",
                )

    def __call__(self, side: Side, part: str, instruction: str, text: str | None, image_tokens: int) -> list[int]:
        """Return the tokens of a prompt, one at least.

        Args:
            side: Of a query or of a candidate.
            part: What the item has: ``text``, ``image`` or ``both``.
            instruction: That of the query.
            text: The text of the item.
            image_tokens: Number of tokens that its picture becomes; 0 without one.

        Raises:
            ModelError: The tokenizer does not take the tokens of the picture as such.
        """
        pieces = self._template.pieces(side, part, instruction)
        pieces = [(self._plain(piece) if users else piece, users) for piece, users in pieces]
        text = self._plain(text or "")
        if self.max_text is not None:
            text = first_tokens(self._tokenizer, text, self.max_text)
        ids = self._fill(pieces, text, image_tokens)
        while self.max_length is not None and len(ids) > self.max_length and text:
            left = len(self._tokens(text)) - (len(ids) - self.max_length)
            text = first_tokens(self._tokenizer, text, left)
            ids = self._fill(pieces, text, image_tokens)
        if ids.count(self._image_id) != image_tokens:
            got = f"{ids.count(self._image_id)} instead of {image_tokens}"
            raise ModelError(
                "the tokenizer does not take the tokens of a picture as such",
                got=got,
                hint="use the tokenizer that came with the weights",
            )
        return ids or [self._tokenizer.eos_token_id or 0]  # an empty text, and no prompt around it

    def _fill(self, pieces: list[tuple[str, bool]], text: str, image_tokens: int) -> list[int]:
        filled = {"{text}": text, "{image}": self._image * image_tokens}
        said = [piece if users else filled.get(piece, piece) for piece, users in pieces]
        if self._template.tokenised == "in_pieces":
            return [token for piece in said for token in self._tokens(piece)]
        ids: list[int] = self._tokenizer("".join(said))["input_ids"]
        return ids

    def _tokens(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids


def span_of(template: Template, ids: list[int], image_token: int) -> tuple[int, int]:
    """Return the first of the tokens whose states are averaged to a vector, and the one after the last."""
    if template.pooling == "last":
        return len(ids) - 1, len(ids)
    if template.pooling == "mean" or image_token not in ids:
        return 0, len(ids)
    last = len(ids) - 1 - ids[::-1].index(image_token)
    return max(ids.index(image_token) - 1, 0), min(last + 2, len(ids))
