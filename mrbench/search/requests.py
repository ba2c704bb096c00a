"""Requests to a search: pairs of a query and a candidate whose scores and ranks are wanted."""

from __future__ import annotations

from typing import Any

import numpy as np

from mrbench.arrays import Ints, Scores, ranges, run_starts


class ScoreRequest:
    """Pairs of a query and a candidate to score, with the answers; all are arrays of shape ``(num_pairs,)``.

    Args:
        query: Index of the query of each pair, ascending.
        candidate: Position of its candidate in the pool.
        counted: Whether to count the candidates of the pool that score higher, and those that score the same.

    Attributes:
        query: As given.
        candidate: As given.
        counted: As given.
        score: The score of each pair.
        greater: Number of candidates with a higher score; empty unless counted.
        equal: Number of candidates with the same score, the pair's own included; empty unless counted.
    """

    def __init__(self, query: Ints, candidate: Ints, *, counted: bool = False) -> None:
        self.query, self.candidate, self.counted = query, candidate, counted
        self.score: Scores = np.empty(len(query), dtype=np.float32)
        self.greater, self.equal = np.zeros((2, len(query) if counted else 0), dtype=np.int64)

    def columns(self) -> dict[str, Any]:
        """Return pairs and answers as columns of a table."""
        names = ("query", "candidate", "score", *(("greater", "equal") if self.counted else ()))
        return {name: getattr(self, name) for name in names}

    def for_queries(self, queries: Ints) -> ScoreRequest:
        """Return a request, not counted, for other queries: its query n has the candidates of query ``queries[n]``."""
        at, counts = segments(self.query, queries)
        return ScoreRequest(np.repeat(np.arange(len(queries)), counts), self.candidate[at])


class BlockOfRequest:
    """The slice of a request that belongs to one query block.

    Attributes:
        request: The whole request.
        at: Rows of the request that belong to the block.
        query: Index within the block of the query of each row.
    """

    def __init__(self, request: ScoreRequest, block: Ints) -> None:
        self.request = request
        self.at, counts = segments(request.query, block)
        self.query = np.repeat(np.arange(len(counts)), counts)


def segments(sorted_queries: Ints, wanted: Ints) -> tuple[Ints, Ints]:
    """Return the rows of the wanted queries, one query after another, and the number of rows of each.

    >>> segments(np.array([0, 0, 2]), np.array([2, 0]))
    (array([2, 0, 1]), array([1, 2]))
    """
    left, right = (np.searchsorted(sorted_queries, wanted, side=side) for side in ("left", "right"))
    counts = right - left
    return ranges(left, counts), counts


def split_rows(values: np.ndarray[Any, Any], parts: list[BlockOfRequest]) -> list[np.ndarray[Any, Any]]:
    """Split an array over the rows of all parts into one array for each part."""
    return np.split(values, np.cumsum([len(part.at) for part in parts])[:-1])


def distinct_values(query: Ints, scores: Scores, number: int) -> tuple[Scores, Ints]:
    """Return the distinct scores of each query, padded with infinity, and the column of each score.

    Args:
        query: Query of each score, shape ``(num_scores,)``.
        scores: The scores.
        number: Number of queries.
    """
    order = np.lexsort((scores, query))
    new = run_starts(query[order], scores[order])
    first = np.flatnonzero(new)
    counts = np.bincount(query[order][first], minlength=number)
    values = np.full((number, int(counts.max(initial=0))), np.inf, dtype=np.float32)
    inside = np.arange(values.shape[1]) < counts[:, None]
    values[inside] = scores[order][first]
    back = np.empty(len(order), dtype=np.int64)
    back[order] = np.cumsum(new) - 1 - (np.cumsum(counts) - counts)[query[order]]
    return values, back
