"""Whether half of a composed query is enough: solvers that know the grains of one half perfectly, and nothing else."""

from __future__ import annotations

import numpy as np

from mrbench.arrays import Floats
from mrbench.audit.findings import Check, Verdict
from mrbench.audit.oracle import OracleSource, Rows
from mrbench.measures import hit_of_positive
from mrbench.pools import TaskPool

MARGIN = 0.05
"""Share of queries that one half may put first, beyond chance."""


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
