"""What a photo has in the place of a grain that it loses: the caption that fits it, and the change in a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mrbench.build.captions.rewrite import slot_of
from mrbench.build.captions.words import with_articles
from mrbench.grains import Grain
from mrbench.judge import VIOLATED, Verdict

_THINGS = ("entity", "scene")
_OF_A_THING = frozenset({"colour", "size", "material", "age", "shape", "pattern", "state", "attribute", "count"})
_ARTICLES = {"a": "a", "an": "a", "one": "a"} | dict.fromkeys(
    ("the", "his", "her", "its", "their", "this", "that", "these", "those"), "the"
)


@dataclass(frozen=True, slots=True)
class Said:
    """A caption, and the grain of it that another photo contradicts."""

    text: str
    grains: tuple[Grain, ...]
    grain: Grain

    @property
    def words(self) -> str:
        """The words of the grain that can be exchanged; empty where they are not simple."""
        slot = slot_of(self.text, self.grain, self.grains)
        return self.text[slot.start : slot.end] if slot else ""


@dataclass(frozen=True, slots=True)
class Change:
    """One grain of a caption, and what a photo that loses it says in its place."""

    wanted: Said
    shown: Said


def contradicted(text: str, verdict: Verdict) -> Iterator[Said]:
    """Yield the grains of a caption that a photo contradicts, and whose words can be exchanged."""
    for grain, answer in zip(verdict.grains, verdict.answers, strict=True):
        said = Said(text, verdict.grains, grain)
        if answer == VIOLATED and said.words:
            yield said


def changes(wanted: Said, shown: Iterable[Said]) -> list[Change]:
    """Return what may stand in the place of a grain: of the same form, each word once, the first of a word."""
    found: dict[str, Change] = {}
    form = _form(wanted)
    for other in shown:
        if _form(other) == form and other.words != wanted.words:
            found.setdefault(other.words, Change(wanted, other))
    return list(found.values())


def _form(said: Said) -> tuple[str, ...]:
    slot = slot_of(said.text, said.grain, said.grains)
    return () if slot is None else slot.key[:2]


def changed(text: str, parts: Sequence[Change]) -> str:
    """Return a caption with the words of a photo in the place of those that it contradicts."""
    for part in sorted(parts, key=lambda part: -part.wanted.grain.start):
        slot = slot_of(part.wanted.text, part.wanted.grain, part.wanted.grains)
        if slot is None:
            raise ValueError(f"words of {part.wanted.grain.type} cannot be exchanged")
        text = text[: slot.start] + part.shown.words + text[slot.end :]
    return with_articles(text)


def sentence(parts: Sequence[Change]) -> tuple[str, list[tuple[int, int]]] | None:
    """Return what is to change, in words, and where each wanted grain stands in it; None where there are no words.

    "The same, but with a red ball instead of a blue one and running instead of sitting."
    """
    text = "The same, but "
    spans = []
    for number, part in enumerate(parts):
        said = _phrases(part)
        if said is None:
            return None
        wanted, shown = said
        text += " and " if number else ""
        at = len(text) + wanted.index(part.wanted.words)
        spans.append((at, at + len(part.wanted.words)))
        text += f"{wanted} instead of {shown}"
    return f"{text}.", spans


def _phrases(part: Change) -> tuple[str, str] | None:
    """Return what is wanted and what the photo has in its place, as two phrases."""
    kind, wanted, shown = part.wanted.grain.kind, part.wanted.words, part.shown.words
    if kind in _THINGS:
        return f"with {_with_article(part.wanted, wanted)}", _with_article(part.shown, shown)
    if kind == "action":
        return (wanted, shown) if wanted.endswith("ing") and shown.endswith("ing") else None
    holder = _holder(part.wanted)
    if kind not in _OF_A_THING or holder is None:
        return None
    thing = part.wanted.text[holder.start : holder.end].lower()
    if kind == "count":
        return f"with {wanted} {thing}", shown
    article = _article(Said(part.wanted.text, part.wanted.grains, holder))
    if not article:  # "red hair instead of blue hair", "red balls instead of blue balls"
        return f"with {wanted} {thing}", f"{shown} {thing}"
    return f"with {with_articles(f'{article} {wanted}')} {thing}", f"{with_articles(f'{article} {shown}')} one"


def _holder(said: Said) -> Grain | None:
    """Return the thing that has an attribute or a count."""
    rows = {row for table, row, _ in said.grain.slots if table in ("attribute", "count")}
    things = (g for g in said.grains if g.kind in _THINGS and ("entity", min(rows, default=-1), 0) in g.slots)
    return next(things, None) if len(rows) == 1 else None


def _with_article(said: Said, words: str) -> str:
    article = _article(said)
    return with_articles(f"{article} {words}") if article else words


def _article(said: Said) -> str:
    """Return "a", "the" or nothing, as the caption has it before the thing and its attributes."""
    start = said.grain.start
    before = said.text[:start].split()
    own = {g.end for g in said.grains if g.kind in _OF_A_THING}
    while before and (len(said.text[:start].rstrip()) in own):
        start = len(said.text[:start].rstrip()) - len(before.pop())
    return _ARTICLES.get(before[-1].lower(), "") if before else ""
