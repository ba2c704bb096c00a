"""Which grains a candidate surely loses: a rung of a ladder must lose what it names, and keep everything else.

The judge errs, and captions are silent about most of a photo. So a loss counts only where several things agree:

- the candidate keeps every other grain of the caption, those too that are not asked for; what is done to a lost thing,
  and how something stands to it, go with the thing;
- two captions of the candidate contradict the grain, where it has two;
- another caption of the query's photo says the grain, where there is one, so that people would have named it;
- no caption of the candidate names a thing that could be the lost one in other words;
- the candidate's captions have the words of the query that no grain covers, and name what they are found to keep: a
  near meaning ("shower" for "sink") is not enough;
- one caption of the candidate says all of this by itself, where the judge reads captions alone.

The kinds of :data:`VAGUE`, and actions with an object, are no rung alone: by eye, too few of their contradictions held.
An action is lost to another posture or way of moving; a thing where it is held, ridden, or has something on or in it,
since what is beside something may have more beside it.
"""

# ruff: noqa: SIM905 - lists of words are easier to read and edit as text

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mrbench.build.captions.asks import Ask
from mrbench.build.captions.words import EMPTY
from mrbench.grains import Grain, wordnet
from mrbench.grains.words import LIGHT_VERBS
from mrbench.judge import KEPT, VIOLATED, Verdict
from mrbench.judge.meanings import excludes_person, exclusive_verbs, is_person, same_verb

VAGUE = frozenset({"attribute", "state", "relation", "size", "age", "text", "negation"})
"""Kinds of grains that a rung may not lose alone."""
VOTES = 2
"""Texts of a candidate that must contradict a grain, where it has as many."""
CONCRETE = {(field,) for field in ("person", "animal", "artifact", "food", "plant", "object", "body")}
"""WordNet's fields of things that can be seen."""
_THINGS = ("entity", "scene")
_ANYBODY = frozenset({"person", "people", "someone", "somebody", "human", "individual", "other", "adult"})
_SENSES = 4
_EXCLUSIVE = frozenset({"on", "in", "at", "under", "over"})
"""Relations to one thing that leave no room for another: what is on a bench is not on a couch."""
_ANYWHERE = frozenset("area background building city outdoors place room scene space town world".split())
"""Places that another place may be in, or be."""
_MORE = frozenset("another crowd group many others people several some spectators watching".split())
"""Words of a caption that may count more things than its first noun."""


def losses(verdict: Verdict) -> tuple[Grain, ...] | None:
    """Return the grains that a candidate violates and nothing implies, None where it leaves a grain open.

    A violated action or relation whose words hold a violated thing goes with the thing: another thing is in its place.
    A thing that is not the first of the caption must be lost in this way, or its loss is in doubt.
    """
    answers = list(zip(verdict.grains, verdict.answers, strict=True))
    if any(answer not in (KEPT, VIOLATED) for _, answer in answers):
        return None
    violated = [grain for grain, answer in answers if answer == VIOLATED]
    things = [grain for grain in violated if grain.kind in _THINGS]
    implied = {grain.type for grain in violated if any(holds(grain, thing) for thing in things)}
    for thing in things:
        if thing.type != "entity" and not any(holds(grain, thing) and _leaves_no_room(grain) for grain in violated):
            return None
    return tuple(grain for grain in violated if grain.type not in implied)


def holds(grain: Grain, thing: Grain) -> bool:
    """Return True where the words of an action or a relation hold a thing: "on a couch" the couch."""
    return grain.kind in ("action", "relation") and grain.start < thing.start < grain.end


def _leaves_no_room(grain: Grain) -> bool:
    return grain.kind == "action" or grain.value.split()[0] in _EXCLUSIVE


