"""The tokenizer of the small model: one token a word, learnt from texts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from elva.prompts import IMAGE, IMAGE_END, IMAGE_START, PAD, RET

SPECIAL = (PAD, "<|im_start|>", "<|im_end|>", IMAGE_START, IMAGE_END, IMAGE, "<|video_pad|>", RET)
UNKNOWN = "<|unknown|>"


def build_tokenizer(texts: Iterable[str]) -> Any:
    """Return a tokenizer whose vocabulary is every lower-case word and sign of the texts, in alphabetical order.

    Args:
        texts: All texts that it has to know. Their order does not matter, so that equal texts give equal ids.

    >>> tokenizer = build_tokenizer(["A big dog.", "two high-heeled shoes"])
    >>> tokenizer.decode(tokenizer("a high-heeled Dog!")["input_ids"], skip_special_tokens=True)
    'a high-heeled dog'
    """
    split = pre_tokenizers.Split(Regex(r"[\w'’-]+|[^\w\s]"), "removed", invert=True)
    normaliser = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    words = {word for text in set(texts) for word, _ in split.pre_tokenize_str(normaliser.normalize_str(text))}
    vocabulary = {token: number for number, token in enumerate([*SPECIAL, UNKNOWN, *sorted(words - {*SPECIAL})])}
    core = Tokenizer(WordLevel(vocabulary, unk_token=UNKNOWN))
    core.normalizer, core.pre_tokenizer = normaliser, split
    core.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in (*SPECIAL, UNKNOWN)])
    fast: Any = PreTrainedTokenizerFast
    return fast(tokenizer_object=core, pad_token=PAD, unk_token=UNKNOWN, eos_token=RET)
