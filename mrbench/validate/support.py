"""The measures that a task supports, and what the others lack, from the needs that each measure declares."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from mrbench.measures.declarations import DECLARATIONS, Need

_ABSENT: dict[Need, str] = {
    "judgements": "no candidate is relevant",
    "partial judgements": "all candidates are judged",
    "grains": "no grains of queries",
    "ladder": "no ladders",
    "pairs": "no candidate is known to violate one grain or kind alone",
    "quadruples": "no groups of two queries and two candidates",
    "degrained queries": "no queries without one of their grains",
    "flipped queries": "no queries with another value of a grain",
    "paraphrased queries": "no queries in other words",
    "image and text queries": "queries are not of an image and a text",
    "a pool of several modalities": "all candidates are of one modality",
}


@dataclass(frozen=True, slots=True)
class Support:
    """The names of the measures that a task supports, and for each other measure what the task lacks."""

    supported: tuple[str, ...]
    lacking: Mapping[str, str]


def support(holds: Collection[Need]) -> Support:
    """Return the measures that can be computed from a task's data.

    >>> found = support(["judgements"])
    >>> found.supported[0], found.lacking["pair_accuracy"]
    ('hit_rate@k', 'no candidate is known to violate one grain or kind alone')
    """
    absent = {
        name: [_ABSENT[need] for need in measure.needs if need not in holds] for name, measure in DECLARATIONS.items()
    }
    supported = tuple(name for name, lacks in absent.items() if not lacks)
    return Support(supported, {name: "; ".join(lacks) for name, lacks in absent.items() if lacks})
