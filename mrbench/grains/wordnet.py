"""Facts of WordNet about a lemma: senses, synonyms, hypernyms, antonyms. Read from a table that MRBench carries."""

from __future__ import annotations

import lzma
import re
from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple

VERSION = "3.0"
_TABLE = "data/wordnet.txt.xz"
NOUN_FILES = {3: "top", 4: "act", 5: "animal", 6: "artifact", 7: "attribute", 8: "body", 9: "cognition",
              10: "communication", 11: "event", 12: "feeling", 13: "food", 14: "group", 15: "location", 16: "motive",
              17: "object", 18: "person", 19: "phenomenon", 20: "plant", 21: "possession", 22: "process",
              23: "quantity", 24: "relation", 25: "shape", 26: "state", 27: "substance", 28: "time"}  # fmt: skip
"""Names of the lexicographer files of nouns: the broad field of a sense."""


class _Part(NamedTuple):
    files: list[int]
    hypernyms: list[tuple[int, ...]]
    antonyms: list[tuple[int, ...]]
    similar: list[tuple[int, ...]]
    lemmas: dict[str, str]
    irregular: dict[str, str]


@cache
def _tables() -> dict[str, _Part]:
    lines = iter(lzma.decompress((files("mrbench.grains") / _TABLE).read_bytes()).decode().splitlines()[1:])
    parts = {}
    for heading in lines:
        _, part, size = heading.split()
        table = _Part([], [], [], [], {}, {})
        for number in range(int(size)):
            fields = next(lines).split(" ")
            table.files.append(int(fields[0]))
            for column, field in zip(table[1:4], [*fields[1:], "-", "-", "-"], strict=False):
                column.append(() if field == "-" else tuple(number - int(n) for n in field.split(",")))
        for _ in range(int(next(lines).split()[2])):
            lemma, rows = next(lines).split(" ", 1)
            table.lemmas[lemma] = rows
        for _ in range(int(next(lines).split()[2])):
            form, lemma = next(lines).split(" ")
            table.irregular.setdefault(form, lemma)
        parts[part] = table
    return parts


@lru_cache(maxsize=65536)
def senses(lemma: str, part: str) -> tuple[int, ...]:
    """Return the numbers of a lemma's synsets, the most frequent first; nothing where it is not known.

    Args:
        lemma: In lower case; words of a phrase are joined by spaces or underscores.
        part: ``n`` noun, ``v`` verb, ``a`` adjective.
    """
    rows = _tables()[part].lemmas.get(lemma.replace(" ", "_"))
    return tuple(map(int, rows.split())) if rows else ()


def known(lemma: str, part: str) -> bool:
    """Return True where WordNet has the lemma."""
    return lemma.replace(" ", "_") in _tables()[part].lemmas


_ENDINGS = {
    "n": (("s", ""), ("ses", "s"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh"), ("ies", "y"),
          ("ies", "ie")),
    "v": (("ies", "y"), ("es", "e"), ("es", ""), ("s", ""), ("ied", "y"), ("ed", "e"), ("ed", ""), ("ing", "e"),
          ("ing", "")),
}  # fmt: skip


@lru_cache(maxsize=65536)
def lemma(form: str, part: str) -> str:
    """Return the lemma of an inflected noun or verb in lower case, the form itself where none is known.

    >>> lemma("riding", "v"), lemma("sitting", "v"), lemma("vases", "n"), lemma("singing", "v")
    ('ride', 'sit', 'vase', 'sing')
    """
    table = _tables()[part]
    if form in table.irregular:
        return table.irregular[form]
    found = [
        form.removesuffix(ending) + back
        for ending, back in _ENDINGS[part]
        if form.endswith(ending) and len(form) - len(ending) + len(back) > 1
    ]
    found = [candidate for candidate in found if candidate in table.lemmas]
    if part == "n" and (form.endswith("ss") or (form in table.lemmas and not found)):
        return form
    if len(found) > 1 and found[0] == found[1] + "e" and not re.search("(^|[^aeiou])[aeiou][^aeiouwxy]$", found[1]):
        return found[1]  # "singing" is no form of "singe": the stem ends in two consonants
    return found[0] if found else form


@lru_cache(maxsize=65536)
def fields(lemma: str, *, first: int = 1) -> tuple[str, ...]:
    """Return the broad fields of a noun's first senses, such as ``animal`` or ``artifact``."""
    table = _tables()["n"]
    return tuple(NOUN_FILES.get(table.files[sense], "") for sense in senses(lemma, "n")[:first])


@lru_cache(maxsize=65536)
def ancestors(sense: int, part: str) -> dict[int, int]:
    """Return a synset and all above it, with the number of steps."""
    table, found, edge, depth = _tables()[part], {sense: 0}, [sense], 0
    while edge:
        depth += 1
        edge = [above for below in edge for above in table.hypernyms[below] if above not in found]
        found.update(dict.fromkeys(edge, depth))
    return found


@lru_cache(maxsize=262144)
def synonyms(one: str, other: str, part: str, *, first: int = 4) -> bool:
    """Return True where two lemmas share one of their first senses."""
    return not set(senses(one, part)[:first]).isdisjoint(senses(other, part)[:first])


@lru_cache(maxsize=262144)
def is_a(one: str, other: str, part: str, *, first: int = 3, of: int = 2) -> bool:
    """Return True where one of the first senses of ``one`` lies below one of the first senses of ``other``."""
    above = senses(other, part)[:of]
    return any(sense != top and top in ancestors(sense, part) for sense in senses(one, part)[:first] for top in above)


@lru_cache(maxsize=262144)
def antonyms(one: str, other: str, part: str) -> bool:
    """Return True where two lemmas have senses that are antonyms; of adjectives also through a similar one."""
    table, others = _tables()[part], set(senses(other, part))
    mine = set(senses(one, part))
    if any(target in others for sense in mine for target in table.antonyms[sense]):
        return True
    if part != "a":
        return False
    near = mine | {close for sense in senses(one, part)[:2] for close in table.similar[sense]}
    far = others | {close for sense in senses(other, part)[:2] for close in table.similar[sense]}
    return any(target in far for sense in near for target in table.antonyms[sense])


@lru_cache(maxsize=262144)
def similar(one: str, other: str) -> bool:
    """Return True where two adjectives share a sense or stand in one cluster of similar ones."""
    table, others = _tables()["a"], set(senses(other, "a")[:3])
    mine = senses(one, "a")[:3]
    return any(s in others or not others.isdisjoint(table.similar[s]) for s in mine)


@lru_cache(maxsize=262144)
def closeness(one: str, other: str, part: str) -> float:
    """Return how near the first senses of two lemmas stand in the tree: Wu-Palmer, 0 to 1 (1 is the same sense)."""
    best = 0.0
    for a in senses(one, part)[:2]:
        up = ancestors(a, part)
        for b in senses(other, part)[:2]:
            down = ancestors(b, part)
            shared = up.keys() & down.keys()
            if shared:
                top = min(shared, key=lambda node: up[node] + down[node])
                depth = max(ancestors(top, part).values()) + 1
                best = max(best, 2 * depth / (2 * depth + up[top] + down[top]))
    return best
