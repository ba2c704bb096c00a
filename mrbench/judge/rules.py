"""The judge ``rules``: compares the slots of two descriptions and tells contradiction from silence."""

from __future__ import annotations

from mrbench.grains import wordnet
from mrbench.grains.description import Attribute, Description, Entity, Relation
from mrbench.grains.words import (
    COMPATIBLE,
    HOLDING_VERBS,
    INVERSE,
    LIGHT_VERBS,
    NOT_ON_PATH,
    PATHS,
    PLACES,
    SIZE_OPPOSITES,
    SYMMETRIC,
)
from mrbench.judge import meanings
from mrbench.judge.meanings import Meanings, attribute, exclusive, mentioned

KEPT, VIOLATED, UNKNOWN = "kept", "violated", "unknown"
_SUPPORT = {"same": 1.0, "near": 0.9, "general": 0.7, "distinct": 0.0}
_EXCLUSIVE = frozenset({"colour", "size", "material", "age", "shape", "pattern"})
_AT = frozenset({"in", "at", "on"})
_WITH = frozenset({"with", "in", "on", "at", "of", "have", "wear", "hold", "carry", "feature", "contain", "show",
                   "include", "use", "beside", "over", "around", "for", "front", "along"})  # fmt: skip
_SAME = ({"in", "at", "on", "through", "across", "along", "down", "over", "around", "up", "between", "outside", "off"},
         {"beside", "at", "by", "with", "along", "against", "on", "around", "front", "in", "behind", "over"},
         {"in", "at"}, {"to", "toward", "at", "for", "from", "into"}, {"under", "in"},
         {"from", "off", "out of", "on"}, {"far", "away"})  # fmt: skip


