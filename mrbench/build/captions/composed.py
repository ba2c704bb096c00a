"""Plans queries of a photo and a change: "The same, but with a dog instead of a cat."."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from mrbench.build.captions.exchanges import Exchange
from mrbench.build.captions.ladders import PER_LOSS, Counts
from mrbench.build.captions.near import Composed, halves
from mrbench.build.captions.photos import hashed_id
from mrbench.build.captions.plan import Planner
from mrbench.build.captions.sentence import Sentence, sentence
from mrbench.build.captions.task_plan import TaskPlan
from mrbench.records import CandidateList, Grain, Judgement, Ladder, Query

_INSTRUCTION = "Find a photo like this one, with the change that the text asks for."


def image_and_text_to_photo(plan: TaskPlan, planner: Planner) -> TaskPlan:
    """Plan composed queries from the plan of captions that find photos.

    The query asks for the grains of a caption. Its picture is a member of the caption's ladder that loses one or two of
    them, and its text says these; the picture itself is not searched. The caption's judgements are the query's, with
    photos like the picture that lose what the text asks for, and with photos that fit the text alone. Its ladder has
    the caption's members, and the four nearest of either. A query has one of either at least: without them the text
    alone, or the picture alone, would do. A caption gives one query at most, and so does a pair of photos.

    Args:
        plan: Of ``t2i``, with its exchanges.
        planner: Has the photos of the split and the judge.
    """
    found = TaskPlan()
    judged = plan.judged()
    ladders = {ladder.query_id: ladder for ladder in plan.ladders}
    composed = list(_composed(plan.exchanges, planner, found.counts))
    for one, more in zip(composed, halves(composed, planner), strict=True):
        ask, photo = one.exchange.loss.ask, one.exchange.loss.photo
        shown = {photo.name, *photo.twins}
        own = {j.candidate_id: j for j in judged[ask.caption.id] if j.candidate_id not in shown}
        relevant = {j.candidate_id for j in own.values() if j.relevance}
        picture, text = (
            [j for j in half if j.candidate_id not in relevant] for half in (more.like_picture, more.like_text)
        )
        own = {j.candidate_id: j for j in (*text, *own.values(), *picture)}  # what is surer comes later
        hard = {j.candidate_id for j in (*picture[:PER_LOSS], *text[:PER_LOSS])}
        hard |= set(ladders[ask.caption.id].candidate_ids)
        members = [j for j in own.values() if not j.relevance and j.candidate_id in hard]
        lost = [set(member.violates or ()) for member in members]
        if not any(one.changed.isdisjoint(types) for types in lost):
            found.counts.left_out["no negative keeps what the text says"] += 1
        elif not any(types <= one.changed for types in lost):
            found.counts.left_out["no negative is as near to the picture"] += 1
        else:
            query = _query(one)
            ids = sorted({ask.photo.name, *(member.candidate_id for member in members)})
            found.queries.append(query)
            found.judgements += [replace(judgement, query_id=query.id) for judgement in own.values()]
            found.ladders.append(Ladder(query.id, ask.photo.name, tuple(ids)))
            found.exclusions.append(CandidateList(query.id, tuple(sorted(shown))))
            _count(found.counts, query, members, one.changed)
            found.counts.judged += len(own)
    return found


def _composed(exchanges: Iterable[Exchange], planner: Planner, counts: Counts) -> Iterator[Composed]:
    """Yield one query to be at most for each caption and for each pair of photos."""
    captions: set[str] = set()
    pairs: set[tuple[str, str]] = set()
    for one in exchanges:
        ask, photo = one.loss.ask, one.loss.photo
        pair = (photo.name, ask.photo.name)
        if ask.caption.id in captions or pair in pairs:
            continue
        said, one = _said(one)
        if said is None:
            counts.left_out["no sentence says the change"] += 1
            continue
        captions.add(ask.caption.id)
        pairs.add(pair)
        (verdict,) = planner.judge.judge([(one.text, ())])
        yield Composed(one, said, verdict.grains)


def _said(exchange: Exchange) -> tuple[Sentence | None, Exchange]:
    """Return the shortest sentence that says a change, of all words that fit the photo, and these words."""
    found = [(made, one) for one in exchange.each() if (made := sentence(one.parts)) is not None]
    return min(found, key=lambda pair: len(pair[0].text.split())) if found else (None, exchange)


def _query(one: Composed) -> Query:
    ask, photo, parts = one.exchange.loss.ask, one.exchange.loss.photo, one.exchange.parts
    wanted = {part.wanted.grain.type: span for part, span in zip(parts, one.sentence.words, strict=True)}
    shown = {part.wanted.grain.type: part.shown.grain.value for part in parts}
    said = {grain.type: grain.value for grain in one.shown}
    shown |= {name: said[name] for name in one.implied if name in said}
    asked = [(g.type, g.value) for g in ask.grains] + [(g.type, g.value) for g in ask.columns]
    return Query(
        hashed_id(photo.name, ask.caption.id),
        "it2i",
        _INSTRUCTION,
        tuple(Grain(kind, value, *wanted.get(kind, (None, None))) for kind, value in asked),
        text=one.sentence.text,
        image=photo.image,
        image_grains=tuple(Grain(kind, shown.get(kind, value)) for kind, value in asked),
        cluster=ask.photo.name,
    )


def _count(counts: Counts, query: Query, members: Iterable[Judgement], stated: frozenset[str]) -> None:
    lost = [one.violates or () for one in members if one.grade is not None]
    counts.changed.update(stated)
    counts.queries[len(query.grains)] += 1
    counts.grains.update(grain.type for grain in query.grains)
    counts.rungs.update(Counter(map(len, lost)))
    counts.lost.update(types[0] for types in lost if len(types) == 1)
    counts.ladders += 1
