"""How two words stand to each other: the same, one more general, near, contrary, or nothing known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from mrbench.grains import Attribute, Entity, wordnet
from mrbench.grains.words import ATTRIBUTE_KINDS, ATTRIBUTE_VALUES, BODY_VERBS, LIGHT_VERBS, PEOPLE, VERB_GROUPS

EXCLUSIVE_KINDS = frozenset(ATTRIBUTE_KINDS.values())
"""Kinds of attributes of which a thing has one value."""
NEAR_NOUN, NEAR_SIBLING, NEAR_VERB, NEAR_ATTRIBUTE = 0.62, 0.78, 0.58, 0.6
"""Cosines of MiniLM from which on two words say nearly the same; siblings in WordNet need more."""
FAR_VERB, FAR_ATTRIBUTE, FAR_ROLE = 0.45, 0.55, 0.4
"""Cosines below which a word in the place of another contradicts it."""
_EXCLUSIVE_VALUES = frozenset(ATTRIBUTE_VALUES.values())
_SENSES = 3
_KIN = 0.85
_STEM = 4
"""Letters at the beginning that forms of one stem share."""
_MALE = frozenset(
    {"man", "boy", "guy", "gentleman", "male", "father", "son", "husband", "groom", "king", "dad", "brother"}
)
_FEMALE = frozenset(
    {"woman", "girl", "lady", "female", "mother", "daughter", "wife", "bride", "queen", "mom", "sister"}
)
_YOUNG = frozenset({"boy", "girl", "child", "kid", "baby", "toddler", "infant", "teenager", "youngster"})
_BABY = frozenset({"baby", "toddler", "infant"})
_GROWN = frozenset({"man", "woman", "adult", "lady", "gentleman", "guy"})
_GROUPS: dict[str, set[str]] = {}
for _group in VERB_GROUPS:
    for _word in _group.split():
        _GROUPS.setdefault(_word.replace("_", " "), set()).add(_group.split()[0])


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
        self._nouns: dict[tuple[str, str, str, str], str] = {}
        self._verbs: dict[tuple[str, str], str] = {}

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

    def noun(self, asked: Entity, said: Entity) -> str:
        """Return what a noun of a candidate means for a noun of the query.

        Returns:
            ``same`` (it states the noun: equal, synonym, or more specific), ``near`` (another word that is close in
            meaning), ``general`` (it leaves open whether the noun holds), ``distinct`` (another thing).
        """
        key = (asked.head, asked.base, said.head, said.base)  # "bed room" and "bedroom" have one head and two bases
        if key not in self._nouns:
            self._nouns[key] = _same_name(asked, said) or self._compare_nouns(asked.head, said.head)
        return self._nouns[key]

    def _compare_nouns(self, asked: str, said: str) -> str:
        people = is_person(asked), is_person(said)
        if wordnet.antonyms(asked, said, "n") and not any(people):
            return "distinct"
        if wordnet.synonyms(asked, said, "n", first=_SENSES) or wordnet.is_a(said, asked, "n", first=1, of=2):
            return "same"
        if wordnet.is_a(asked, said, "n", first=2, of=2):
            return "general"
        cosine = self.cosine(asked, said)
        if all(people):
            if cosine >= NEAR_NOUN:
                return "near"
            return "general" if {asked, said} & PEOPLE or cosine >= FAR_ROLE else "distinct"
        kin = wordnet.closeness(asked, said, "n") > _KIN
        return "near" if cosine >= (NEAR_SIBLING if kin else NEAR_NOUN) else "distinct"

    def verb(self, asked: str, said: str) -> str:
        """Return what a verb of a candidate means for a verb of the query; the answers are those of :meth:`noun`."""
        key = (asked, said)
        if key not in self._verbs:
            self._verbs[key] = self._compare_verbs(asked, said)
        return self._verbs[key]

    def _compare_verbs(self, asked: str, said: str) -> str:
        if asked == said:
            return "same"
        a, s = asked.split()[0], said.split()[0]
        if a == s:
            return "same" if " " not in asked or " " not in said else "near"
        mine, theirs = _groups_of(asked), _groups_of(said)
        if mine & theirs:
            return "same"
        if exclusive_verbs(asked, said):
            return "distinct"
        if not (mine and theirs):
            if wordnet.synonyms(a, s, "v", first=3) or wordnet.is_a(s, a, "v", first=2, of=2):
                return "same"
            if self.cosine(asked, said) >= NEAR_VERB:
                return "near"
        light = a in LIGHT_VERBS or s in LIGHT_VERBS
        return "general" if light or wordnet.is_a(a, s, "v", first=2, of=2) else "distinct"

    def attribute(self, asked: Attribute, said: Attribute) -> str:
        """Return what an attribute of a candidate's thing means for one of the query's; answers as for nouns."""
        x, y = asked.value, said.value
        if x == y or akin(x, y):
            return "same"
        if asked.kind in EXCLUSIVE_KINDS and y in _EXCLUSIVE_VALUES:
            return "general"
        if wordnet.antonyms(x, y, "a"):
            return "distinct"
        if wordnet.similar(x, y) or wordnet.synonyms(x, y, "n") or wordnet.synonyms(x, y, "v"):
            return "same"
        return "near" if self.cosine(x, y) >= NEAR_ATTRIBUTE else "general"

    def mentions(self, word: str, words: frozenset[str]) -> bool:
        """Return True where a word, or another form of its stem, is among the words of a caption."""
        return mentioned(word, words)


def is_person(noun: str) -> bool:
    """Return True where a noun names a person."""
    return noun in PEOPLE or wordnet.fields(noun)[:1] == ("person",)


def excludes_person(one: str, other: str) -> bool:
    """Return True where two words for a person exclude each other: of the two sexes, or a baby and somebody grown.

    >>> excludes_person("king", "queen"), excludes_person("lady", "guy"), excludes_person("adult", "baby")
    (True, True, True)
    >>> excludes_person("boy", "man"), excludes_person("child", "woman"), excludes_person("woman", "child")
    (False, False, False)
    """
    pairs = ((_MALE, _FEMALE), (_BABY, _GROWN))
    return any((one in a and other in b) or (one in b and other in a) for a, b in pairs)


def _same_name(asked: Entity, said: Entity) -> str | None:
    """Compare two nouns as words: equal, in another spelling, one the other's last word, siblings by it, opposites."""
    a, s = asked.head, said.head
    if _plain(a) == _plain(s) or misspelt(a, s):
        return "same"
    if (a == said.base or asked.base == s) and not (_another_thing(asked) or _another_thing(said)):
        return "same"
    if asked.base == said.base:  # "stop sign" and "street sign"
        return "same" if wordnet.synonyms(a, s, "n") else "general"
    pairs = ((_MALE, _FEMALE), (_FEMALE, _MALE), (_YOUNG, _GROWN), (_GROWN, _YOUNG))
    return "distinct" if any(a in one and s in other for one, other in pairs) else None


