"""What stands where: the relations that prepositions state."""

from __future__ import annotations

from typing import NamedTuple

from mrbench.grains.clauses import Clauses
from mrbench.grains.description import Relation
from mrbench.grains.negation import denial, denied_verb
from mrbench.grains.things import is_colour
from mrbench.grains.tokens import VERB_TAGS
from mrbench.grains.words import LIGHT_VERBS, OBLIQUE, PLACE_NOUNS, PREPOSITIONS

_BEFORE = frozenset({"far", "away", "close", "next", "adjacent", "near"})
_TAGS = frozenset({"IN", "RB", "TO", "RP", "JJ", "VBG", "RBR"})
_ROLES = frozenset(
    {"prep", "advmod", "mark", "pcomp", "dative", "conj", "acomp", "amod", "ROOT", "relcl", "advcl", "acl"}
)
_PLACES_ALONE = frozenset({"background", "foreground", "distance", "air", "middle"})


class _Phrase(NamedTuple):
    """What one preposition states: relation, objects (none for "in the background"), last token, its own tokens."""

    name: str
    objects: list[int]
    last: int
    tokens: list[int]


class Places(Clauses):
    """Finds the relations of one parse; things and actions have to be found before."""

    def find_places(self) -> None:
        """Add the relation that every preposition states."""
        p = self.p
        done: set[int] = set()
        for i in range(len(p.tag)):
            if i in done or p.dep[i] == "agent" or p.tag[i] not in _TAGS:
                continue
            for phrase in self._phrases(i):
                done.update(phrase.tokens)
                self._state(i, phrase)

    def _state(self, i: int, phrase: _Phrase) -> None:
        p, (name, objects, last, _) = self.p, phrase
        owners, others = self.owner(i)
        no, verb = denial(p, i), denied_verb(p, i)
        start, end, relations = p.start[i if no is None else min(no, i)], p.end[last], self.description.relations
        if objects and self._oblique(i, phrase):
            return
        if no is not None and verb is not None and p.lemma[verb] not in LIGHT_VERBS and name != "of":
            return  # "not smiling in a park" may be in the park or not
        negated = no is not None
        if not objects:
            relations.extend(Relation("relation", name, n, None, start, end, negated, name) for n in owners)
            return
        alternatives = self._alternatives(i, owners, others, objects)
        for obj in objects:
            for owner in owners:
                if owner != obj:
                    relations.append(
                        Relation("relation", name, owner, obj, start, end, negated, p.lower[i], alternatives)
                    )
            if name == "without":
                entity = self.description.entities[obj]
                entity.negated, entity.negation_span = True, (start, end)

    def _alternatives(self, i: int, owners: list[int], others: list[int], objects: list[int]) -> tuple[int, ...]:
        """Return the other things that a preposition may place: above it, or between its owner and itself."""
        entities = self.description.entities
        between = [
            n
            for n, entity in enumerate(entities)
            if owners and entities[owners[0]].start < entity.start < self.p.start[i]
        ]
        found = [*self.chain(i), *others, *between]
        return tuple(dict.fromkeys(n for n in found if n not in owners and n not in objects))

    def _oblique(self, i: int, phrase: _Phrase) -> bool:
        """Give the object of "look at" to the action "look"; false where the preposition is no part of an action."""
        p, head = self.p, self.p.head[i]
        if p.tag[head] in ("RB", "RP") and p.head[head] != head:
            head = p.head[head]
        if p.tag[head] not in VERB_TAGS or phrase.name not in OBLIQUE.get(p.lemma[head], ()):
            return False
        relations = self.description.relations
        mine = [r for r in relations if r.kind == "action" and r.start == p.start[head]]
        if not mine or any(r.object is not None for r in mine):
            return False
        for r in mine:
            relations.remove(r)
            end = max(p.end[phrase.last], r.end)
            relations.extend(
                Relation("action", r.predicate, r.subject, obj, r.start, end, r.negated, r.word)
                for obj in phrase.objects
                if obj != r.subject
            )
        return True

    def _phrases(self, i: int) -> list[_Phrase]:
        found = self._two_words(i) or self._each_other(i)
        if found or self.p.dep[i] not in _ROLES:
            return found
        return [phrase for obj in self.p.kids(i, "pobj") for phrase in self._one_word(i, obj)]

    def _two_words(self, i: int) -> list[_Phrase]:
        """Read "next to", "out of", "far from"."""
        p, found = self.p, []
        for prep in p.kids(i, "prep"):
            name = PREPOSITIONS.get(f"{p.lower[i]} {p.lower[prep]}")
            if name:
                found += [_Phrase(name, self.nouns(obj), obj, [i, prep]) for obj in p.kids(prep, "pobj")]
        if not found and i and p.lower[i - 1] in _BEFORE:
            name = PREPOSITIONS.get(f"{p.lower[i - 1]} {p.lower[i]}")
            if name:
                found += [_Phrase(name, self.nouns(obj), obj, [i]) for obj in p.kids(i, "pobj")]
        return [phrase for phrase in found if phrase.objects]

    def _each_other(self, i: int) -> list[_Phrase]:
        """Read "next to each other": a relation among the things of the subject."""
        p = self.p
        for prep in [i, *p.kids(i, "prep")]:
            for obj in p.kids(prep, "pobj"):
                if p.lower[obj] in ("other", "another") and any(p.lower[c] in ("each", "one") for c in p.children[obj]):
                    words = p.lower[i] if prep == i else f"{p.lower[i]} {p.lower[prep]}"
                    name = PREPOSITIONS.get(words)
                    if i and p.lower[i - 1] in _BEFORE:
                        name = PREPOSITIONS.get(f"{p.lower[i - 1]} {words}", name)
                    if name:
                        return [_Phrase(f"{name} each other", [], obj, [i, prep])]
        return []

    def _one_word(self, i: int, obj: int) -> list[_Phrase]:
        p, name = self.p, PREPOSITIONS.get(self.p.lower[i])
        if p.lemma[obj] in PLACE_NOUNS and obj not in self.entity_of:
            return self._place_noun(i, obj)
        if name == "in" and is_colour(p.lower[obj]) and obj not in self.entity_of:  # "dressed in black"
            for n in self.owner(i)[0]:
                for j in [obj, *p.kids(obj, "conj")]:
                    self.add_attribute(j, self.description.entities[n])
            return []
        nouns = self._objects(i, obj)
        own = self.entity_of.get(p.head[i])
        if not name or not nouns or (name == "of" and own in nouns):  # "group of dogs" is one thing
            return []
        return [_Phrase(name, nouns, obj, [i])]

    def _place_noun(self, i: int, obj: int) -> list[_Phrase]:
        """Read "in front of a car" and "in the background"."""
        p, found = self.p, []
        inner = [(c, o) for c in p.kids(obj, "prep") for o in p.kids(c, "pobj") if p.lower[c] == "of"]
        if not inner:
            alone = p.lemma[obj] in _PLACES_ALONE
            return [_Phrase(f"in {p.lemma[obj]}", [], obj, [i])] if alone else []
        words = (f"{p.lower[i]} {p.lower[obj]} of", f"{p.lower[i]} the {p.lower[obj]} of", p.lower[i])
        name = next((PREPOSITIONS[phrase] for phrase in words if phrase in PREPOSITIONS), None)
        for c, o in inner:
            nouns = self._objects(i, o)
            if name and nouns:
                found.append(_Phrase(name, nouns, o, [i, c]))
        return found

    def _objects(self, i: int, obj: int) -> list[int]:
        """Return the things of a preposition's object; "it" is the next thing above what the preposition places."""
        if self.p.lower[obj] in ("it", "them"):
            owners = self.owner(i)[0]
            above = [n for n in self.chain(i) if n not in owners]
            if above:
                return above[:1]
        return self.nouns(obj)
