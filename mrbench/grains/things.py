"""The things that a caption names, with their counts and attributes."""

from __future__ import annotations

import re

from mrbench.grains import wordnet
from mrbench.grains.description import Attribute, Description, Entity
from mrbench.grains.negation import denial
from mrbench.grains.tokens import NOUN_TAGS, VERB_TAGS, Parse
from mrbench.grains.words import (
    ATTRIBUTE_KINDS,
    ATTRIBUTE_VALUES,
    GROUP_COUNTS,
    GROUP_NOUNS,
    IGNORED_MODIFIERS,
    NUMBERS,
    PART_NOUNS,
    PICTURE_NOUNS,
    PLACE_NOUNS,
    SEVERAL,
)

_PERSON_PRONOUNS = frozenset(["he", "she", "him", "her", "they", "them", "who", "whom", "his", "their"])
_THING_PRONOUNS = frozenset(["it", "its", "which", "that", "itself"])
_UNNAMED = frozenset({"something", "someone", "anything", "nothing", "others", "other"})
_TRANSPARENT = GROUP_NOUNS | PART_NOUNS | PICTURE_NOUNS
_CROWDS = frozenset({"group", "herd", "flock", "pack", "crowd", "team", "bunch"})


def is_colour(word: str) -> bool:
    """Return True where a word stands for a colour alone, as in "dressed in black"."""
    return ATTRIBUTE_KINDS.get(word) == "colour" and word not in (
        "rose",
        "chocolate",
        "orange",
        "rainbow",
        "tan",
        "cream",
    )


