"""What a caption says, as slots: things with attributes and counts, and who does what, where, to whom."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Attribute:
    """One attribute of a thing: kind (colour, size, ...), value, where the text says it, and whether it denies it."""

    kind: str
    value: str
    start: int
    end: int
    negated: bool = False


@dataclass(slots=True)
class Entity:
    """One thing or kind of things that a caption names.

    Attributes:
        head: Lemma of the noun, with the words before it that WordNet knows as one name ("fire hydrant").
        base: Lemma of the last noun alone ("hydrant").
        count: A number in digits, ``several``, or None where the caption gives no count.
        count_negated: Whether the caption denies the count: "not three cats".
        plural: Whether the noun is plural.
        article: Whether "a" or "an" stands before it: one, said in passing.
        negated: Whether the caption says that it is not there.
        place: Whether it is where the scene is ("in a kitchen").
        start, end: Span of the name.
    """

    head: str
    base: str
    start: int
    end: int
    plural: bool = False
    article: bool = False
    negated: bool = False
    place: bool = False
    count: str | None = None
    count_negated: bool = False
    count_span: tuple[int, int] | None = None
    negation_span: tuple[int, int] | None = None
    attributes: list[Attribute] = field(default_factory=list)


@dataclass(slots=True)
class Relation:
    """An action, or how two things stand.

    Attributes:
        kind: ``action`` or ``relation``.
        predicate: Lemma of the verb with its particle, or the relation that a preposition states.
        subject, object: Positions in the description's entities; None where the caption leaves it out.
        alternatives: Other entities that the phrase may belong to: "a man with a dog in a park".
        negated: Whether the caption denies it.
        start, end: Span of the words.
    """

    kind: str
    predicate: str
    subject: int | None
    object: int | None
    start: int
    end: int
    negated: bool = False
    word: str = ""
    alternatives: tuple[int, ...] = ()


@dataclass(slots=True)
class Description:
    """Everything that one caption says.

    Attributes:
        text: The caption.
        entities: In order of the text.
        relations: In order of the text.
        words: Lemmas of all words, as noun and as verb.
        written: Text that the caption says is written in the image: value, start, end.
    """

    text: str
    entities: list[Entity] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)
    written: list[Attribute] = field(default_factory=list)
    words: frozenset[str] = frozenset()
