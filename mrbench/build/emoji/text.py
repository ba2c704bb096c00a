"""Writes sentences about emojis from their grains, never from their names.

There are six styles: three for queries and three for candidates, so that no query text is in a corpus. Every style can
leave out any grain and still be English, which gives the degrained queries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mrbench.build.emoji.roles import BY_VALUE, Kind, with_article
from mrbench.build.sentence import Part, compose
from mrbench.records import Grain

STYLES = 3
Words = list[Part | str]
Sentence = tuple[str, tuple[Grain, ...]]

_HAIR = {"bald": "a bald head", "beard": "a beard"}
_PAIR = {"woman and man": "a woman and a man"}


def query_sentence(values: Mapping[str, str], kind: Kind, style: int) -> Sentence:
    """Return the sentence of a query in one of three styles.

    >>> query_sentence({"role": "running", "gender": "woman", "skin tone": "dark", "direction": "left"}, "person", 0)[0]
    'A woman with dark skin who is running and facing left.'
    >>> query_sentence({"gender": "woman", "skin tone": "dark"}, "person", 1)[0]
    'A picture of a woman who has dark skin.'
    """
    return compose(_QUERY[kind](values, style), values)


def candidate_sentence(values: Mapping[str, str], kind: Kind, style: int) -> Sentence:
    """Return the sentence of a candidate in one of three other styles.

    >>> candidate_sentence({"role": "running", "gender": "woman", "skin tone": "dark"}, "person", 0)[0]
    'This woman has dark skin and is running.'
    """
    return compose(_CANDIDATE[kind](values, style), values)


def change_sentence(changes: Mapping[str, str], grains: Mapping[str, str], kind: Kind, style: int) -> Sentence:
    """Return the text of a composed query: only the new values, as changes of its picture.

    Args:
        changes: The grains that the text states; none gives "The same picture."
        grains: All grains that the record asks for; those not in ``changes`` have no span.

    >>> change_sentence({"gender": "man", "skin tone": "dark"}, {}, "person", 0)[0]
    'The same, but a man, with dark skin.'
    """
    if not changes:
        return compose(["the same picture"], grains)
    stated = [
        _CHANGES[grain](value, kind)
        for grain, value in sorted(changes.items(), key=lambda change: change[0] != "gender")
    ]
    if style == 0:
        return compose(["the same, but", *_joined(stated, ",")], grains)
    return compose(
        [("like this picture, only now", "almost this picture, this time")[style - 1], *_listed(stated)], grains
    )


def _joined(items: list[Words], glue: str) -> Words:
    return [word for index, item in enumerate(items) for word in ((glue, *item) if index else item)]


def _listed(items: list[Words]) -> Words:
    """Return the items joined as in "a, b and c"."""
    if len(items) < 2:
        return items[0] if items else []
    return [*_joined(items[:-1], ","), "and", *items[-1]]


def _led(lead: str, items: list[Words]) -> Words:
    """Return the joined list after a leading word; empty if the list is empty."""
    return [lead, *_listed(items)] if items else []


def _role(values: Mapping[str, str]) -> list[Words]:
    return [[Part(BY_VALUE[values["role"]].words, "role")]] if "role" in values else []


def _looks(values: Mapping[str, str]) -> list[Words]:
    looks: list[Words] = []
    if "skin tone" in values:
        looks.append([Part(f"{values['skin tone']} skin", "skin tone")])
    if "hair" in values:
        looks.append([Part(_HAIR.get(values["hair"], f"{values['hair']} hair"), "hair")])
    return looks


def _turned(values: Mapping[str, str], verb: str) -> list[Words]:
    return [[Part(f"{verb} {values['direction']}", "direction")]] if "direction" in values else []


def _who(values: Mapping[str, str]) -> Words:
    return ["a", Part(values["gender"], "gender") if "gender" in values else "person"]


# One person doing something


def _person_query(values: Mapping[str, str], style: int) -> Words:
    looks, acts = _looks(values), [*_role(values), *_turned(values, "facing")]
    who = _who(values) if "role" in values or "gender" in values else ["someone"]
    if style == 0:
        return [*who, *_led("with", looks), *_led("who is", acts)]
    if style == 1:
        has = [["has", *_listed(looks)]] if looks else []
        clauses = [*(["is", *words] for words in _role(values)), *_turned(values, "faces"), *has]
        return ["a picture of", *who, *_led("who", clauses)]
    if acts:
        return ["an image in which", *who, *_led("with", looks), *_led("is", acts)]
    return ["an image of", *who, *_led("with", looks)]


def _person_candidate(values: Mapping[str, str], style: int) -> Words:
    looks, acts = _looks(values), [*_role(values), *_turned(values, "facing")]
    has = [["has", *_listed(looks)]] if looks else []
    clauses = [*has, *(["is", *words] for words in _role(values)), *_turned(values, "faces")]
    if style == 0:
        return ["this", *_who(values)[1:], *_listed(clauses)]
    if style == 1:
        return ["here is", *_who(values), *_led("with", looks), *(word for act in acts for word in (",", *act))]
    gender = [["is", *_who(values)]] if "gender" in values else []
    return ["the person shown", *_listed([*gender, *clauses])]


# A head and nothing else


def _portrait_query(values: Mapping[str, str], style: int) -> Words:
    who, looks = _who(values), _looks(values)
    if style == 1:
        return ["a plain portrait of", *who, *_led("who has", looks)]
    return [("a plain portrait of", "", "an image of nothing but the face of")[style], *who, *_led("with", looks)]


def _portrait_candidate(values: Mapping[str, str], style: int) -> Words:
    who, looks = _who(values), _looks(values)
    if style == 1:
        return ["here is a plain portrait of", *who, *_led("who has", looks)]
    return [
        ("this is a plain portrait of", "", "the drawing shows just the face of")[style],
        *who,
        *_led("with", looks),
    ]


# Two people, or two hands


def _two(values: Mapping[str, str]) -> Words:
    if "gender" in values:
        return [Part(_PAIR.get(values["gender"], values["gender"]), "gender")]
    return ["two hands" if values.get("role") == "shaking hands" else "two people"]


def _sides(values: Mapping[str, str], before: tuple[str, str], after: tuple[str, str] = ("", "")) -> list[Words]:
    return [
        [before[side], Part(f"{values[grain]} skin", grain), after[side]]
        for side, grain in enumerate(("skin tone", "second skin tone"))
        if grain in values
    ]


_ONES = ("the one on the left", "the one on the right")
_HAS = ("the left one has", "the right one has")
_ON = ("on the left", "on the right")


def _pair_query(values: Mapping[str, str], style: int) -> Words:
    two, role = _two(values), _role(values)
    if style == 0:
        sides = _sides(values, (f"{_ONES[0]} with", f"{_ONES[1]} with"))
        are = "that are" if two == ["two hands"] else "who are"
        return [*two, *_led(are, role), *_led(",", sides)]
    if style == 1:
        return ["a picture of", *two, *_listed(role), *_led(", with", _sides(values, ("", ""), _ON))]
    start: Words = ["an image in which", *two, "are", *_listed(role)] if role else ["an image of", *two]
    return [*start, *_led(", where", _sides(values, _HAS))]


def _pair_candidate(values: Mapping[str, str], style: int) -> Words:
    two, role = _two(values), _role(values)
    if style == 0:
        start: Words = [*two, "are", *_listed(role)] if role else ["these are", *two]
        return [*start, *_led(", and", _sides(values, _HAS))]
    if style == 1:
        sides = _sides(values, (f"{_ONES[0]} having", f"{_ONES[1]} having"))
        return ["here are", *two, *_listed(role), *_led(",", sides)]
    return ["this drawing shows", *two, *_listed(role), *(w for s in _sides(values, ("", ""), _ON) for w in (",", *s))]


# A hand, or a small child


def _thing(values: Mapping[str, str]) -> Words:
    return _listed(_role(values)) or ["something"]


def _thing_query(values: Mapping[str, str], style: int) -> Words:
    thing, looks, turned = _thing(values), _looks(values), _turned(values, "pointing")
    if style == 0:
        return [*thing, *_led(", with", looks), *_led(",", turned)]
    if style == 1:
        return ["a picture of", *thing, *_led(",", turned), *_led(", with", looks)]
    has = [["has", *_listed(looks)]] if looks else []
    return ["an image of", *thing, *_led("that", [*_turned(values, "points"), *has])]


def _thing_candidate(values: Mapping[str, str], style: int) -> Words:
    thing, looks, turned = _thing(values), _looks(values), _turned(values, "pointing")
    has = [["has", *_listed(looks)]] if looks else []
    if style == 0:
        return ["this is", *thing, *_led(", with", looks), *_led(",", turned)]
    if style == 1:
        return ["here is", *thing, *_led("that", [*has, *_turned(values, "points")])]
    return ["the drawing shows", *thing, *_led(",", turned), *_led(", with", looks)]


# Everything else


def _object(values: Mapping[str, str], style: int) -> Words:
    start = ("this is", "here is", "the drawing shows")[style]
    return [start, with_article(values["object"]).split(" ")[0], Part(values["object"], "object")]


_QUERY: dict[Kind, Callable[[Mapping[str, str], int], Words]] = {
    "person": _person_query,
    "portrait": _portrait_query,
    "pair": _pair_query,
    "hands": _pair_query,
    "thing": _thing_query,
    "object": _object,
}
_CANDIDATE: dict[Kind, Callable[[Mapping[str, str], int], Words]] = {
    "person": _person_candidate,
    "portrait": _portrait_candidate,
    "pair": _pair_candidate,
    "hands": _pair_candidate,
    "thing": _thing_candidate,
    "object": _object,
}


def _change_tone(value: str, kind: Kind) -> Words:
    skin = Part(f"{value} skin", "skin tone")
    return ["with", skin, "on the left"] if kind in ("pair", "hands") else ["with", skin]


def _change_gender(value: str, kind: Kind) -> Words:
    words = _PAIR.get(value, value)
    return [Part(words, "gender")] if kind == "pair" else ["a", Part(words, "gender")]


_CHANGES: dict[str, Callable[[str, Kind], Words]] = {
    "role": lambda value, kind: [Part(BY_VALUE[value].words, "role")],
    "gender": _change_gender,
    "skin tone": _change_tone,
    "second skin tone": lambda value, kind: ["with", Part(f"{value} skin", "second skin tone"), "on the right"],
    "hair": lambda value, kind: ["with", Part(_HAIR.get(value, f"{value} hair"), "hair")],
    "direction": lambda value, kind: [Part(f"{'pointing' if kind == 'thing' else 'facing'} {value}", "direction")],
}
