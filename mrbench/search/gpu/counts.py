"""Counts the candidates that score above values, and the same, with products on a device."""

from __future__ import annotations

from typing import Any

from mrbench.search.gpu.candidates import DENSE, DeviceCandidates, Queries
from mrbench.search.gpu.tables import Flags

WAITING = 1 << 22  # undecided pairs that are collected before they are scored exactly
MANY = 64  # values of a query from which on sorting exact scores is faster than one pass for each value


class DeviceCounts:
    """Counts the candidates that score above values, and the same, one chunk of candidates after another."""

    def __init__(self, candidates: DeviceCandidates, queries: Queries, values: Any) -> None:
        self._candidates, self._queries, self._values = candidates, queries, values
        self.found = values.new_zeros((2, *values.shape), dtype=candidates.torch.int64)
        self._unsure: list[tuple[Any, Any]] = []  # flat position of the value, row
        self._waiting = 0

    def look(self, start: int, part: Any, scores: Any) -> None:
        """Count among the candidates of one chunk, given its first row, its vectors and the products with them."""
        torch, candidates, number = self._candidates.torch, self._candidates, self._values.shape[1]
        if number > MANY:
            return self._exactly(start, part, 0)
        near, above = Flags(torch, scores), Flags(torch, scores)
        for column in range(number):
            value = self._values[:, column, None]
            torch.ge(scores, value - candidates.margin, out=near.flags)
            torch.gt(scores, value + candidates.margin, out=above.flags)
            near.words ^= above.words
            query, row = near.positions()
            if len(query) * DENSE > scores.numel() + WAITING:
                return self._exactly(start, part, column)
            self.found[0, :, column] += self._sums(start, above)
            self._unsure.append((query * number + column, row + start))
            self._waiting += len(query)
            if self._waiting > WAITING:
                self.finish()
        return None

    def _exactly(self, start: int, part: Any, column: int) -> None:
        """Count one chunk by exact scores, for the values from a column on."""
        torch, step = self._candidates.torch, max(1, len(part) // 4)  # float64 numbers take twice the memory
        for first in range(0, len(part), step):
            scores = self._candidates.exact(self._queries, start + first, part[first : first + step])
            if self._values.shape[1] > MANY:
                self._sort(start + first, scores)
                continue
            flags = Flags(torch, scores)
            for at in range(column, self._values.shape[1]):
                for counts, compare in zip(self.found, (torch.gt, torch.eq), strict=True):
                    compare(scores, self._values[:, at, None], out=flags.flags)
                    counts[:, at] += self._sums(start + first, flags)

    def _sort(self, start: int, scores: Any) -> None:
        """Count one chunk by sorting its exact scores."""
        torch, weights = self._candidates.torch, self._candidates.weights
        ascending, order = scores.sort(1)
        left, right = (torch.searchsorted(ascending, self._values, right=right) for right in (False, True))
        whole = scores.shape[1]
        if weights is not None:
            upto = torch.zeros((len(scores), whole + 1), dtype=torch.int64, device=scores.device)
            torch.cumsum(weights[start : start + whole][order], 1, out=upto[:, 1:])
            left, right, whole = upto.gather(1, left), upto.gather(1, right), upto[:, -1:]
        self.found[0] += whole - right
        self.found[1] += right - left

    def _sums(self, start: int, flags: Flags) -> Any:
        if self._candidates.weights is None:
            return flags.sums()
        return (flags.flags * self._candidates.weights[start : start + flags.flags.shape[1]]).sum(1)

    def finish(self) -> None:
        """Score the undecided pairs exactly and count them."""
        if not self._unsure:
            return
        torch, number = self._candidates.torch, self._values.shape[1]
        at, row = (torch.cat(parts) for parts in zip(*self._unsure, strict=True))
        self._unsure, self._waiting = [], 0
        at, order = at.sort()
        row = row[order]
        scores, value = self._candidates.pairs(self._queries, at // number, row), self._values.reshape(-1)[at]
        for counts, true in zip(self.found, (scores > value, scores == value), strict=True):
            weights = true.long() if self._candidates.weights is None else true * self._candidates.weights[row]
            counts.view(-1).index_add_(0, at, weights)
