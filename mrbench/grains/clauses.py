"""Who does what, to whom."""

from __future__ import annotations

from mrbench.grains.description import Relation
from mrbench.grains.negation import denial
from mrbench.grains.things import Things, is_colour
from mrbench.grains.tokens import NOUN_TAGS, VERB_TAGS, Parse

_SHOWING = ("have", "feature", "contain", "show", "see")
"""Verbs after which a phrase speaks of the object: "the table has a salad on it"."""
_PERCEIVING = ("see", "watch", "show", "have", "keep")
"""Verbs whose object does what the next verb says: "a man watching a dog run"."""
_HAVING = frozenset({"be", "have", "wear", "contain", "feature", "show"})
"""Verbs whose denial says that the object is not there: "there is not a dog", "does not wear a hat"."""
_LACKING = frozenset({"lack", "miss"})
_NO_ACTION = frozenset({"aux", "auxpass", "amod", "compound", "prep", "punct", "nmod"})
_BETWEEN = frozenset({"prep", "advmod", "prt", "npadvmod", "acomp", "pcomp"})
_MAX_DEPTH = 12
_MAX_STEPS = 6


class Clauses(Things):
    """Finds the actions of one parse; the things have to be found before."""

    def __init__(self, parse: Parse, text: str) -> None:
        super().__init__(parse, text)
        self._subjects_of: dict[int, list[int]] = {}

    def subjects(self, verb: int, depth: int = 0) -> list[int]:
        """Return the entities that do what a verb says."""
        if verb not in self._subjects_of:
            self._subjects_of[verb] = self._find_subjects(verb, depth) if depth <= _MAX_DEPTH else []
        return self._subjects_of[verb]

    def _find_subjects(self, verb: int, depth: int) -> list[int]:
        p = self.p
        named = p.kids(verb, "nsubj", "csubj", "expl", "nsubjpass")
        if p.kids(verb, "nsubjpass") or (p.tag[verb] == "VBN" and p.dep[verb] == "acl"):
            agents = [obj for agent in p.kids(verb, "agent") for obj in p.kids(agent, "pobj")]
            return [n for obj in agents for n in self.nouns(obj)]
        if named:
            found = [n for subject in named for n in self.nouns(subject)]
            return found or (self.nouns(p.head[verb]) if p.dep[verb] == "relcl" else [])
        if p.dep[verb] in ("acl", "relcl"):
            found = self.nouns(p.head[verb])[:1]
            if found and p.tag[verb] == "VBG" and not self.acts(found[0]):  # "a child in a shirt brushing teeth"
                found = [n for n in self.chain(p.head[verb]) if self.acts(n)][:1] or found
            return found
        if p.dep[verb] in ("conj", "advcl", "xcomp", "ccomp", "pcomp", "dep") and p.head[verb] != verb:
            return self._subjects_above(verb, depth)
        return []

    def _subjects_above(self, verb: int, depth: int) -> list[int]:
        """Return the subjects of a verb that has none of its own from what it depends on."""
        p, head = self.p, self.p.head[verb]
        if p.tag[head] in VERB_TAGS or p.tag[head] == "JJ":
            objects = p.kids(head, "dobj")
            if objects and p.dep[verb] in ("xcomp", "ccomp") and p.lemma[head] in _PERCEIVING:
                return self.nouns(objects[0])
            return self.subjects(head, depth + 1) or self.patients(head)
        if p.dep[head] == "prep":
            return self.owner(head)[0]
        return [self.entity_of[head]] if head in self.entity_of else []

    def patients(self, verb: int) -> list[int]:
        """Return the entities to which is done what a passive verb says."""
        p = self.p
        passive = p.kids(verb, "nsubjpass")
        if passive:
            found = []
            for subject in passive:
                found += self.nouns(subject)
            return found or (self.nouns(p.head[verb])[:1] if p.dep[verb] == "relcl" else [])
        if p.tag[verb] == "VBN" and p.dep[verb] == "acl":
            return self.nouns(p.head[verb])[:1]
        if p.tag[verb] == "VBN" and p.dep[verb] in ("conj", "advcl") and p.tag[p.head[verb]] == "VBN":
            return self.patients(p.head[verb])
        return []

    def find_actions(self) -> None:
        """Add the action of every verb, and the attribute of every adjective after a verb."""
        p = self.p
        for i, tag in enumerate(p.tag):
            if tag in VERB_TAGS and p.lemma[i] in _HAVING:
                self._deny_objects(i)
            if tag == "JJ" and p.dep[i] in ("acomp", "relcl", "oprd", "acl", "ROOT", "conj"):
                self._predicative(i)
            elif tag in VERB_TAGS and p.dep[i] not in _NO_ACTION and p.lemma[i] not in ("be", "'"):
                self._action(i)

    def _deny_objects(self, verb: int) -> None:
        """Mark what a denied "have" or "there is" has as not there; where it is counted, only the count is denied."""
        p, no = self.p, denial(self.p, verb)
        if no is None:
            return
        for c in p.kids(verb, "dobj", "attr"):
            entity = self.description.entities[self.entity_of[c]] if c in self.entity_of else None
            if entity is None or entity.start < p.start[no]:
                continue
            if entity.count is not None and entity.count_span is not None:
                entity.count_negated, entity.count_span = True, (p.start[no], entity.count_span[1])
            elif not any(p.lower[d] in ("the", "this", "that") for d in p.kids(c, "det")):
                entity.negated, entity.negation_span = True, (p.start[no], p.end[c])

    def _action(self, i: int) -> None:
        p = self.p
        if p.lemma[i] == "look" and p.kids(i, "acomp"):  # "looking pensive"
            return
        subjects, patients = self.subjects(i), self.patients(i)
        particles = p.kids(i, "prt")
        objects: list[tuple[int, int]] = [(n, c) for c in p.kids(i, "dobj", "dative") for n in self.nouns(c)]
        if patients and subjects:
            objects = [(n, i) for n in patients]
        elif patients:  # "a car is parked": a state of the car
            subjects, objects = patients, []
        if p.lemma[i] in _LACKING:
            for n, token in objects:
                entity = self.description.entities[n]
                entity.negated, entity.negation_span = True, (p.start[i], max(p.end[i], p.end[token]))
        if p.lemma[i] == "wear":
            self._worn_colours(i, subjects)
        if not subjects and not objects:
            return
        name = " ".join([p.lemma[i], *(p.lower[c] for c in particles)])
        end = max([p.end[i], *(p.end[c] for c in particles)])
        negated = denial(p, i) is not None
        pairs = [(s, n, token) for s in subjects or [None] for n, token in objects or [(None, i)]]  # type: ignore[list-item]
        for subject, n, token in pairs:
            if subject is None or subject != n:
                stop = max(end, p.end[token]) if n is not None else end
                self.description.relations.append(
                    Relation("action", name, subject, n, p.start[i], stop, negated, p.lemma[i])
                )

    def _worn_colours(self, verb: int, subjects: list[int]) -> None:
        """Take "red" in "a man wearing red" as a colour of the man."""
        for c in self.p.kids(verb, "dobj"):
            if c not in self.entity_of and is_colour(self.p.lower[c]):
                for n in subjects:
                    self.add_attribute(c, self.description.entities[n])

    def _predicative(self, i: int) -> None:
        """Take an adjective after a verb as an attribute of the verb's subject."""
        p, first = self.p, i
        for _ in range(_MAX_STEPS):  # "white" of "black and white"
            if p.dep[first] == "conj" and p.tag[p.head[first]] == "JJ":
                first = p.head[first]
        head = p.head[first]
        if p.dep[first] in ("relcl", "acl"):
            owners = self.nouns(head)[:1]
        elif p.dep[first] == "ROOT" or p.tag[head] not in VERB_TAGS:
            owners = self.subjects(first)
        else:
            owners = self.subjects(head) or self.patients(head)
        for n in owners:
            self.add_attribute(i, self.description.entities[n])

    def owner(self, prep: int) -> tuple[list[int], list[int]]:
        """Return the entities that a preposition places, and others that it may place instead."""
        p, head = self.p, self.p.head[prep]
        for _ in range(_MAX_STEPS):
            if head in self.entity_of:
                return [self.entity_of[head]], []
            if p.head[head] == head or not (p.dep[head] in _BETWEEN or p.tag[head] in ("RB", "IN")):
                break
            head = p.head[head]
        if head in self.entity_of:
            return [self.entity_of[head]], []
        if p.tag[head] in VERB_TAGS or p.tag[head] in ("JJ", "RB", "IN"):
            objects = [n for c in p.kids(head, "dobj", "attr") for n in self.nouns(c)]
            subjects = self.patients(head) or self.subjects(head)
            if not subjects or (objects and p.lemma[head] in _SHOWING):
                return objects, subjects
            return subjects, objects
        if p.tag[head] in NOUN_TAGS and p.head[head] != head:
            return self.owner(head)
        return [], []

    def chain(self, i: int) -> list[int]:
        """Return every thing above a preposition in its clause: all that it may belong to."""
        p, found, j = self.p, [], self.p.head[i]
        for _ in range(_MAX_DEPTH):
            if j in self.entity_of:
                found.append(self.entity_of[j])
            elif p.tag[j] in VERB_TAGS:
                found += self.subjects(j) + self.patients(j)
                before = [o for c in p.kids(j, "prep") if c < i for o in p.kids(c, "pobj")]
                found += [n for c in [*p.kids(j, "dobj", "attr"), *before] for n in self.nouns(c)]
            if p.head[j] == j:
                break
            j = p.head[j]
        return list(dict.fromkeys(found))
