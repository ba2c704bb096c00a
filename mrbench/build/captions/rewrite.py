"""Captions with one grain changed, such that a model that sees no photo cannot tell which caption is true.

The filler comes from the same data and is of the same kind and form. The judge checks it: the changed grain is
violated, the others stand, and two of the photo's captions contradict the change. Of the fillers that pass, one
language model chooses; a second one, which learned from other photos, sets how it chooses; a third one, from other
photos again, attacks the result.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mrbench.build.captions.language import NGrams, words_of
from mrbench.build.captions.losses import VOTES
from mrbench.build.captions.words import with_articles
from mrbench.grains import Grain, wordnet
from mrbench.judge import KEPT, VIOLATED, Judge, Verdict

KINDS = ("entity", "scene", "colour", "size", "material", "age", "shape", "pattern", "count", "action", "relation")
"""Kinds of grains that are changed. Not states and other attributes: most of their fillers contradict nothing."""
TARGET, ENOUGH = 0.60, 20
"""Greatest blind accuracy of a type, and 1 less it the least; and the texts from which on a type is held to it."""
MARGINS = (-1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
"""Log scores that a changed caption may have above the true one, by the model that chooses."""
_PARTS, _MOST = 4, 150
_DETERMINERS = frozenset({"a", "an", "the", "his", "her", "its", "their", "some", "this", "that"})


@dataclass(frozen=True, slots=True)
class Slot:
    """Words of a caption that can be exchanged: where they are, and what fits there."""

    start: int
    end: int
    key: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """A caption of which one grain is to be changed, with all captions of its photo."""

    photo: str
    text: str
    texts: Sequence[str]
    grains: tuple[Grain, ...]
    grain: Grain


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A changed caption: of which item, its grains, and how much likelier the model that chose finds it."""

    item: Item
    text: str
    grains: tuple[Grain, ...]
    margin: float


