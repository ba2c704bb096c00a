"""What a photo has in the place of a grain that it loses, and the caption that fits it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mrbench.build.captions.rewrite import slot_of
from mrbench.build.captions.words import with_articles
from mrbench.grains import Grain
from mrbench.judge import VIOLATED, Verdict


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
