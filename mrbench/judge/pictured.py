"""A candidate's texts together with its photo, for judges that look at photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

from mrbench.records import AnyImage


@dataclass(frozen=True, slots=True)
class Pictured(Sequence[str]):
    """The texts of one candidate, and its photo.

    Judges that read texts alone take it for the sequence of texts that it is.

    Attributes:
        id: Id of the candidate.
        texts: All of its texts.
        image: Its photo.

    >>> from mrbench.records import ImageData
    >>> shown = Pictured("a.png", ("A dog.", "A brown dog."), ImageData(b"", ""))
    >>> len(shown), shown[1], list(shown)
    (2, 'A brown dog.', ['A dog.', 'A brown dog.'])
    """

    id: str
    texts: tuple[str, ...]
    image: AnyImage

    def __len__(self) -> int:
        return len(self.texts)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...

    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        return self.texts[index]
