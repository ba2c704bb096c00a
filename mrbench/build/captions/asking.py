"""Which captions and photos of a split are queries, in which order, and how many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from mrbench.build.captions.asks import Ask
from mrbench.build.captions.ladders import LEAST, Counts, why_no_query
from mrbench.build.captions.photos import Caption, Photo, hashed_id
from mrbench.judge import KEPT, VIOLATED, Judge, Verdict

CHUNK = 64
"""Queries that are judged together."""


class Asking:
    """Chooses the queries of a split.

    Args:
        photos: Of the split.
        judge: Tells kept, violated and unknown.
        most: Queries of a task at most, chosen by the hash of their ids; None for all.
        seed: Changes which are chosen.
    """

    def __init__(self, photos: Sequence[Photo], judge: Judge, *, most: int | None, seed: int) -> None:
        self._photos, self._judge, self._most, self._seed = photos, judge, most, seed

    def captions(self, counts: Counts) -> Iterator[Ask]:
        """Yield the captions that are queries, in the order of a hash; none is judged beyond the number wanted."""
        pairs = [(photo, caption) for photo in self._photos for caption in photo.captions]
        pairs.sort(key=lambda pair: self._place(pair[1].id))
        yield from self._first(self._asks(pairs, counts), len(pairs), counts)

    def photos(self, counts: Counts) -> Iterator[Ask]:
        """Yield photos in the order of a hash, each with the caption that its other captions say most of."""
        photos = sorted(self._photos, key=lambda photo: self._place(photo.name))
        yield from self._first(self._best(photos, counts), len(photos), counts)

    def _best(self, photos: Sequence[Photo], counts: Counts) -> Iterator[Ask | None]:
        for some in parts_of(photos, CHUNK):
            found: dict[str, Ask] = {}
            for ask in self._asks([(photo, caption) for photo in some for caption in photo.captions], Counts()):
                if ask is not None and ask.better_than(found.get(ask.photo.name)):
                    found[ask.photo.name] = ask
            for photo in some:
                if photo.name not in found:
                    counts.left_out["photos without a fit caption"] += 1
                yield found.get(photo.name)

    def _first(self, asks: Iterator[Ask | None], number: int, counts: Counts) -> Iterator[Ask]:
        """Yield as many queries as are wanted, and count what was not looked at."""
        left = self._most
        for ask in asks:
            number -= 1
            if ask is None:
                continue
            yield ask
            left = None if left is None else left - 1
            if left == 0:
                break
        if number:
            counts.left_out["beyond the number of queries asked for"] += number

    def _asks(self, pairs: Sequence[tuple[Photo, Caption]], counts: Counts) -> Iterator[Ask | None]:
        """Yield a query for every caption that asks for two grains or more, None for the others.

        A grain that another caption of the photo contradicts is not asked for: people disagree, or the judge errs.
        """
        others = ((c.text, p.shown_without(c.text)) for p, c in pairs)
        for (photo, caption), verdict in zip(pairs, self._verdicts(others), strict=True):
            why = why_no_query(verdict.grains)
            if why is not None:
                counts.left_out[why] += 1
                yield None
                continue
            fit = [(g, answer) for g, answer in zip(verdict.grains, verdict.answers, strict=True) if answer != VIOLATED]
            counts.disputed.update(verdict.types(VIOLATED))
            if len(fit) < LEAST:
                counts.left_out["less than two grains that no other caption contradicts"] += 1
                yield None
            else:
                alone = all(text == caption.text for text in photo.texts)
                backed = frozenset(grain.type for grain, answer in fit if alone or answer == KEPT)
                yield Ask(photo, caption, tuple(grain for grain, _ in fit), backed)

    def _place(self, name: str) -> str:
        return hashed_id(str(self._seed), name)

    def _verdicts(self, pairs: Iterable[tuple[str, Sequence[str]]]) -> Iterator[Verdict]:
        for some in parts_of(pairs, 1024):
            yield from self._judge.judge(some)


def parts_of(values: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Yield the values in lists of a size, the last one shorter."""
    left = iter(values)
    while part := list(islice(left, size)):
        yield part
