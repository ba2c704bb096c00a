"""Searches each query in the pool without the candidates excluded for it, such as the picture it was made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mrbench.arrays import Bools, Embeddings, Floats, Ints, Scores
from mrbench.search.moments import list_moments
from mrbench.search.pairs import PairList, ScoredPairs, query_blocks
from mrbench.search.requests import BlockOfRequest, ScoreRequest
from mrbench.search.searcher import Searcher, Ties
from mrbench.workers import ordered_map

_BEST = 1 << 24  # best candidates found at a time, excluded ones among them
_PAIRS = 1 << 18  # pairs that a thread scores at a time
_ROUNDED = 2.0**-24  # largest change of a number of about 1 by rounding to float32
_EXACT = 1e-5  # largest relative error of a sum of squares
_TINY = 1e-8  # or largest error of a deviation; with larger errors both are computed from all scores


class ExcludingSearcher:
    """A searcher (:class:`mrbench.search.searcher.PoolSearcher`) that excludes some candidates for each query.

    Args:
        searcher: Searches the whole pool.
        excluded: The candidates excluded for each query, in any order; one that is named twice counts once.
    """

    def __init__(self, searcher: Searcher, excluded: PairList) -> None:
        self._searcher, self._excluded, self.pool = searcher, excluded.ordered(), searcher.pool

    def sizes(self, num_queries: int) -> Ints:
        """Return the number of candidates that each query is searched among, shape ``(num_queries,)``."""
        return self._searcher.sizes(num_queries) - self._excluded.counts(num_queries)

    def search(
        self, queries: Embeddings, requests: list[ScoreRequest], length: int = 0, of: Ints | None = None
    ) -> tuple[Ints, Scores]:
        """Fill in the answers of requests, and return the best of the candidates that are not excluded.

        A requested pair may have an excluded candidate. It is scored and compared with the candidates that are not
        excluded; it does not itself count as equal.

        Args:
            queries: Shape ``(num_queries, dimension)``.
            requests: Pairs to score; their answers are set in place.
            length: Number of best candidates per query; 0 finds none.
            of: For each row of ``queries`` the query whose exclusions apply, shape ``(num_queries,)``; None for itself.

        Returns:
            Positions and scores of the best candidates, shape ``(num_queries, length)``, by falling score, ties by
            position. A row with fewer candidates ends with position -1 and score minus infinity.
        """
        excluded = self._of(len(queries), of)
        top = np.full((len(queries), length), -1), np.full((len(queries), length), -np.inf, dtype=np.float32)
        for rows in _groups(excluded.counts(len(queries)), length):
            parts = [BlockOfRequest(request, rows) for request in requests]
            asked = [ScoreRequest(p.query, p.request.candidate[p.at], counted=p.request.counted) for p in parts]
            best = self._search(queries[rows], asked, length, excluded.for_queries(rows))
            top[0][rows], top[1][rows] = best
            for part, answer in zip(parts, asked, strict=True):
                part.request.score[part.at] = answer.score
                if answer.counted:
                    part.request.greater[part.at], part.request.equal[part.at] = answer.greater, answer.equal
        return top

    def _search(
        self, queries: Embeddings, requests: list[ScoreRequest], length: int, excluded: PairList
    ) -> tuple[Ints, Scores]:
        """Return the best candidates of each query without the excluded ones.

        The whole pool is searched to a depth that leaves enough candidates when the excluded ones are dropped.
        """
        counted = any(request.counted for request in requests)
        gone = ScoreRequest(excluded.query, excluded.candidate) if counted else ScoreRequest(*np.empty((2, 0), int))
        most = int(excluded.counts(len(queries)).max(initial=0))
        depth = min(length + most, self.pool.size) if length else 0
        found, scores = self._searcher.search(queries, [*requests, gone], depth)
        if counted:
            above = ScoredPairs(gone.query, gone.score)
            for request in requests:
                if request.counted:
                    greater, equal = above.counts(request.query, request.score)
                    request.greater -= greater
                    request.equal -= equal
        kept = excluded.find(np.arange(len(queries))[:, None], found, self.pool.size) < 0
        return _first(found, kept, length, -1), _first(scores, kept, length, -np.inf)

    def tied(self, queries: Embeddings, some: Ints, values: Scores, of: Ints | None = None) -> Ties:
        """Yield groups of queries, with every candidate that is not excluded and scores a given value for its query.

        Args:
            queries: Shape ``(num_queries, dimension)``.
            some: Indices of the queries to look at.
            values: The value for each of them.
            of: For each row of ``queries`` the query whose exclusions apply; None for itself.

        Yields:
            Indices of the queries of the group, and for each tied candidate the index of its query within the group and
            its position in the pool.
        """
        excluded = self._of(len(queries), of)
        for group, query, position in self._searcher.tied(queries, some, values):
            kept = excluded.find(group[query], position, self.pool.size) < 0
            yield group, query[kept], position[kept]

    def moments(self, queries: Embeddings, of: Ints | None = None) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of each query's scores over the candidates that are not excluded.

        Both follow from those over the whole pool and from the excluded scores. Where that difference loses too many
        digits, both are computed from the scores of all candidates that are not excluded. NaN where there is none.
        """
        excluded = self._of(len(queries), of)
        counts = excluded.counts(len(queries))
        mean, deviation = self._searcher.moments(queries)
        some = np.flatnonzero(counts)
        sums, squares, size = self._excluded_sums(queries, excluded, mean)[:, some]
        gone, left = counts[some], self.pool.size - counts[some]
        with np.errstate(divide="ignore", invalid="ignore"):
            shift = -sums / left
            whole = self.pool.size * deviation[some] ** 2
            square = np.maximum(whole - squares - left * shift**2, 0.0)
            error = 2 * _ROUNDED * (whole + 2 * size + gone * _ROUNDED)
            unsure = ((error > _EXACT * square) & (error > left * _TINY**2)) | (gone > left)
            mean[some], deviation[some] = _rounded(mean[some] + shift), _rounded(np.sqrt(square / left))
        mean[some[left == 0]] = deviation[some[left == 0]] = np.nan
        anew = some[unsure & (left > 0)]
        mean[anew], deviation[anew] = self._moments_anew(queries[anew], excluded.for_queries(anew))
        return mean, deviation

    def _of(self, number: int, of: Ints | None) -> PairList:
        """Return the candidates excluded for each row of the queries."""
        return self._excluded.for_queries(np.arange(number) if of is None else of)

    def _excluded_sums(self, queries: Embeddings, excluded: PairList, mean: Floats) -> Floats:
        """Return by query the sums over excluded scores of their difference from the mean, its square, and its amount.

        Returns:
            Shape ``(3, num_queries)``.
        """
        found, counts = np.zeros((3, len(queries))), excluded.counts(len(queries))

        def work(part: slice) -> None:
            lists = excluded.for_queries(np.arange(part.start, part.stop))
            away = self.pool.pair_scores(queries[part], lists.query, lists.candidate) - mean[part][lists.query]
            for row, weights in enumerate((away, away**2, np.abs(away))):
                found[row, part] = np.bincount(lists.query, weights, minlength=part.stop - part.start)

        self._for_each(work, counts)
        return found

    def _moments_anew(self, queries: Embeddings, excluded: PairList) -> tuple[Floats, Floats]:
        """Return mean and deviation from all scores that are not excluded; each distinct vector is scored once."""
        vectors, found = self.pool.vectors, np.empty((2, len(queries)))
        number = len(vectors.rows)

        def work(part: slice) -> None:
            lists, size = excluded.for_queries(np.arange(part.start, part.stop)), part.stop - part.start
            weights = np.ones(number, dtype=np.int64) if vectors.weights is None else vectors.weights
            gone = np.bincount(lists.query * number + vectors.row[lists.candidate], minlength=size * number)
            left = weights - gone.reshape(size, number)
            query, rows = np.nonzero(left)
            scores = self.pool.row_scores(queries[part], query, rows)
            found[:, part] = list_moments(scores, np.bincount(query, minlength=size), left[query, rows])

        self._for_each(work, np.full(len(queries), number))
        return found[0], found[1]

    def _for_each(self, work: Callable[[slice], None], pairs: Ints) -> None:
        for _ in ordered_map(work, query_blocks(pairs, _PAIRS), self.pool.workers, chunk=1):
            pass