@dataclass
class Blind:
    """How often a blind model tells the true caption of a grain type: before and after fillers were balanced."""

    before: float
    after: float
    number: int
    kept: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return the values, rounded."""
        return {"before": round(self.before, 4), "after": round(self.after, 4), "texts": self.number, "kept": self.kept}


def slot_of(text: str, grain: Grain, grains: Sequence[Grain]) -> Slot | None:
    """Return the words of a grain that can be exchanged, None where its words are not simple."""
    start, end = grain.start, grain.end
    if grain.kind in ("action", "relation"):
        inside = [g.start for g in grains if start < g.start < end]
        words = text[start : min(inside) if inside else end].split()
        while words and words[-1].lower() in _DETERMINERS:
            words.pop()
        words = words[:1] if grain.kind == "action" else words
        end = start + len(" ".join(words))
        if not words or text[start:end] != " ".join(words) or (grain.kind == "relation" and not inside):
            return None
    said = text[start:end]
    if grain.kind == "action" and " " in grain.value:  # "cutting a wave": what is done to a thing has many names
        return None
    if grain.kind not in KINDS or not said.replace(" ", "").isalpha() or said != said.lower():
        return None
    if grain.kind in ("entity", "scene"):
        form = ("plural" if said != grain.value and said.endswith("s") else "single" if said == grain.value else said,)
        return Slot(start, end, (grain.kind, *form, (wordnet.fields(grain.value) or ("",))[0]))
    if grain.kind == "action":
        ends = next((e for e in ("ing", "ed", "s") if said.endswith(e)), "")
        return Slot(start, end, ("action", ends, str(end < grain.end)))
    if grain.kind == "count":
        return Slot(start, end, ("count", "one" if grain.value == "1" else "many")) if " " not in said else None
    return Slot(start, end, (grain.kind,))


class Fillers:
    """Words of the data by what they fit.

    Args:
        grains: The grains of every caption.
    """

    def __init__(self, grains: Mapping[str, Sequence[Grain]]) -> None:
        counts: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        for text, held in grains.items():
            for grain in held:
                slot = slot_of(text, grain, held)
                if slot is not None:
                    counts[slot.key][text[slot.start : slot.end]] += 1
        self._of = {key: sorted(sorted(found), key=lambda word: -found[word])[:_MOST] for key, found in counts.items()}

    def of(self, slot: Slot, said: str) -> list[str]:
        """Return the words that fit a slot but for those that are there, the most frequent first."""
        return [word for word in self._of.get(slot.key, ()) if word != said]


@dataclass
class Rewriter:
    """Changes captions.

    Args:
        grains: The grains of every caption of the data.
        photo_of: A photo of every caption.
        judge: Checks changes.
    """

    grains: Mapping[str, Sequence[Grain]]
    photo_of: Mapping[str, str]
    judge: Judge
    blind: dict[str, Blind] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._fillers = Fillers(self.grains)
        parts: list[list[str]] = [[] for _ in range(_PARTS)]
        for text in sorted(self.grains):
            parts[_part(self.photo_of[text])].append(text)
        self._models = [NGrams(part) for part in parts]

    def rewrite(self, items: Sequence[Item]) -> list[Rewritten]:
        """Return at most one changed caption for each item, of the grain types that a blind model does not solve.

        Fills :attr:`blind`. A type of 20 texts or more of which the attack tells over 0.60 is left out, and so is
        one below 0.40: a model that prefers the changed caption tells it too.
        """
        options = list(self._accepted(items))
        made: list[Rewritten] = []
        by_type: dict[tuple[int, int, str], list[list[Rewritten]]] = defaultdict(list)
        for found in options:
            if found:
                grain = found[0].item.grain
                by_type[KINDS.index(grain.kind), len(grain.type), grain.type].append(found)
        for (*_, name), groups in sorted(by_type.items()):
            margin = min(MARGINS, key=lambda m: (abs(self._told(_chosen(groups, m), 2) - 0.5), abs(m)))
            chosen = _chosen(groups, margin)
            first = [min(found, key=lambda one: _hash(one.text)) for found in groups]
            blind = Blind(self._told(first, 3), self._told(chosen, 3), len(chosen))
            blind.kept = 1 - TARGET <= blind.after <= TARGET or len(chosen) < ENOUGH
            self.blind[name] = blind
            made += chosen if blind.kept else []
        return made

    def _told(self, made: Sequence[Rewritten], part: int) -> float:
        """Return how often a model finds the true caption likelier; a tie counts one half."""
        if not made:
            return 0.5
        right = 0.0
        for one in made:
            model = self._models[(_part(one.item.photo) + part) % _PARTS]
            change = model.score(words_of(one.text)) - model.score(words_of(one.item.text))
            right += 0.5 if change == 0 else float(change < 0)
        return right / len(made)

    def _accepted(self, items: Sequence[Item]) -> Iterator[list[Rewritten]]:
        """Yield for each item the changes that the judge accepts, of those that are nearest to each margin."""
        for start in range(0, len(items), 64):
            part = items[start : start + 64]
            tried = [self._tries(item) for item in part]
            pairs = [
                pair
                for item, found in zip(part, tried, strict=True)
                for text, _, _ in found
                for pair in ((item.text, (text,)), (text, item.texts))
            ]
            verdicts = iter(self.judge.judge(pairs))
            for item, found in zip(part, tried, strict=True):
                accepted = []
                for text, at, margin in found:
                    changed, true = next(verdicts), next(verdicts)
                    if _changes_one(item, changed) and _contradicted(true, at, len(item.texts)):
                        accepted.append(Rewritten(item, text, true.grains, margin))
                yield accepted

    def _tries(self, item: Item) -> list[tuple[str, int, float]]:
        """Return texts with another filler, where it stands, and how much likelier they are than the true one."""
        slot = slot_of(item.text, item.grain, item.grains)
        if slot is None:
            return []
        model = self._models[(_part(item.photo) + 1) % _PARTS]
        head, tail = item.text[: slot.start], item.text[slot.end :]
        true = words_of(item.text)
        own = model.score(true)
        found: dict[str, tuple[int, float]] = {}
        for word in self._fillers.of(slot, item.text[slot.start : slot.end]):
            text = with_articles(head + word + tail)
            at = slot.start + len(text) - len(head + word + tail)
            found[text] = (at, model.score(words_of(text)) - own)
        names = sorted(found)
        nearest = (min(names, key=lambda text: abs(found[text][1] - margin)) for margin in MARGINS if names)
        spread = sorted(names, key=_hash)[:3]
        return [(text, *found[text]) for text in dict.fromkeys((*nearest, *spread))]


def _chosen(groups: Iterable[Sequence[Rewritten]], margin: float) -> list[Rewritten]:
    return [min(found, key=lambda one: (abs(one.margin - margin), one.text)) for found in groups]


def _changes_one(item: Item, verdict: Verdict) -> bool:
    """Return True where a change violates its grain alone; actions and relations of a changed thing may go."""
    loose = item.grain.kind in ("entity", "scene")
    for grain, answer in zip(verdict.grains, verdict.answers, strict=True):
        if grain.type == item.grain.type:
            if answer != VIOLATED:
                return False
        elif answer != KEPT and not (loose and grain.kind in ("action", "relation")):
            return False
    return True


def _contradicted(verdict: Verdict, at: int, texts: int) -> bool:
    """Return True where two of the photo's captions, or its only one, contradict what the changed words say."""
    changed = [n for n, grain in enumerate(verdict.grains) if abs(grain.start - at) <= 1]
    answers = {verdict.answers[n] for n in changed}
    if VIOLATED not in answers or KEPT in answers:
        return False
    return verdict.votes is None or max(verdict.votes[n][1] for n in changed) >= min(VOTES, texts)


def _part(photo: str) -> int:
    return int(hashlib.sha256(photo.encode()).hexdigest(), 16) % _PARTS


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
