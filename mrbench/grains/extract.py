"""The grains of a description: its slots, each with a type of its own, a value and a span."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mrbench.grains import wordnet
from mrbench.grains.description import Description, Entity, Relation
from mrbench.grains.words import LIGHT_VERBS, PEOPLE

KINDS = {
    "entity": "object", "scene": "object", "colour": "attribute", "size": "attribute", "material": "attribute",
    "age": "attribute", "shape": "attribute", "pattern": "attribute", "state": "attribute", "attribute": "attribute",
    "count": "attribute", "action": "relation", "relation": "relation", "negation": "relation", "text": "attribute",
}  # fmt: skip
"""Every kind of grain, and the part of SugarCrepe's kinds that it belongs to."""

_ORDINALS = ("", "second ", "third ", "fourth ", "fifth ", "sixth ", "seventh ", "eighth ", "ninth ", "tenth ")
_BODILY = frozenset({"sit", "stand", "lie", "lay"})
_NO_RELATION = frozenset({"of", "without", "as", "like"})


Slot = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Grain:
    """One thing that a caption says.

    Attributes:
        type: The kind, with an ordinal from the second of a kind on ("second colour"), so that a caption has at most
            one grain of a type.
        value: What the caption says, as lemmas.
        start, end: ``text[start:end]`` states the grain.
        kind: One of ``KINDS``.
        slots: The slots of the description that say it, each ``(table, row, column)``; "a man and a woman sit" has
            one action in two slots.
    """

    type: str
    value: str
    start: int
    end: int
    kind: str
    slots: tuple[Slot, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the four fields that a line of ``mrbench grains`` has."""
        return {"type": self.type, "value": self.value, "start": self.start, "end": self.end}


def numbered(kind: str, number: int) -> str:
    """Return the type of the n-th grain of a kind, from 0.

    >>> numbered("colour", 0), numbered("colour", 1), numbered("entity", 10)
    ('colour', 'second colour', '11th entity')
    """
    if number < len(_ORDINALS):
        return _ORDINALS[number] + kind
    return f"{number + 1}th {kind}"


def grains_of(description: Description) -> list[Grain]:
    """Return the grains of a description in the order in which the text states them.

    Verbs that say no more than that a thing is there ("is located") are no action, and "of" is no relation.
    """
    found: dict[tuple[int, int, str, str], list[Slot]] = {}
    for i, entity in enumerate(description.entities):
        for key, slot in _of_entity(i, entity):
            found.setdefault(key, []).append(slot)
    for i, relation in enumerate(description.relations):
        if not _says_little(description, relation):
            value = _relation_value(description, relation)
            found.setdefault((relation.start, relation.end, relation.kind, value), []).append(("relation", i, 0))
    for i, written in enumerate(description.written):
        found.setdefault((written.start, written.end, "text", written.value), []).append(("text", i, 0))
    seen: Counter[str] = Counter()
    grains = []
    for (start, end, kind, value), slots in sorted(found.items()):
        grains.append(Grain(numbered(kind, seen[kind]), value, start, end, kind, tuple(slots)))
        seen[kind] += 1
    return grains


def _of_entity(i: int, entity: Entity) -> Iterator[tuple[tuple[int, int, str, str], Slot]]:
    if entity.negated:
        start, end = entity.negation_span or (entity.start, entity.end)
        yield (start, end, "negation", f"no {entity.head}"), ("negation", i, 0)
        return
    yield (entity.start, entity.end, "scene" if entity.place else "entity", entity.head), ("entity", i, 0)
    # "lots of food" counts nothing; "a herd of sheep" does, though its noun has no plural.
    open_mass = entity.count in ("several", "few") and not entity.plural and not _is_alive(entity)
    if entity.count is not None and entity.count_span is not None and not open_mass:
        kind, no = ("negation", "not ") if entity.count_negated else ("count", "")
        yield (*entity.count_span, kind, no + entity.count), ("count", i, 0)
    for column, x in enumerate(entity.attributes):
        kind, no = ("negation", "not ") if x.negated else (x.kind, "")
        yield (x.start, x.end, kind, no + x.value), ("attribute", i, column)


def _says_little(description: Description, relation: Relation) -> bool:
    """Return True where a relation says only that a thing is there: "of", "is located", a bus that sits on a street."""
    if relation.kind == "relation":
        return relation.predicate in _NO_RELATION
    verb = relation.predicate.split()[0]
    if verb in _BODILY and relation.subject is not None:
        return not _is_alive(description.entities[relation.subject])
    return verb in LIGHT_VERBS and verb != "park"


def _is_alive(entity: Entity) -> bool:
    fields = wordnet.fields(entity.head) or wordnet.fields(entity.base)
    return bool({entity.head, entity.base} & PEOPLE) or fields[:1] in (("person",), ("animal",), ("group",))


def _relation_value(description: Description, relation: Relation) -> str:
    words = [] if not relation.negated else ["not"]
    words.append(relation.predicate)
    if relation.object is not None:
        words.append(description.entities[relation.object].head)
    return " ".join(words)