def _groups(counts: Ints, length: int) -> Iterator[Ints]:
    """Yield groups of queries that are searched to the same depth.

    The query with the most exclusions decides the depth of its group. Queries with fewer than ``length`` exclusions are
    in the first group. The limit doubles from each group to the next.

    Args:
        counts: Number of exclusions of each query, shape ``(num_queries,)``.
        length: Number of best candidates wanted; 0 makes one group.

    >>> [group.tolist() for group in _groups(np.array([1, 0, 25, 3, 90]), 10)]
    [[0, 1, 3], [2], [4]]
    """
    if not length:
        yield np.arange(len(counts))
        return
    kind = np.frexp(counts // length)[1]
    for each in np.unique(kind):
        rows = np.flatnonzero(kind == each)
        size = max(1, _BEST // (length + int(counts[rows].max())))
        for start in range(0, len(rows), size):
            yield rows[start : start + size]


def _first(table: np.ndarray[Any, Any], kept: Bools, length: int, rest: float) -> np.ndarray[Any, Any]:
    """Return the first ``length`` kept entries of every row, padded with ``rest``."""
    first = kept & (np.cumsum(kept, axis=1) <= length)
    out = np.full((len(table), length), rest, dtype=table.dtype)
    out[np.arange(length) < first.sum(axis=1)[:, None]] = table[first]
    return out


def _rounded(values: Floats) -> Floats:
    return values.astype(np.float32).astype(np.float64)
