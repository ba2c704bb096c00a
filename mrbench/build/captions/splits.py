"""Assigns photos to splits: groups of them stay together, and shares are met as nearly as groups allow."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from mrbench.build.splits import Shares
from mrbench.records import SPLITS

FEW = 10_000
"""Photos below which all of them are test photos, unless shares are given."""
DEFAULT_SHARES = Shares(0.8, 0.1, 0.1)
_APART = 0.05
"""Difference of a reached share from the one asked for that is worth a word."""


def split_names(
    own: Sequence[str], groups: Sequence[int], digests: Sequence[str], shares: Shares | None, seed: int
) -> list[str]:
    """Return the split of each photo.

    Without shares the data set's own splits are kept where it has several; a group that would be in two goes to the
    later one. Without either, fewer than 10,000 photos are all test photos.

    With shares, groups are placed the largest first, each into the split that lacks most of its share. Photos alone
    come last, in the order of a hash: the first of them fill the training split, the last the test split. So a photo
    more or less moves few others.

    Args:
        own: The data set's own split of each photo.
        groups: The first photo of each photo's group.
        digests: Of the pixels of each photo.
        shares: Shares of the splits; None as above.
        seed: Changes which photos fall to which split.
    """
    if shares is None and len(set(own)) > 1:
        latest: dict[int, int] = defaultdict(int)
        for split, group in zip(own, groups, strict=True):
            latest[group] = max(latest[group], SPLITS.index(split))
        return [SPLITS[latest[group]] for group in groups]
    if shares is None and len(groups) < FEW:
        return ["test"] * len(groups)
    place = {group: hashlib.sha256(f"{seed} {digests[group]}".encode()).hexdigest() for group in set(groups)}
    found = _filled(Counter(groups), place, shares or DEFAULT_SHARES)
    return [found[group] for group in groups]


def _filled(sizes: Counter[int], place: dict[int, str], shares: Shares) -> dict[int, str]:
    """Return the split of each group."""
    number = sizes.total()
    lacking: dict[str, float] = {split: getattr(shares, split) * number for split in SPLITS if getattr(shares, split)}
    found: dict[int, str] = {}
    for group in sorted((g for g in sizes if sizes[g] > 1), key=lambda g: (-sizes[g], place[g])):
        found[group] = max(lacking, key=lambda split: lacking[split])
        lacking[found[group]] -= sizes[group]
    alone = sorted((g for g in sizes if sizes[g] == 1), key=lambda g: place[g])
    left = {split: max(0.0, lack) for split, lack in lacking.items()}
    scale = len(alone) / sum(left.values()) if sum(left.values()) else 0.0
    start, filled = 0, 0.0
    for split, lack in left.items():
        filled += lack * scale
        end = round(filled)
        found.update(dict.fromkeys(alone[start:end], split))
        start = end
    return found


def shares_missed(names: Sequence[str], groups: Sequence[int], shares: Shares | None) -> str:
    """Return a line on shares that were missed by more than 5 of 100 photos; empty where there is nothing to say.

    >>> shares_missed(["train"] * 9 + ["test"], [0] * 9 + [9], Shares(0.5, 0.0, 0.5))
    'shares of photos are train 0.90, test 0.10, not 0.50, 0.50: 9 of 10 photos are near-duplicates or share captions'
    """
    if shares is None or not names:
        return ""
    counts = Counter(names)
    wanted = {split: getattr(shares, split) for split in SPLITS if getattr(shares, split) or counts[split]}
    reached = {split: counts[split] / len(names) for split in wanted}
    if all(abs(reached[split] - wanted[split]) <= _APART for split in wanted):
        return ""
    said = ", ".join(f"{split} {share:.2f}" for split, share in reached.items())
    asked = ", ".join(f"{share:.2f}" for share in wanted.values())
    largest = max(Counter(groups).values())
    why = f"{largest} of {len(names)} photos are near-duplicates or share captions"
    return f"shares of photos are {said}, not {asked}: {why if largest > 1 else f'there are {len(names)} photos'}"


def rule(shares: Shares | None) -> dict[str, Any]:
    """Return what the manifest says of the splits."""
    return {
        "unit": "groups of photos with equal pixels, nearly equal thumbnails or a caption in common",
        "order": "groups of several photos, the largest first, into the split that lacks most; then photos alone",
        "hash": "SHA-256 over seed, space and the least pixel digest of the group",
        "shares": None if shares is None else [shares.train, shares.validation, shares.test],
    }
