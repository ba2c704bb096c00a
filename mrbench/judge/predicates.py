"""Which actions and relations state, allow or exclude one another."""

from __future__ import annotations

from dataclasses import replace

from mrbench.grains.description import Relation
from mrbench.grains.words import (
    COMPATIBLE,
    HOLDING_VERBS,
    INVERSE,
    LIGHT_VERBS,
    NOT_ON_PATH,
    PATHS,
    PLACES,
    SYMMETRIC,
)
from mrbench.judge.meanings import Meanings, mentioned

_AT = frozenset({"in", "at", "on"})
_VAGUE = frozenset({"with", "of"})
_CARRIED_BY = frozenset({"with", "in", "on", "of", "from"})
_CARRYING = LIGHT_VERBS | HOLDING_VERBS | {"ride", "use", "carry", "eat"}
_OPPOSITES = (
    {"to", "from"},
    {"toward", "away"},
    {"toward", "from"},
    {"up", "down"},
    {"with", "without"},
    {"against", "away"},
    {"against", "far"},
)


def verb_of(relation: Relation) -> str:
    """Return an action's verb without its particle."""
    return relation.predicate.split()[0]


def apart(one: str, other: str) -> bool:
    """Return True where two relations exclude each other: "on" and "under", "through" and "beside"."""
    if one == other:
        return False
    if {one, other} <= PLACES:
        return frozenset({one, other}) not in COMPATIBLE
    if {one, other} & PATHS and {one, other} & NOT_ON_PATH:
        return True
    return {one, other} in _OPPOSITES


class Predicates:
    """Compares relations of a query with relations of a candidate.

    Args:
        meanings: Compares verbs.
        asked_words, said_words: The words of the query and of the candidate: a verb that the other caption mentions
            anywhere excludes nothing.
    """

    def __init__(self, meanings: Meanings, asked_words: frozenset[str], said_words: frozenset[str]) -> None:
        self._m, self._asked, self._said = meanings, asked_words, said_words

    def state(self, r: Relation, s: Relation) -> bool:
        """Return True where s states r, with the same subject and object."""
        if r.negated or s.negated:
            return r.negated == s.negated and self._alike(r, s)
        if r.predicate == s.predicate:
            return True
        if r.kind == s.kind == "action":
            return self._m.verb(r.predicate, s.predicate) in ("same", "near")
        both = {r.predicate, s.predicate}
        if r.kind == s.kind:
            return both <= _AT or (bool(both & _VAGUE) and self.allow(r, s))
        action, relation = (r, s) if r.kind == "action" else (s, r)
        return relation.predicate in _CARRIED_BY and verb_of(action) in _CARRYING

    def _alike(self, r: Relation, s: Relation) -> bool:
        """Return True where two relations are denied by one denial: "not on" denies "in" and "at", not "beside"."""
        if r.kind == s.kind == "action":
            return self._m.verb(r.predicate, s.predicate) in ("same", "near")
        return r.kind == s.kind and (r.predicate == s.predicate or {r.predicate, s.predicate} <= _AT)

    def state_turned(self, r: Relation, s: Relation) -> bool:
        """Return True where s states r, with subject and object exchanged."""
        if not r.kind == s.kind == "relation" or r.negated != s.negated:
            return False
        same = r.predicate in SYMMETRIC and r.predicate == s.predicate
        return same or s.predicate in INVERSE.get(r.predicate, ()) or "with" in (r.predicate, s.predicate)

    def allow(self, r: Relation, s: Relation) -> bool:
        """Return True where r may be true where s is, with the same subject and object."""
        if r.negated or s.negated:
            return r.negated == s.negated or not self._alike(r, s)
        if r.predicate == s.predicate:
            return True
        if "without" in (r.predicate, s.predicate):
            return False
        if r.kind == s.kind == "action":
            told = mentioned(r.predicate, self._said) or mentioned(s.predicate, self._asked)
            return told or self._m.verb(r.predicate, s.predicate) != "distinct"
        if r.kind == s.kind:
            return not apart(r.predicate, s.predicate)
        if r.kind == "action":  # the candidate says less
            return s.predicate not in ("far", "away")
        quiet = verb_of(s) in LIGHT_VERBS | HOLDING_VERBS or r.predicate not in PLACES
        return quiet or mentioned(s.predicate, self._asked)

    def allow_turned(self, r: Relation, s: Relation) -> bool:
        """Return True where r may be true where s is, with subject and object exchanged."""
        if r.negated or s.negated:
            turned = replace(r, negated=s.negated)
            return r.negated == s.negated or "with" in (r.predicate, s.predicate) or not self.state_turned(turned, s)
        if r.kind == s.kind == "relation":
            return self.state_turned(r, s) or "of" in (r.predicate, s.predicate) or s.predicate == "along"
        if r.kind != s.kind:
            return verb_of(r if r.kind == "action" else s) in LIGHT_VERBS | HOLDING_VERBS
        return verb_of(r) in LIGHT_VERBS or verb_of(s) in LIGHT_VERBS
