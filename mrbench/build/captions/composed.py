"""Plans queries of a photo and a change: "The same, but with a dog instead of a cat."."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from mrbench.build.captions.exchanges import Exchange
from mrbench.build.captions.ladders import PER_LOSS, Counts
from mrbench.build.captions.near import Composed, near_pictures
from mrbench.build.captions.photos import hashed_id
from mrbench.build.captions.plan import Planner
from mrbench.build.captions.sentence import sentence
from mrbench.build.captions.task_plan import TaskPlan
from mrbench.records import CandidateList, Grain, Judgement, Ladder, Query

_INSTRUCTION = "Find a photo like this one, with the change that the text asks for."


def image_and_text_to_photo(plan: TaskPlan, planner: Planner) -> TaskPlan:
    """Plan composed queries from the plan of captions that find photos.

    The query asks for the grains of a caption. Its picture is a member of the caption's ladder that loses one or two of
    them, and its text says these; the picture itself is not searched. The caption's judgements are the query's, with
    photos like the picture that lose what the text asks for. Its ladder has the caption's members, of the other
    negatives the four hardest that keep what the text says, and the four most like the picture. A query has one of
    either at least: without them the text alone, or the picture alone, would do. A caption gives one query at most,
    and so does a pair of photos.

    Args:
        plan: Of ``t2i``, with its exchanges.
        planner: Has the photos of the split and the judge.
    """
    found = TaskPlan()
    judged = plan.judged()
    ladders = {ladder.query_id: ladder for ladder in plan.ladders}
    composed = list(_composed(plan.exchanges, planner, found.counts))
    for one, near in zip(composed, near_pictures(composed, planner), strict=True):
        ask, photo = one.exchange.loss.ask, one.exchange.loss.photo
        shown = {photo.name, *photo.twins}
        own = {j.candidate_id: j for j in judged[ask.caption.id] if j.candidate_id not in shown}
        near = [j for j in near if j.candidate_id not in own or not own[j.candidate_id].relevance]
        own.update((j.candidate_id, j) for j in near)
        members = _members(own.values(), near, ladders[ask.caption.id], plan.kept, one.stated)
        lost = [set(member.violates or ()) for member in members]
        if not any(one.stated.isdisjoint(types) for types in lost):
            found.counts.left_out["no negative keeps what the text says"] += 1
        elif not any(types <= one.stated for types in lost):
            found.counts.left_out["no negative is as near to the picture"] += 1
        else:
            query = _query(one)
            ids = sorted({ask.photo.name, *(member.candidate_id for member in members)})
            found.queries.append(query)
            found.judgements += [replace(judgement, query_id=query.id) for judgement in own.values()]
            found.ladders.append(Ladder(query.id, ask.photo.name, tuple(ids)))
            found.exclusions.append(CandidateList(query.id, tuple(sorted(shown))))
            _count(found.counts, query, members, one.stated)
            found.counts.judged += len(own)
    return found


def _members(
    own: Iterable[Judgement],
    near: Sequence[Judgement],
    ladder: Ladder,
    kept: Mapping[tuple[str, str], frozenset[str]],
    stated: frozenset[str],
) -> list[Judgement]:
    """Return the negatives of the caption's ladder, four that keep what the text says and four like the picture."""
    found: list[Judgement] = []
    like = {judgement.candidate_id for judgement in near[:PER_LOSS]}
    more = 0
    for one in own:
        if one.relevance:
            continue
        if one.candidate_id not in ladder.candidate_ids and one.candidate_id not in like:
            if more == PER_LOSS or not stated <= kept.get((one.query_id, one.candidate_id), frozenset()):
                continue
            more += 1
        found.append(one)
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
        said = sentence(one.parts)
        if said is None:
            counts.left_out["no sentence says the change"] += 1
            continue
        captions.add(ask.caption.id)
        pairs.add(pair)
        (verdict,) = planner.judge.judge([(one.text, ())])
        yield Composed(one, said, verdict.grains)


def _query(one: Composed) -> Query:
    ask, photo, parts = one.exchange.loss.ask, one.exchange.loss.photo, one.exchange.parts
    wanted = {part.wanted.grain.type: span for part, span in zip(parts, one.sentence.words, strict=True)}
    wanted |= {name: one.sentence.phrases[number] for name, number in one.implied.items()}
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
