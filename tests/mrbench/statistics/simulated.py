"""Hits of queries whose true rate is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mrbench.statistics import share_interval

QUERIES = 250


def hits(rng: np.random.Generator, rate: float, size: int, alike: float) -> tuple[np.ndarray, np.ndarray]:
    """Return hits in clusters of a size; two queries of a cluster have correlation ``alike``."""
    clusters = np.arange(QUERIES) // size
    shared = (rng.random(clusters.max() + 1) < rate)[clusters]
    copied = rng.random(QUERIES) < np.sqrt(alike)
    return np.where(copied, shared, rng.random(QUERIES) < rate).astype(float), clusters


def coverage(truth: float, draw: Callable[[], tuple[np.ndarray, np.ndarray]], runs: int) -> float:
    """Return how often the 95 % interval of a mean holds the truth."""
    intervals = np.array([share_interval(*draw()) for _ in range(runs)])
    return float(((intervals[:, 0] <= truth) & (truth <= intervals[:, 1])).mean())
