"""A blind language model: how likely words are beside each other, whatever the photo shows."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

_WORD = re.compile(r"[a-z0-9]+(?:['-][a-z0-9]+)*|[^\sa-z0-9]")
_KEPT = 0.4
"""Weight of each shorter context (stupid back-off of Brants et al. 2007)."""


def words_of(text: str) -> list[str]:
    """Return the words and signs of a text in lower case.

    >>> words_of("A man's dog, wet.")
    ['a', "man's", 'dog', ',', 'wet', '.']
    """
    return _WORD.findall(text.lower())


class NGrams:
    """Scores words in their context by back-off: the relative frequency in the longest context seen with the word.

    Args:
        texts: What to learn from.
        order: Words of an n-gram.
    """

    def __init__(self, texts: Iterable[str], order: int = 3) -> None:
        self.order = order
        self._counts: Counter[tuple[str, ...]] = Counter()
        self._total = 0
        for text in texts:
            words = _padded(words_of(text), order)
            self._total += len(words)
            for size in range(1, order + 1):
                self._counts.update(tuple(words[at : at + size]) for at in range(len(words) - size + 1))

    def score(self, words: Sequence[str], start: int = 0, end: int | None = None) -> float:
        """Return the sum of the log scores of the words whose context or self is in ``words[start:end]``.

        Args:
            words: A whole text.
            start, end: The part that differs from another text; the whole text by default.
        """
        padded = _padded(list(words), self.order)
        edge = self.order - 1
        last = len(padded) if end is None else min(len(padded), end + 2 * edge)
        return sum(self._word(padded, at) for at in range(max(edge, start + edge), last))

    def _word(self, words: list[str], at: int) -> float:
        weight = 1.0
        for size in range(self.order, 1, -1):
            gram = tuple(words[at - size + 1 : at + 1])
            count = self._counts[gram]
            if count:
                return math.log(weight * count / self._counts[gram[:-1]])
            weight *= _KEPT
        return math.log(weight * (self._counts[(words[at],)] + 0.5) / (self._total + 1))


def _padded(words: list[str], order: int) -> list[str]:
    return ["<s>"] * (order - 1) + words + ["</s>"]
