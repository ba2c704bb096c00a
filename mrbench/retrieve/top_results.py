"""What the first results of each query are worth: their gains, and which grains they keep.

Where candidates tie across the cutoff, each counts with the same share of the ranks that are left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mrbench.arrays import Floats, Ints, Rows, Scores, run_starts
from mrbench.pools.pool import CUTOFF, TaskPool
from mrbench.search.searcher import PoolSearcher

Columns = dict[str, np.ndarray[Any, Any]]


@dataclass(frozen=True, slots=True)
class First:
    """The first results of all queries.

    Attributes:
        gains: Every group of tied candidates among the first ``pool.cutoff`` ranks: query, score, numbers of candidates
            that score higher and the same, sum of gains, and number of judged ones; by query and rising score.
        grains: For every grain of a query: query, grain, share of the first ten results that keep it, and share of the
            results tied for rank 1 that lose it. Only if the grains of all candidates are known.
        wrong: For each query the share of its first ten results whose modality the task does not ask for.
        only: For each query the score that all its candidates have, if they have one score; else NaN.
    """

    gains: Columns
    grains: Columns
    wrong: Floats
    only: Floats


def first_results(pool: TaskPool, searcher: PoolSearcher[Any], queries: Rows, top: Ints, scores: Scores) -> First:
    """Return gains and grains of the first results of each query, with all candidates tied with the last of them.

    Args:
        pool: The task.
        searcher: Finds tied candidates that are not among the best.
        queries: Vectors of the kind that the searcher takes.
        top: The best candidates of each query, more than ``pool.cutoff`` if there are that many, shape
            ``(num_queries, num_best)``; -1 where a query has fewer.
        scores: Their scores, falling; minus infinity where there is no candidate.
    """
    last = scores[:, min(pool.cutoff, scores.shape[1]) - 1]
    open_end = (scores[:, -1] == last) & (scores.shape[1] < pool.sizes)
    query, column = np.nonzero((scores >= last[:, None]) & (top >= 0) & ~open_end[:, None])
    parts = [_first(pool, np.flatnonzero(~open_end), query, top[query, column], scores[query, column])]
    some = np.flatnonzero(open_end)
    for mine, of, tied in searcher.tied(queries, some, last[some]):
        above, column = np.nonzero(scores[mine] > last[mine, None])
        query = np.concatenate([mine[above], mine[of]])
        positions = np.concatenate([top[mine][above, column], tied])
        values = np.concatenate([scores[mine][above, column], last[mine[of]]])
        order = np.argsort(query, kind="stable")
        parts.append(_first(pool, mine, query[order], positions[order], values[order]))
    order = np.argsort(np.concatenate([np.flatnonzero(~open_end), some]))
    wrong, only = (np.concatenate([getattr(part, name) for part in parts])[order] for name in ("wrong", "only"))
    return First(_by_query([part.gains for part in parts]), _by_query([part.grains for part in parts]), wrong, only)


def _by_query(parts: list[Columns]) -> Columns:
    order = np.argsort(np.concatenate([part["query"] for part in parts]), kind="stable")
    return {name: np.concatenate([part[name] for part in parts])[order] for name in parts[0]}


def _first(pool: TaskPool, asked: Ints, query: Ints, candidate: Ints, score: Scores) -> First:
    """Return the first results of some queries.

    Args:
        pool: The task.
        asked: The queries, ascending.
        query: Query of each candidate that may be among the first, ascending.
        candidate: Its position.
        score: Its score.
    """
    order = np.lexsort((score, query))
    query, candidate, score = query[order], candidate[order], score[order]
    new = run_starts(query, score)
    first, group = np.flatnonzero(new), np.cumsum(new) - 1
    equal, of = np.bincount(group, minlength=len(first)), query[first]
    greater = np.searchsorted(query, of, side="right") - first - equal
    gain, judged = (
        np.bincount(group, weights=values, minlength=len(first)).astype(np.int64)
        for values in (pool.judgements.gains_of(query, candidate), pool.judgements.judged_of(query, candidate))
    )
    # Probability of a candidate to be among the first ten: tied candidates share the remaining ranks.
    weight = np.clip((CUTOFF - greater) / equal, 0, 1)[group]
    best = (greater == 0)[group]
    at = np.searchsorted(asked, query)
    whole = _sums(at, weight, asked)
    strange = ~pool.right_modality[pool.corpus[candidate]]
    wrong = _sums(at, strange * weight, asked) / whole
    only = np.full(len(asked), np.nan)
    alone = equal == pool.sizes[of]
    only[np.searchsorted(asked, of[alone])] = score[first[alone]]
    gains: Columns = {
        "query": of, "score": score[first], "greater": greater, "equal": equal, "gain": gain, "judged": judged
    }  # fmt: skip
    return First(gains, _grains(pool, asked, at, query, candidate, weight, best), wrong, only)


def _grains(pool: TaskPool, asked: Ints, at: Ints, query: Ints, candidate: Ints, weight: Floats, best: Any) -> Columns:
    """Return the shares of the first results that keep and lose each grain of their query, if all grains are known."""
    if not pool.judgements.complete:
        nothing, none = np.empty(0, dtype=np.int64), np.empty(0)
        return {"query": nothing, "grain": nothing, "kept": none, "lost": none}
    whole, firsts = _sums(at, weight, asked), _sums(at, best, asked)
    kept, lost = np.empty((2, len(asked), len(pool.grain_types)))
    for kind, codes in enumerate(pool.candidate_grains):
        wanted = pool.query_grains[query, kind]
        keeps = (codes[candidate] == wanted) & (wanted >= 0)
        kept[:, kind] = _sums(at, keeps * weight, asked) / whole
        lost[:, kind] = _sums(at, ~keeps & best, asked) / firsts
    row, grain = np.nonzero(pool.query_grains[asked] >= 0)
    return {"query": asked[row], "grain": grain, "kept": kept[row, grain], "lost": lost[row, grain]}


def _sums(at: Ints, values: np.ndarray[Any, Any], asked: Ints) -> Floats:
    return np.bincount(at, weights=values, minlength=len(asked)).astype(np.float64)
