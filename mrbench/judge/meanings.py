"""How two words stand to each other: the same, one more general, near, contrary, or nothing known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from mrbench.grains import wordnet
from mrbench.grains.words import ATTRIBUTE_KINDS, ATTRIBUTE_VALUES, BODY_VERBS, LIGHT_VERBS, PEOPLE, VERB_GROUPS


class TextEncoder(Protocol):
    """What the judge needs of an embedding model of texts."""

    name: str
    revision: str

    def embed_texts(self, texts: Sequence[str]) -> Any:
        """Embed texts as unit vectors, shape ``(len(texts), dimension)``."""


class Meanings:
    """Compares words by WordNet and by the cosine of their embeddings.

    Args:
        encoder: Embeds words; None for WordNet alone.
    """

    def __init__(self, encoder: TextEncoder | None) -> None:
        self.encoder = encoder
        self._vectors: dict[str, Any] = {}
        self._cosines: dict[tuple[str, str], float] = {}

    def prepare(self, words: set[str]) -> None:
        """Embed words that are not known yet, all at once."""
        new = sorted(word for word in words if word not in self._vectors)
        if new and self.encoder is not None:
            self._vectors.update(zip(new, np.asarray(self.encoder.embed_texts(new)), strict=True))

    def cosine(self, one: str, other: str) -> float:
        """Return the cosine of two words' embeddings; 1 for equal words, 0 without an encoder."""
        if one == other:
            return 1.0
        if self.encoder is None:
            return 0.0
        key = (one, other) if one < other else (other, one)
        if key not in self._cosines:
            self.prepare({one, other})
            self._cosines[key] = float(self._vectors[one] @ self._vectors[other])
        return self._cosines[key]

    def noun(self, asked: str, said: str, asked_base: str = "", said_base: str = "") -> str:
        """Say what a noun of a candidate means for a noun of the query.

        Returns:
            ``same`` (it states the noun: equal, synonym, or more specific), ``near`` (another word that is close in
            meaning), ``general`` (it leaves open whether the noun holds), ``distinct`` (another thing).
        """
        return _noun(self, asked, said, asked_base or asked, said_base or said)

    def verb(self, asked: str, said: str) -> str:
        """Say what a verb of a candidate means for a verb of the query; the answers are those of :meth:`noun`."""
        key = ("v", asked, said)
        if key not in _VERBS_OF.setdefault(self, {}):
            _VERBS_OF[self][key] = _verb(self, asked, said)
        return _VERBS_OF[self][key]


EXCLUSIVE_KINDS = frozenset(ATTRIBUTE_KINDS.values())
EXCLUSIVE_VALUES = frozenset(ATTRIBUTE_VALUES.values())
NEAR_NOUN = 0.62
NEAR_SIBLING = 0.78
NEAR_VERB = 0.58
SENSES = 3
FAR_ATTRIBUTE = 0.45
FAR_VERB = 0.45
_VERBS_OF: Any = {}
_NOUNS_OF: Any = {}
_MALE = frozenset(
    ["man", "boy", "guy", "gentleman", "male", "father", "son", "husband", "groom", "king", "he", "dad", "brother"]
)
_FEMALE = frozenset(
    ["woman", "girl", "lady", "female", "mother", "daughter", "wife", "bride", "queen", "she", "mom", "sister"]
)
_YOUNG = frozenset(
    ["boy", "girl", "child", "kid", "baby", "toddler", "infant", "kitten", "puppy", "teenager", "youngster"]
)
_GROWN = frozenset(["man", "woman", "adult", "lady", "gentleman", "guy"])


def is_person(noun: str) -> bool:
    """Whether a noun names a person."""
    if noun in ("person", "man", "woman", "boy", "girl", "child", "kid", "guy", "lady", "people"):
        return True
    return wordnet.fields(noun)[:1] == ("person",)


def _noun(m: Meanings, asked: str, said: str, asked_base: str, said_base: str) -> str:
    key = (asked, said)
    table = _NOUNS_OF.setdefault(m, {})
    if key not in table:
        table[key] = _compare_nouns(m, asked, said, asked_base, said_base)
    return str(table[key])


