"""What the README and the leaderboard page say is what the committed results say."""

from __future__ import annotations

from pathlib import Path

import pytest

from mrbench.cli import demo
from mrbench.leaderboard import boards, publish, read_results, terminal

ROOT = Path(__file__).parents[2]
ENTRIES = ROOT / "leaderboards/entries"
MEASURED = ("random", "constant", "colour-histogram", "minilm", "efficientnet-lite0", "conse")


@pytest.mark.slow
def test_the_readme_quotes_the_committed_results() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    files = sorted(path for suite in ("emoji", "scenes") for path in ENTRIES.glob(f"{suite}-*.json"))
    measured = [path for path in files if "-elva-" not in path.name and "-head-" not in path.name]
    said = [terminal(board).strip() for board in boards(demo.read_with_entries(measured, [ENTRIES]))]
    assert any(block in readme for block in said)


@pytest.mark.parametrize(
    ("suite", "grain", "words"),
    [
        ("scenes", "background", "another background (0.97)"),
        ("scenes", "count", "a third of the cases (0.66)"),
        ("emoji", "role", "roles (0.81)"),
        ("emoji", "skin tone", "skin tones\n(0.58)"),
        ("emoji", "gender", "genders (0.61)"),
    ],
)
def test_the_numbers_in_the_text_are_those_of_the_results(suite: str, grain: str, words: str) -> None:
    (result,) = read_results([ENTRIES / f"{suite}-efficientnet-lite0.json"])
    assert f"{result.tasks['i2i'].pair_accuracy[grain].score:.2f}" in words
    assert words in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_leaderboard_page_is_made_from_the_committed_results(tmp_path: Path) -> None:
    published = publish(read_results([ENTRIES]), tmp_path / "board")
    committed = (ROOT / "leaderboards/BOARD.md").read_text(encoding="utf-8")
    assert published["markdown"].read_text(encoding="utf-8") == committed


def test_committed_results_are_complete() -> None:
    results = read_results([ENTRIES])
    shipped = ("elva-tiny", "elva-tiny-contrastive", "elva-tiny-dual-encoder")
    found = {(r.benchmark["name"], r.model["name"]) for r in results}
    assert {(suite, model) for suite in ("emoji", "scenes") for model in (*MEASURED, *shipped)} <= found
    photos = {name for name, _ in found} - {"emoji", "scenes"}
    assert {(suite, model) for suite in photos for model in (*MEASURED, "elva-tiny-dual-encoder")} <= found
    assert len(photos) == 2
    assert all(r.limit is None and r.command.startswith("mrbench evaluate") for r in results)
