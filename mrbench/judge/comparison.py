"""Verdicts on who does what to whom and what stands where, and on every grain of a query."""

from __future__ import annotations

from mrbench.grains import Description, Grain, Relation, Slot, wordnet
from mrbench.grains.words import INVERSE
from mrbench.judge.meanings import FAR_VERB, Meanings, exclusive_verbs
from mrbench.judge.predicates import Predicates, apart, verb_of
from mrbench.judge.things import Things
from mrbench.judge.verdicts import KEPT, UNKNOWN, VIOLATED, all_of

_LOOSELY = "loosely"
"""The candidate says it in vague words, such as "with": kept, unless it also says something that excludes it."""


class Comparison(Things):
    """One query caption against one caption of a candidate.

    Args:
        query, candidate: The captions.
        meanings: Compares words.
    """

    def __init__(self, query: Description, candidate: Description, meanings: Meanings) -> None:
        super().__init__(query, candidate, meanings)
        self.predicates = Predicates(meanings, query.words, candidate.words)

    def grain(self, grain: Grain) -> str:
        """Judge one grain of the query."""
        return all_of(self._slot(slot) for slot in grain.slots)

    def _slot(self, slot: Slot) -> str:
        table, row, column = slot
        if table == "attribute":
            return self.attribute(row, self.q.entities[row].attributes[column])
        if table == "relation":
            return self.relation(self.q.relations[row])
        judge = {"entity": self.entity, "count": self.count, "negation": self.negation, "text": self.text}[table]
        return judge(row)

    def relation(self, r: Relation) -> str:
        """Judge an action or a relation."""
        if r.subject is None:
            return self._done_to(r)
        if r.object is not None:
            return self._between(r, r.subject, r.object)
        return self._does(r) if r.kind == "action" else self._stands(r, r.subject)

    def _between(self, r: Relation, a: int, b: int) -> str:
        subjects = self.partners(a)
        found = {answer for s in self.c.relations for answer in [self._compare(r, s, a, b)] if answer is not None}
        if KEPT in found:
            return KEPT
        if VIOLATED in found:
            return VIOLATED
        if _LOOSELY in found:
            return KEPT
        contrary = r.kind == "action" and any(self._opposite(r, j) for j in subjects)
        return VIOLATED if contrary else self._displaced(r, a, b)

    def _compare(self, r: Relation, s: Relation, a: int, b: int) -> str | None:
        """Return what a relation of the candidate does to r; None where it is between other things, or allows r."""
        subjects, objects = self.partners(a), self.partners(b)
        if s.subject is None or s.object is None or not subjects:
            return None
        direct = s.subject in subjects or not set(s.alternatives).isdisjoint(subjects)
        if s.object in objects and (direct or s.subject in {j for k in r.alternatives for j in self.partners(k)}):
            if self.c.entities[s.object].negated != self.q.entities[b].negated:  # "with no helmet"
                return VIOLATED
            if self.predicates.state(r, s):
                return KEPT if r.predicate == s.predicate or r.kind == s.kind == "action" else _LOOSELY
            told = direct or r.kind == s.kind == "relation"
            return VIOLATED if told and not self.predicates.allow(r, s) else None
        if s.object in subjects and s.subject in objects:
            if self.predicates.state_turned(r, s):
                exact = r.predicate == s.predicate or s.predicate in INVERSE.get(r.predicate, ())
                return KEPT if exact else _LOOSELY
            return None if self.predicates.allow_turned(r, s) else VIOLATED
        return None

    def _opposite(self, r: Relation, j: int) -> bool:
        """Return True where a thing of the candidate has an attribute that denies an action: "empty" for "filled"."""
        values = [y.value for y in self.c.entities[j].attributes if not (y.negated or r.negated)]
        return any(wordnet.antonyms(verb_of(r), value, part) for value in values for part in "va")

    def _displaced(self, r: Relation, a: int, b: int) -> str:
        """Look for another thing in the subject's or object's place."""
        subjects, objects = self.partners(a), self.partners(b)
        others = {j for k in r.alternatives for j in self.partners(k)}
        for s in self.c.relations:
            if s.kind != r.kind or s.subject is None or s.object is None or s.negated or r.negated:
                continue
            if s.predicate != r.predicate and not (s.kind == "action" and self.predicates.state(r, s)):
                continue
            elsewhere = s.subject not in (*subjects, *others) and set(s.alternatives).isdisjoint(subjects)
            if s.object in objects and elsewhere and self.replaces(s.subject, a):
                return VIOLATED
            if s.subject in subjects and s.object not in objects and self.replaces(s.object, b):
                return VIOLATED
        return UNKNOWN

    def _done_to(self, r: Relation) -> str:
        """Judge an action of which the query does not say who does it."""
        objects = self.partners(r.object)
        stated = any(
            s.object in objects and self.predicates.state(r, s) for s in self.c.relations if s.kind == "action"
        )
        return KEPT if stated else UNKNOWN

    def _stands(self, r: Relation, a: int) -> str:
        """Judge a relation without an object: "in the background", "next to each other"."""
        subjects = self.partners(a)
        said = {s.negated for s in self.c.relations if s.predicate == r.predicate and s.subject in subjects}
        if said:
            return KEPT if r.negated in said else VIOLATED
        asked, _, mutual = r.predicate.partition(" each ")
        for s in self.c.relations if subjects and not r.negated else []:
            if s.negated:
                continue
            other, _, too = s.predicate.partition(" each ")
            if mutual and too and s.subject in subjects and apart(asked, other):
                return VIOLATED
            replaced = not mutual and s.predicate == r.predicate and s.subject is not None
            if replaced and self.replaces(s.subject, a):  # type: ignore[arg-type]
                return VIOLATED
        return UNKNOWN

    def _does(self, r: Relation) -> str:
        """Judge an action without an object: violated where the subject does what excludes it."""
        subjects = self.partners(r.subject)
        contrary = False
        for s in self.c.relations:
            if s.kind != "action" or not (s.subject in subjects or (s.subject is None and s.object in subjects)):
                continue
            answer = self.m.verb(r.predicate, s.predicate)
            if answer in ("same", "near"):
                if s.negated == r.negated:
                    return KEPT
                contrary = True
            elif (
                answer == "distinct" and not (r.negated or s.negated) and not self.m.mentions(r.predicate, self.c.words)
            ):
                contrary = contrary or self._in_its_place(r, s)
        for y in (y for j in subjects for y in self.c.entities[j].attributes):
            if y.kind == "state" and self.m.verb(r.predicate, y.value) in ("same", "near"):
                if y.negated == r.negated:
                    return KEPT
                contrary = True
        return VIOLATED if contrary or any(self._opposite(r, j) for j in subjects) else UNKNOWN

    def _in_its_place(self, r: Relation, s: Relation) -> bool:
        """Return True where a thing that does s does not do r: another posture, or a verb not in the query."""
        if exclusive_verbs(r.predicate, s.predicate):
            return True
        if self.m.mentions(s.predicate, self.q.words):
            return False
        rest = [x.predicate for x in self.q.relations if x.kind == "action" and x is not r]
        known = any(self.m.verb(x, s.predicate) in ("same", "near") for x in rest)
        return not known and self.m.cosine(r.predicate, s.predicate) < FAR_VERB
