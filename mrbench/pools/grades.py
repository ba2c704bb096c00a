"""Grades of candidates from codes of their grains, without comparing every candidate with every query."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from mrbench.arrays import Ints, ranges

Codes = np.ndarray[Any, np.dtype[np.int32]]
NONE = -1  # where a record has no grain of a type
_MANY = 8  # grains of a query, beyond which it has too many subsets of them to count each
_DENSE = 1 << 22  # combinations of values that are counted in an array; more are sorted
_LARGEST = 1 << 62


def grades(asked: Codes, candidates: Codes) -> np.ndarray[Any, np.dtype[np.int16]]:
    """Return how many of a query's grains each candidate keeps, shape ``(num_candidates,)``.

    >>> grades(np.array([5, NONE, 7]), np.array([[5, 5, 1], [9, 9, 9], [7, 1, 1]]))
    array([2, 1, 0], dtype=int16)
    """
    grade = np.zeros(candidates.shape[1], dtype=np.int16)
    for kind in np.flatnonzero(asked != NONE):
        grade += candidates[kind] == asked[kind]
    return grade


def grades_of(queries: Codes, candidates: Codes, query: Ints, position: Ints) -> Ints:
    """Return how many grains of its query each candidate keeps, shape ``(num_pairs,)``.

    Args:
        queries: Shape ``(num_queries, num_types)``.
        candidates: Shape ``(num_types, num_candidates)``.
        query: Which query each pair is of, shape ``(num_pairs,)``.
        position: Its candidate, the same shape.
    """
    grade = np.zeros(len(query), dtype=np.int64)
    for have, want in zip(candidates, queries.T, strict=True):
        asked = want[query]
        grade += (asked != NONE) & (have[position] == asked)
    return grade


def relevant(queries: Codes, candidates: Codes) -> tuple[Ints, Ints]:
    """Return query and position of every candidate that keeps all grains of a query, by query and position.

    Candidates are sorted once for every set of grain types that queries ask for.

    Args:
        queries: Shape ``(num_queries, num_types)``.
        candidates: Shape ``(num_types, num_candidates)``.
    """
    patterns, pattern_of = np.unique(queries != NONE, axis=0, return_inverse=True)
    pairs: list[Ints] = [np.empty((2, 0), dtype=np.int64)]
    for number, pattern in enumerate(patterns):
        asking = np.flatnonzero(pattern_of.reshape(-1) == number)
        keys, wanted, _ = _numbered(queries[asking][:, pattern], candidates[pattern])
        order = np.argsort(keys, kind="stable")
        left, right = (np.searchsorted(keys[order], wanted, side=side) for side in ("left", "right"))
        pairs.append(np.stack([np.repeat(asking, right - left), order[ranges(left, right - left)]]))
    query, position = np.concatenate(pairs, axis=1)
    by_query = np.argsort(query, kind="stable")  # those of one query stand together, by position
    return query[by_query], position[by_query]


def counts(queries: Codes, candidates: Codes) -> Ints:
    """Return how many candidates have each grade of each query, shape ``(num_queries, num_types + 1)``.

    For every set of grain types, it counts the candidates that keep the query's grains of all these types. So the
    candidates are sorted once for each set, however many queries there are. The sum over the sets of one size counts a
    candidate with n kept grains once for every choice among them; inclusion and exclusion then gives the grades.

    Args:
        queries: Shape ``(num_queries, num_types)``.
        candidates: Shape ``(num_types, num_candidates)``.

    >>> counts(np.array([[5, NONE, 7]]), np.array([[5, 5, 1], [9, 9, 9], [7, 1, 1]]))
    array([[1, 1, 1, 0]])
    """
    number, kinds = queries.shape
    asked = queries != NONE
    few = asked.sum(axis=1) <= _MANY
    kept = np.zeros((number, kinds + 1), dtype=np.int64)
    for query in np.flatnonzero(~few):
        kept[query] = np.bincount(grades(queries[query], candidates), minlength=kinds + 1)
    chosen = np.zeros((number, kinds + 1), dtype=np.int64)
    chosen[:, 0] = candidates.shape[1]
    patterns = [np.flatnonzero(pattern).tolist() for pattern in np.unique(asked[few], axis=0)]
    sizes = ((pattern, size) for pattern in patterns for size in range(1, len(pattern) + 1))
    for subset in {subset for pattern, size in sizes for subset in itertools.combinations(pattern, size)}:
        asking = np.flatnonzero(few & asked[:, subset].all(axis=1))
        chosen[asking, len(subset)] += _keeping(queries[asking][:, subset], candidates[list(subset)])
    undo = [[(-1) ** (n - k) * math.comb(n, k) if n >= k else 0 for k in range(kinds + 1)] for n in range(kinds + 1)]
    kept[few] = chosen[few] @ np.array(undo, dtype=np.int64)
    return kept


def _keeping(wanted: Codes, candidates: Codes) -> Ints:
    """Return how many candidates have all grains of each query, shape ``(num_queries,)``.

    Args:
        wanted: Shape ``(num_queries, num_types)``, none missing.
        candidates: Shape ``(num_types, num_candidates)``.
    """
    keys, asked, size = _numbered(wanted, candidates)
    if size <= _DENSE:
        return np.bincount(keys, minlength=size)[asked]
    keys.sort()
    return np.searchsorted(keys, asked, side="right") - np.searchsorted(keys, asked)


def _numbered(wanted: Codes, candidates: Codes) -> tuple[Ints, Ints, int]:
    """Return a number for the grains of each candidate and of each query, equal where all grains are, and their bound.

    Args:
        wanted: Shape ``(num_queries, num_types)``, none missing.
        candidates: Shape ``(num_types, num_candidates)``.
    """
    keys, asked = np.zeros(candidates.shape[1], dtype=np.int64), np.zeros(len(wanted), dtype=np.int64)
    size = 1
    for have, want in zip(candidates, wanted.T, strict=True):
        span = 2 + max(int(have.max(initial=0)), int(want.max(initial=0)))
        if size * span > _LARGEST:  # renumbered, so that the product stays small
            _, codes = np.unique(np.concatenate([keys, asked]), return_inverse=True)
            keys, asked, size = codes[: len(keys)], codes[len(keys) :], len(codes)
        keys, asked, size = keys * span + have + 1, asked * span + want + 1, size * span
    return keys, asked, size
