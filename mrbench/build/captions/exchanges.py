"""Captions changed to fit a photo that loses some of their grains, each checked by the judge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product

from mrbench.build.captions.asks import Ask
from mrbench.build.captions.changes import Change, Said, changed, changes, contradicted
from mrbench.build.captions.ladders import keeps_all
from mrbench.build.captions.photos import Photo
from mrbench.grains import Grain
from mrbench.judge import VIOLATED, Judge, Verdict

MOST_LOST = 2
"""Grains that are exchanged at most: more make a sentence that nobody would write."""
_MOST = 6
_CHUNK = 64


@dataclass(frozen=True, slots=True)
class Loss:
    """A photo that loses some grains of a caption and keeps all others."""

    ask: Ask
    photo: Photo
    lost: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A caption with the words of a photo in the place of those that the photo contradicts.

    Attributes:
        loss: Of which caption and photo.
        parts: One change for each lost grain, in the order of the caption.
        text: The caption as it fits the photo.
        others: Changed captions that fit the photo too, with their changes.
    """

    loss: Loss
    parts: tuple[Change, ...]
    text: str
    others: tuple[tuple[str, tuple[Change, ...]], ...] = ()

    def each(self) -> Iterator[Exchange]:
        """Yield this exchange and the others, each by itself."""
        yield replace(self, others=())
        for text, parts in self.others:
            yield Exchange(self.loss, parts, text)


def exchanges(losses: Sequence[Loss], grains: Mapping[str, tuple[Grain, ...]], judge: Judge) -> Iterator[Exchange]:
    """Yield an exchange for each loss that has one: the photo keeps all of the changed caption.

    The words come from the photo's own captions, from a grain of the same kind that the other photo contradicts. The
    changed caption contradicts the lost grains of the true one, and no grain but those that hold a lost thing.

    Args:
        losses: Those with more than two lost grains are passed over.
        grains: Of every caption.
        judge: Says what contradicts what.
    """
    few = [loss for loss in losses if len(loss.lost) <= MOST_LOST]
    for start in range(0, len(few), _CHUNK):
        part = few[start : start + _CHUNK]
        tried = list(_tries(part, grains, judge))
        pairs = [
            pair
            for loss, options in zip(part, tried, strict=True)
            for text in options
            for pair in ((text, loss.photo.shown), (loss.ask.caption.text, (text,)))
        ]
        verdicts = iter(judge.judge(pairs))
        for loss, options in zip(part, tried, strict=True):
            judged = [(text, parts, next(verdicts), next(verdicts)) for text, parts in options.items()]
            fit = [(t, p) for t, p, shown, wanted in judged if keeps_all(shown) and _exchanges_alone(wanted, loss.lost)]
            if fit:
                (text, parts), *others = fit
                yield Exchange(loss, parts, text, tuple(others))


def _tries(
    losses: Sequence[Loss], grains: Mapping[str, tuple[Grain, ...]], judge: Judge
) -> Iterator[dict[str, tuple[Change, ...]]]:
    """Yield for each loss the changed captions that may fit, with their changes."""
    pairs = [(text, loss.ask.photo.shown) for loss in losses for text in loss.photo.texts]
    verdicts = iter(judge.judge(pairs))
    for loss in losses:
        said = [one for text in loss.photo.texts for one in contradicted(text, next(verdicts))]
        text = loss.ask.caption.text
        wanted = [Said(text, grains[text], grain) for grain in grains[text] if grain.type in loss.lost]
        options = [changes(one, [s for s in said if s.grain.kind == one.grain.kind]) for one in wanted]
        whole = options if len(wanted) == len(loss.lost) else [[]]  # a grain of a column has no words to exchange
        yield {changed(text, parts): parts for parts in islice(product(*whole), _MOST)}


def _exchanges_alone(verdict: Verdict, lost: Sequence[str]) -> bool:
    """Return True where the lost grains are violated, and no others but actions and relations."""
    violated = {g.type for g, answer in zip(verdict.grains, verdict.answers, strict=True) if answer == VIOLATED}
    implied = {g.type for g in verdict.grains if g.kind in ("action", "relation")}
    return set(lost) <= violated <= set(lost) | implied
