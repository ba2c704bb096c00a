"""Captions in another form: without one grain, with one grain changed to fit another photo, in the words of others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from mrbench.build.captions.asks import Ask
from mrbench.build.captions.degrain import without
from mrbench.build.captions.exchanges import Exchange
from mrbench.build.captions.photos import plain
from mrbench.grains import Grain
from mrbench.judge import KEPT, Judge
from mrbench.records import Variant

_CHUNK = 64


def paraphrased(asks: Iterable[Ask]) -> Iterator[Variant]:
    """Yield the photo's other captions for each query."""
    for ask in asks:
        others = dict.fromkeys(text for text in ask.photo.texts if plain(text) != plain(ask.caption.text))
        for number, text in enumerate(others):
            yield Variant(ask.caption.id, "paraphrased", "", ask.photo.name, text=text, number=number)


def degrained(asks: Sequence[Ask], grains: Mapping[str, tuple[Grain, ...]], judge: Judge) -> Iterator[Variant]:
    """Yield each query without each grain that can be dropped, where the judge finds all others kept."""
    for start in range(0, len(asks), _CHUNK):
        tried = [
            (ask, grain, text)
            for ask in asks[start : start + _CHUNK]
            for grain in ask.grains
            if (text := without(ask.caption.text, grain, grains[ask.caption.text]))
        ]
        verdicts = judge.judge([(ask.caption.text, (text,)) for ask, _, text in tried])
        for (ask, grain, text), verdict in zip(tried, verdicts, strict=True):
            if set(verdict.types(KEPT)) == {g.type for g in verdict.grains} - {grain.type}:
                yield Variant(ask.caption.id, "degrained", grain.type, ask.photo.name, text=text)


def flipped(exchanges: Iterable[Exchange]) -> Iterator[Variant]:
    """Yield each query with one grain changed, so that it asks for the member of its ladder that loses this grain."""
    numbers: dict[tuple[str, str], int] = {}
    for one in exchanges:
        if len(one.loss.lost) == 1:
            key = (one.loss.ask.caption.id, one.loss.lost[0])
            numbers[key] = numbers.get(key, -1) + 1
            yield Variant(key[0], "flipped", key[1], one.loss.photo.name, text=one.text, number=numbers[key])
