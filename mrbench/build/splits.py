"""Compositional hold-out: the hash of a grain combination decides its split, so no combination is in two splits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from mrbench.errors import InputError
from mrbench.files import canonical_json
from mrbench.records import SPLITS, Grain


def combination_sha256(grains: Iterable[Grain]) -> str:
    """Return the SHA-256 of a grain combination: the compact JSON of its sorted ``[type, value]`` pairs.

    >>> a, b = Grain("entity", "dog", 2, 5), Grain("count", "one")
    >>> combination_sha256([a, b]) == combination_sha256([b, a])
    True
    """
    pairs = sorted([grain.type, grain.value] for grain in grains)
    return hashlib.sha256(canonical_json(pairs).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares of the combinations that fall to each split; they sum to 1.

    Raises:
        InputError: A share is outside 0 to 1, or they do not sum to 1.
    """

    train: float
    validation: float
    test: float

    def __post_init__(self) -> None:
        shares = (self.train, self.validation, self.test)
        if not all(0 <= share <= 1 for share in shares) or abs(sum(shares) - 1) > 1e-9:
            raise InputError("malformed split shares", got=shares, accepted="three numbers from 0 to 1 that sum to 1")

    def split_of(self, grains: Iterable[Grain]) -> str:
        """Return the split of a combination: its hash as a fraction of 1, compared with the shares."""
        return self.split_of_hash(combination_sha256(grains))

    def split_of_hash(self, sha256: str) -> str:
        """Return the split of a combination's hash."""
        fraction = int(sha256[:16], 16) / 2**64
        if fraction < self.train:
            return "train"
        return "validation" if fraction < self.train + self.validation else "test"


@dataclass
class SplitLedger:
    """Counts and sums the hashes of each split's combinations for the manifest, in constant memory."""

    shares: Shares
    _records: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SPLITS, 0))
    _sums: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SPLITS, 0))

    def add(self, split: str, grains: Iterable[Grain]) -> None:
        """Record that a combination occurs in a split.

        Raises:
            InputError: The combination belongs to another split.
        """
        sha256 = combination_sha256(grains)
        expected = self.shares.split_of_hash(sha256)
        if expected != split:
            raise InputError("a grain combination is in a split that is not its own", got=split, accepted=expected)
        self._records[split] += 1
        self._sums[split] = (self._sums[split] + int(sha256, 16)) % 2**256

    def rule(self) -> dict[str, Any]:
        """Return the manifest's ``split_rule``: the rule, and number and sum of each split's combination hashes."""
        return {
            "of": "SHA-256 of the compact UTF-8 JSON of the sorted [type, value] pairs of a record's grains",
            "fraction": "the first 8 bytes, big-endian, divided by 2^64",
            "shares": [[split, getattr(self.shares, split)] for split in SPLITS],
            "combinations": {
                split: {"records": self._records[split], "sum": f"{self._sums[split]:064x}"}
                for split in SPLITS
                if self._records[split]
            },
        }
