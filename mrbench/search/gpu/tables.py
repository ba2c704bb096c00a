"""Tables on a device of torch: flags of their numbers, columns of what is held, sums that could round either way."""

from __future__ import annotations

from typing import Any

WORDS = 255  # of eight flags that are added at a time: no byte of their sum carries into the next


class Flags:
    """Flags of a table, eight a word.

    Attributes:
        flags: A position for them, of the shape of the table.
        words: The same as int64; what is beside the table is 0.
    """

    def __init__(self, torch: Any, table: Any) -> None:
        height, width = table.shape
        whole = -(-width // (8 * WORDS)) * 8 * WORDS
        every = torch.empty((height, whole), dtype=torch.bool, device=table.device)
        every[:, width:] = False
        self._torch, self.flags, self.words = torch, every[:, :width], every.view(torch.int64)

    def sums(self) -> Any:
        """Return how many flags of each row are set."""
        some = self.words.view(len(self.words), -1, WORDS).sum(2)
        return some.view(self._torch.uint8).sum(1)

    def positions(self) -> tuple[Any, Any]:
        """Return row and column of those that are set, by row; few are, so words are looked at first."""
        at = self.words.reshape(-1).nonzero()[:, 0]
        inside = self.words.reshape(-1)[at].view(self._torch.bool).nonzero()[:, 0]
        at = at[inside >> 3]
        width = self.words.shape[1]
        return at // width, at % width * 8 + (inside & 7)


def row_ends(torch: Any, query: Any, number: int) -> Any:
    """Return where each of some rows begins, where what is theirs stands by row, and where the last ends."""
    return torch.searchsorted(query, torch.arange(number + 1, device=query.device))


def columns(torch: Any, query: Any, number: int) -> tuple[Any, int]:
    """Return in which column of its row each stands, where they are sorted by row, and how many columns that takes."""
    ends = row_ends(torch, query, number)
    return torch.arange(len(query), device=query.device) - ends[query], int(ends.diff().max()) if number else 0


def rounds_differently(sums: Any, error: Any) -> Any:
    """Say where both ends of what a sum may be do not round to the same float32; rounding is monotone."""
    return (sums - error).float() != (sums + error).float()
