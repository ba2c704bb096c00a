"""What a caption denies: "not red", "isn't on a couch", "neither black nor white", "a non-red car"."""

from __future__ import annotations

from mrbench.grains.tokens import NOUN_TAGS, VERB_TAGS, Parse

_BEFORE = frozenset({"not", "n't", "never", "neither", "nor", "non"})
_UPWARD = frozenset({"acomp", "oprd", "attr", "dobj", "xcomp", "prep", "pobj", "advmod", "pcomp", "prt", "npadvmod"})
"""Roles that a denied word's statement reaches: "red" in "is not red", "next" in "is not next to"."""
_PARTLY = (["only"], ["just"], ["merely"], ["all"], ["every"], ["always"])
_MAX_STEPS = 12


def denial(p: Parse, i: int) -> int | None:
    """Return the token that denies what a token says; None where it is asserted.

    What is denied is handed down from a verb to what depends on it, and along "or" and "nor"; "but" ends it.
    """
    for _ in range(_MAX_STEPS):
        found, head = _mark(p, i), p.head[i]
        if found is not None or head == i:
            return found
        if p.dep[i] == "conj":
            ends = {"but", "yet"} if p.tag[i] not in VERB_TAGS and p.dep[head] != "prep" else {"but", "yet", "and"}
            if any(p.lower[c] in ends for c in p.kids(head, "cc") if c < i):
                return None
        elif p.dep[i] not in _UPWARD or p.tag[head] in NOUN_TAGS:
            return None
        i = head
    return None


def denied_verb(p: Parse, i: int) -> int | None:
    """Return the verb that a preposition or adverb belongs to, where that verb is denied; else None."""
    for _ in range(_MAX_STEPS):
        if p.tag[i] in VERB_TAGS or p.head[i] == i or p.dep[i] not in _UPWARD:
            break
        i = p.head[i]
    return i if p.tag[i] in VERB_TAGS and denial(p, i) is not None else None


def _mark(p: Parse, i: int) -> int | None:
    """Return the word of negation that belongs to a token itself; "not only" and "not all" deny nothing of it."""
    found = []
    if p.tag[i] not in NOUN_TAGS:
        found = [c for c in p.children[i] if p.dep[c] == "neg" or (c < i and p.lower[c] in ("neither", "nor"))]
        found += [n for c in p.children[i] if p.lower[c] in ("longer", "more") for n in p.kids(c, "neg")]
    if i > 0 and p.lower[i - 1] in _BEFORE:
        found.append(i - 1)
    elif i > 1 and (p.lower[i - 2], p.lower[i - 1]) == ("non", "-"):
        found.append(i - 2)
    return next((c for c in found if p.lower[c + 1 : c + 2] not in _PARTLY), None)
