"""The tasks that captioned photos give, and the rows of a task."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from mrbench.build.captions.asks import Ask
from mrbench.build.captions.exchanges import Exchange
from mrbench.build.captions.ladders import Counts
from mrbench.records import Candidate, CandidateList, Judgement, Ladder, Query, Task, Variant

TASKS = {
    "t2i": Task("t2i", "caption → photo", "text", "image", judgements="partial"),
    "i2t": Task("i2t", "photo → caption", "image", "text", judgements="partial"),
    "i2i": Task("i2i", "photo → photo", "image", "image", judgements="partial"),
    "it2i": Task("it2i", "photo and change → photo", "image,text", "image", judgements="partial"),
}


@dataclass
class TaskPlan:
    """The rows of one task and split.

    Attributes:
        asks: What the queries ask for.
        exchanges: Captions changed to fit a member of their ladder.
    """

    queries: list[Query] = field(default_factory=list)
    judgements: list[Judgement] = field(default_factory=list)
    ladders: list[Ladder] = field(default_factory=list)
    variants: list[Variant] = field(default_factory=list)
    rewritten: list[Candidate] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    exclusions: list[CandidateList] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)

    def judged(self) -> dict[str, list[Judgement]]:
        """Return the judgements of each query, in their order."""
        found: dict[str, list[Judgement]] = defaultdict(list)
        for one in self.judgements:
            found[one.query_id].append(one)
        return found
