"""Calibrated grain sensitivity of a run, with intervals."""

from __future__ import annotations

import numpy as np

from mrbench import measures, statistics
from mrbench.arrays import Floats, Ints
from mrbench.errors import ResultError
from mrbench.results import GrainScore
from mrbench.score.findings import Diagnosis, scores_of

RESAMPLES = 2000


def add_sensitivity(diagnosis: Diagnosis, moves: measures.Moves, noise: Floats, scale: Floats, clusters: Ints) -> None:
    """Add the calibrated sensitivity of every grain type with its interval, or the reason why it has none.

    Args:
        diagnosis: The collected scores to add to.
        moves: The probes.
        noise: For each query its mean distance to its paraphrases, shape ``(num_queries,)``.
        scale: For each query its mean distance to unrelated ones, NaN where there is none.
        clusters: Cluster of each query.
    """
    name = "grain_sensitivity"
    try:
        by_grain, missing = measures.grain_sensitivity(moves, noise, scale)
    except ResultError as error:
        diagnosis.missing[name] = str(error)
        return
    if by_grain:
        diagnosis.by_grain[name] = scores_of(by_grain)
        _intervals(diagnosis, moves, noise, scale, clusters)
    reasons = list(dict.fromkeys(missing.values()))
    if not by_grain:
        diagnosis.missing[name] = reasons[0] if len(reasons) == 1 else "no grain type has a scale to measure on"
    if by_grain or len(reasons) > 1:
        diagnosis.missing |= {f"{name}[{grain}]": reason for grain, reason in missing.items()}


def _intervals(diagnosis: Diagnosis, moves: measures.Moves, noise: Floats, scale: Floats, clusters: Ints) -> None:
    """Add the bootstrap interval of each ratio of means; all its sums are resampled together, by clusters."""
    for grain, score in diagnosis.by_grain.get("grain_sensitivity", {}).items():
        chosen = moves.grain == grain
        query = moves.query[chosen]
        known = np.isfinite(scale[query])
        columns = np.column_stack(
            [np.ones(len(query)), moves.distance[chosen], noise[query], known, np.where(known, scale[query], 0)]
        )

        def ratio(sums: Floats) -> Floats:
            with np.errstate(divide="ignore", invalid="ignore"):
                moved, floor, top = sums[:, 1] / sums[:, 0], sums[:, 2] / sums[:, 0], sums[:, 4] / sums[:, 3]
                value: Floats = (moved - floor) / (top - floor)
            return value

        codes = np.unique(clusters[query], return_inverse=True)[1]
        try:
            values = statistics.bootstrap(columns, codes, ratio, resamples=RESAMPLES)
            interval = statistics.bootstrap_interval(values, int(codes.max()) + 1)
        except ResultError:  # one cluster tells nothing of the spread
            continue
        diagnosis.by_grain["grain_sensitivity"][grain] = GrainScore(score.score, score.count, interval)
