"""The options of the suite ``scenes``."""

from __future__ import annotations

from dataclasses import dataclass

from mrbench.build.scenes.ladders import number_of_scenes
from mrbench.build.splits import Shares
from mrbench.errors import InputError
from mrbench.records import SPLITS


@dataclass(frozen=True, slots=True)
class ScenesConfig:
    """Sizes of the suite.

    Attributes:
        size: Pixels along a picture's edge, 64 to 1024.
        train_queries: Queries per task of the training split; ``validation_queries`` and ``test_queries`` likewise.
        train_pool: Candidates per modality of the training split, the ladders of its queries included. The pool is
            larger if its ladders have more members.
        pool: Candidates per modality of the test split, counted likewise.
        splits: The splits to build.
        train_share: Share of all grain combinations in the training split; the three shares sum to 1.
        random_negatives: Random members of each ladder, on top of the graded ones.
        max_positives: Most candidates that may be relevant to one query.

    Raises:
        InputError: A value is outside its range.
    """

    size: int = 224
    train_queries: int = 500
    validation_queries: int = 100
    test_queries: int = 250
    train_pool: int = 6000
    validation_pool: int = 1000
    pool: int = 5000
    splits: tuple[str, ...] = SPLITS
    train_share: float = 0.5
    validation_share: float = 0.2
    test_share: float = 0.3
    random_negatives: int = 5
    max_positives: int = 20

    def __post_init__(self) -> None:
        """Check every value."""
        shares = self.shares
        if not self.splits or len(set(self.splits)) != len(self.splits) or not set(self.splits) <= set(SPLITS):
            raise InputError("malformed splits", got=self.splits, accepted=f"some of {', '.join(SPLITS)}, each once")
        _check("size", self.size, 64, 1024)
        _check("random_negatives", self.random_negatives, 0, 1000)
        _check("max_positives", self.max_positives, 1, 1_000_000)
        for split in self.splits:
            if getattr(shares, split) < 0.02:
                raise InputError("a split to build has too small a share", where=f"{split}_share", accepted="from 0.02")
            # Some scenes stay unused: they would be relevant to too many queries, or show too much.
            most = int(number_of_scenes() * getattr(shares, split) * 0.6)
            _check(f"{split}_queries", self.queries_of(split), 1, 20_000)
            _check("pool" if split == "test" else f"{split}_pool", self.pool_of(split), 1, most)

    @property
    def shares(self) -> Shares:
        """The shares of the splits."""
        return Shares(self.train_share, self.validation_share, self.test_share)

    def queries_of(self, split: str) -> int:
        """Queries per task of a split."""
        return {"train": self.train_queries, "validation": self.validation_queries, "test": self.test_queries}[split]

    def pool_of(self, split: str) -> int:
        """Candidates per modality of a split."""
        return {"train": self.train_pool, "validation": self.validation_pool, "test": self.pool}[split]


def _check(name: str, value: object, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InputError("value out of range", where=name, got=value, accepted=f"a whole number, {least} to {most:,}")