class Comparison:
    """One query caption against one candidate caption."""

    def __init__(self, query: Description, candidate: Description, meanings: Meanings) -> None:
        self.q, self.c, self.m = query, candidate, meanings
        self.how = [[meanings.noun(a.head, b.head, a.base, b.base) for b in candidate.entities] for a in query.entities]
        self.match: dict[int, int] = {}
        self._align()
        self.taken = {c: q for q, c in self.match.items()}

    # which thing is which

    def _align(self) -> None:
        scored = []
        for i, a in enumerate(self.q.entities):
            for j, b in enumerate(self.c.entities):
                support = _SUPPORT[self.how[i][j]]
                if support:
                    bonus = 0.05 * sum(
                        any(x.value == y.value for y in b.attributes) for x in a.attributes
                    ) - 0.02 * abs(i / len(self.q.entities) - j / len(self.c.entities))
                    bonus += 0.03 * self._shared(i, j) + 0.1 * (a.head == b.head) + 0.05 * (a.plural == b.plural)
                    scored.append((support + bonus, i, j))
        scored.sort(key=lambda row: (-row[0], row[1], row[2]))
        used: set[int] = set()
        for _, i, j in scored:
            if i not in self.match and j not in used:
                self.match[i] = j
                used.add(j)
        for _, i, j in scored:  # two words of the query for one thing of the candidate
            if i not in self.match and self.how[i][j] in ("same", "near"):
                self.match[i] = j

    def _shared(self, i: int, j: int) -> int:
        mine = {r.predicate for r in self.q.relations if r.subject == i}
        return len(mine & {r.predicate for r in self.c.relations if r.subject == j})

    def _others(self, i: int) -> list[int]:
        """Return every thing of the candidate that a thing of the query may be, the aligned one first."""
        if i not in self.match:
            return []
        first = self.match[i]
        others = [j for j, how in enumerate(self.how[i]) if how in ("same", "near") and j != first]
        return [first] + [j for j in others if self._free(j, i)]

    def _free(self, j: int, i: int) -> bool:
        """Whether a thing of the candidate may be this thing of the query, as no other suits it better."""
        owner = self.taken.get(j)
        return owner is None or self.q.entities[owner].head != self.c.entities[j].head

    # entities

    def entity(self, i: int) -> str:
        a = self.q.entities[i]
        if i in self.match:
            j = self.match[i]
            if self.c.entities[j].negated:
                return VIOLATED
            if self.how[i][j] == "general":
                return UNKNOWN
            return VIOLATED if self._renamed(i, j) else KEPT
        if mentioned(a.base, self.c.words) or mentioned(a.head, self.c.words):
            return UNKNOWN
        for j, b in enumerate(self.c.entities):
            if j in self.taken or self.how[i][j] != "distinct" or mentioned(b.base, self.q.words):
                continue
            if self._rival(i, j):
                return VIOLATED
        return UNKNOWN

    def _renamed(self, i: int, j: int) -> bool:
        """Whether the candidate has another word where the name has its first: "plastic bear" for "teddy bear"."""
        a, b = self.q.entities[i], self.c.entities[j]
        if a.head == a.base or b.head != a.base or " " not in a.head or mentioned(a.head.split()[0], self.c.words):
            return False
        return any(not mentioned(y.value, self.q.words) for y in b.attributes)

    def _rival(self, i: int, j: int) -> bool:
        """Whether a thing of the candidate stands where the query has another."""
        a, b = self.q.entities[i], self.c.entities[j]
        if self._same_slot(i, j):
            return True
        fa, fb = wordnet.fields(a.head) or wordnet.fields(a.base), wordnet.fields(b.head) or wordnet.fields(b.base)
        return bool(fa and fb and fa[0] == fb[0])

    def _same_slot(self, i: int, j: int) -> bool:
        for r in self.q.relations:
            for s in self.c.relations:
                if r.subject == i and s.subject == j:
                    if r.object is None and s.object is None and r.kind == s.kind == "action":
                        if self.m.verb(r.predicate, s.predicate) in ("same", "near"):
                            return True
                    elif r.object is not None and s.object is not None and self.match.get(r.object) == s.object:
                        if self._compatible(r, s):
                            return True
                if r.object == i and s.object == j and r.subject is not None and s.subject is not None:
                    if self.match.get(r.subject) == s.subject and self._compatible(r, s):
                        return True
        return False

    # attributes

    def attribute(self, i: int, x: Attribute) -> str:
        if i not in self.match:
            return UNKNOWN
        verdicts = [self._attribute_of(i, x, j) for j in self._others(i)]
        if KEPT in verdicts:
            return KEPT
        return verdicts[0]

    def _attribute_of(self, i: int, x: Attribute, j: int) -> str:
        b = self.c.entities[j]
        answers = [(attribute(self.m, x.kind, x.value, y.value), y) for y in b.attributes]
        if any(answer in ("same", "near") for answer, _ in answers):
            return KEPT
        if x.value in b.head.split() or wordnet.synonyms(f"{x.value} {self.q.entities[i].base}", b.head, "n"):
            return KEPT
        for s in self.c.relations:
            if s.subject == j and s.object is not None:
                made = self.c.entities[s.object]
                if x.value in (made.head, made.base) or attribute(self.m, x.kind, x.value, made.head) == "same":
                    return KEPT
            if s.kind == "action" and s.subject == j and self.m.verb(x.value, s.predicate) in ("same", "near"):
                return KEPT
        asked = {y.value for y in self.q.entities[i].attributes}
        for answer, y in answers:
            if answer == "distinct" and y.value not in asked:
                return VIOLATED
            if (
                y.kind == x.kind
                and x.kind in _EXCLUSIVE
                and y.value not in asked
                and self._exclude(x.kind, x.value, y.value)
            ):
                return VIOLATED
        if self._moved(i, x, j):
            return VIOLATED
        if mentioned(x.value, self.c.words):
            return UNKNOWN
        for answer, y in answers:
            if (
                answer == "general"
                and not mentioned(y.value, self.q.words)
                and self.m.cosine(x.value, y.value) < meanings.FAR_ATTRIBUTE
            ):
                return VIOLATED
        return UNKNOWN

    def _exclude(self, kind: str, asked: str, said: str) -> bool:
        if kind == "size":
            return (asked, said) in SIZE_OPPOSITES or (said, asked) in SIZE_OPPOSITES
        if kind == "colour" and asked == "multicoloured":
            return False
        return asked != said

    def _moved(self, i: int, x: Attribute, j: int) -> bool:
        """Whether the candidate gives this attribute to another thing of the query, which did not have it."""
        for k, b in enumerate(self.c.entities):
            if k == j or self.how[i][k] in ("same", "near"):
                continue
            if any(y.value == x.value for y in b.attributes) or x.value in b.head.split()[:-1]:
                owner = self.taken.get(k)
                if owner is None:
                    continue
                had = (
                    any(y.value == x.value for y in self.q.entities[owner].attributes)
                    or x.value in self.q.entities[owner].head.split()
                )
                if not had:
                    return True
        return False

    def count(self, i: int) -> str:
        a = self.q.entities[i]
        if i not in self.match or a.count is None:
            return UNKNOWN
        verdicts = [self._count_of(a, self.c.entities[j]) for j in self._others(i)]
        return KEPT if KEPT in verdicts else verdicts[0]

    def _count_of(self, a: Entity, b: Entity) -> str:
        if b.count is not None:
            if a.count == b.count:
                return KEPT
            open_counts = {a.count, b.count} & {"several", "few"}
            if open_counts:
                numbers = {a.count, b.count} - open_counts
                if "1" in numbers:
                    return VIOLATED
                return UNKNOWN if numbers and b.count in open_counts else KEPT
            return VIOLATED
        if a.count == "1":
            return VIOLATED if b.plural else KEPT if b.article else UNKNOWN
        if b.plural:
            return KEPT if a.count in ("several", "few") else UNKNOWN
        return VIOLATED if b.article else UNKNOWN

    # relations

    def _compatible(self, r: Relation, s: Relation) -> bool:
        """Whether two relations, subject and object in the same order, may both be true of a pair."""
        if r.negated != s.negated:
            return False
        if r.predicate == s.predicate:
            return True
        if "without" in (r.predicate, s.predicate):
            return False
        if r.kind == s.kind == "action":
            return self.m.verb(r.predicate, s.predicate) != "distinct" or (
                mentioned(r.predicate, self.c.words) or mentioned(s.predicate, self.q.words)
            )
        if r.kind == s.kind:
            return not self._apart(r.predicate, s.predicate)
        if r.kind == "action":  # the candidate says less
            return s.predicate not in ("far", "away", "without")
        if (
            s.predicate.split()[0] in LIGHT_VERBS | HOLDING_VERBS
            or r.predicate not in PLACES
            or mentioned(s.predicate, self.q.words)
        ):
            return True
        return r.predicate in ("beside", "on", "in") and self.m.verb("use", s.predicate) == "same"

    def _apart(self, one: str, other: str) -> bool:
        """Whether two relations exclude each other."""
        if one == other:
            return False
        if {one, other} <= PLACES:
            return frozenset({one, other}) not in COMPATIBLE
        if {one, other} & PATHS and {one, other} & NOT_ON_PATH:
            return True
        return {one, other} in (
            {"to", "from"},
            {"toward", "away"},
            {"toward", "from"},
            {"up", "down"},
            {"with", "without"},
        )

    def _turned(self, r: Relation, s: Relation) -> bool:
        """Whether s, with subject and object exchanged, states r or may be true beside it."""
        if r.kind == s.kind == "relation":
            if r.predicate in SYMMETRIC and r.predicate == s.predicate:
                return True
            if s.predicate in INVERSE.get(r.predicate, ()):
                return True
            return "with" in (r.predicate, s.predicate) or "of" in (r.predicate, s.predicate) or s.predicate == "along"
        if r.kind != s.kind:
            action = r if r.kind == "action" else s
            return action.predicate.split()[0] in LIGHT_VERBS | HOLDING_VERBS
        return r.predicate.split()[0] in LIGHT_VERBS or s.predicate.split()[0] in LIGHT_VERBS

    def relation(self, r: Relation) -> str:
        """Judge an action or a relation."""
        a, b = r.subject, r.object
        if a is not None and b is not None:
            return self._between(r, a, b)
        if a is None:
            return self._object_only(r)
        return self._done_by(r, a)

    def _between(self, r: Relation, a: int, b: int) -> str:
        subjects, objects = self._others(a), self._others(b)
        if not subjects or not objects:
            return self._displaced(r, a, b, subjects, objects)
        contrary = weak = False
        others = {j for k in r.alternatives for j in self._others(k)}
        for s in self.c.relations:
            if s.subject is None or s.object is None:
                continue
            direct = s.subject in subjects or not set(s.alternatives).isdisjoint(subjects)
            if s.object in objects and (direct or s.subject in others):
                if self._states(r, s):
                    if r.predicate == s.predicate or r.kind == s.kind == "action":
                        return KEPT
                    weak = True
                elif direct or r.kind == s.kind == "relation":
                    contrary = contrary or not self._compatible(r, s)
            elif s.object in subjects and s.subject in objects:
                if self._states_turned(r, s):
                    if r.predicate == s.predicate or s.predicate in INVERSE.get(r.predicate, ()):
                        return KEPT
                    weak = True
                else:
                    contrary = contrary or not self._turned(r, s)
        if contrary:
            return VIOLATED
        if weak:
            return KEPT
        return self._displaced(r, a, b, subjects, objects)

    def _states(self, r: Relation, s: Relation) -> bool:
        if r.negated != s.negated:
            return False
        if r.predicate == s.predicate:
            return True
        if r.kind == s.kind == "action":
            return self.m.verb(r.predicate, s.predicate) in ("same", "near")
        if r.kind == s.kind:
            return {r.predicate, s.predicate} <= _AT or (
                self._compatible(r, s) and {r.predicate, s.predicate} & {"with", "of"} != set()
            )
        action, relation = (r, s) if r.kind == "action" else (s, r)
        return relation.predicate in ("with", "in", "on", "of", "from") and action.predicate.split()[0] in (
            LIGHT_VERBS | HOLDING_VERBS | {"ride", "use", "carry", "eat"}
        )

    def _states_turned(self, r: Relation, s: Relation) -> bool:
        if r.kind == s.kind == "relation":
            return (
                (r.predicate in SYMMETRIC and r.predicate == s.predicate)
                or s.predicate in INVERSE.get(r.predicate, ())
                or "with" in (r.predicate, s.predicate)
            )
        return False

    def _displaced(self, r: Relation, a: int, b: int, subjects: list[int], objects: list[int]) -> str:
        """Look for another thing in the subject's or object's place."""
        for s in self.c.relations:
            if s.kind != r.kind or s.subject is None or s.object is None or s.negated != r.negated:
                continue
            if s.predicate != r.predicate and not (s.kind == "action" and self._states(r, s)):
                continue
            if s.object in objects and s.subject not in subjects and self._replaces(s.subject, a):
                mine = [j for k in r.alternatives for j in self._others(k)]
                if s.subject not in mine and set(s.alternatives).isdisjoint(subjects):
                    return VIOLATED
            if s.subject in subjects and s.object not in objects and self._replaces(s.object, b):
                return VIOLATED
        return UNKNOWN

    def _replaces(self, j: int, i: int) -> bool:
        """Whether a thing of the candidate excludes a thing of the query from its place."""
        owner = self.taken.get(j)
        if self.how[i][j] != "distinct":  # "person" and "child", where both captions have both
            return (
                owner not in (None, i)
                and i in self.match
                and self.how[owner][j] == "same"
                and self.q.entities[owner].head == self.c.entities[j].head != self.q.entities[i].head
            )
        if i not in self.match:
            return not mentioned(self.q.entities[i].base, self.c.words)
        return owner is not None and owner != i  # the candidate puts another thing of the query there

    def _excludes(self, r: Relation, s: Relation) -> bool:
        """Whether a thing that does s does not do r: another posture, or s in the place of r."""
        if exclusive(r.predicate, s.predicate):
            return True
        if mentioned(s.predicate, self.q.words):
            return False
        said = [x.predicate for x in self.q.relations if x.kind == "action" and x is not r]
        return (
            all(self.m.verb(x, s.predicate) not in ("same", "near") for x in said)
            and self.m.cosine(r.predicate, s.predicate) < meanings.FAR_VERB
        )

    def _object_only(self, r: Relation) -> str:
        for s in self.c.relations:
            if s.kind == "action" and r.object is not None and s.object in self._others(r.object):
                if self._states(r, s):
                    return KEPT
        return UNKNOWN

    def _done_by(self, r: Relation, a: int) -> str:
        subjects = self._others(a)
        if not subjects:
            return UNKNOWN
        if r.kind == "relation":  # "in the background"
            if any(s.predicate == r.predicate and s.subject in subjects for s in self.c.relations):
                return KEPT
            asked, _, where = r.predicate.partition(" each ")
            for s in self.c.relations:
                said, _, there = s.predicate.partition(" each ")
                if where and there and s.subject in subjects and self._apart(asked, said):
                    return VIOLATED
                if s.predicate == r.predicate and not where and s.subject is not None and self._replaces(s.subject, a):
                    return VIOLATED
            return UNKNOWN
        contrary = False
        for s in self.c.relations:
            if s.kind == "action" and (s.subject in subjects or (s.subject is None and s.object in subjects)):
                answer = self.m.verb(r.predicate, s.predicate)
                if answer in ("same", "near"):
                    if s.negated != r.negated:
                        contrary = True
                        continue
                    return KEPT
                if answer == "distinct" and not mentioned(r.predicate, self.c.words):
                    contrary = contrary or self._excludes(r, s)
        for j in subjects:
            for y in self.c.entities[j].attributes:
                if y.kind == "state" and self.m.verb(r.predicate, y.value) in ("same", "near"):
                    return KEPT
                if wordnet.antonyms(r.predicate, y.value, "v") or wordnet.antonyms(r.predicate, y.value, "a"):
                    contrary = True
        if contrary and r.predicate not in LIGHT_VERBS:
            return VIOLATED
        return VIOLATED if contrary else UNKNOWN


