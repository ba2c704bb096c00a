"""From spaCy's parse of a caption to its slots."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

from mrbench.grains import wordnet
from mrbench.grains.description import Attribute, Description, Entity, Relation
from mrbench.grains.words import (
    ATTRIBUTE_KINDS,
    ATTRIBUTE_VALUES,
    GROUP_COUNTS,
    GROUP_NOUNS,
    IGNORED_MODIFIERS,
    NUMBERS,
    OBLIQUE,
    PART_NOUNS,
    PICTURE_NOUNS,
    PLACE_NOUNS,
    PREPOSITIONS,
    SEVERAL,
)

_NOUNS = frozenset({"NN", "NNS", "NNP", "NNPS"})
_VERBS = frozenset({"VB", "VBD", "VBG", "VBN", "VBP", "VBZ"})
_LEMMAS = {"people": "person", "persons": "person", "mens": "man", "womens": "woman", "grey": "gray", "tv": "television",
           "cellphone": "cell phone", "infront": "front"}  # fmt: skip
_BEFORE = frozenset("far away close next adjacent near".split())
_BE = frozenset("is are was were be been being 's 're am".split())
_PERSON_PRONOUNS = frozenset("he she him her they them who whom his their".split())
_THING_PRONOUNS = frozenset("it its which that itself".split())
_WRITTEN = re.compile(
    r"[\"“”]([^\"“”]{1,80})[\"“”]|\b(?:says?|saying|reads?|reading|the words?|labell?ed|spells?|spelling)\s+"
    r"['‘]?((?:[A-Z0-9][\w'&-]*)(?:\s+[A-Z0-9][\w'&-]*)*)"
)


def _lemma(low: str, tag: str) -> str:
    if low in _LEMMAS:
        return _LEMMAS[low]
    if tag in _VERBS:
        return "be" if low in _BE else wordnet.lemma(low, "v")
    return wordnet.lemma(low, "n") if tag in ("NNS", "NNPS") else low


def low_colour(word: str) -> bool:
    """Whether a word stands for a colour alone, as in "dressed in black"."""
    return ATTRIBUTE_KINDS.get(word) == "colour" and word not in ("rose", "chocolate", "orange", "rainbow", "tan", "cream")


class _Parse:
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
        return [child for child in self.children[i] if self.dep[child] in deps]


class _Describer:
    """Builds the description of one parse."""

    def __init__(self, doc: Any, text: str) -> None:
        self.p = _Parse(doc)
        self.description = Description(text)
        self.entity_of: dict[int, int] = {}
        self.subjects_of: dict[int, list[int]] = {}
        self.used: set[tuple[int, int]] = set()

    def run(self) -> Description:
        self._entities()
        self._verbs()
        self._prepositions()
        self._written()
        p = self.p
        self.description.words = frozenset(p.lower) | frozenset(p.lemma) | {
            wordnet.lemma(low, "v") for low in p.lower if low.endswith(("ing", "ed", "s"))
        }
        return self.description

    # things

    def _entities(self) -> None:
        p = self.p
        alias: dict[int, int] = {}
        for i, tag in enumerate(p.tag):
            if tag not in _NOUNS or p.dep[i] in ("compound", "npadvmod") and p.head[i] > i:
                continue
            if p.dep[i] == "nmod" and p.tag[p.head[i]] in _NOUNS and p.head[i] > i:
                continue
            if not any(c.isalnum() for c in p.lower[i]) or p.lower[i] in ("something", "someone", "anything", "nothing", "others", "other"):
                continue
            if low_colour(p.lower[i]) and p.dep[i] in ("pobj", "dobj", "conj"):
                continue
            of = self._of(i)
            if of is not None and (p.lemma[i] in GROUP_NOUNS or p.lemma[i] in PART_NOUNS or p.lemma[i] in PICTURE_NOUNS):
                alias[i] = of
                continue
            if p.lemma[i] in PICTURE_NOUNS and p.dep[i] in ("ROOT", "nsubj"):
                continue
            if p.lemma[i] in PLACE_NOUNS and (p.dep[i] in ("pobj", "dobj", "npadvmod", "advmod")):
                continue
            if p.lemma[i] in PART_NOUNS and self._whole(i) is not None:
                whole = self._whole(i)
                self._entity(whole)
                self.entity_of[i] = self.entity_of[whole]
                continue
            self._entity(i)
        for i, of in alias.items():
            seen = {i}
            while of in alias and of not in seen:
                seen.add(of)
                of = alias[of]
            if of in self.entity_of:
                self.entity_of[i] = self.entity_of[of]
                self._group_count(i, self.description.entities[self.entity_of[of]])

    def _whole(self, i: int) -> int | None:
        """Return the noun before a part: "pizza" of "pizza slice"."""
        before = [c for c in self.p.children[i] if self.p.dep[c] == "compound" and c < i and self.p.tag[c] in _NOUNS]
        return before[-1] if before else None

    def _of(self, i: int) -> int | None:
        """Return the noun after "of", for "group of dogs"."""
        p = self.p
        for prep in p.kids(i, "prep"):
            if p.lower[prep] == "of":
                for obj in p.kids(prep, "pobj"):
                    if p.tag[obj] in _NOUNS:
                        return obj
        return None

    def _entity(self, i: int) -> None:
        p = self.p
        compounds = []
        j = i - 1
        while j >= 0 and p.dep[j] in ("compound", "nmod", "amod") and p.head[j] in range(j + 1, i + 1) and p.tag[j] != "CD":
            compounds.insert(0, j)
            j -= 1
        head, first = p.lemma[i], i
        if compounds and p.lower[i - 1] not in ATTRIBUTE_KINDS and wordnet.known(p.lower[i - 1] + p.lemma[i], "n"):  # "side walk"
            head, first = p.lower[i - 1] + p.lemma[i], i - 1
            compounds = compounds[:-1]
        for n in range(len(compounds)):
            if first != i:
                break
            if p.lower[compounds[n]] in ATTRIBUTE_KINDS and p.tag[compounds[n]] not in ("NN", "NNP"):
                continue
            phrase = " ".join([*(p.lower[c] for c in compounds[n:]), p.lemma[i]])
            if wordnet.known(phrase, "n"):
                head, first = phrase, compounds[n]
                break
        entity = Entity(head, p.lemma[i], p.start[first], p.end[i], plural=p.tag[i] in ("NNS", "NNPS"))
        if p.lower[i] in ("people", "men", "women", "children"):
            entity.plural = True
        for child in p.children[i]:
            if child < first or child > i:
                self._modifier(child, entity, i)
        for j in compounds:
            if j < first and p.head[j] != i:  # a compound of a compound
                self._attribute(j, entity)
            for child in p.children[j]:  # "yellow" of "yellow and black body suit" hangs from "body"
                if child < first and (p.dep[child] == "nummod" or p.lower[child] in ATTRIBUTE_KINDS):
                    self._modifier(child, entity, i)
        self.entity_of[i] = len(self.description.entities)
        self.description.entities.append(entity)

    def _modifier(self, j: int, entity: Entity, i: int) -> None:
        p = self.p
        dep, low = p.dep[j], p.lower[j]
        if dep == "nummod" or (dep in ("amod", "det", "predet", "nmod") and (low in NUMBERS or low in SEVERAL)):
            self._count(j, entity)
        elif dep == "det" and low == "no":
            entity.negated, entity.negation_span = True, (p.start[j], p.end[i])
        elif dep in ("amod", "compound", "nmod") and j < i:
            self._attribute(j, entity)
            for extra in p.children[j]:
                if p.dep[extra] in ("conj", "amod", "advmod") and p.tag[extra] in ("JJ", "NN", "VBN"):
                    self._attribute(extra, entity)
                    for more in p.kids(extra, "conj"):
                        self._attribute(more, entity)

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
        entity.count, entity.count_span = value, (p.start[j], p.end[j])

    def _group_count(self, i: int, entity: Entity) -> None:
        p, lemma = self.p, self.p.lemma[i]
        if lemma in GROUP_COUNTS:
            entity.count, entity.count_span = GROUP_COUNTS[lemma], (p.start[i], p.end[i])
        elif lemma in GROUP_NOUNS and lemma not in ("type", "kind", "sort", "form", "display"):
            crowd = lemma in ("group", "herd", "flock", "pack", "crowd", "team", "bunch") and lemma == p.lower[i]
            if entity.count is None and (entity.plural or crowd):
                entity.count, entity.count_span = "several", (p.start[i], p.end[i])
        else:
            for child in p.children[i]:
                if p.dep[child] == "nummod":
                    self._count(child, entity)
                elif p.dep[child] == "det" and p.lower[child] in ("a", "an"):
                    entity.article = True
        for child in p.children[i]:
            if child < i and p.dep[child] in ("amod", "compound") and lemma not in PICTURE_NOUNS:
                if p.lower[child] in ATTRIBUTE_KINDS and ATTRIBUTE_KINDS[p.lower[child]] != "size":
                    self._attribute(child, entity)

    def _attribute(self, j: int, entity: Entity) -> None:
        p, low = self.p, self.p.lower[j]
        if low in IGNORED_MODIFIERS or low in NUMBERS or not low[0].isalpha() or p.tag[j] in ("DT", "CD", "PRP$", "RB"):
            return
        if (j, entity.start) in self.used:
            return
        self.used.add((j, entity.start))
        start, end = p.start[j], p.end[j]
        # "cream-colored", "leaf covered", "light blue"
        kind = ATTRIBUTE_KINDS.get(low)
        value = ATTRIBUTE_VALUES.get(low, low)
        if kind is None:
            for piece in re.split("-", low):
                if piece in ATTRIBUTE_KINDS and ATTRIBUTE_KINDS[piece] in ("colour", "material"):
                    kind, value = ATTRIBUTE_KINDS[piece], ATTRIBUTE_VALUES[piece]
        if kind is None and p.tag[j] in _VERBS:
            kind, value = "state", p.lemma[j]
        elif kind is None and p.tag[j] in _NOUNS:
            kind, value = "attribute", p.lemma[j]
        entity.attributes.append(Attribute(kind or "attribute", value, start, end))

    # who does what

    def _noun(self, i: int) -> int | None:
        """Return the entity that a noun or pronoun stands for."""
        p = self.p
        if i in self.entity_of:
            return self.entity_of[i]
        if p.lower[i] in ("which", "that", "who", "whom") :
            verb = p.head[i]
            while p.dep[verb] not in ("relcl", "ROOT") and p.head[verb] != verb:
                verb = p.head[verb]
            if p.dep[verb] == "relcl":
                return self._noun(p.head[verb])
        if p.lower[i] in _PERSON_PRONOUNS or p.lower[i] in _THING_PRONOUNS:
            person = p.lower[i] in _PERSON_PRONOUNS
            for n, entity in enumerate(self.description.entities):
                if entity.start >= p.start[i]:
                    break
                if (wordnet.fields(entity.head)[:1] == ("person",) or entity.head in ("person", "man", "woman")) == person:
                    return n
            if self.description.entities and self.description.entities[0].start < p.start[i]:
                return 0
        return None

    def _nouns(self, i: int) -> list[int]:
        """Return the entities of a noun and of what "and" joins to it."""
        found = []
        stack = [i]
        while stack:
            j = stack.pop(0)
            n = self._noun(j)
            if n is not None and n not in found:
                found.append(n)
            stack += [c for c in self.p.children[j] if self.p.dep[c] == "conj"]
        return found

    def _subjects(self, verb: int, depth: int = 0) -> list[int]:
        """Return the entities that do what a verb says."""
        p = self.p
        if verb in self.subjects_of:
            return self.subjects_of[verb]
        if depth > 12:
            return []
        found: list[int] = []
        named = p.kids(verb, "nsubj", "csubj", "expl", "nsubjpass")
        passive = bool(p.kids(verb, "nsubjpass")) or (p.tag[verb] == "VBN" and p.dep[verb] == "acl")
        if passive:
            for agent in p.kids(verb, "agent"):
                for obj in p.kids(agent, "pobj"):
                    found += self._nouns(obj)
        elif named:
            for subject in named:
                found += self._nouns(subject)
            if not found and p.dep[verb] == "relcl":
                found = self._nouns(p.head[verb])
        elif p.dep[verb] in ("acl", "relcl"):
            found = self._nouns(p.head[verb])[:1]
            if found and p.tag[verb] == "VBG" and not self._acts(found[0]):
                above = [n for n in self._chain(p.head[verb]) if self._acts(n)]
                found = above[:1] or found
        elif p.dep[verb] in ("conj", "advcl", "xcomp", "ccomp", "pcomp", "dep") and p.head[verb] != verb:
            head = p.head[verb]
            if p.tag[head] in _VERBS or p.tag[head] == "JJ":
                obj = p.kids(head, "dobj")
                if p.dep[verb] in ("xcomp", "ccomp") and obj and p.lemma[head] in ("see", "watch", "show", "have", "keep"):
                    found = self._nouns(obj[0])
                else:
                    found = self._subjects(head, depth + 1) or self._patients(head)
            elif p.dep[head] == "prep":
                found = self._owner(head)[0]
            elif head in self.entity_of:
                found = [self.entity_of[head]]
        self.subjects_of[verb] = found
        return found

    def _acts(self, n: int) -> bool:
        """Whether a thing can act by itself: a person, an animal, a vehicle."""
        entity = self.description.entities[n]
        if entity.base in ("person", "man", "woman", "animal", "people"):
            return True
        field = (wordnet.fields(entity.head) or wordnet.fields(entity.base))[:1]
        return field in (("person",), ("animal",), ("group",)) or wordnet.is_a(entity.base, "vehicle", "n")

    def _patients(self, verb: int) -> list[int]:
        """Return the entities to which is done what a passive verb says."""
        p = self.p
        passive = p.kids(verb, "nsubjpass")
        if passive:
            found = []
            for subject in passive:
                found += self._nouns(subject)
            return found or (self._nouns(p.head[verb])[:1] if p.dep[verb] == "relcl" else [])
        if p.tag[verb] == "VBN" and p.dep[verb] == "acl":
            return self._nouns(p.head[verb])[:1]
        if p.tag[verb] == "VBN" and p.dep[verb] in ("conj", "advcl") and p.tag[p.head[verb]] == "VBN":
            return self._patients(p.head[verb])
        return []

    def _verbs(self) -> None:
        p = self.p
        for i, tag in enumerate(p.tag):
            if tag not in _VERBS or p.dep[i] in ("aux", "auxpass", "amod", "compound", "prep", "punct", "nmod"):
                if tag == "JJ" and p.dep[i] in ("acomp", "relcl", "oprd", "acl", "ROOT", "conj"):
                    self._predicative(i)
                continue
            if p.tag[i] in ("JJ",):
                continue
            lemma = p.lemma[i]
            negated = bool(p.kids(i, "neg"))
            subjects, patients = self._subjects(i), self._patients(i)
            if lemma == "be" or lemma == "'":
                self._copula(i, subjects, negated)
                continue
            if lemma == "look" and p.kids(i, "acomp"):
                continue
            particles = p.kids(i, "prt")
            name = " ".join([lemma, *(p.lower[c] for c in particles)])
            objects: list[tuple[int, int]] = [(n, c) for c in p.kids(i, "dobj", "dative") for n in self._nouns(c)]
            if patients and subjects:
                objects = [(n, i) for n in patients]
            elif patients:
                # "a car is parked", "a table covered with food": a state of the patient
                subjects, objects = patients, []
            if lemma == "wear":
                for c in p.kids(i, "dobj"):
                    if c not in self.entity_of and low_colour(p.lower[c]):
                        for n in subjects:
                            self._attribute(c, self.description.entities[n])
            if not subjects and not objects:
                continue
            start, end = p.start[i], max([p.end[i], *(p.end[c] for c in particles)])
            for subject in subjects or [None]:  # type: ignore[list-item]
                for n, token in objects or [(None, i)]:
                    stop = p.end[token] if n is not None and token >= i else end
                    if subject is not None and subject == n:
                        continue
                    self.description.relations.append(
                        Relation("action", name, subject, n, start, max(stop, end), negated, lemma)
                    )

    def _copula(self, i: int, subjects: list[int], negated: bool) -> None:
        """Take what stands after "is": a noun makes no second thing worth comparing, a number is a count."""

    def _predicative(self, i: int) -> None:
        """Take an adjective after a verb as an attribute of the verb's subject."""
        p = self.p
        head = p.head[i]
        if p.dep[i] in ("relcl", "acl"):
            owners = self._nouns(head)[:1]
        elif p.dep[i] == "ROOT" or p.tag[head] not in _VERBS:
            owners = self._subjects(i)
        else:
            owners = self._subjects(head) or self._patients(head)
        for n in owners:
            self._attribute(i, self.description.entities[n])

    # what stands where

    def _owner(self, prep: int) -> tuple[list[int], list[int]]:
        """Return the entities that a preposition places, and others that it may place instead."""
        p, head = self.p, self.p.head[prep]
        steps = 0
        while (p.dep[head] in ("prep", "advmod", "prt", "npadvmod", "acomp", "pcomp") or p.tag[head] in ("RB", "IN")) and steps < 6:
            if head in self.entity_of:
                break
            if p.dep[head] == "ROOT" or p.head[head] == head:
                break
            head, steps = p.head[head], steps + 1
        if head in self.entity_of:
            return [self.entity_of[head]], []
        if p.tag[head] in _VERBS or p.tag[head] in ("JJ", "RB", "IN"):
            objects = [n for c in p.kids(head, "dobj", "attr") for n in self._nouns(c)]
            subjects = self._patients(head) or self._subjects(head)
            if objects and p.lemma[head] in ("have", "feature", "contain", "show", "see"):
                return objects, subjects
            return (subjects, objects) if subjects else (objects, [])
        if p.tag[head] in _NOUNS and p.head[head] != head:
            return self._owner(head) if steps < 6 and p.dep[head] != "ROOT" else ([], [])
        return [], []

    def _prepositions(self) -> None:
        p = self.p
        done: set[int] = set()
        for i in range(len(p.tag)):
            if i in done or p.dep[i] == "agent" or p.tag[i] not in ("IN", "RB", "TO", "RP", "JJ", "VBG", "RBR"):
                continue
            for name, objects, last, tokens in self._phrases(i):
                done.update(tokens)
                if not objects and name.startswith("@"):
                    for n in self._owner(i)[0]:
                        self.description.relations.append(
                            Relation("relation", name[1:], n, None, p.start[i], p.end[last], word=name[1:])
                        )
                    continue
                owners, others = self._owner(i)
                between = [n for n, e in enumerate(self.description.entities)
                           if e.start < p.start[i] and owners and e.start > self.description.entities[owners[0]].start]
                alternatives = tuple(
                    dict.fromkeys(n for n in [*self._chain(i), *others, *between] if n not in owners and n not in objects)
                )
                verb = self._governs(i, name)
                if verb is not None and self._oblique(verb, name, objects, p.end[last], negated=bool(p.kids(verb, "neg"))):
                    continue
                for obj in objects:
                    for owner in owners:
                        if owner != obj:
                            self.description.relations.append(
                                Relation("relation", name, owner, obj, p.start[i], p.end[last], word=p.lower[i],
                                         alternatives=alternatives)
                            )
                    if name == "without":
                        entity = self.description.entities[obj]
                        entity.negated, entity.negation_span = True, (p.start[i], p.end[last])

    def _governs(self, i: int, name: str) -> int | None:
        """Return the verb whose action a preposition completes, as in "look at"."""
        p, head = self.p, self.p.head[i]
        if p.tag[head] in ("RB", "RP") and p.head[head] != head:
            head = p.head[head]
        return head if p.tag[head] in _VERBS and name in OBLIQUE.get(p.lemma[head], ()) else None

    def _oblique(self, verb: int, name: str, objects: list[int], end: int, *, negated: bool) -> bool:
        """Give the object of "look at" to the action "look"; false where the verb has another object."""
        p = self.p
        mine = [r for r in self.description.relations if r.kind == "action" and r.start == p.start[verb]]
        if not mine or any(r.object is not None for r in mine):
            return False
        for r in mine:
            self.description.relations.remove(r)
            for obj in objects:
                if obj != r.subject:
                    self.description.relations.append(
                        Relation("action", r.predicate, r.subject, obj, r.start, max(end, r.end), negated, r.word)
                    )
        return True

    def _chain(self, i: int) -> list[int]:
        """Return every thing above a preposition in its clause: all that it may belong to."""
        p, found, j = self.p, [], self.p.head[i]
        for _ in range(12):
            if j in self.entity_of:
                found.append(self.entity_of[j])
            elif p.tag[j] in _VERBS:
                found += self._subjects(j) + self._patients(j)
                found += [n for c in p.kids(j, "dobj", "attr", "prep") for n in (self._nouns(c) if p.dep[c] != "prep" else
                          [m for o in p.kids(c, "pobj") if c < i for m in self._nouns(o)])]
            if p.head[j] == j:
                break
            j = p.head[j]
        return list(dict.fromkeys(found))

    def _phrases(self, i: int) -> list[tuple[str, list[int], int, list[int]]]:
        """Return what a preposition states: relation, objects, last token, tokens of the preposition."""
        p = self.p
        found = []
        for prep in p.kids(i, "prep"):
            words = f"{p.lower[i]} {p.lower[prep]}"
            if words in PREPOSITIONS:
                for obj in p.kids(prep, "pobj"):
                    nouns = self._nouns(obj)
                    if nouns:
                        found.append((PREPOSITIONS[words], nouns, obj, [i, prep]))
        words = f"{p.lower[i - 1]} {p.lower[i]}" if i else ""
        if not found and p.lower[i - 1] in _BEFORE and words in PREPOSITIONS:
            found += [(PREPOSITIONS[words], self._nouns(o), o, [i]) for o in p.kids(i, "pobj") if self._nouns(o)]
        for prep in [i, *p.kids(i, "prep")]:
            for obj in p.kids(prep, "pobj"):
                if p.lower[obj] in ("other", "another") and any(p.lower[c] in ("each", "one") for c in p.children[obj]):
                    words = p.lower[i] if prep == i else f"{p.lower[i]} {p.lower[prep]}"
                    name = PREPOSITIONS.get(words)
                    if p.lower[i - 1] in _BEFORE:
                        name = PREPOSITIONS.get(f"{p.lower[i - 1]} {words}", name)
                    if name:
                        return [(f"@{name} each other", [], obj, [i, prep])]
        if found or p.dep[i] not in ("prep", "advmod", "mark", "pcomp", "dative", "conj", "acomp", "amod", "ROOT", "relcl", "advcl", "acl"):
            return found
        for obj in p.kids(i, "pobj"):
            name = PREPOSITIONS.get(p.lower[i])
            if p.lemma[obj] in PLACE_NOUNS and obj not in self.entity_of:
                inner = [(c, o) for c in p.kids(obj, "prep") for o in p.kids(c, "pobj") if p.lower[c] == "of"]
                phrase = f"{p.lower[i]} {p.lower[obj]} of"
                if not inner:
                    if p.lemma[obj] in ("background", "foreground", "distance", "air", "middle"):
                        found.append((f"@in {p.lemma[obj]}", [], obj, [i]))
                    continue
                for c, o in inner:
                    above = [n for n in self._chain(i) if n not in self._owner(i)[0]]
                    full = PREPOSITIONS.get(phrase) or PREPOSITIONS.get(f"{p.lower[i]} the {p.lower[obj]} of") or name
                    nouns = (above[:1] if p.lower[o] in ("it", "them") else []) or self._nouns(o)
                    if full and nouns:
                        found.append((full, nouns, o, [i, c]))
                continue
            if low_colour(p.lower[obj]) and obj not in self.entity_of and p.lower[i] == "in":
                for n in self._owner(i)[0]:
                    for j in [obj, *p.kids(obj, "conj")]:
                        self._attribute(j, self.description.entities[n])
                continue
            nouns = self._nouns(obj)
            if p.lower[obj] in ("it", "them"):
                above = [n for n in self._chain(i) if n not in self._owner(i)[0]]
                nouns = above[:1] or nouns
            if name == "of" and nouns:
                head = p.head[i]
                if head in self.entity_of and self.entity_of[head] in nouns:
                    continue
            if name and nouns:
                found.append((name, nouns, obj, [i]))
        return found

    def _written(self) -> None:
        for match in _WRITTEN.finditer(self.description.text):
            group = 1 if match[1] is not None else 2
            value = " ".join(match[group].lower().split())
            if value:
                self.description.written.append(Attribute("text", value, match.start(group), match.end(group)))


def describe(doc: Any, text: str) -> Description:
    """Return the slots of a parsed caption.

    Args:
        doc: spaCy's parse of the caption, or of a copy of the same length without tags and signs.
        text: The caption; spans point into it.
    """
    return _Describer(doc, text).run()
