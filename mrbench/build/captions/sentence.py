"""Says in a sentence what is to change in a photo: "The same, but with a red ball instead of a blue one."."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mrbench.build.captions.changes import Change, Said
from mrbench.build.captions.losses import CONCRETE
from mrbench.build.captions.words import DEFINITE, MASS, PLURAL, PREPOSITIONS, UNSEEN, with_articles
from mrbench.grains import Grain, wordnet

_THINGS = ("entity", "scene")
_OF_A_THING = frozenset({"colour", "size", "material", "age", "shape", "pattern", "state", "attribute", "count"})
_ARTICLES = {"a": "a", "an": "a", "one": "a", "another": "a"} | dict.fromkeys(
    ("the", "his", "her", "its", "their", "this", "that", "these", "those"), "the"
)
_VISIBLE = CONCRETE | {("substance",), ("location",), ("phenomenon",)}
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Sentence:
    """What is to change, in words.

    Attributes:
        text: "The same, but on a bench instead of a rock."
        words: Where the words of each wanted grain stand: "bench".
    """

    text: str
    words: tuple[Span, ...]


def sentence(parts: Sequence[Change]) -> Sentence | None:
    """Return what is to change, None where no plain sentence says it.

    Two changes have different words on both sides: "a black dog instead of a brown one and a white dog instead of a
    brown one" does not tell which dog is which.

    "The same, but with a red ball instead of a blue one and running instead of sitting."
    """
    for side in ([part.wanted for part in parts], [part.shown for part in parts]):
        if len({one.words for one in side}) < len(side):
            return None
    text, words = "The same, but ", []
    for number, part in enumerate(parts):
        said = _phrases(part)
        if said is None:
            return None
        wanted, shown = said
        text += " and " if number else ""
        at = len(text) + wanted.rindex(part.wanted.words)
        words.append((at, at + len(part.wanted.words)))
        text += f"{wanted} instead of {shown}"
    return Sentence(f"{text}.", tuple(words))


def _phrases(part: Change) -> tuple[str, str] | None:
    """Return what is wanted and what the photo has in its place, as two phrases; None where there are no plain ones."""
    kind, wanted, shown = part.wanted.grain.kind, part.wanted.words, part.shown.words
    if kind in _THINGS:
        return _things(part.wanted, part.shown) if _seen(part.wanted) and _seen(part.shown) else None
    if kind == "action":
        return (wanted, shown) if wanted.endswith("ing") and shown.endswith("ing") else None
    holder = _holder(part.wanted)
    if kind not in _OF_A_THING or holder is None:
        return None
    thing = part.wanted.text[holder.start : holder.end].lower()
    if kind == "count":
        return f"with {wanted} {thing}", shown
    if _is_plural(thing):  # "red balls instead of blue ones"
        return f"with {wanted} {thing}", f"{shown} ones"
    if thing.split()[-1] in MASS:  # "red hair instead of brown hair"
        return f"with {wanted} {thing}", f"{shown} {thing}"
    return f"with {with_articles(f'a {wanted}')} {thing}", f"{with_articles(f'a {shown}')} one"


def _things(wanted: Said, shown: Said) -> tuple[str, str] | None:
    """Return two phrases for things: "on a bench" and "a rock", or "with a cat" and "an owl".

    None where a preposition stands before one of them alone, or where one is a place and the other is worn or brought
    along ("in the water", "in a shirt", "with a toy"): then they are not in one place.
    """
    before, instead = _preposition(wanted), _preposition(shown)
    if bool(before) != bool(instead):
        return None
    if _worn(wanted) != _worn(shown) or (before != instead and "with" in (before, instead)):
        return None
    if not before:
        return f"with {_noun(wanted, '')}", _noun(shown, "")
    other = _noun(shown, instead)
    return f"{before} {_noun(wanted, before)}", other if before == instead else f"{instead} {other}"


def _preposition(said: Said) -> str:
    """Return the preposition of a caption before a thing, empty where none stands there."""
    for grain in said.grains:
        if grain.kind == "relation" and grain.start < said.grain.start < grain.end:
            words = said.text[grain.start : said.grain.start].lower().split()
            found = (" ".join(words[:n]) for n in (3, 2, 1) if n <= len(words))
            return next((name for name in found if name in PREPOSITIONS), "")
    return ""


def _noun(said: Said, preposition: str) -> str:
    """Return the words for a thing with an article that fits them.

    A caption's "the" stays after a preposition ("on the beach"). Elsewhere a new thing has "a", and so has a thing
    without an article ("dog catches stick"), unless its word is plural or names no single thing.
    """
    words, article = said.words, _article(said)
    last = words.split()[-1]
    if _is_plural(last):
        return f"the {words}" if preposition and article == "the" else words
    if article != "a" and (last in DEFINITE or (preposition and article == "the")):
        return f"the {words}"
    if article != "a" and last in MASS:
        return words
    return with_articles(f"a {words}")


def _is_plural(word: str) -> bool:
    last = word.split()[-1]
    return last in PLURAL or wordnet.lemma(last, "n") != last


def _seen(said: Said) -> bool:
    """Return True where the words name something in a photo: not "the camera" that takes it, not "round"."""
    last = said.words.split()[-1]
    fields = wordnet.fields(wordnet.lemma(said.words, "n")) or wordnet.fields(wordnet.lemma(last, "n"))
    return fields[:1] in _VISIBLE and last not in UNSEEN and not (last == "camera" and _article(said) == "the")


def _worn(said: Said) -> bool:
    """Return True for clothes and for parts of a body."""
    noun = wordnet.lemma(said.words, "n")
    return wordnet.fields(noun)[:1] == ("body",) or any(
        wordnet.is_a(noun, name, "n", first=2) for name in ("clothing", "footwear", "headdress")
    )


def _holder(said: Said) -> Grain | None:
    """Return the thing that has an attribute or a count."""
    rows = {row for table, row, _ in said.grain.slots if table in ("attribute", "count")}
    things = (g for g in said.grains if g.kind in _THINGS and ("entity", min(rows, default=-1), 0) in g.slots)
    return next(things, None) if len(rows) == 1 else None


def _article(said: Said) -> str:
    """Return "a", "the" or nothing, as the caption has it before the thing and its attributes."""
    start = said.grain.start
    before = said.text[:start].split()
    own = {g.end for g in said.grains if g.kind in _OF_A_THING}
    while before and (len(said.text[:start].rstrip()) in own):
        start = len(said.text[:start].rstrip()) - len(before.pop())
    return _ARTICLES.get(before[-1].lower(), "") if before else ""