def at_once(lost: Iterable[str], verdicts: Iterable[Verdict]) -> bool:
    """Return True where one text of a candidate loses these types by itself, and keeps all others.

    Args:
        lost: Types of grains.
        verdicts: On each text of the candidate alone.
    """
    wanted = set(lost)
    found = (losses(verdict) for verdict in verdicts)
    return any(grains is not None and {grain.type for grain in grains} == wanted for grains in found)


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: its texts, and the grains that they state."""

    texts: Sequence[str]
    grains: Sequence[Grain]


def loss_of(
    ask: Ask, verdict: Verdict, candidate: Side, *, reverse: Verdict | None = None, own: Side | None = None
) -> tuple[str, ...] | None:
    """Return the types that a candidate loses of a query, sorted; None where a loss or the rest is in doubt.

    Of several losses one must be sure.

    Args:
        ask: The query.
        verdict: On all grains of its caption, with those of columns.
        candidate: What the candidate says.
        reverse: Where the candidate is a text: the verdict of the query's photo on it. It must lose the same kinds.
        own: With ``reverse``: what the photo's captions say.
    """
    lost = losses(verdict)
    if not lost or not {grain.type for grain in lost} <= ask.types:
        return None
    known = frozenset(column.type for column in ask.columns)
    certain = [g for g in lost if g.type in known or (g.type in ask.backed and is_sure(g, verdict, candidate))]
    if not certain or not has_words(uncovered(ask.caption.text, verdict.grains), candidate.texts):
        return None
    kept = (g for g, answer in zip(verdict.grains, verdict.answers, strict=True) if answer == KEPT)
    if not all(_named(grain, candidate) for grain in kept if grain.type not in known):
        return None
    if reverse is not None and own is not None:
        wrong = losses(reverse)
        if not wrong or sorted(g.kind for g in wrong) != sorted(g.kind for g in lost):
            return None
        if not any(is_sure(grain, reverse, own) for grain in wrong):
            return None
    return tuple(sorted(grain.type for grain in lost))


def is_sure(grain: Grain, verdict: Verdict, other: Side) -> bool:
    """Return True where texts contradict a grain often enough, and none names a thing that could be the lost one."""
    if grain.kind in VAGUE or (grain.kind == "action" and " " in grain.value):  # to hit a ball is to serve it, too
        return False
    needed = min(VOTES, len(other.texts))
    if verdict.votes is not None and verdict.votes[verdict.grains.index(grain)][1] < needed:
        return False
    if grain.kind == "action":
        return any(said.kind == "action" and exclusive_verbs(grain.value, said.value) for said in other.grains)
    if grain.kind == "count":
        return not any(_MORE & set(text.lower().split()) for text in other.texts)
    if grain.kind not in _THINGS:
        return True
    if grain.value in _ANYWHERE:
        return False
    named = {said.value for said in other.grains if said.kind in _THINGS}
    return wordnet.fields(grain.value)[:1] in CONCRETE and not any(may_be(grain.value, value) for value in named)


def _named(grain: Grain, other: Side) -> bool:
    """Return True where texts name a thing or an action that they are found to keep."""
    if grain.kind in _THINGS:
        there = frozenset().union(*map(lemmas, other.texts))
        named = (said.value for said in other.grains if said.kind in _THINGS)
        return grain.value.split()[-1] in there or any(may_be(grain.value, value) for value in named)
    if grain.kind == "action":
        return any(same_verb(grain.value, said.value) for said in other.grains if said.kind == "action")
    return True


def may_be(thing: str, other: str) -> bool:
    """Return True where one noun may name what another names: the same word, a synonym, more general or more specific.

    A person may be what any other word for a person says, but for words of the other sex, words for babies and grown
    people, and words that say no more than that it is a person.

    >>> may_be("vegetable", "onion"), may_be("truck", "car"), may_be("cat", "house cat")
    (True, False, True)
    >>> may_be("man", "person"), may_be("man", "woman"), may_be("boy", "man"), may_be("skier", "woman")
    (False, False, True, True)
    """
    if is_person(thing) and is_person(other):
        return other not in _ANYBODY and not excludes_person(thing, other)
    if thing.split()[-1] == other.split()[-1] or wordnet.synonyms(thing, other, "n", first=_SENSES):
        return True
    below = wordnet.is_a(other, thing, "n", first=_SENSES, of=_SENSES)
    return below or wordnet.is_a(thing, other, "n", first=_SENSES, of=_SENSES)


def uncovered(text: str, grains: Sequence[Grain]) -> tuple[str, ...]:
    """Return the words of a caption that say something and are in no grain.

    >>> uncovered("A dog is chasing a ball near the entrance", [])
    ('dog', 'chasing', 'ball', 'entrance')
    """
    left = list(text)
    for grain in grains:
        left[grain.start : grain.end] = " " * (grain.end - grain.start)
    words = re.findall(r"[a-z]+", "".join(left).lower())
    return tuple(word for word in words if word not in EMPTY and wordnet.lemma(word, "v") not in LIGHT_VERBS)


def has_words(wanted: Iterable[str], texts: Iterable[str]) -> bool:
    """Return True where texts have all words, in any form."""
    there = frozenset().union(*map(lemmas, texts))
    return all(not there.isdisjoint(lemmas(word)) for word in wanted)


def lemmas(text: str) -> frozenset[str]:
    """Return the words of a text, with their lemmas as nouns and as verbs.

    >>> sorted(lemmas("Dogs chasing"))
    ['chase', 'chasing', 'dog', 'dogs']
    """
    words = set(re.findall(r"[a-z]+", text.lower()))
    return frozenset(words | {wordnet.lemma(word, part) for word in words for part in "nv"})
