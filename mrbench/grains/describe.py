"""From spaCy's parse of a caption to its slots."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from mrbench.grains import wordnet
from mrbench.grains.description import Attribute, Description
from mrbench.grains.places import Places
from mrbench.grains.tokens import Parse

_WRITTEN = re.compile(
    r"[\"“”]([^\"“”]{1,80})[\"“”]|\b(?:says?|saying|reads?|reading|the words?|labell?ed|spells?|spelling)\s+"
    r"['‘]?((?:[A-Z0-9][\w'&-]*)(?:\s+[A-Z0-9][\w'&-]*)*)"
)
_SCENES = frozenset(
    {"room", "building", "way", "tract", "body of water", "geological formation", "geographical area", "sky", "park"}
    | {"facility", "yard", "establishment", "outdoors", "area", "grassland", "shop", "snow", "grass"}
)
_AT_A_PLACE = frozenset({"in", "at", "on", "through", "across", "down", "along", "outside"})


def describe(doc: Any, text: str, places: Sequence[int]) -> Description:
    """Return the slots of a parsed caption.

    Args:
        doc: spaCy's parse of the caption, or of what remains of it without tags and signs.
        text: The caption; spans point into it.
        places: Where each character of the parsed text stands in the caption.
    """
    parse = Parse(doc, places)
    finder = Places(parse, text)
    finder.find_things()
    finder.find_actions()
    finder.find_places()
    _deny_of_absent(finder.description)
    description = finder.description
    description.words = (
        frozenset(parse.lower)
        | frozenset(parse.lemma)
        | {wordnet.lemma(low, "v") for low in parse.lower if low.endswith(("ing", "ed", "s"))}
    )
    description.written = _written(text)
    _mark_scenes(description)
    return description


def _deny_of_absent(description: Description) -> None:
    """Mark what the caption says of things that are not there as denied: "no dogs on the couch"."""
    for r in description.relations:
        if r.subject is not None and description.entities[r.subject].negated and not r.alternatives:
            r.negated = True


def _written(text: str) -> list[Attribute]:
    """Return what a caption quotes, or says to be written."""
    found = []
    for match in _WRITTEN.finditer(text):
        group = 1 if match[1] is not None else 2
        value = " ".join(match[group].lower().split())
        if value:
            found.append(Attribute("text", value, match.start(group), match.end(group)))
    return found


def _mark_scenes(description: Description) -> None:
    """Mark the things that are where the others are: "kitchen" in "a dog in a kitchen"."""
    where = {r.object for r in description.relations if r.kind == "relation" and r.predicate in _AT_A_PLACE}
    for number, entity in enumerate(description.entities):
        entity.place = (number in where or number == 0) and is_scene(entity.head, entity.base)


def is_scene(head: str, base: str) -> bool:
    """Return True where a noun names a place that a photo can be taken in."""
    name = head if wordnet.known(head, "n") else base
    if (wordnet.fields(name) or ("",))[0] == "location":
        return True
    return any(wordnet.is_a(name, scene, "n", first=1, of=3) or name == scene for scene in _SCENES)
