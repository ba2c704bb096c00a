"""The tokens of one parse as plain lists, and their lemmas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mrbench.grains import wordnet
from mrbench.grains.words import VERB_GROUPS

NOUN_TAGS = frozenset({"NN", "NNS", "NNP", "NNPS"})
VERB_TAGS = frozenset({"VB", "VBD", "VBG", "VBN", "VBP", "VBZ"})
_LEMMAS = {"people": "person", "persons": "person", "mens": "man", "womens": "woman", "grey": "gray",
           "tv": "television", "cellphone": "cell phone", "infront": "front"}  # fmt: skip
_BE = frozenset(["is", "are", "was", "were", "be", "been", "being", "'s", "'re", "am"])


_CAPTION_VERBS = frozenset(word for group in VERB_GROUPS for word in group.split()) - {"top", "land", "line", "park"}


def _lemma(low: str, tag: str) -> str:
    if low in _LEMMAS:
        return _LEMMAS[low]
    if tag in VERB_TAGS:
        return "be" if low in _BE else wordnet.lemma(low, "v")
    return wordnet.lemma(low, "n") if tag in ("NNS", "NNPS") else low


class Parse:
    """The tokens of one parse as plain lists, which are faster to walk than spaCy's objects."""

    def __init__(self, doc: Any, places: Sequence[int]) -> None:
        tokens = list(doc)
        self.lower = [token.lower_ for token in tokens]
        self.tag = [token.tag_ for token in tokens]
        self.dep = [token.dep_ for token in tokens]
        self.head = [token.head.i for token in tokens]
        self.start = [places[token.idx] for token in tokens]
        self.end = [places[token.idx + len(token) - 1] + 1 for token in tokens]
        self._read_verbs()
        self.lemma = [_lemma(low, tag) for low, tag in zip(self.lower, self.tag, strict=True)]
        self.children: list[list[int]] = [[] for _ in tokens]
        for i, head in enumerate(self.head):
            if head != i:
                self.children[head].append(i)

    def _read_verbs(self) -> None:
        """Read "A dog runs" as a clause, where the parser reads a plural noun "runs" as the caption's head."""
        for i, dep in enumerate(self.dep):
            subject = i - 1
            if dep != "ROOT" or self.tag[i] != "NNS" or i == 0 or self.dep[subject] != "compound":
                continue
            if self.tag[subject] not in ("NN", "NNP") or wordnet.lemma(self.lower[i], "v") not in _CAPTION_VERBS:
                continue
            self.tag[i], self.dep[subject] = "VBZ", "nsubj"
            self.head = [subject if head == i and j < subject else head for j, head in enumerate(self.head)]

    def kids(self, i: int, *deps: str) -> list[int]:
        """Return the children of a token that stand in one of these relations to it."""
        return [child for child in self.children[i] if self.dep[child] in deps]
