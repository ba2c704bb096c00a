"""Plans both tasks of a split: queries, judgements and ladders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from tqdm import tqdm

from mrbench.build.captions.ladders import Counts, Judged, contradicts, keeps_all, why_no_query
from mrbench.build.captions.nearest import Index, features
from mrbench.build.captions.photos import Caption, Photo, hashed_id, plain
from mrbench.grains import Grain as TextGrain
from mrbench.judge import Judge, Verdict
from mrbench.records import Candidate, Grain, Judgement, Ladder, Query, Task, Variant

TASKS = {
    "t2i": Task("t2i", "caption → photo", "text", "image", judgements="partial"),
    "i2t": Task("i2t", "photo → caption", "image", "text", judgements="partial"),
}
_INSTRUCTIONS = {
    "t2i": "Find the photo that this caption describes.",
    "i2t": "Find a caption that describes this photo.",
}
_CHUNK = 64
"""Queries that are judged together."""


@dataclass
class TaskPlan:
    """The rows of one task and split."""

    queries: list[Query] = field(default_factory=list)
    judgements: list[Judgement] = field(default_factory=list)
    ladders: list[Ladder] = field(default_factory=list)
    variants: list[Variant] = field(default_factory=list)
    rewritten: list[Candidate] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)


@dataclass(frozen=True, slots=True)
class _Ask:
    """A query to be: its photo, the caption that it is, or that it is graded against, and that caption's grains."""

    photo: Photo
    caption: Caption
    grains: tuple[TextGrain, ...]


