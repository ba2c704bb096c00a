"""The best candidates of a block of queries, found by products on a device."""

from __future__ import annotations

from typing import Any

from mrbench.search.best import rank_in_sample, sample_step
from mrbench.search.gpu.candidates import DeviceCandidates, Queries
from mrbench.search.gpu.tables import Flags, columns, row_ends

HELD = 4096  # a query that holds more than this plus four times the depth is searched again by exact scores


class DeviceBest:
    """The best candidates of a block of queries.

    Candidates whose products reach a guessed limit are held and scored exactly. A query whose guess was too high is
    searched again by exact scores.
    """

    def __init__(self, candidates: DeviceCandidates, queries: Queries, depth: int) -> None:
        self._candidates, self._queries, self._depth = candidates, queries, depth
        self._held: list[tuple[Any, Any, Any]] = []  # query, row, product

    def guess(self) -> bool:
        """Guess from every n-th candidate a score that slightly more candidates than wanted reach.

        Returns:
            False where the pool is too small to guess from.
        """
        torch, candidates, number = self._candidates.torch, self._candidates, len(self._queries.narrow)
        step = max(
            sample_step(self._depth),
            -(-len(candidates.host) * max(number, candidates.host.shape[1]) // candidates.table),
        )
        rank = rank_in_sample(self._depth, step)
        if 2 * rank > -(-len(candidates.host) // step):
            return False
        sample = candidates.to(candidates.host[::step]) if candidates.whole is None else candidates.whole[::step]
        scores = self._queries.narrow @ sample.T
        self._guess = scores.topk(rank, dim=1).values[:, -1:].contiguous()
        self._limit = self._guess - 2 * candidates.margin
        self._number = torch.zeros(number, dtype=torch.int64, device=candidates.device)
        return True

    def look(self, start: int, scores: Any) -> None:
        """Hold the candidates of one chunk that reach the limits; a query with too many is left to :meth:`_surely`.

        Args:
            start: Row of the chunk's first candidate.
            scores: Products with the chunk, shape ``(num_queries, num_in_chunk)``.
        """
        torch = self._candidates.torch
        reach = Flags(torch, scores)
        torch.ge(scores, self._limit, out=reach.flags)
        query, column = reach.positions()
        self._number += row_ends(torch, query, len(self._number)).diff()
        crowded = self._number > HELD + 4 * self._depth
        if bool(crowded.any()):
            self._limit[crowded] = float("inf")
            kept = ~crowded[query]
            query, column = query[kept], column[kept]
        self._held.append((query, column + start, scores[query, column].float()))

    def keys(self) -> Any:
        """Return the keys of the best candidates, shape ``(num_queries, depth)``."""
        torch = self._candidates.torch
        if not self._held:
            return self._surely(self._queries)
        query, rows, values = (torch.cat(parts) for parts in zip(*self._held, strict=True))
        if len(self._held) > 1:
            query, order = torch.sort(query.int(), stable=True)
            query, rows, values = query.long(), rows[order], values[order]
        self._held = []
        reached = row_ends(torch, query[values >= self._guess[query, 0]], len(self._limit)).diff()
        sure = (reached >= self._depth) & (self._limit[:, 0] < float("inf"))
        some, rest = sure.nonzero()[:, 0], (~sure).nonzero()[:, 0]
        if not len(rest):
            return self._settle(some, query, rows, values)
        found = rows.new_empty((len(sure), self._depth))
        found[rest] = self._surely(self._queries.of(rest))
        if len(some):
            kept = sure[query]
            number = torch.cumsum(sure, 0) - 1
            found[some] = self._settle(some, number[query[kept]], rows[kept], values[kept])
        return found

    def _settle(self, some: Any, query: Any, rows: Any, values: Any) -> Any:
        """Return the keys of the best candidates of some queries from those that they hold, sorted by query."""
        torch, candidates = self._candidates.torch, self._candidates
        table, width = columns(torch, query, len(some))
        products = values.new_full((len(some), width), float("-inf"))
        products[query, table] = values
        level = products.topk(self._depth, dim=1, sorted=False).values.min(1).values
        level -= 2 * candidates.margin
        close = values >= level[query]
        query, rows = query[close], rows[close]
        keys = candidates.keys(candidates.pairs(self._queries, some[query], rows), candidates.position[rows])
        table, width = columns(torch, query, len(some))
        filled = keys.new_full((len(some), width), torch.iinfo(torch.int64).max)
        filled[query, table] = keys
        return filled.sort(1).values[:, : self._depth]

    def _surely(self, queries: Queries) -> Any:
        """Return the keys of the best candidates from the exact scores of all."""
        torch, candidates, keys = self._candidates.torch, self._candidates, None
        for start, part in candidates.chunks(len(queries.narrow), candidates.table // 4):
            more = candidates.keys(
                candidates.exact(queries, start, part), candidates.position[start : start + len(part)]
            )
            keys = more if keys is None else torch.cat([keys, more], 1)
            keys = keys.topk(min(self._depth, keys.shape[1]), dim=1, largest=False).values
        return keys.sort(1).values  # type: ignore[union-attr]
