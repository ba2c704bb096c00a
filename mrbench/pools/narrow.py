"""A smaller pool for a quick look: the candidates that the queries need, and a sample of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mrbench.arrays import Ints
from mrbench.pools.ids import find, sample
from mrbench.pools.judgements import Listed
from mrbench.pools.pool import Pairs, TaskPool

DISTRACTORS = 500
"""Candidates that a quick look keeps besides those that its queries need."""


def narrow(pool: TaskPool, distractors: int, seed: int, sizes: Mapping[str, int]) -> TaskPool:
    """Return the pool with the candidates that its queries need and a sample of the others.

    A query needs its relevant and judged candidates, the members of its ladder and its list, and the candidates that
    its variants ask for. The sample consists of the others whose ids, hashed with the seed, come first. So it does not
    depend on the order of the file, and tasks over one corpus sample nearly the same candidates.

    Args:
        pool: The whole pool.
        distractors: Number of other candidates to keep, 1 or more.
        seed: Seed of the sample.
        sizes: Number of rows of each corpus.
    """
    needed = np.zeros(len(pool.candidate_ids), dtype=np.bool_)
    for positions in _needed(pool):
        needed[positions] = True
    others = np.flatnonzero(~needed)
    needed[others[sample(pool.candidate_ids[others], distractors, seed)]] = True
    kept = np.flatnonzero(needed)
    new = np.cumsum(needed) - 1  # the new positions of the candidates that are kept
    before = [pool.corpus_rows.get(name, np.arange(sizes[name])) for name in pool.corpora]
    row, left = stacked(pool.row[kept], [len(rows) for rows in before])
    corpus_rows = {name: rows[at] for name, rows, at in zip(pool.corpora, before, left, strict=True)}
    narrowed = replace(
        pool,
        candidate_ids=pool.candidate_ids[kept],
        row=row,
        corpus=pool.corpus[kept],
        positives=new[pool.positives],
        ladder=Pairs(pool.ladder.query, new[pool.ladder.position]),
        variants=replace(pool.variants, target=new[pool.variants.target]),
        lists=None if pool.lists is None else Pairs(pool.lists.query, new[pool.lists.position]),
        excluded=_excluded(pool.excluded, kept),
        corpus_rows={name: rows for name, rows in corpus_rows.items() if len(rows) < sizes[name]},
        left_out=len(pool.candidate_ids) - len(kept),
    )
    return replace(narrowed, judgements=pool.judgements.within(kept, narrowed.sizes))


def stacked(row: Ints, sizes: Sequence[int]) -> tuple[Ints, list[Ints]]:
    """Return the new rows of kept rows of stacked corpora once the others are dropped, and the kept rows by corpus.

    Args:
        row: Rows of the stack, each once, in any order.
        sizes: Number of rows of each corpus.

    Returns:
        The new row of each of ``row``, and for each corpus the rows that are kept, ascending.

    >>> stacked(np.array([4, 0, 3]), [2, 3])
    (array([2, 0, 1]), [array([0]), array([1, 2])])
    """
    there = np.zeros(sum(sizes), dtype=np.bool_)
    there[row] = True
    parts = np.split(there, np.cumsum(sizes)[:-1])
    return (np.cumsum(there) - 1)[row], [np.flatnonzero(part) for part in parts]


def _needed(pool: TaskPool) -> list[Ints]:
    used = [pool.relevant[1], pool.positives, pool.ladder.position, pool.variants.target]
    if isinstance(pool.judgements, Listed):
        used.append(pool.judgements.position)
    if pool.lists is not None:
        used.append(pool.lists.position)
    return used


def _excluded(excluded: Pairs | None, kept: Ints) -> Pairs | None:
    """Return the exclusions of candidates that are kept, under their new positions."""
    if excluded is None:
        return None
    position = find(kept, excluded.position)
    left = position >= 0
    return Pairs(excluded.query[left], position[left]) if left.any() else None
