"""Finds pictures of one artist that look alike although their grains differ, by comparing renders."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from mrbench.build import art
from mrbench.build.emoji.grains import Item
from mrbench.workers import Workers, ordered_map

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

SIDE = 32
"""Pictures are compared at this size, in pixels."""
NEAR, NEAR_GENDER, NEAR_GENDERS = 6.0, 8.0, 14.0
"""Root mean square difference of the pixels, 0 to 255, up to which two pictures look alike to a person, found by
looking at 100 pairs. Where gender differs it takes more, and of two people more again: below that the artist has drawn
no difference but a shift."""


def _small(artist: str, emoji: str) -> Pixels:
    return np.asarray(art.on_white(art.render(artist, emoji, SIDE), SIDE)).ravel()


def lookalikes(artist: str, items: Sequence[Item], workers: Workers = 1) -> frozenset[int]:
    """Return the positions of the items that look like another one with other grains.

    The sums are of whole numbers below 2^53, so they are exact on every machine.

    Args:
        artist: Whose drawings to compare.
        items: Items of different grain combinations.
        workers: Workers that draw, see :func:`mrbench.workers.ordered_map`.

    Returns:
        Positions in ``items`` of all members of each group of look-alikes.
    """
    if not items:
        return frozenset()
    drawn = ordered_map(partial(_small, artist), (item.emoji for item in items), workers)
    pixels = np.stack(list(drawn)).astype(np.float64)
    norms = (pixels**2).sum(axis=1)
    squares = norms[:, None] + norms[None, :] - 2 * pixels @ pixels.T
    genders = np.array([item.values.get("gender", "") for item in items])
    pairs = np.array([item.kind == "pair" for item in items])
    apart = np.where(pairs[:, None] & pairs[None, :], NEAR_GENDERS, NEAR_GENDER)
    limits = np.where(genders[:, None] != genders[None, :], apart, NEAR)
    near = squares <= limits**2 * pixels.shape[1]
    np.fill_diagonal(near, False)
    return frozenset(int(position) for position in np.flatnonzero(near.any(axis=1)))