def judge_descriptions(q: Description, c: Description, m: Meanings) -> list[tuple[str, str, str]]:
    comparison = Comparison(q, c, m)
    out = []
    for i, e in enumerate(q.entities):
        if e.negated:
            js = [j for j in comparison._others(i)]
            verdict = UNKNOWN
            if any(q2.negated for q2 in (c.entities[j] for j in js)):
                verdict = KEPT
            elif js:
                verdict = VIOLATED
            out.append(("negation", e.head, verdict))
            continue
        out.append(("entity", e.head, comparison.entity(i)))
        if e.count is not None:
            out.append(("count", f"{e.count} {e.head}", comparison.count(i)))
        for x in e.attributes:
            out.append((x.kind, f"{x.value} {e.head}", comparison.attribute(i, x)))
    for r in q.relations:
        if r.predicate == "without" or r.predicate == "of":
            continue
        if (
            r.kind == "action"
            and r.predicate.split()[0] in LIGHT_VERBS
            and r.predicate.split()[0] not in ("sit", "stand", "lie", "lay")
        ):
            continue
        s = q.entities[r.subject].head if r.subject is not None else "-"
        o = q.entities[r.object].head if r.object is not None else "-"
        out.append((r.kind, f"{s} {r.predicate} {o}", comparison.relation(r)))
    return out