def _another_thing(entity: Entity) -> bool:
    """Return True where a name ends in an animal that is none: a hot dog, a teddy bear."""
    head, base = entity.head, entity.base
    return (
        head != base and wordnet.fields(base)[:1] == ("animal",) and wordnet.fields(head)[:1] not in ((), ("animal",))
    )


def _plain(noun: str) -> str:
    return noun.replace(" ", "").replace("-", "")


def _groups_of(verb: str) -> set[str]:
    return _GROUPS.get(verb) or _GROUPS.get(verb.split()[0]) or set()


def exclusive_verbs(one: str, other: str) -> bool:
    """Return True where two verbs are different postures or ways of moving.

    >>> exclusive_verbs("sit", "stand"), exclusive_verbs("sit", "seat"), exclusive_verbs("sit", "hold umbrella")
    (True, False, False)
    """
    mine, theirs = _groups_of(one), _groups_of(other)
    return not mine & theirs and bool(mine & BODY_VERBS and theirs & BODY_VERBS)


def same_verb(one: str, other: str) -> bool:
    """Return True where two actions have one verb, or verbs of one group or meaning.

    >>> same_verb("ride wave", "ride"), same_verb("stroll", "walk"), same_verb("ride wave", "crash")
    (True, True, False)
    """
    if _groups_of(one) & _groups_of(other):
        return True
    return one.split()[0] == other.split()[0] or wordnet.synonyms(one.split()[0], other.split()[0], "v", first=3)


def misspelt(one: str, other: str) -> bool:
    """Return True where two words have the same letters in another order.

    >>> misspelt("toilet", "toliet"), misspelt("chair", "chiar"), misspelt("pizza", "pasta"), misspelt("dog", "dgo")
    (True, True, False, False)
    >>> misspelt("night", "thing")
    False
    """
    return len(one) == len(other) >= 5 and one[0] == other[0] and sorted(one) == sorted(other)


def akin(one: str, other: str) -> bool:
    """Return True where two words look like forms of one stem.

    >>> akin("rock", "rocky"), akin("compete", "competition"), akin("red", "reduced")
    (True, True, False)
    """
    if one == other:
        return True
    short, long = sorted((one, other), key=len)
    return len(short) >= _STEM and len(long) - len(short) <= 6 and long.startswith(short[: max(_STEM, len(short) - 1)])


def mentioned(word: str, words: frozenset[str]) -> bool:
    """Return True where a word, or another word of the same stem, is among some words.

    >>> [mentioned("rock", frozenset({word})) for word in ("rock", "rocky", "robe")]
    [True, True, False]
    >>> [mentioned("car", frozenset({word})) for word in ("car", "carp")]
    [True, False]
    """
    if word in words or len(word) < _STEM:
        return word in words
    head = word[:_STEM]  # akin words share it, and few of a caption's words do
    return any(other.startswith(head) and akin(word, other) for other in words)
