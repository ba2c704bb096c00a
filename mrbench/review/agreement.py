"""What votes say: the share of right claims, and how far people agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mrbench.review.claims import Key
from mrbench.review.votes import NO, VOTES, YES, Ballot
from mrbench.statistics import share_interval

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Share:
    """How many claims of a kind are right.

    Attributes:
        kind: Which claims; ``all`` for all of them.
        claims: How many have a vote that says right or wrong.
        rate: Mean over them of the share of "right" among these votes.
        interval: Its 95 % interval by Wilson, queries drawn whole; None with fewer than two queries.
    """

    kind: str
    claims: int
    rate: float
    interval: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the votes of all people say together.

    Attributes:
        reviewers: How many people voted.
        shares: Of all claims, then by kind.
        kappa: Cohen's for two people, Fleiss' for more; None for one person, without claims that all of them voted on,
            or where all votes are the same.
        kappa_name: ``Cohen`` or ``Fleiss``.
        kappa_claims: Claims that everybody voted on.
    """

    reviewers: int
    shares: tuple[Share, ...]
    kappa: float | None
    kappa_name: str
    kappa_claims: int

    def to_json(self) -> dict[str, Any]:
        """Return the values, rounded to four digits."""
        return {
            "reviewers": self.reviewers,
            "acceptance": [
                {
                    "kind": one.kind,
                    "claims": one.claims,
                    "rate": round(one.rate, 4),
                    "interval": one.interval and [round(bound, 4) for bound in one.interval],
                }
                for one in self.shares
            ],
            "kappa": {
                "name": self.kappa_name,
                "value": None if self.kappa is None else round(self.kappa, 4),
                "claims": self.kappa_claims,
            },
        }


def agreement(ballots: Sequence[Ballot], kinds: Mapping[Key, str]) -> Agreement:
    """Return what the votes say.

    Args:
        ballots: The votes of each person.
        kinds: The kind of every claim.
    """
    voted = sorted({key for ballot in ballots for key in ballot.votes})
    right = {key: rate for key in voted if (rate := _right([b.votes.get(key) for b in ballots])) is not None}
    names = ["all", *sorted({kinds[key] for key in right})]
    shares = [_share(name, {k: r for k, r in right.items() if name in ("all", kinds[k])}) for name in names]
    shared = [key for key in voted if all(key in ballot.votes for ballot in ballots)]
    table = [[ballot.votes[key] for ballot in ballots] for key in shared]
    few = len(ballots) < 3
    return Agreement(
        len(ballots), tuple(s for s in shares if s.claims), kappa(table), "Cohen" if few else "Fleiss", len(shared)
    )


def _right(votes: Sequence[str | None]) -> float | None:
    yes, no = votes.count(YES), votes.count(NO)
    return yes / (yes + no) if yes + no else None


def _share(kind: str, right: Mapping[Key, float]) -> Share:
    values = np.array(list(right.values()), dtype=float)
    queries = {key[:3]: number for number, key in enumerate(right)}
    clusters = np.unique([queries[key[:3]] for key in right], return_inverse=True)[1]
    interval = share_interval(values, clusters) if len(queries) > 1 else None
    return Share(kind, len(values), float(values.mean()) if len(values) else 0.0, interval)


def kappa(votes: Sequence[Sequence[str]]) -> float | None:
    """Return Cohen's kappa of two people, or Fleiss' of more: 1 is full agreement, 0 what chance gives.

    Args:
        votes: A row for each claim, a column for each person.

    Returns:
        None for one person, without claims, or where all votes are the same: it is not defined there.

    >>> kappa([["yes", "yes"], ["no", "no"], ["yes", "no"], ["no", "no"]])
    0.5

    Source: Cohen, Educational and Psychological Measurement 1960; Fleiss, Psychological Bulletin 1971.
    """
    if not votes or len(votes[0]) < 2 or len({vote for row in votes for vote in row}) < 2:
        return None
    if len(votes[0]) == 2:
        from sklearn.metrics import cohen_kappa_score

        first, second = zip(*votes, strict=True)
        return float(cohen_kappa_score(first, second))
    return _fleiss(np.array([[Counter(row)[vote] for vote in VOTES] for row in votes], dtype=float))


def _fleiss(counts: Array) -> float:
    """Return Fleiss' kappa of counts, shape ``(num_claims, num_answers)``; every row has the same sum."""
    people = counts[0].sum()
    observed = ((counts**2).sum(axis=1) - people).mean() / (people * (people - 1))
    expected = ((counts.sum(axis=0) / counts.sum()) ** 2).sum()
    return float((observed - expected) / (1 - expected))
