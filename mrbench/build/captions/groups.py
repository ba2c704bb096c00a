"""Groups of photos that belong together: near-duplicates, and photos with a caption in common."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import product

import numpy as np

from mrbench.arrays import Ints

SIDE = 8
"""Side of a thumbnail, in pixels."""
_NEAR = 2.0
"""Greatest mean difference of two thumbnails, of 255 levels, between pictures that count as one."""


def near_duplicates(digests: Sequence[str], thumbnails: Sequence[bytes]) -> list[Ints]:
    """Return for each picture the positions of all that show the same, itself among them.

    Two pictures show the same where their pixels are equal, or where their thumbnails differ by 2 of 255 levels at
    most, on average. Only pictures whose mean colours are near each other are compared.

    Args:
        digests: Of the pixels.
        thumbnails: 8 x 8 RGB values of each.
    """
    parent = list(range(len(digests)))
    cells: dict[tuple[int, ...], list[int]] = defaultdict(list)
    by_digest: dict[str, int] = {}
    small = [np.frombuffer(thumbnail, dtype=np.uint8).astype(np.int16) for thumbnail in thumbnails]
    for at, (digest, mine) in enumerate(zip(digests, small, strict=True)):
        first = by_digest.setdefault(digest, at)
        if first != at:
            _join(parent, first, at)
            continue
        # A mean difference of 2 over three channels is one of 6 at most in the mean of each: it is in a cell beside.
        cell = tuple(int(mean // (3 * _NEAR)) for mean in mine.reshape(-1, 3).mean(axis=0))
        beside = (tuple(c + d for c, d in zip(cell, step, strict=True)) for step in product((-1, 0, 1), repeat=3))
        near = (other for key in beside for other in cells.get(key, ()))
        same = next((other for other in near if float(np.abs(mine - small[other]).mean()) <= _NEAR), None)
        if same is None:  # one of a group stands for it
            cells[cell].append(at)
        else:
            _join(parent, same, at)
    return _members(parent)


def _members(parent: list[int]) -> list[Ints]:
    groups: dict[int, list[int]] = defaultdict(list)
    for at in range(len(parent)):
        groups[_root(parent, at)].append(at)
    arrays = {first: np.array(members) for first, members in groups.items()}
    return [arrays[_root(parent, at)] for at in range(len(parent))]


def groups_of(twins: Sequence[Iterable[int]], texts: Sequence[Iterable[str]]) -> list[int]:
    """Return for each photo the first photo of its group: near-duplicates, and photos with a caption in common.

    Args:
        twins: Positions of the near-duplicates of each photo.
        texts: Captions of each photo.

    >>> groups_of([[0], [1, 2], [1, 2], [3]], [["a dog"], ["a cat"], ["a bird"], ["a dog"]])
    [0, 1, 1, 0]
    """
    parent = list(range(len(twins)))
    said: dict[str, int] = {}
    for at, (near, captions) in enumerate(zip(twins, texts, strict=True)):
        for twin in near:
            _join(parent, twin, at)
        for text in captions:
            _join(parent, said.setdefault(text, at), at)
    return [_root(parent, at) for at in range(len(twins))]


def _root(parent: list[int], at: int) -> int:
    while parent[at] != at:
        parent[at] = parent[parent[at]]
        at = parent[at]
    return at


def _join(parent: list[int], one: int, other: int) -> None:
    one, other = sorted((_root(parent, one), _root(parent, other)))
    parent[other] = one
