"""Sentences with the span of each of their grains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mrbench.records import Grain


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a sentence; ``grain`` names the grain type that it states, if any."""

    words: str
    grain: str | None = None


def compose(parts: list[Part | str], values: Mapping[str, str]) -> tuple[str, tuple[Grain, ...]]:
    """Return the sentence of the parts, joined by spaces, and its grains with their spans.

    The first letter becomes a capital, and a full stop is added. A part that begins with a comma is joined without a
    space. Grains of ``values`` that no part states have no span.

    >>> text, grains = compose(["a", Part("big", "size"), Part("dog", "entity")], {"size": "large", "entity": "dog"})
    >>> text, grains[0], text[grains[1].start:grains[1].end]
    ('A big dog.', Grain(type='size', value='large', start=2, end=5), 'dog')
    """
    text = ""
    spans: dict[str, tuple[int, int]] = {}
    for item in parts:
        part = item if isinstance(item, Part) else Part(item)
        if not part.words:
            continue
        if text and not part.words.startswith(","):
            text += " "
        if part.grain is not None:
            spans[part.grain] = (len(text), len(text) + len(part.words))
        text += part.words
    text = text[:1].upper() + text[1:] + "."
    return text, tuple(Grain(kind, value, *spans.get(kind, (None, None))) for kind, value in values.items())
