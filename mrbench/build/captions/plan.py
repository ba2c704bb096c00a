"""Plans the tasks of a split: queries, judgements and ladders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from tqdm import tqdm

from mrbench.build.captions.asking import CHUNK, Asking, parts_of
from mrbench.build.captions.asks import Ask, asking_columns, photo_query, stated, text_query, with_columns
from mrbench.build.captions.exchanges import Loss, exchanges
from mrbench.build.captions.ladders import Judged, contradicts, keeps_all
from mrbench.build.captions.losses import Side, at_once, loss_of
from mrbench.build.captions.nearest import Index, features
from mrbench.build.captions.photos import Caption, Photo, hashed_id, plain
from mrbench.build.captions.rewrite import Item, Rewriter, Rewritten
from mrbench.build.captions.task_plan import TaskPlan
from mrbench.build.captions.variants import degrained, flipped, paraphrased
from mrbench.grains import Grain as TextGrain
from mrbench.judge import Judge
from mrbench.records import Candidate, Query


class Planner:
    """Plans the tasks of one split.

    Args:
        photos: Of the split.
        judge: Tells kept, violated and unknown.
        shortlist: Candidates that are judged for each query.
        most: Queries of a task at most, chosen by the hash of their ids; None for all.
        seed: Changes which are chosen.
        taken: Texts that no rewritten caption may have: the captions of all splits. Rewritten ones are added.
        label: What to call the split in a progress bar.
    """

    def __init__(
        self,
        photos: Sequence[Photo],
        judge: Judge,
        *,
        shortlist: int,
        most: int | None,
        seed: int,
        taken: set[str],
        label: str,
    ) -> None:
        self.photos, self._taken = photos, taken
        self.captions = [caption for photo in photos for caption in photo.captions]
        self._of = {photo.name: photo for photo in photos}
        self.judge, self._shortlist, self._label = judge, shortlist, label
        self._asking = Asking(photos, judge, most=most, seed=seed)
        self.origin = f"judge:{judge.name}"
        self.grains: dict[str, tuple[TextGrain, ...]] = {}
        texts = list(dict.fromkeys(caption.text for caption in self.captions))
        for some in parts_of(texts, 4096):
            self.grains.update(
                (text, verdict.grains)
                for text, verdict in zip(some, judge.judge([(text, ()) for text in some]), strict=True)
            )
        self._features = {text: features(grains) for text, grains in self.grains.items()}
        self._index = Index([frozenset().union(*(self._features[t] for t in photo.texts)) for photo in photos])
        self._same_text: dict[str, list[Caption]] = defaultdict(list)
        for caption in self.captions:
            self._same_text[plain(caption.text)].append(caption)

    def text_to_photo(self) -> TaskPlan:
        """Plan captions as queries: graded against the captions of other photos."""
        plan = TaskPlan()
        losses: list[Loss] = []
        plan.asks = asks = [asking_columns(ask) for ask in self._asking.captions(plan.counts)]
        nearest = self._index.nearest([self._features[ask.caption.text] for ask in asks], self._shortlist + 1)
        for ask, found in self._judged(asks, nearest, self.photos, self._caption_against_photo):
            judged = Judged(ask.caption.id, ask.asked, self.origin, plan.counts)
            judged.own(ask.photo.name, whole=True)
            for caption in self._same_text[plain(ask.caption.text)]:
                judged.own(caption.photo, whole=True)
            for twin in sorted(ask.photo.twins & self._of.keys()):
                judged.alarm(twin, "near-duplicate photos", origin="judge:pixels", whole=False)
            plan.counts.judged += len(found)
            for photo, (verdict,) in found:
                said = with_columns(verdict, ask.columns, photo.columns)
                if keeps_all(said):
                    judged.alarm(photo.name, "photos that keep all grains")
                else:
                    lost = loss_of(ask, said, self.side(photo.texts))
                    lost = lost if lost and self._at_once(ask, photo, lost) else None
                    judged.negative(photo.name, with_columns(ask.about(verdict), ask.columns, photo.columns), lost)
            self._close(plan, judged, ask.photo.name, text_query(ask), ask)
            losses += [Loss(ask, self._of[rung.candidate_id], rung.lost) for rung in judged.taken]
        plan.exchanges = list(exchanges(losses, self.grains, self.judge))
        variants = [*paraphrased(asks), *degrained(asks, self.grains, self.judge), *flipped(plan.exchanges)]
        plan.variants = sorted(variants, key=lambda one: (one.query_id, one.kind, one.grain, one.number))
        plan.counts.variants.update(variant.kind for variant in plan.variants)
        return plan

    def photo_to_text(self) -> TaskPlan:
        """Plan photos as queries: graded against one of their captions, and checked against all of them."""
        plan = TaskPlan()
        asks = list(self._asking.photos(plan.counts))
        index = Index([self._features[caption.text] for caption in self.captions])
        rewritten = self._rewritten(asks, plan)
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
                    sides = self.side((caption.text,)), self.side(ask.photo.texts)
                    lost = loss_of(ask, against_reference, sides[0], reverse=true_of_photo, own=sides[1])
                    judged.negative(caption.id, ask.about(against_reference), lost)
            for one in rewritten.get(ask.photo.name, ()):
                judged.rewritten(_rewritten_id(one.text), one.item.grain.type)
            self._close(plan, judged, ask.caption.id, photo_query(ask), ask)
        return plan

    def _rewritten(self, asks: Sequence[Ask], plan: TaskPlan) -> dict[str, list[Rewritten]]:
        """Return by photo the captions with one grain changed, and add them to the plan's candidates."""
        photo_of = {caption.text: caption.photo for caption in reversed(self.captions)}
        rewriter = Rewriter(self.grains, photo_of, self.judge)
        items = [
            Item(ask.photo.name, ask.caption.text, ask.photo.shown, self.grains[ask.caption.text], grain)
            for ask in asks
            for grain in ask.grains
            if grain.type in ask.backed
        ]
        found: dict[str, list[Rewritten]] = defaultdict(list)
        texts: dict[str, Candidate] = {}
        for one in rewriter.rewrite(items):
            if plain(one.text) not in self._taken:
                made = Candidate(_rewritten_id(one.text), stated(one.grains), text=one.text)
                texts.setdefault(made.id, made)
                found[one.item.photo].append(one)
        self._taken |= {plain(made.text or "") for made in texts.values()}
        plan.rewritten = list(texts.values())
        plan.counts.blind = {kind: blind.to_json() for kind, blind in rewriter.blind.items()}
        return found

    def _close(self, plan: TaskPlan, judged: Judged, positive: str, query: Query, ask: Ask) -> None:
        plan.queries.append(query)
        plan.judgements += judged.judgements()
        ladder = judged.ladder(positive)
        if ladder is not None:
            plan.ladders.append(ladder)
        plan.counts.queries[ask.asked] += 1
        plan.counts.grains.update(grain.type for grain in (*stated(ask.grains), *ask.columns))

    def _judged(
        self, asks: list[Ask], nearest: Iterator[Any], candidates: Sequence[Any], pairs_of: Any
    ) -> Iterator[Any]:
        """Yield each query with its shortlist, the hardest first, and the verdicts on each member."""
        bar = tqdm(
            total=len(asks), desc=self._label, unit="query", leave=False, disable=None if len(asks) > 500 else True
        )
        with bar:
            for some in parts_of(zip(asks, nearest, strict=True), CHUNK):
                short = [(ask, self._others(ask, [candidates[n] for n in found])) for ask, found in some]
                wanted = [pairs_of(ask, candidate) for ask, found in short for candidate in found]
                verdicts = iter(self.judge.judge([pair for pairs in wanted for pair in pairs]))
                groups = iter([[next(verdicts) for _ in pairs] for pairs in wanted])
                for ask, found in short:
                    yield ask, [(candidate, next(groups)) for candidate in found]
                bar.update(len(some))

    def _at_once(self, ask: Ask, photo: Photo, lost: Sequence[str]) -> bool:
        """Return True where one caption of a photo loses some types by itself, or where the judge sees photos."""
        if self.judge.sees_photos:
            return True
        alone = self.judge.judge([(ask.caption.text, (text,)) for text in photo.texts])
        return at_once(lost, (with_columns(verdict, ask.columns, photo.columns) for verdict in alone))

    def shortlists(self, said: Sequence[Sequence[TextGrain]]) -> Iterator[list[Photo]]:
        """Yield for each list of grains the photos whose captions have most in common with it, the nearest first."""
        for found in self._index.nearest([features(grains) for grains in said], self._shortlist):
            yield [self.photos[at] for at in found]

    def side(self, texts: Sequence[str]) -> Side:
        """Return captions of the split with all grains that they state."""
        return Side(texts, [grain for text in texts for grain in self.grains[text]])

    def _others(self, ask: Ask, candidates: list[Any]) -> list[Any]:
        """Return the candidates that are not of the query's photo or of its near-duplicates."""
        own = {ask.photo.name, *ask.photo.twins}
        names = (candidate.name if isinstance(candidate, Photo) else candidate.photo for candidate in candidates)
        return [c for c, name in zip(candidates, names, strict=True) if name not in own][: self._shortlist]

    @staticmethod
    def _caption_against_photo(ask: Ask, photo: Photo) -> list[tuple[str, Sequence[str]]]:
        return [(ask.caption.text, photo.shown)]

    @staticmethod
    def _photo_against_caption(ask: Ask, caption: Caption) -> list[tuple[str, Sequence[str]]]:
        return [(ask.caption.text, (caption.text,)), (caption.text, ask.photo.shown)]


def _rewritten_id(text: str) -> str:
    return hashed_id("", plain(text))
