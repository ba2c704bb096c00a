"""Whether the intervals of a control that knows nothing hold what chance gives.

Of many intervals of 95 % one in twenty leaves chance out, so a single run of ``random`` is no proof of anything. Here
random vectors are drawn many times, and scored with the intervals and clusters of an evaluation.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from mrbench import statistics
from mrbench.arrays import Embeddings, Floats
from mrbench.audit.findings import Check, Row
from mrbench.pools import TaskPool
from mrbench.statistics import cluster_codes

DRAWS, FEWEST = 200, 20
"""Times that vectors are drawn, and pairs from which on a grain type is looked at."""
_DIMENSION, _LEVEL, _SURE = 64, 0.05, 0.001


def audit_chance(pools: dict[str, TaskPool]) -> Check:
    """Draw random vectors, and count by grain type how often the interval of the pair accuracy leaves 0.5 out.

    Fails where the mean accuracy of a type is surely not 0.5, or surely more than one interval in twenty leaves it
    out. "Surely" is at 0.1 %, over all types together; the queries of one draw share vectors, the draws share none.
    """
    found = {(task, kind): values for task, pool in pools.items() for kind, values in _draws(pool).items()}
    rows: list[Row] = []
    wrong = []
    for (task, kind), (count, accuracy, left_out) in found.items():
        error = float(accuracy.std(ddof=1)) / len(accuracy) ** 0.5
        away = abs(float(accuracy.mean()) - 0.5) > float(stats.norm.isf(_SURE / 2 / len(found))) * max(error, 1e-9)
        often = float(stats.binom.sf(left_out - 1, DRAWS, _LEVEL)) < _SURE / len(found)
        if away or often:
            wrong.append(f"{kind} in {task}")
        spread = float(accuracy.std(ddof=1))
        mean = round(float(accuracy.mean()), 3)
        rows.append((task, kind, count, mean, round(spread, 3), round(left_out / DRAWS, 3)))
    columns = ("task", "grain", "pairs", "mean", "standard deviation", "intervals without 0.5")
    if not found:
        return Check("chance", "not applicable", f"no grain type has {FEWEST} pairs")
    share = float(np.mean([float(str(row[5])) for row in rows]))
    summary = f"of {DRAWS} draws of random vectors {share:.1%} of the 95 % intervals leave 0.5 out"
    summary += f"; not at chance: {', '.join(wrong)}" if wrong else f", over {len(found)} grain types"
    return Check("chance", "failed" if wrong else "passed", summary, columns, tuple(rows))


def _draws(pool: TaskPool) -> dict[str, tuple[int, Floats, int]]:
    """Return for every grain type its pairs, the accuracy of each draw, and the intervals that leave 0.5 out."""
    query, kinds, other = pool.pairs.query, pool.pairs.kind, pool.pairs.position
    names, counts = np.unique(kinds, return_counts=True)
    chosen = [int(kind) for kind, number in zip(names, counts, strict=True) if number >= FEWEST]
    clusters = cluster_codes(pool.clusters.tolist())[query]
    used, place = np.unique(np.concatenate([pool.positives[query], other]), return_inverse=True)
    positive, negative = np.split(place.reshape(-1), 2)
    generator = np.random.default_rng(0)
    found: dict[str, tuple[int, list[float], int]] = {}
    for _ in range(DRAWS if chosen else 0):
        asked, there = (_unit(generator, number) for number in (len(pool.query_ids), len(used)))
        right = ((there[positive] - there[negative]) * asked[query]).sum(axis=1) > 0
        for kind in chosen:
            mine = kinds == kind
            values = right[mine].astype(np.float64)
            codes = np.unique(clusters[mine], return_inverse=True)[1]
            if codes.max() == 0:  # one cluster has no interval
                continue
            low, high = statistics.share_interval(values, codes)
            count, accuracy, left_out = found.get(pool.grain_types[kind], (len(values), [], 0))
            outside = not low <= 0.5 <= high
            found[pool.grain_types[kind]] = (count, [*accuracy, float(values.mean())], left_out + outside)
    return {kind: (count, np.array(accuracy), left_out) for kind, (count, accuracy, left_out) in found.items()}


def _unit(generator: np.random.Generator, number: int) -> Embeddings:
    vectors = generator.standard_normal((number, _DIMENSION), dtype=np.float32)
    unit: Embeddings = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
