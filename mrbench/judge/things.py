"""Verdicts on things, their counts and their attributes."""

from __future__ import annotations

from mrbench.grains import Attribute, Entity, Relation, wordnet
from mrbench.grains.words import SIZE_OPPOSITES
from mrbench.judge.alignment import Alignment
from mrbench.judge.meanings import EXCLUSIVE_KINDS, FAR_ATTRIBUTE
from mrbench.judge.predicates import Predicates
from mrbench.judge.verdicts import KEPT, UNKNOWN, VIOLATED, opposite

_OPEN_COUNTS = frozenset({"several", "few"})


class Things(Alignment):
    """Judges what a query says of things against one caption of a candidate."""

    predicates: Predicates

    def entity(self, i: int) -> str:
        """Judge whether the candidate has a thing: violated where another stands in its place."""
        a = self.q.entities[i]
        if i in self.match:
            j = self.match[i]
            if self.c.entities[j].negated:
                return VIOLATED
            if self.how[i][j] == "general":
                return UNKNOWN
            return VIOLATED if self._renamed(i, j) else KEPT
        if any(
            a.base == y.value and not y.negated for b in self.c.entities for y in b.attributes
        ):  # "made of clay", "clay vases"
            return KEPT
        if self.m.mentions(a.base, self.c.words) or self.m.mentions(a.head, self.c.words):
            return UNKNOWN
        rivals = (j for j in range(len(self.c.entities)) if j not in self.taken and self.how[i][j] == "distinct")
        return VIOLATED if any(self._rival(i, j) for j in rivals) else UNKNOWN

    def negation(self, i: int) -> str:
        """Judge whether the candidate, too, says that a thing is not there: violated where it has the thing."""
        partners = [self.c.entities[j] for j in self.partners(i)]
        if any(entity.negated for entity in partners):
            return KEPT
        return VIOLATED if partners else UNKNOWN

    def _renamed(self, i: int, j: int) -> bool:
        """Return True where the candidate has another first word of a name: "plastic bear" for "teddy bear"."""
        a, b = self.q.entities[i], self.c.entities[j]
        if (
            a.head == a.base
            or b.head != a.base
            or " " not in a.head
            or self.m.mentions(a.head.split()[0], self.c.words)
        ):
            return False
        return any(not self.m.mentions(y.value, self.q.words) for y in b.attributes if not y.negated)

    def _rival(self, i: int, j: int) -> bool:
        """Return True where a thing of the candidate stands in the place of the query's: the same slot, or field."""
        a, b = self.q.entities[i], self.c.entities[j]
        if b.negated or self.m.mentions(b.base, self.q.words):
            return False
        if self._same_slot(i, j):
            return True
        asked = wordnet.fields(a.head) or wordnet.fields(a.base)
        said = wordnet.fields(b.head) or wordnet.fields(b.base)
        return bool(asked and said and asked[0] == said[0])

    def _same_slot(self, i: int, j: int) -> bool:
        return any(
            self._as_subject(i, j, r, s) or self._as_object(i, j, r, s)
            for r in self.q.relations
            if i in (r.subject, r.object) and not r.negated
            for s in self.c.relations
            if not s.negated
        )

    def _as_subject(self, i: int, j: int, r: Relation, s: Relation) -> bool:
        if r.subject != i or s.subject != j:
            return False
        if r.object is None:
            alone = s.object is None and r.kind == s.kind == "action"
            return alone and self.m.verb(r.predicate, s.predicate) in ("same", "near")
        return self.match.get(r.object, -1) == s.object and self.predicates.allow(r, s)

    def _as_object(self, i: int, j: int, r: Relation, s: Relation) -> bool:
        if r.object != i or s.object != j or r.subject is None:
            return False
        return self.match.get(r.subject, -1) == s.subject and self.predicates.allow(r, s)

    def attribute(self, i: int, x: Attribute) -> str:
        """Judge whether the candidate's thing has an attribute: violated where it is denied or excluded by another.

        An attribute that the query denies is kept where the asserted one is violated, and the other way round.
        """
        answers = [self._attribute_of(i, x, j) for j in self.partners(i)]
        if x.negated:
            answers = [opposite(answer) for answer in answers]
        if not answers:
            return UNKNOWN
        return KEPT if KEPT in answers else answers[0]

    def _attribute_of(self, i: int, x: Attribute, j: int) -> str:
        b = self.c.entities[j]
        asked = {y.value for y in self.q.entities[i].attributes if not y.negated}
        answers = [(self.m.attribute(x, y), y) for y in b.attributes if not y.negated]
        if any(answer in ("same", "near") for answer, _ in answers) or self._told_otherwise(i, x, j):
            return VIOLATED if b.negated else KEPT  # "no red car"
        if b.negated:
            return UNKNOWN
        if self._denied(x, j):
            return VIOLATED
        others = [(answer, y) for answer, y in answers if y.value not in asked]
        if any(answer == "distinct" or _excludes(x, y) for answer, y in others) or self._moved(i, x, j):
            return VIOLATED
        if x.kind in EXCLUSIVE_KINDS or self.m.mentions(x.value, self.c.words):
            return UNKNOWN
        far = any(
            not self.m.mentions(y.value, self.q.words) and self.m.cosine(x.value, y.value) < FAR_ATTRIBUTE
            for _, y in others
        )
        return VIOLATED if far else UNKNOWN

    def _denied(self, x: Attribute, j: int) -> bool:
        """Return True where the candidate denies an attribute of a thing: "not red", "not made of wood"."""
        b, relations = self.c.entities[j], self.c.relations
        made = [
            self.c.entities[s.object].head for s in relations if s.negated and s.subject == j and s.object is not None
        ]
        values = [y for y in b.attributes if y.negated] + [Attribute("", head, 0, 0) for head in made]
        done = [s.predicate for s in relations if s.negated and s.subject == j and s.kind == "action"]
        return any(self.m.attribute(x, y) == "same" for y in values) or x.value in done

    def _told_otherwise(self, i: int, x: Attribute, j: int) -> bool:
        """Return True where the candidate says an attribute by its noun, by a material, or by an action."""
        b = self.c.entities[j]
        if x.value in b.head.split() or wordnet.synonyms(f"{x.value} {self.q.entities[i].base}", b.head, "n"):
            return True
        for s in self.c.relations:
            if s.subject != j or s.negated:
                continue
            if s.object is not None:
                made = self.c.entities[s.object]
                if x.value in (made.head, made.base) or self.m.attribute(x, Attribute("", made.head, 0, 0)) == "same":
                    return True
            if s.kind == "action" and self.m.verb(x.value, s.predicate) in ("same", "near"):
                return True
        return False

    def _moved(self, i: int, x: Attribute, j: int) -> bool:
        """Return True where the candidate gives an attribute to another thing of the query, which did not have it."""
        for k, b in enumerate(self.c.entities):
            owner = self.taken.get(k)
            if k == j or owner is None or self.how[i][k] in ("same", "near"):
                continue
            if x.value in [y.value for y in b.attributes if not y.negated] or x.value in b.head.split()[:-1]:
                was = self.q.entities[owner]
                if x.value not in [y.value for y in was.attributes] and x.value not in was.head.split():
                    return True
        return False

    def count(self, i: int) -> str:
        """Judge whether the candidate has as many: violated where it has another number."""
        a = self.q.entities[i]
        answers = [_count(a, self.c.entities[j]) for j in self.partners(i)]
        if a.count_negated:
            answers = [opposite(answer) for answer in answers]
        if not answers:
            return UNKNOWN
        return KEPT if KEPT in answers else answers[0]

    def text(self, number: int) -> str:
        """Judge text in the image: kept where the candidate has it, violated where it has other text."""
        value = self.q.written[number].value
        said = [other.value for other in self.c.written]
        if any(value in other or other in value for other in said) or value in self.c.text.lower():
            return KEPT
        return VIOLATED if said else UNKNOWN


def _excludes(x: Attribute, y: Attribute) -> bool:
    """Return True where two values of one kind exclude each other; of sizes only opposites do."""
    if x.kind != y.kind or x.kind not in EXCLUSIVE_KINDS:
        return False
    if x.kind == "size":
        return (x.value, y.value) in SIZE_OPPOSITES or (y.value, x.value) in SIZE_OPPOSITES
    return x.value not in ("multicoloured", y.value)


def _count(a: Entity, b: Entity) -> str:
    """Compare two counts; "several" and "few" allow every number but one, an article is a weak one."""
    if b.negated:
        return VIOLATED
    if b.count_negated:
        return VIOLATED if a.count == b.count else UNKNOWN
    if b.count is None:
        if a.count == "1":
            return VIOLATED if b.plural else KEPT if b.article else UNKNOWN
        if b.plural:
            return KEPT if a.count in _OPEN_COUNTS else UNKNOWN
        return VIOLATED if b.article else UNKNOWN
    if a.count == b.count:
        return KEPT
    numbers = {a.count, b.count} - _OPEN_COUNTS
    if len(numbers) == 2 or "1" in numbers:
        return VIOLATED
    return UNKNOWN if numbers and b.count in _OPEN_COUNTS else KEPT
