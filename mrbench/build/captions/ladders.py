"""What the judge says of a shortlist: relevant, a rung of the ladder, a plain negative, or nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mrbench.grains import Grain
from mrbench.judge import KEPT, VIOLATED, Verdict
from mrbench.records import Judgement, Ladder

PER_LOSS, PER_TYPE = 4, 2
"""Members of a ladder for each number of lost grains, and, of those that lose one grain, for each type."""

LEAST, MOST_OF_A_KIND = 2, 4
"""Grains of a query at least, and grains of one kind at most."""


@dataclass(frozen=True, slots=True)
class Rung:
    """A candidate that contradicts some grains of a query and keeps all others.

    Attributes:
        candidate_id: The candidate.
        lost: The types that it violates, sorted.
        mined: Whether it is a real photo or caption, not a rewritten one.
    """

    candidate_id: str
    lost: tuple[str, ...]
    mined: bool = True


@dataclass
class Counts:
    """What was found, for the data card.

    Attributes:
        queries: Queries by number of grains.
        grains: Grains of queries by type.
        left_out: Captions or photos that are no query, by reason.
        alarms: Candidates that were found to be relevant too, by how.
        rungs: Members of ladders by number of lost grains.
        lost: Members that lose one grain, by its type.
        disputed: Grains that another caption of the photo contradicts, by type; they are not asked for.
        rewritten: The same as ``lost``, of rewritten texts alone.
        changed: Grains that the texts of composed queries change, by type.
        variants: Queries in another form, by kind.
        blind: How often a blind model tells the true caption from a rewritten one, by grain type.
        judged: Pairs of a query and a candidate that were judged.
    """

    queries: Counter[int] = field(default_factory=Counter)
    grains: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    alarms: Counter[str] = field(default_factory=Counter)
    rungs: Counter[int] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    disputed: Counter[str] = field(default_factory=Counter)
    rewritten: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    variants: Counter[str] = field(default_factory=Counter)
    blind: dict[str, dict[str, Any]] = field(default_factory=dict)
    judged: int = 0
    ladders: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the counts with sorted keys, ready for JSON."""
        tables = (
            "queries",
            "grains",
            "left_out",
            "alarms",
            "disputed",
            "rungs",
            "lost",
            "rewritten",
            "changed",
            "variants",
        )
        return {
            **{name: {str(key): n for key, n in sorted(getattr(self, name).items())} for name in tables},
            "blind": self.blind,
            "judged": self.judged,
            "ladders": self.ladders,
        }


@dataclass
class Judged:
    """The judgements of one query, each candidate once; what is said first counts.

    Args:
        query_id: The query.
        asked: Number of its grains.
        origin: Of what the judge says.
        counts: Takes what is found.

    Attributes:
        taken: The members of the ladder but for the positive, the hardest first, once the ladder is made.
    """

    query_id: str
    asked: int
    origin: str
    counts: Counts
    _of: dict[str, Judgement] = field(default_factory=dict)
    _rungs: list[Rung] = field(default_factory=list)
    taken: list[Rung] = field(default_factory=list)

    def own(self, candidate_id: str, *, whole: bool) -> None:
        """Add a candidate that the data set says is relevant; ``whole`` where it is known to keep all grains."""
        if whole:
            self._add(candidate_id, 1, self.asked, (), "dataset")
        else:
            self._add(candidate_id, 1, None, None, "dataset")

    def alarm(self, candidate_id: str, how: str, *, origin: str = "", whole: bool = True) -> None:
        """Add a candidate that is relevant though the data set does not say so."""
        if candidate_id not in self._of:
            self.counts.alarms[how] += 1
            self._add(candidate_id, 1, self.asked if whole else None, () if whole else None, origin or self.origin)

    def negative(self, candidate_id: str, verdict: Verdict, lost: tuple[str, ...] | None) -> None:
        """Add a candidate that contradicts the query.

        It is a rung where it surely loses some types and keeps all others. Else it takes two contradictions to be a
        negative, since the judge errs, and with fewer the candidate stays unjudged.

        Args:
            candidate_id: The candidate.
            verdict: On the grains that are asked for.
            lost: The types that it loses; None where that is in doubt.
        """
        if candidate_id in self._of:
            return
        violated = tuple(sorted(verdict.types(VIOLATED)))
        if lost:
            self._add(candidate_id, 0, self.asked - len(lost), lost, self.origin)
            self._rungs.append(Rung(candidate_id, lost))
        elif len(violated) >= LEAST:
            self._add(candidate_id, 0, None, violated, self.origin)

    def rewritten(self, candidate_id: str, lost: str) -> None:
        """Add a text in which the grain of one type was changed."""
        if candidate_id not in self._of:
            self._add(candidate_id, 0, self.asked - 1, (lost,), self.origin)
            self._rungs.append(Rung(candidate_id, (lost,), mined=False))

    def judgements(self) -> list[Judgement]:
        """Return the judgements, in the order in which they were added."""
        return list(self._of.values())

    def ladder(self, positive_id: str) -> Ladder | None:
        """Return the positive and the hardest negatives: four for each number lost, two for each type lost alone.

        None where there is no negative. Rungs were added the hardest first.
        """
        by_loss: Counter[int] = Counter()
        by_type: Counter[tuple[str, bool]] = Counter()
        for rung in self._rungs:
            loss, single = len(rung.lost), (rung.lost[0], rung.mined)
            if (by_type[single] >= PER_TYPE) if loss == 1 else (by_loss[loss] >= PER_LOSS):
                continue
            by_loss[loss] += 1
            if loss == 1:
                by_type[single] += 1
                self.counts.lost[rung.lost[0]] += 1
                if not rung.mined:
                    self.counts.rewritten[rung.lost[0]] += 1
            self.taken.append(rung)
        if not self.taken:
            return None
        self.counts.ladders += 1
        self.counts.rungs.update(by_loss)
        members = sorted({positive_id, *(rung.candidate_id for rung in self.taken)})
        return Ladder(self.query_id, positive_id, tuple(members))

    def _add(
        self,
        candidate_id: str,
        relevance: int,
        grade: int | None,
        violates: tuple[str, ...] | None,
        origin: str,
    ) -> None:
        made = Judgement(self.query_id, candidate_id, relevance, grade, violates, self.asked, origin)
        self._of.setdefault(candidate_id, made)


def keeps_all(verdict: Verdict) -> bool:
    """Return True where a verdict finds all grains kept, and there are some."""
    return bool(verdict.answers) and set(verdict.answers) == {KEPT}


def contradicts(verdict: Verdict) -> bool:
    """Return True where a verdict finds a grain violated."""
    return VIOLATED in verdict.answers


def why_no_query(grains: Sequence[Grain]) -> str | None:
    """Return why a caption is no query, None where it is one.

    A query has two grains or more, and at most four of a kind, so that a benchmark has at most 60 types.
    """
    if not grains:
        return "no grain"
    if len(grains) < LEAST:
        return "one grain"
    if max(Counter(grain.kind for grain in grains).values()) > MOST_OF_A_KIND:
        return f"more than {MOST_OF_A_KIND} grains of a kind"
    return None
