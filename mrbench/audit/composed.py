"""Whether half of a composed query is enough: solvers that know the grains of one half perfectly, and nothing else."""

from __future__ import annotations

import numpy as np

from mrbench.arrays import Floats
from mrbench.audit.findings import Check, Verdict
from mrbench.audit.oracle import OracleSource, Rows
from mrbench.benchmark import Benchmark
from mrbench.measures import hit_of_positive
from mrbench.pools import TaskPool

MARGIN = 0.05
"""Share of queries that one half may put first, beyond chance."""
MOST_FIRST = 0.5
"""Share of the positives that one half may put first in their ladders, which are short: a tie of two is 0.5."""


def audit_composed(source: OracleSource, pool: TaskPool) -> Check:
    """Ask with the picture alone and with the text alone.

    The first solver ranks candidates by the grains they share with the picture of the query, grains added count
    against them, and leaves out those that show the same as the picture: the text always changes something. The
    second ranks them by the stated grains that they keep. No model that sees one half alone can know more. A small pool
    has few candidates that keep as much as the positive, so that half of a query finds more in it.
    """
    candidates, shown, stated = source.halves(pool)
    kept, number, asked = shown @ candidates.T, candidates.sum(axis=1), shown.sum(axis=1)[:, None]
    picture = np.where((kept == asked) & (number == asked), -np.inf, kept - 0.01 * (number - kept))
    rows, found = [], {}
    chance = 1 / len(candidates)
    for half, scores in (("picture alone", picture), ("text alone", stated @ candidates.T)):
        first, five = (_hits(scores, pool, k) for k in (1, 5))
        found[half] = first
        rows.append((half, round(first, 4), round(five, 4), "leak" if first - chance > MARGIN else "ok"))
    most = max(found, key=lambda half: found[half])
    beyond = found[most] - chance
    verdict: Verdict = "failed" if beyond > MARGIN else "passed"
    summary = (
        f"the {most} puts {beyond:.3f} of the queries first, beyond chance ({chance:.4f}), "
        f"in a pool of {len(candidates):,}; allowed: {MARGIN}"
    )
    return Check("one half of a composed query", verdict, summary, ("half", "hit@1", "hit@5", "verdict"), tuple(rows))


def _hits(scores: Rows, pool: TaskPool, k: int) -> float:
    own = scores[np.arange(len(scores)), pool.positives][:, None]
    above, beside = (scores > own).sum(axis=1), (scores == own).sum(axis=1) - 1
    hits: Floats = hit_of_positive(above, beside, k)
    return float(hits.mean())


def audit_composed_ladders(benchmark: Benchmark, task: str, split: str) -> Check:
    """Ask with the picture alone and with the text alone, of a task with partial judgements: among ladders.

    The first solver ranks a member down for every grain that it loses and the text does not state, the second for
    every grain that it loses and the text states. Members that lose nothing by this count tie with the positive. The
    check fails where one half puts more than half of the positives first.
    """
    stated = {q.id: {g.type for g in q.grains if g.start is not None} for q in benchmark.queries(task, split)}
    lost = {(j.query_id, j.candidate_id): set(j.violates or ()) for j in benchmark.judgements(task, split)}
    halves: dict[str, list[float]] = {"picture alone": [], "text alone": []}
    chance = []
    for ladder in benchmark.ladders(task, split):
        text = stated[ladder.query_id]
        others = [
            lost.get((ladder.query_id, name), set()) for name in ladder.candidate_ids if name != ladder.positive_id
        ]
        halves["picture alone"].append(1 / (1 + sum(types <= text for types in others)))
        halves["text alone"].append(1 / (1 + sum(types.isdisjoint(text) for types in others)))
        chance.append(1 / (1 + len(others)))
    if not chance:
        return Check("one half of a composed query", "not applicable", "no composed query has a ladder")
    guess = float(np.mean(chance))
    shares = {half: float(np.mean(hits)) for half, hits in halves.items()}
    rows = tuple(
        (half, round(share, 4), sum(hit == 1 for hit in halves[half]), len(chance)) for half, share in shares.items()
    )
    verdict: Verdict = "failed" if max(shares.values()) > MOST_FIRST else "passed"
    summary = (
        f"with the picture alone {shares['picture alone']:.3f} of the positives come first in their ladder, with the "
        f"text alone {shares['text alone']:.3f}; by chance {guess:.3f}; allowed: {MOST_FIRST}"
    )
    columns = ("half", "first in the ladder", "ladders that it solves", "ladders")
    return Check("one half of a composed query", verdict, summary, columns, rows)
