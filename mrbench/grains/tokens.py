"""The tokens of one parse as plain lists, and their lemmas."""

from __future__ import annotations

from typing import Any

from mrbench.grains import wordnet

NOUN_TAGS = frozenset({"NN", "NNS", "NNP", "NNPS"})
VERB_TAGS = frozenset({"VB", "VBD", "VBG", "VBN", "VBP", "VBZ"})
_LEMMAS = {"people": "person", "persons": "person", "mens": "man", "womens": "woman", "grey": "gray",
           "tv": "television", "cellphone": "cell phone", "infront": "front"}  # fmt: skip
_BE = frozenset(["is", "are", "was", "were", "be", "been", "being", "'s", "'re", "am"])


def _lemma(low: str, tag: str) -> str:
    if low in _LEMMAS:
        return _LEMMAS[low]
    if tag in VERB_TAGS:
        return "be" if low in _BE else wordnet.lemma(low, "v")
    return wordnet.lemma(low, "n") if tag in ("NNS", "NNPS") else low


class Parse:
    """The tokens of one parse as plain lists, which are faster to walk than spaCy's objects."""

    def __init__(self, doc: Any) -> None:
        tokens = list(doc)
        self.lower = [token.lower_ for token in tokens]
        self.tag = [token.tag_ for token in tokens]
        self.dep = [token.dep_ for token in tokens]
        self.head = [token.head.i for token in tokens]
        self.start = [token.idx for token in tokens]
        self.end = [token.idx + len(token) for token in tokens]
        self.lemma = [_lemma(low, tag) for low, tag in zip(self.lower, self.tag, strict=True)]
        self.children: list[list[int]] = [[] for _ in tokens]
        for i, head in enumerate(self.head):
            if head != i:
                self.children[head].append(i)

    def kids(self, i: int, *deps: str) -> list[int]:
        """Return the children of a token that stand in one of these relations to it."""
        return [child for child in self.children[i] if self.dep[child] in deps]