def _compare_nouns(m: Meanings, asked: str, said: str, asked_base: str, said_base: str) -> str:
    if asked == said or asked.replace(" ", "").replace("-", "") == said.replace(" ", "").replace("-", ""):
        return "same"
    if asked == said_base or asked_base == said or misspelt(asked, said):
        return "same"
    if asked_base == said_base:  # "stop sign" and "street sign"
        return "same" if wordnet.synonyms(asked, said, "n") else "general"
    for one, other in ((_MALE, _FEMALE), (_FEMALE, _MALE), (_YOUNG, _GROWN), (_GROWN, _YOUNG)):
        if asked in one and said in other:
            return "distinct"
    if wordnet.antonyms(asked, said, "n") and not (is_person(asked) or is_person(said)):
        return "distinct"
    if wordnet.synonyms(asked, said, "n", first=SENSES) or wordnet.is_a(said, asked, "n", first=1, of=2):
        return "same"
    if wordnet.is_a(asked, said, "n", first=2, of=2):
        return "general"
    cosine = m.cosine(asked, said)
    if is_person(asked) and is_person(said):
        if cosine >= NEAR_NOUN:
            return "near"
        return "general" if asked in PEOPLE or said in PEOPLE or cosine >= 0.4 else "distinct"
    if cosine >= NEAR_SIBLING:
        return "near"
    if cosine >= NEAR_NOUN:
        kin = wordnet.known(asked, "n") and wordnet.known(said, "n") and wordnet.closeness(asked, said, "n") > 0.85
        return "distinct" if kin else "near"
    return "distinct"


_GROUP_OF: dict[str, list[str]] = {}
for _group in VERB_GROUPS:
    for _verb_of in _group.split():
        _GROUP_OF.setdefault(_verb_of.replace("_", " "), []).append(_group.split()[0])


def _verb(m: Meanings, asked: str, said: str) -> str:
    if asked == said:
        return "same"
    a, s = asked.split()[0], said.split()[0]
    if a == s:
        return "same" if " " not in asked or " " not in said else "near"
    mine = _GROUP_OF.get(asked) or _GROUP_OF.get(a) or []
    theirs = _GROUP_OF.get(said) or _GROUP_OF.get(s) or []
    if set(mine) & set(theirs):
        return "same"
    if set(mine) & BODY_VERBS and set(theirs) & BODY_VERBS:
        return "distinct"
    if not (mine and theirs):
        if wordnet.synonyms(a, s, "v", first=3) or wordnet.is_a(s, a, "v", first=2, of=2):
            return "same"
        if m.cosine(asked, said) >= NEAR_VERB:
            return "near"
    if wordnet.is_a(a, s, "v", first=2, of=2) or a in LIGHT_VERBS or s in LIGHT_VERBS:
        return "general"
    return "distinct"


def exclusive(one: str, other: str) -> bool:
    """Whether two verbs are different postures or ways of moving."""
    mine, theirs = set(_GROUP_OF.get(one.split()[0], ())), set(_GROUP_OF.get(other.split()[0], ()))
    return not mine & theirs and bool(mine & BODY_VERBS and theirs & BODY_VERBS)


def misspelt(one: str, other: str) -> bool:
    """Whether two words have the same letters, in an order that differs: "toliet"."""
    return len(one) == len(other) >= 5 and one[0] == other[0] and sorted(one) == sorted(other)


def akin(one: str, other: str) -> bool:
    """Whether two words look like forms of one stem: "rock" and "rocky", "compete" and "competition"."""
    if one == other:
        return True
    short, long = sorted((one, other), key=len)
    return len(short) >= 4 and len(long) - len(short) <= 6 and long.startswith(short[: max(4, len(short) - 1)])


def mentioned(word: str, words: frozenset[str]) -> bool:
    """Whether a word, or another form of its stem, is among the words of a caption."""
    return word in words or any(akin(word, other) for other in words)


def attribute(m: Meanings, kind: str, asked: str, said: str) -> str:
    """Say what an attribute of a candidate's thing means for one of the query's; answers as for nouns."""
    if asked == said or akin(asked, said):
        return "same"
    if kind in EXCLUSIVE_KINDS and said in EXCLUSIVE_VALUES:
        return "general"
    if wordnet.antonyms(asked, said, "a"):
        return "distinct"
    if wordnet.similar(asked, said) or wordnet.synonyms(asked, said, "n") or wordnet.synonyms(asked, said, "v"):
        return "same"
    return "near" if m.cosine(asked, said) >= 0.6 else "general"
