"""Measures a judge where the truth is known: what it finds, and what it finds wrongly."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mrbench.judge.halves import REPORT, TUNE


@dataclass(frozen=True, slots=True)
class Item:
    """The judge's work on one item of a data set.

    Attributes:
        kind: Which part of the data set, for example ``swap_att``.
        half: ``tune`` or ``report``.
        found: Whether a grain of the labelled kind was found violated (of an addition: not kept); None where the item
            has no negative.
        found_any: Whether a grain of any kind was.
        alarm: Whether a grain was found violated by a text that violates none; None where the item has no such text.
    """

    kind: str
    half: str
    found: bool | None = None
    found_any: bool | None = None
    alarm: bool | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """Shares of one kind in one half.

    Attributes:
        kind, half: Of which items.
        negatives, positives: How many items have a negative, how many a true paraphrase.
        recall: Share of the negatives of which a grain of the labelled kind was found violated.
        recall_any: Share of which a grain of any kind was.
        false_alarms: Share of the paraphrases of which any grain was.
    """

    kind: str
    half: str
    negatives: int
    positives: int
    recall: float | None
    recall_any: float | None
    false_alarms: float | None

    @property
    def balanced_accuracy(self) -> float | None:
        """Mean of the recall on negatives and of the share of paraphrases without an alarm; 0.5 is chance."""
        if self.recall is None or self.false_alarms is None:
            return None
        return (self.recall + 1 - self.false_alarms) / 2

    def to_json(self) -> dict[str, Any]:
        """Return the row with shares rounded to four digits."""
        shares = {
            "recall": self.recall,
            "recall_any": self.recall_any,
            "false_alarms": self.false_alarms,
            "balanced_accuracy": self.balanced_accuracy,
        }
        return {
            "kind": self.kind,
            "half": self.half,
            "negatives": self.negatives,
            "positives": self.positives,
            **{name: None if share is None else round(share, 4) for name, share in shares.items()},
        }


def rows(items: Iterable[Item]) -> list[Row]:
    """Return a row for every kind in every half, kinds in the order of the items."""
    groups: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        groups.setdefault((item.kind, item.half), []).append(item)
    kinds = dict.fromkeys(kind for kind, _ in groups)
    return [_row(kind, half, groups[kind, half]) for kind in kinds for half in (TUNE, REPORT) if (kind, half) in groups]


def mean_row(found: Iterable[Row], half: str, name: str = "mean of kinds") -> Row | None:
    """Return the mean over kinds of one half, every kind counted once; None without kinds that have both shares."""
    mine = [row for row in found if row.half == half and row.balanced_accuracy is not None]
    if not mine:
        return None
    recall, recall_any, alarms = (
        sum(values) / len(mine)
        for values in zip(*((r.recall or 0.0, r.recall_any or 0.0, r.false_alarms or 0.0) for r in mine), strict=True)
    )
    return Row(name, half, sum(r.negatives for r in mine), sum(r.positives for r in mine), recall, recall_any, alarms)


def _row(kind: str, half: str, items: list[Item]) -> Row:
    found = [item.found for item in items if item.found is not None]
    found_any = [item.found_any for item in items if item.found_any is not None]
    alarms = [item.alarm for item in items if item.alarm is not None]
    return Row(kind, half, len(found), len(alarms), _share(found), _share(found_any), _share(alarms))


def _share(flags: list[bool]) -> float | None:
    return sum(flags) / len(flags) if flags else None
