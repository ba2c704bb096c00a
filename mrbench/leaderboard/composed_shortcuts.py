"""Composed queries that need no composing: what picture or text alone solves, over all models of a board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mrbench.leaderboard.data import BAR, OnePart
from mrbench.measures import chance_of_one_part, solved_by_one_part
from mrbench.results import TaskResult

HALVES = ("image_only_hit_rate@1", "text_only_hit_rate@1")


def one_part(parts: Sequence[Mapping[str, TaskResult]], names: Sequence[str]) -> tuple[OnePart, ...]:
    """Return for each composed task the share of queries that at least one model solves with one half of the query.

    Solved is the first place; of that, what as many independent guessers would solve is chance. Models that resemble
    each other solve the same queries, so that the share beyond chance may be too low by at most the chance itself.

    Args:
        parts: The scored tasks of each model; results of one benchmark that agree on its queries.
        names: The tasks of the board.
    """
    described = {name: next((part[name] for part in parts if name in part), None) for name in names}
    composed = [
        name for name, part in described.items() if part and part.definition(name).query_modality == "image,text"
    ]
    return tuple(_union(name, [part[name] for part in parts if name in part]) for name in composed)


def _union(name: str, scored: Sequence[TaskResult]) -> OnePart:
    from mrbench import statistics

    known = [part for part in scored if any(half in part.per_query for half in HALVES)]
    hits = [part.per_query[half] for part in known for half in HALVES if half in part.per_query]
    if not hits:
        return OnePart(name, 0, len(scored), reason="no result says which queries picture or text alone solves")
    import numpy as np

    solved = solved_by_one_part(np.array(hits))
    codes = statistics.cluster_codes(list(known[0].clusters))
    share, chance = float(solved.mean()), chance_of_one_part(known[0].candidates, len(hits))
    interval = statistics.share_interval(solved, codes) if codes.max() > 0 else None
    beyond = round(share - chance, 12)
    return OnePart(name, len(known), len(scored), len(solved), share, interval, chance, beyond, beyond <= BAR)
