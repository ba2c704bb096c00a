"""From an input to the tokens of its prompt."""

from __future__ import annotations

import re
from dataclasses import dataclass
from threading import Lock
from typing import Any, Literal

from PIL import Image

from elva.config import Prompt
from mrbench.errors import InputError, ModelError

RET = "[RET]"
IMAGE, IMAGE_START, IMAGE_END, PAD = "<|image_pad|>", "<|vision_start|>", "<|vision_end|>", "<|endoftext|>"
Ask = Literal["summary", "word"]


@dataclass(frozen=True, slots=True)
class Input:
    """Something to embed.

    Attributes:
        text: A text, or None.
        image: A decoded picture, or None.
        key: What identifies the picture's pixels, so that it is encoded once; None: no memory of it.
        instruction: The task, of a query.
    """

    text: str | None = None
    image: Image.Image | None = None
    key: str | None = None
    instruction: str = ""


class Prompter:
    """Builds prompts, piece by piece, so that no text of a user can become a special token.

    Args:
        tokenizer: A fast tokenizer of transformers.
        prompt: What stands around an input.

    Raises:
        ModelError: The vocabulary lacks ``[RET]`` or a token of pictures.
        InputError: The template holds ``[RET]`` or the token that a picture's place is filled with.
    """

    def __init__(self, tokenizer: Any, prompt: Prompt) -> None:
        vocabulary = tokenizer.get_vocab()
        lacking = [token for token in (RET, IMAGE, IMAGE_START, IMAGE_END) if token not in vocabulary]
        if lacking:
            raise ModelError(
                "the vocabulary lacks special tokens",
                got=", ".join(lacking),
                accepted="a Qwen2-VL kind",
                hint="name another base: in the recipe",
            )
        reserved = [token for token in (RET, IMAGE) if token in prompt.template]
        if reserved:
            raise InputError(
                "the template holds tokens of its own",
                where="prompt.template",
                got=", ".join(reserved),
                accepted="a template without them",
                hint="take them out of prompt.template",
            )
        self._tokenizer, self._prompt = tokenizer, prompt
        self.ret, self._image, self._start, self._end = (vocabulary[t] for t in (RET, IMAGE, IMAGE_START, IMAGE_END))
        self._one_at_a_time = Lock()  # to say how special tokens are split changes the tokenizer
        self._pieces = [piece for piece in re.split(r"(\{\w+\})", prompt.template) if piece]

    def text_ids(self, text: str, limit: int | None = None) -> list[int]:
        """Return the tokens of a text; what looks like a special token in it is plain text."""
        with self._one_at_a_time:
            ids: list[int] = self._tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return ids[:limit]

    def _template_ids(self, piece: str) -> list[int]:
        with self._one_at_a_time:
            ids: list[int] = self._tokenizer(piece, add_special_tokens=False)["input_ids"]
        return ids

    def prompt_ids(self, item: Input, ask: Ask, image_tokens: int) -> list[int]:
        """Return the tokens of a prompt.

        Args:
            item: The input.
            ask: What to ask for.
            image_tokens: Number of tokens that the picture becomes; 0 without a picture.
        """
        instruction = item.instruction if self._prompt.instructions else ""
        ids: list[int] = []
        for piece in self._pieces:
            if piece == "{image}":
                ids += [self._start, *[self._image] * image_tokens, self._end] if image_tokens else []
            elif piece == "{instruction}":
                ids += self.text_ids(f"{instruction}\n") if instruction else []
            elif piece == "{text}":
                ids += self.text_ids(item.text, self._prompt.max_text) if item.text else []
            elif piece == "{ask}":
                ids += self.text_ids(getattr(self._prompt, ask))
            else:
                ids += self._template_ids(piece)
        return ids
