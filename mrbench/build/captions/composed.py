"""Plans queries of a photo and a change: "The same, but with a dog instead of a cat."."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from mrbench.build.captions.changes import sentence
from mrbench.build.captions.exchanges import Exchange
from mrbench.build.captions.ladders import PER_LOSS, Counts
from mrbench.build.captions.photos import hashed_id
from mrbench.build.captions.plan import TaskPlan
from mrbench.records import CandidateList, Grain, Judgement, Ladder, Query

_INSTRUCTION = "Find a photo like this one, with the change that the text asks for."


def image_and_text_to_photo(plan: TaskPlan) -> TaskPlan:
    """Plan composed queries from the plan of captions that find photos.

    The query asks for the grains of a caption. Its picture is a member of the caption's ladder that loses one or two of
    them, and its text says these; the picture itself is not searched. The caption's judgements are the query's. Its
    ladder has the caption's members, and of the other negatives the four hardest that keep what the text says. Without
    a member that keeps it the text alone would do, and there is no query. A caption gives one query at most, and so
    does a pair of photos.

    Args:
        plan: Of ``t2i``, with its exchanges.
    """
    found = TaskPlan()
    judged = plan.judged()
    ladders = {ladder.query_id: ladder for ladder in plan.ladders}
    for one, query in _queries(plan.exchanges, found.counts):
        ask, shown = one.loss.ask, {one.loss.photo.name, *one.loss.photo.twins}
        stated = {grain.type for grain in query.grains if grain.start is not None}
        own = [judgement for judgement in judged[ask.caption.id] if judgement.candidate_id not in shown]
        members = _members(own, ladders[ask.caption.id], plan.kept, stated)
        if not any(stated.isdisjoint(member.violates or ()) for member in members):
            found.counts.left_out["no negative keeps what the text says"] += 1
            continue
        ids = sorted({ask.photo.name, *(member.candidate_id for member in members)})
        found.queries.append(query)
        found.judgements += [replace(judgement, query_id=query.id) for judgement in own]
        found.ladders.append(Ladder(query.id, ask.photo.name, tuple(ids)))
        found.exclusions.append(CandidateList(query.id, tuple(sorted(shown))))
        _count(found.counts, query, members, stated)
        found.counts.judged += len(own)
    return found


def _members(
    own: Iterable[Judgement], ladder: Ladder, kept: Mapping[tuple[str, str], frozenset[str]], stated: set[str]
) -> list[Judgement]:
    """Return the negatives of the caption's ladder, and four more that surely keep what the text says."""
    found: list[Judgement] = []
    more = 0
    for one in own:
        if one.relevance:
            continue
        if one.candidate_id not in ladder.candidate_ids:
            if more == PER_LOSS or not stated <= kept.get((one.query_id, one.candidate_id), frozenset()):
                continue
            more += 1
        found.append(one)
    return found


def _queries(exchanges: Iterable[Exchange], counts: Counts) -> Iterator[tuple[Exchange, Query]]:
    """Yield one query at most for each caption and for each pair of photos."""
    captions: set[str] = set()
    pairs: set[tuple[str, str]] = set()
    for one in exchanges:
        ask, photo = one.loss.ask, one.loss.photo
        pair = (photo.name, ask.photo.name)
        if ask.caption.id in captions or pair in pairs:
            continue
        made = _query(one)
        if made is None:
            counts.left_out["no sentence says the change"] += 1
            continue
        captions.add(ask.caption.id)
        pairs.add(pair)
        yield one, made


def _query(one: Exchange) -> Query | None:
    said = sentence(one.parts)
    if said is None:
        return None
    ask, photo = one.loss.ask, one.loss.photo
    text, spans = said
    wanted = {part.wanted.grain.type: span for part, span in zip(one.parts, spans, strict=True)}
    shown = {part.wanted.grain.type: part.shown.grain.value for part in one.parts}
    asked = [(g.type, g.value) for g in ask.grains] + [(g.type, g.value) for g in ask.columns]
    return Query(
        hashed_id(photo.name, ask.caption.id),
        "it2i",
        _INSTRUCTION,
        tuple(Grain(kind, value, *wanted.get(kind, (None, None))) for kind, value in asked),
        text=text,
        image=photo.image,
        image_grains=tuple(Grain(kind, shown.get(kind, value)) for kind, value in asked),
        cluster=ask.photo.name,
    )


def _count(counts: Counts, query: Query, members: Iterable[Judgement], stated: set[str]) -> None:
    lost = [one.violates or () for one in members if one.grade is not None]
    counts.changed.update(stated)
    counts.queries[len(query.grains)] += 1
    counts.grains.update(grain.type for grain in query.grains)
    counts.rungs.update(Counter(map(len, lost)))
    counts.lost.update(types[0] for types in lost if len(types) == 1)
    counts.ladders += 1