class Planner:
    """Plans the tasks of one split.

    Args:
        photos: Of the split.
        judge: Tells kept, violated and unknown.
        shortlist: Candidates that are judged for each query.
        most: Queries of a task at most, chosen by the hash of their ids; None for all.
        seed: Changes which are chosen.
        label: What to call the split in a progress bar.
    """

    def __init__(
        self, photos: Sequence[Photo], judge: Judge, *, shortlist: int, most: int | None, seed: int, label: str
    ) -> None:
        self.photos = photos
        self.captions = [caption for photo in photos for caption in photo.captions]
        self._of = {photo.name: photo for photo in photos}
        self._judge, self._shortlist, self._most, self._seed, self._label = judge, shortlist, most, seed, label
        self.origin = f"judge:{judge.name}"
        self.grains: dict[str, tuple[TextGrain, ...]] = {}
        texts = list(dict.fromkeys(caption.text for caption in self.captions))
        for some in parts_of(texts, 4096):
            self.grains.update(
                (text, verdict.grains)
                for text, verdict in zip(some, judge.judge([(text, ()) for text in some]), strict=True)
            )
        self._features = {text: features(grains) for text, grains in self.grains.items()}
        self._same_text: dict[str, list[Caption]] = defaultdict(list)
        for caption in self.captions:
            self._same_text[plain(caption.text)].append(caption)

    def text_to_photo(self) -> TaskPlan:
        """Plan captions as queries: graded against the captions of other photos."""
        plan = TaskPlan()
        asks = self._chosen(list(self._asking_captions(plan.counts)), plan.counts)
        index = Index([frozenset().union(*(self._features[t] for t in photo.texts)) for photo in self.photos])
        nearest = index.nearest([self._features[ask.caption.text] for ask in asks], self._shortlist + 1)
        for ask, found in self._judged(asks, nearest, self.photos, self._caption_against_photo):
            judged = Judged(ask.caption.id, len(ask.grains), self.origin, plan.counts)
            judged.own(ask.photo.name, whole=True)
            for caption in self._same_text[plain(ask.caption.text)]:
                judged.own(caption.photo, whole=True)
            for twin in sorted(ask.photo.twins & self._of.keys()):
                judged.alarm(twin, "near-duplicate photos", origin="judge:pixels", whole=False)
            plan.counts.judged += len(found)
            for photo, (verdict,) in found:
                if keeps_all(verdict):
                    judged.alarm(photo.name, "photos that keep all grains")
                elif contradicts(verdict):
                    judged.negative(photo.name, verdict)
            self._close(plan, judged, ask.photo.name, self._text_query(ask), ask)
        return plan

    def photo_to_text(self) -> TaskPlan:
        """Plan photos as queries: graded against one of their captions, and checked against all of them."""
        plan = TaskPlan()
        asks = self._chosen(list(self._asking_photos(plan.counts)), plan.counts)
        index = Index([self._features[caption.text] for caption in self.captions])
        wanted = self._shortlist + max((len(photo.captions) for photo in self.photos), default=0)
        nearest = index.nearest([self._features[ask.caption.text] for ask in asks], wanted)
        for ask, found in self._judged(asks, nearest, self.captions, self._photo_against_caption):
            judged = Judged(ask.photo.name, len(ask.grains), self.origin, plan.counts)
            judged.own(ask.caption.id, whole=True)
            for caption in ask.photo.captions:
                for same in self._same_text[plain(caption.text)]:
                    judged.own(same.id, whole=plain(same.text) == plain(ask.caption.text))
            for twin in sorted(ask.photo.twins & self._of.keys()):
                for caption in self._of[twin].captions:
                    judged.alarm(caption.id, "captions of near-duplicates", origin="judge:pixels", whole=False)
            plan.counts.judged += len(found)
            for caption, (against_reference, true_of_photo) in found:
                if keeps_all(true_of_photo):
                    judged.alarm(caption.id, "captions of which the photo keeps all grains", whole=False)
                elif contradicts(true_of_photo):
                    judged.negative(caption.id, against_reference)
            self._close(plan, judged, ask.caption.id, _photo_query(ask), ask)
        return plan

    def _close(self, plan: TaskPlan, judged: Judged, positive: str, query: Query, ask: _Ask) -> None:
        plan.queries.append(query)
        plan.judgements += judged.judgements()
        ladder = judged.ladder(positive)
        if ladder is not None:
            plan.ladders.append(ladder)
        plan.counts.queries[len(ask.grains)] += 1
        plan.counts.grains.update(grain.type for grain in ask.grains)

    def _asking_captions(self, counts: Counts) -> Iterator[_Ask]:
        """Yield captions of two grains or more that no other caption of their photo contradicts."""
        fit = []
        for photo in self.photos:
            for caption in photo.captions:
                why = why_no_query(self.grains[caption.text])
                if why is None:
                    fit.append((photo, caption))
                else:
                    counts.left_out[why] += 1
        others = [tuple(text for text in photo.texts if text != caption.text) for photo, caption in fit]
        pairs = [(caption.text, texts) for (_, caption), texts in zip(fit, others, strict=True)]
        for (photo, caption), verdict in zip(fit, self._verdicts(pairs), strict=True):
            if contradicts(verdict):
                counts.left_out["contradicted by another caption of the photo"] += 1
            else:
                yield _Ask(photo, caption, verdict.grains)

    def _asking_photos(self, counts: Counts) -> Iterator[_Ask]:
        """Yield photos with the caption that the others support most, of those that none contradicts."""
        best: dict[str, tuple[tuple[int, int, str], _Ask]] = {}
        unused = Counts()
        for ask in self._asking_captions(unused):
            others = tuple(text for text in ask.photo.texts if text != ask.caption.text)
            verdict = self._judge.judge([(ask.caption.text, others)])[0]
            key = (-verdict.grade, -len(ask.grains), ask.caption.id)
            if ask.photo.name not in best or key < best[ask.photo.name][0]:
                best[ask.photo.name] = (key, ask)
        for photo in self.photos:
            if photo.name in best:
                yield best[photo.name][1]
            else:
                counts.left_out["photos without a fit caption"] += 1

    def _chosen(self, asks: list[_Ask], counts: Counts) -> list[_Ask]:
        """Return the queries that are kept, in the order of a hash."""
        asks.sort(key=lambda ask: hashed_id(str(self._seed), ask.caption.id))
        if self._most is not None and len(asks) > self._most:
            counts.left_out["beyond the number of queries asked for"] += len(asks) - self._most
            return asks[: self._most]
        return asks

    def _judged(
        self, asks: list[_Ask], nearest: Iterator[Any], candidates: Sequence[Any], pairs_of: Any
    ) -> Iterator[Any]:
        """Yield each query with its shortlist, the hardest first, and the verdicts on each member."""
        bar = tqdm(
            total=len(asks), desc=self._label, unit="query", leave=False, disable=None if len(asks) > 500 else True
        )
        with bar:
            for some in parts_of(zip(asks, nearest, strict=True), _CHUNK):
                short = [(ask, self._others(ask, [candidates[n] for n in found])) for ask, found in some]
                wanted = [pairs_of(ask, candidate) for ask, found in short for candidate in found]
                verdicts = iter(self._judge.judge([pair for pairs in wanted for pair in pairs]))
                groups = iter([[next(verdicts) for _ in pairs] for pairs in wanted])
                for ask, found in short:
                    yield ask, [(candidate, next(groups)) for candidate in found]
                bar.update(len(some))

    def _others(self, ask: _Ask, candidates: list[Any]) -> list[Any]:
        """Return the candidates that are not of the query's photo or of its near-duplicates."""
        own = {ask.photo.name, *ask.photo.twins}
        names = (candidate.name if isinstance(candidate, Photo) else candidate.photo for candidate in candidates)
        return [c for c, name in zip(candidates, names, strict=True) if name not in own][: self._shortlist]

    def _verdicts(self, pairs: Sequence[tuple[str, Sequence[str]]]) -> Iterator[Verdict]:
        for some in parts_of(pairs, 1024):
            yield from self._judge.judge(some)

    @staticmethod
    def _caption_against_photo(ask: _Ask, photo: Photo) -> list[tuple[str, tuple[str, ...]]]:
        return [(ask.caption.text, photo.texts)]

    @staticmethod
    def _photo_against_caption(ask: _Ask, caption: Caption) -> list[tuple[str, tuple[str, ...]]]:
        return [(ask.caption.text, (caption.text,)), (caption.text, ask.photo.texts)]

    @staticmethod
    def _text_query(ask: _Ask) -> Query:
        grains = tuple(Grain(g.type, g.value, g.start, g.end) for g in ask.grains)
        return Query(ask.caption.id, "t2i", _INSTRUCTIONS["t2i"], grains, text=ask.caption.text, cluster=ask.photo.name)


def _photo_query(ask: _Ask) -> Query:
    grains = tuple(Grain(g.type, g.value) for g in ask.grains)
    photo = ask.photo
    return Query(photo.name, "i2t", _INSTRUCTIONS["i2t"], grains, image=photo.image, cluster=photo.name)


def stated(grains: Sequence[TextGrain]) -> tuple[Grain, ...]:
    """Return the grains that a text states, as a benchmark holds them."""
    return tuple(Grain(g.type, g.value, g.start, g.end) for g in grains)


def parts_of(values: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Yield the values in lists of a size, the last one shorter."""
    left = iter(values)
    while part := list(islice(left, size)):
        yield part
