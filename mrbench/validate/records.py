"""Checks single records: grains, spans, content, and the split rule."""

from __future__ import annotations

import hashlib
from typing import Any

from mrbench.benchmark.manifest import Manifest
from mrbench.validate.content import one_json
from mrbench.validate.report import Report

Combination = tuple[tuple[str, str], ...]
_pairs: dict[tuple[str, str], tuple[str, str]] = {}


def combination(grains: list[dict[str, Any]]) -> Combination:
    """Return the sorted (type, value) pairs of a record. Equal pairs are one object, which saves memory."""
    return tuple(_pairs.setdefault(pair, pair) for pair in sorted((g["type"], g["value"]) for g in grains))


def check_grains(where: str, grains: list[dict[str, Any]], text: str | None, report: Report) -> None:
    """Check that each grain type occurs once, and that spans lie in the text and do not overlap."""
    types = [grain["type"] for grain in grains]
    report.expect(len(set(types)) == len(types) > 0, "grain types of a record", where, types, "some, each once")
    end = 0
    spans = [g for g in grains if g["start"] is not None or g["end"] is not None]
    for grain in sorted(spans, key=lambda g: (g["start"] or 0, g["end"] or 0)):
        start, stop = grain["start"], grain["end"]
        if text is None or start is None or stop is None or not 0 <= start < stop <= len(text):
            report.problem("span in the text", f"{where} {grain['type']}", (start, stop), "inside the text, not empty")
            continue
        report.expect(start >= end, "spans apart", f"{where} {grain['type']}", (start, stop), f"from {end}")
        words = text[start:stop]
        whole = words == words.strip() and any(c.isalnum() for c in words)
        cut = start and text[start - 1].isalnum() and words[0].isalnum()
        cut = cut or (stop < len(text) and text[stop].isalnum() and words[-1].isalnum())
        report.expect(whole and not cut, "span of whole words", f"{where} {grain['type']}", repr(words))
        end = max(end, stop)


def check_query(where: str, row: dict[str, Any], report: Report) -> None:
    """Check one query: its content, its grains, and that text or picture states each grain."""
    text, grains = row.get("text"), row["grains"]
    check_grains(where, grains, text, report)
    report.expect(bool(row["instruction"].strip()), "instruction", where, repr(row["instruction"]), "a sentence")
    report.expect(text is None or bool(text.strip()), "empty text", where)
    stated = {g["type"] for g in grains if g["start"] is not None}
    if "image_grains" not in row:
        unstated = sorted({g["type"] for g in grains} - stated)
        report.expect(not unstated, "grain that the text does not state", where, unstated)
        return
    check_grains(where, row["image_grains"], None, report)
    shown = dict(combination(row["image_grains"]))
    for kind, value in combination(grains):
        if kind in stated:
            report.expect(shown.get(kind) != value, "changed grain is another one", f"{where} {kind}", value)
        else:
            report.expect(
                shown.get(kind) == value, "grain that nothing states", f"{where} {kind}", shown.get(kind), value
            )
    if text is None:
        report.expect(shown == dict(combination(grains)), "grains of the picture", where, shown, grains)
    else:
        report.expect(bool(stated), "text that changes nothing", where, text)


class SplitRule:
    """Recomputes the compositional hold-out: the hash of a grain combination decides its split."""

    def __init__(self, manifest: Manifest, report: Report) -> None:
        self._report = report
        self._stated = manifest.split_rule.get("combinations")
        self._records: dict[str, int] = {}
        self._sums: dict[str, int] = {}
        try:
            self._shares = [(str(split), float(share)) for split, share in manifest.split_rule["shares"]]
            sound = abs(sum(share for _, share in self._shares) - 1) < 1e-9
        except (KeyError, TypeError, ValueError):
            self._shares, sound = [], False
        self._report.expect(sound, "split shares", "manifest", manifest.split_rule, "shares that sum to 1")

    def add(self, where: str, split: str, pairs: Combination) -> None:
        """Check one record's combination and add it to the sums."""
        digest = hashlib.sha256(one_json(pairs)).digest()
        number = int.from_bytes(digest, "big")
        self._records[split] = self._records.get(split, 0) + 1
        self._sums[split] = (self._sums.get(split, 0) + number) % 2**256
        fraction = int.from_bytes(digest[:8], "big") / 2**64
        below = 0.0
        for name, share in self._shares:
            below += share
            if fraction < below or name == self._shares[-1][0]:
                self._report.expect(name == split, "split of a combination", where, split, name)
                return

    def close(self) -> None:
        """Check the sums against the manifest."""
        found = {split: {"records": n, "sum": f"{self._sums[split]:064x}"} for split, n in self._records.items()}
        self._report.expect(found == self._stated, "sums of the splits", "manifest", self._stated, found)
