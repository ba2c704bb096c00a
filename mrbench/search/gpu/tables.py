"""Tables on a device of torch: flags, rows of different lengths, and sums that are undecided."""

from __future__ import annotations

from typing import Any

WORDS = 255  # words of eight flags that are added at a time: a sum of more could overflow a byte


class Flags:
    """A buffer for the flags of a table.

    Attributes:
        flags: The flags, in the shape of the table, to write to.
        words: The same memory as int64, eight flags a word, with zeros beside the table.
    """

    def __init__(self, torch: Any, table: Any) -> None:
        height, width = table.shape
        whole = -(-width // (8 * WORDS)) * 8 * WORDS
        every = torch.empty((height, whole), dtype=torch.bool, device=table.device)
        every[:, width:] = False
        self._torch, self.flags, self.words = torch, every[:, :width], every.view(torch.int64)

    def sums(self) -> Any:
        """Return the number of set flags of each row."""
        some = self.words.view(len(self.words), -1, WORDS).sum(2)
        return some.view(self._torch.uint8).sum(1)

    def positions(self) -> tuple[Any, Any]:
        """Return row and column of the set flags, by row. Few are set, so it skips words without any."""
        at = self.words.reshape(-1).nonzero()[:, 0]
        inside = self.words.reshape(-1)[at].view(self._torch.bool).nonzero()[:, 0]
        at = at[inside >> 3]
        width = self.words.shape[1]
        return at // width, at % width * 8 + (inside & 7)


def row_ends(torch: Any, query: Any, number: int) -> Any:
    """Return where the entries of each row begin, and where those of the last row end; ``query`` is ascending."""
    return torch.searchsorted(query, torch.arange(number + 1, device=query.device))


def columns(torch: Any, query: Any, number: int) -> tuple[Any, int]:
    """Return the column of each entry in a table with a row for each query, and the number of columns."""
    ends = row_ends(torch, query, number)
    return torch.arange(len(query), device=query.device) - ends[query], int(ends.diff().max()) if number else 0


def rounds_differently(sums: Any, error: Any) -> Any:
    """Return which sums are undecided: the two ends of the error interval round to different float32 numbers."""
    return (sums - error).float() != (sums + error).float()
