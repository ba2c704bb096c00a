"""Hit rate so far: the measure of dialogues with several rounds."""

from __future__ import annotations

import numpy as np

from mrbench.arrays import Floats
from mrbench.errors import ResultError


def hit_rate_so_far(hits: Floats) -> Floats:
    """Return for each round whether this round or one before it is a hit, by query.

    The running maximum over rounds. With ties a hit is an expected value, and the maximum is the least that the
    expected value of "one of these rounds" can be.

    Args:
        hits: Hit rate at k of every round, 0 to 1, shape ``(num_rounds, num_queries)``.

    Returns:
        The same shape, 0 to 1, higher is better.

    Raises:
        ResultError: Another shape, or a value that is no share.

    Source: ChatIR's Hits@10, arXiv 2305.20062, section 4, and ``cumulative_hits_per_round`` of its ``eval.py``.

    >>> hit_rate_so_far(np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]]))
    array([[0., 1.],
           [1., 1.],
           [1., 1.]])
    """
    if hits.ndim != 2 or not ((hits >= 0) & (hits <= 1)).all():
        raise ResultError("malformed hits of rounds", got=hits.shape, accepted="shares, (rounds, queries)")
    best_so_far: Floats = np.maximum.accumulate(hits, axis=0)
    return best_so_far
