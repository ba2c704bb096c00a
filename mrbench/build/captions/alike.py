"""Plans photos as queries for photos: where another photo keeps all grains of one of their captions."""

from __future__ import annotations

from dataclasses import replace

from mrbench.build.captions.asks import Ask, stated
from mrbench.build.captions.photos import hashed_id
from mrbench.build.captions.task_plan import TaskPlan
from mrbench.records import CandidateList, Grain, Judgement, Ladder, Query

_INSTRUCTION = "Find another photo that shows the same."


def photo_to_photo(plan: TaskPlan) -> TaskPlan:
    """Plan photos as queries for photos.

    A query asks for the grains of one caption of its photo, and has the caption's judgements. The photo itself and its
    near-duplicates are not searched. Of several captions one with a ladder is taken, then the one with the most grains.

    Args:
        plan: Of ``t2i``.
    """
    found = TaskPlan()
    judged, ladders = plan.judged(), {ladder.query_id: ladder for ladder in plan.ladders}
    best: dict[str, Ask] = {}
    for ask in plan.asks:
        other = best.get(ask.photo.name)
        if _answers(ask, judged) and (other is None or _rank(ask, ladders) > _rank(other, ladders)):
            best[ask.photo.name] = ask
    without = {ask.photo.name for ask in plan.asks} - best.keys()
    found.counts.left_out["photos of which no other keeps all grains of a caption"] = len(without)
    for ask in best.values():
        _add(found, ask, judged[ask.caption.id], ladders.get(ask.caption.id))
        found.counts.queries[ask.asked] += 1
        found.counts.grains.update(ask.types)
    return found


def _answers(ask: Ask, judged: dict[str, list[Judgement]]) -> list[Judgement]:
    """Return the judgements of other photos that keep all grains."""
    found = (one for one in judged[ask.caption.id] if one.relevance and one.grade == one.asked)
    return [one for one in found if one.candidate_id not in _shown(ask)]


def _rank(ask: Ask, ladders: dict[str, Ladder]) -> tuple[bool, int]:
    return ask.caption.id in ladders, ask.asked


def _shown(ask: Ask) -> set[str]:
    return {ask.photo.name, *ask.photo.twins}


def _add(plan: TaskPlan, ask: Ask, judged: list[Judgement], ladder: Ladder | None) -> None:
    own = [one for one in judged if one.candidate_id not in _shown(ask)]
    positive = next(one.candidate_id for one in own if one.relevance and one.grade == one.asked)
    query = _query(ask)
    plan.queries.append(query)
    plan.judgements += [replace(one, query_id=query.id) for one in own]
    plan.exclusions.append(CandidateList(query.id, tuple(sorted(_shown(ask)))))
    plan.counts.judged += len(own)
    plan.counts.alarms["photos that keep all grains"] += sum(one.relevance > 0 for one in own)
    if ladder is None:
        return
    lost = [one.violates or () for one in own if one.candidate_id in ladder.candidate_ids and not one.relevance]
    members = {one.candidate_id for one in own if one.candidate_id in ladder.candidate_ids and not one.relevance}
    plan.ladders.append(Ladder(query.id, positive, tuple(sorted({positive, *members}))))
    plan.counts.ladders += 1
    plan.counts.rungs.update(map(len, lost))
    plan.counts.lost.update(types[0] for types in lost if len(types) == 1)


def _query(ask: Ask) -> Query:
    grains = tuple(Grain(grain.type, grain.value) for grain in (*stated(ask.grains), *ask.columns))
    name, image = hashed_id("i2i", ask.photo.name), ask.photo.image
    return Query(name, "i2i", _INSTRUCTION, grains, image=image, image_grains=grains, cluster=ask.photo.name)
