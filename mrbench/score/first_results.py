"""Checks the shares of first results that a run states against its ranking and the grains of the benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mrbench.arrays import Bools, Floats, Ints, ranges, row_ends
from mrbench.errors import EVALUATE_AGAIN, ResultError
from mrbench.pools.pool import CUTOFF, Pairs, TaskPool
from mrbench.score.consistency import Rows
from mrbench.score.run_rows import RunRows

_ROUNDED = 1e-6
Bounds = tuple[Floats, Floats]


@dataclass(frozen=True, slots=True)
class _Firsts:
    """The weights of the first results: of those that the run lists, and of others that tie with them.

    Attributes:
        query: Query of each row of ``top``.
        position: Position in the pool of its candidate.
        weight: Its probability to be among the results that count.
        whole: Sum of all weights of a query, shape ``(num_queries,)``.
        missing: Number of results that count and that ``top`` lacks, the same shape.
        lightest: The smallest weight of one of them, the same shape.
        heaviest: The largest weight of one of them, the same shape.
        lacking: Sum of their weights, the same shape.
        beyond: Number of candidates of the query that ``top`` lacks, the same shape.
    """

    query: Ints
    position: Ints
    weight: Floats
    whole: Any
    missing: Ints
    lightest: Floats
    heaviest: Floats
    lacking: Any
    beyond: Ints

    def share(self, chosen: Bools, total: Ints) -> Bounds:
        """Return the lowest and the highest possible share of chosen candidates among the first results of each query.

        The two are equal where ``top`` holds every result that counts, or where all others of the pool are tied.

        Args:
            chosen: Whether the candidate of each row of ``top`` is chosen.
            total: Number of chosen candidates that the query is searched among, shape ``(num_queries,)``.
        """
        number = len(total)
        seen = np.bincount(self.query, weights=chosen * self.weight, minlength=number)
        chosen_beyond = total - np.bincount(self.query, weights=chosen, minlength=number).astype(np.int64)
        others_beyond = self.beyond - chosen_beyond
        low = seen + self.lightest * np.maximum(0, self.missing - others_beyond)
        high = seen + np.minimum(self.lacking, self.heaviest * chosen_beyond)
        return low / self.whole, high / self.whole


def check_first_results(run: Mapping[str, Rows], run_rows: RunRows, pool: TaskPool) -> None:
    """Check the shares of the tables ``first`` and ``queries`` that follow from the ranking.

    Args:
        run: The ranked tables, which agree with each other: :func:`mrbench.score.consistency.check_run`.
        run_rows: The tables to check.
        pool: The task.

    Raises:
        ResultError: The first results keep or lose another share of a grain, or of a modality, than the run states.
    """
    best, ten = _firsts(run, pool, 1), _firsts(run, pool, CUTOFF)
    strange = ~pool.right_modality[pool.corpus]
    bounds = ten.share(strange[ten.position], _strangers(strange, pool))
    every = np.arange(len(pool.query_ids))
    _within(run_rows.queries.column("wrong"), bounds, "wrong", "queries", pool, every)
    if not pool.judgements.complete:
        return
    kept, lost = (np.full(pool.query_grains.shape, np.nan) for _ in range(2))
    known = pool.query_grains >= 0
    kept[known], lost[known] = run_rows.first
    for kind, codes in enumerate(pool.candidate_grains):
        asked = np.flatnonzero(known[:, kind])
        wanted = pool.query_grains[:, kind].astype(np.int64)
        keepers = _keepers(codes, wanted, pool)
        keeps = codes[ten.position] == wanted[ten.query]
        grain = pool.grain_types[kind]
        _within(kept[:, kind], ten.share(keeps, keepers), "kept", "first", pool, asked, grain)
        _within(lost[:, kind], best.share(~keeps, pool.sizes - keepers), "lost", "first", pool, asked, grain)


def _firsts(run: Mapping[str, Rows], pool: TaskPool, places: int) -> _Firsts:
    """Return how much each result counts. With one place, all that tie for it count in full."""
    top, gains, number = run["top"], run["gains"], len(pool.query_ids)
    lengths = np.bincount(top.query, minlength=number)
    greater, equal, query = gains.counts["greater"], gains.counts["equal"], gains.query
    share = (greater == 0) * 1.0 if places == 1 else np.clip((places - greater) / equal, 0, 1)
    held = np.clip(np.minimum(greater + equal, lengths[query]) - greater, 0, None)
    rows = ranges(row_ends(lengths)[query] + greater, held)
    weight = np.zeros(len(top.query))
    weight[rows] = np.repeat(share, held)
    lacks = np.where(share > 0, equal - held, 0)
    some = lacks > 0
    lightest, heaviest = np.ones(number), np.zeros(number)
    np.minimum.at(lightest, query[some], share[some])
    np.maximum.at(heaviest, query[some], share[some])
    return _Firsts(
        top.query,
        top.key % len(pool.candidate_ids),
        weight,
        np.bincount(query, weights=equal * share, minlength=number),
        np.bincount(query, weights=lacks, minlength=number).astype(np.int64),
        lightest,
        heaviest,
        np.bincount(query, weights=lacks * share, minlength=number),
        pool.sizes - lengths,
    )


def _keepers(codes: np.ndarray[Any, Any], wanted: Ints, pool: TaskPool) -> Ints:
    """Return how many candidates of each query have the value of a grain that it asks for; 0 where it asks none."""
    number = len(wanted)
    if pool.lists is not None:
        return _counted(codes[pool.lists.position] == wanted[pool.lists.query], pool.lists, number)
    counts = np.bincount(codes[codes >= 0].astype(np.int64), minlength=int(wanted.max(initial=0)) + 1)
    found: Ints = np.where(wanted >= 0, counts[np.maximum(wanted, 0)], 0).astype(np.int64)
    if pool.excluded is None:
        return found
    same = codes[pool.excluded.position] == wanted[pool.excluded.query]
    return found - np.where(wanted >= 0, _counted(same, pool.excluded, number), 0)


def _strangers(strange: Bools, pool: TaskPool) -> Ints:
    """Return how many candidates of each query are of a modality that the task does not ask for."""
    number = len(pool.query_ids)
    if pool.lists is not None:
        return _counted(strange[pool.lists.position], pool.lists, number)
    found = np.full(number, int(strange.sum()), dtype=np.int64)
    if pool.excluded is None:
        return found
    return found - _counted(strange[pool.excluded.position], pool.excluded, number)


def _counted(chosen: Bools, pairs: Pairs, number: int) -> Ints:
    return np.bincount(pairs.query, weights=chosen, minlength=number).astype(np.int64)


def _within(
    stated: Floats, bounds: Bounds, column: str, table: str, pool: TaskPool, asked: Ints, grain: str = ""
) -> None:
    low, high = bounds
    wrong = (stated[asked] < low[asked] - _ROUNDED) | (stated[asked] > high[asked] + _ROUNDED)
    if wrong.any():
        query = asked[int(np.argmax(wrong))]
        exact = high[query] - low[query] < _ROUNDED
        raise ResultError(
            f"{column} is not what the first results of the run give",
            where=", ".join(filter(None, (f"{pool.task}.{table}.parquet", str(pool.query_ids[query]), grain))),
            got=round(float(stated[query]), 6),
            accepted=f"{low[query]:.6g}" if exact else f"{low[query]:.6g} to {high[query]:.6g}",
            hint=EVALUATE_AGAIN,
        )