class Things:
    """Finds the things of one parse.

    Args:
        parse: The tokens.
        text: The caption; spans point into it.
    """

    def __init__(self, parse: Parse, text: str) -> None:
        self.p = parse
        self.description = Description(text)
        self.entity_of: dict[int, int] = {}
        self._used: set[tuple[int, int]] = set()

    def find_things(self) -> None:
        """Add every thing; "group of dogs" and "slice of pizza" are one thing each."""
        p = self.p
        alias: dict[int, int] = {}
        for i in range(len(p.tag)):
            if not self._names_a_thing(i):
                continue
            of, whole = self._of(i), self._whole(i)
            if of is not None and p.lemma[i] in _TRANSPARENT:
                alias[i] = of
            elif whole is not None and p.lemma[i] in PART_NOUNS:
                self._entity(whole)
                self.entity_of[i] = self.entity_of[whole]
            elif not self._speaks_of_the_photo(i):
                self._entity(i)
        for i, of in alias.items():
            seen = {i}
            while of in alias and of not in seen:
                seen.add(of)
                of = alias[of]
            if of in self.entity_of:
                self.entity_of[i] = self.entity_of[of]
                self._group_count(i, self.description.entities[self.entity_of[of]])

    def _names_a_thing(self, i: int) -> bool:
        p = self.p
        before = p.head[i] > i and (
            p.dep[i] in ("compound", "npadvmod") or (p.dep[i] == "nmod" and p.tag[p.head[i]] in NOUN_TAGS)
        )
        if p.tag[i] not in NOUN_TAGS or before or p.lower[i] in _UNNAMED:
            return False
        if is_colour(p.lower[i]) and p.dep[i] in ("pobj", "dobj", "conj"):
            return False
        return any(c.isalnum() for c in p.lower[i])

    def _speaks_of_the_photo(self, i: int) -> bool:
        """Return True where a noun is the photo itself, or a place in it: "a view", "in the background"."""
        p = self.p
        if p.lemma[i] in PICTURE_NOUNS and p.dep[i] in ("ROOT", "nsubj") and self._of(i) is None:
            return True
        return p.lemma[i] in PLACE_NOUNS and p.dep[i] in ("pobj", "dobj", "npadvmod", "advmod")

    def _whole(self, i: int) -> int | None:
        """Return the noun before a part: "pizza" of "pizza slice"."""
        before = [c for c in self.p.children[i] if self.p.dep[c] == "compound" and c < i and self.p.tag[c] in NOUN_TAGS]
        return before[-1] if before else None

    def _of(self, i: int) -> int | None:
        """Return the noun after "of", for "group of dogs"."""
        p = self.p
        for prep in p.kids(i, "prep"):
            if p.lower[prep] == "of":
                for obj in p.kids(prep, "pobj"):
                    if p.tag[obj] in NOUN_TAGS:
                        return obj
        return None

    def _entity(self, i: int) -> None:
        p = self.p
        before = self._before(i)
        head, first = self._name(i, before)
        entity = Entity(head, p.lemma[i], p.start[first], p.end[i], plural=p.tag[i] in ("NNS", "NNPS"))
        entity.plural |= p.lower[i] in ("people", "men", "women", "children")
        for child in p.children[i]:
            if child < first or child > i:
                self._modifier(child, entity, i)
        for j in before:
            if j < first and p.head[j] != i:  # a compound of a compound
                self.add_attribute(j, entity)
            for child in p.children[j]:  # "yellow" of "yellow and black body suit" hangs from "body"
                if child < first and (p.dep[child] == "nummod" or p.lower[child] in ATTRIBUTE_KINDS):
                    self._modifier(child, entity, i)
        self.entity_of[i] = len(self.description.entities)
        self.description.entities.append(entity)

    def _before(self, i: int) -> list[int]:
        """Return the tokens before a noun that may be part of its name."""
        p, j = self.p, i - 1
        found: list[int] = []
        while j >= 0 and p.dep[j] in ("compound", "nmod", "amod") and j < p.head[j] <= i and p.tag[j] != "CD":
            found.insert(0, j)
            j -= 1
        return found

    def _name(self, i: int, before: list[int]) -> tuple[str, int]:
        """Return the longest name that WordNet knows, and its first token: "fire hydrant", "sidewalk"."""
        p = self.p
        if before and p.lower[i - 1] not in ATTRIBUTE_KINDS:
            joined = p.lower[i - 1] + p.lemma[i]
            if wordnet.known(joined, "n"):  # "side walk"
                return joined, i - 1
        for n, j in enumerate(before):
            if p.lower[j] in ATTRIBUTE_KINDS and p.tag[j] not in ("NN", "NNP"):
                continue
            phrase = " ".join([*(p.lower[c] for c in before[n:]), p.lemma[i]])
            if wordnet.known(phrase, "n"):
                return phrase, j
        return p.lemma[i], i

    def _modifier(self, j: int, entity: Entity, i: int) -> None:
        p = self.p
        dep, low = p.dep[j], p.lower[j]
        if dep == "nummod" or (dep in ("amod", "det", "predet", "nmod") and (low in NUMBERS or low in SEVERAL)):
            self._count(j, entity)
        elif (dep, low) == ("det", "no") or (
            dep == "neg" and j < i and p.lower[j + 1] in ("a", "an", "any")
        ):  # "not a car"
            entity.negated, entity.negation_span = True, (p.start[j], p.end[i])
        elif dep in ("amod", "compound", "nmod") and (j < i or denial(p, j) is not None):
            self.add_attribute(j, entity)
            for extra in p.children[j]:
                if p.dep[extra] in ("conj", "amod", "advmod") and p.tag[extra] in ("JJ", "NN", "VBN"):
                    self.add_attribute(extra, entity)
                    for more in p.kids(extra, "conj"):
                        self.add_attribute(more, entity)

    def _count(self, j: int, entity: Entity) -> None:
        p, low = self.p, self.p.lower[j]
        if low in ("a", "an"):
            entity.article = True
            return
        if low.isdigit():
            value = str(int(low)) if len(low) < 7 else low
        elif low in NUMBERS:
            value = str(NUMBERS[low])
        elif low in ("some", "few"):
            value = "few"
        elif low in SEVERAL:
            value = "several"
        else:
            return
        no = denial(p, j)
        entity.count, entity.count_negated = value, no is not None
        entity.count_span = (p.start[j if no is None else no], p.end[j])

    def _group_count(self, i: int, entity: Entity) -> None:
        p, lemma = self.p, self.p.lemma[i]
        if lemma in GROUP_COUNTS:
            entity.count, entity.count_span = GROUP_COUNTS[lemma], (p.start[i], p.end[i])
        elif lemma in GROUP_NOUNS and lemma not in ("type", "kind", "sort", "form", "display"):
            crowd = lemma in _CROWDS and lemma == p.lower[i]
            if entity.count is None and (entity.plural or crowd):
                entity.count, entity.count_span = "several", (p.start[i], p.end[i])
        else:
            for child in p.children[i]:
                if p.dep[child] == "nummod":
                    self._count(child, entity)
                elif p.dep[child] == "det" and p.lower[child] in ("a", "an"):
                    entity.article = True
        for child in p.children[i]:
            kind = ATTRIBUTE_KINDS.get(p.lower[child], "size") if child < i else "size"
            if kind != "size" and p.dep[child] in ("amod", "compound") and lemma not in PICTURE_NOUNS:
                self.add_attribute(child, entity)

    def add_attribute(self, j: int, entity: Entity) -> None:
        """Give a thing the attribute that a token states, once."""
        p, low = self.p, self.p.lower[j]
        if low in IGNORED_MODIFIERS or low in NUMBERS or not low[0].isalpha() or p.tag[j] in ("DT", "CD", "PRP$", "RB"):
            return
        if (j, entity.start) in self._used:
            return
        self._used.add((j, entity.start))
        no = denial(p, j)
        start, end = p.start[j if no is None else min(no, j)], p.end[j]
        bare = low.removeprefix("non").lstrip("-")
        if bare != low and bare in ATTRIBUTE_KINDS:  # "nonmetallic"
            low, no = bare, j
        # "cream-colored", "leaf covered", "light blue"
        kind = ATTRIBUTE_KINDS.get(low)
        value = ATTRIBUTE_VALUES.get(low, low)
        if kind is None:
            for piece in re.split("-", low):
                if piece in ATTRIBUTE_KINDS and ATTRIBUTE_KINDS[piece] in ("colour", "material"):
                    kind, value = ATTRIBUTE_KINDS[piece], ATTRIBUTE_VALUES[piece]
        if kind is None and p.tag[j] in VERB_TAGS:
            kind, value = "state", p.lemma[j]
        elif kind is None and p.tag[j] in NOUN_TAGS:
            kind, value = "attribute", p.lemma[j]
        entity.attributes.append(Attribute(kind or "attribute", value, start, end, no is not None))

    def noun(self, i: int) -> int | None:
        """Return the entity that a noun or pronoun stands for."""
        p = self.p
        if i in self.entity_of:
            return self.entity_of[i]
        if p.lower[i] in ("which", "that", "who", "whom"):
            verb = p.head[i]
            while p.dep[verb] not in ("relcl", "ROOT") and p.head[verb] != verb:
                verb = p.head[verb]
            if p.dep[verb] == "relcl":
                return self.noun(p.head[verb])
        if p.lower[i] in _PERSON_PRONOUNS or p.lower[i] in _THING_PRONOUNS:
            person = p.lower[i] in _PERSON_PRONOUNS
            for n, entity in enumerate(self.description.entities):
                if entity.start >= p.start[i]:
                    break
                if (
                    wordnet.fields(entity.head)[:1] == ("person",) or entity.head in ("person", "man", "woman")
                ) == person:
                    return n
            if self.description.entities and self.description.entities[0].start < p.start[i]:
                return 0
        return None

    def nouns(self, i: int) -> list[int]:
        """Return the entities of a noun and of what "and" joins to it."""
        found = []
        stack = [i]
        while stack:
            j = stack.pop(0)
            n = self.noun(j)
            if n is not None and n not in found:
                found.append(n)
            stack += [c for c in self.p.children[j] if self.p.dep[c] == "conj"]
        return found

    def acts(self, n: int) -> bool:
        """Return True where a thing can act by itself: a person, an animal, a vehicle."""
        entity = self.description.entities[n]
        if entity.base in ("person", "man", "woman", "animal", "people"):
            return True
        field = (wordnet.fields(entity.head) or wordnet.fields(entity.base))[:1]
        return field in (("person",), ("animal",), ("group",)) or wordnet.is_a(entity.base, "vehicle", "n")
