"""The worst queries are those of the lowest margin or the highest rank, and what stands above them is named."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_benchmark import Guess, Oracle, write_tiny

from mrbench.benchmark import Benchmark
from mrbench.errors import InputError, ResultError
from mrbench.evaluation import evaluate
from mrbench.results import read_result
from mrbench.worst import draw_sheet, worst_queries, worst_text


@pytest.fixture(scope="module")
def guess(tiny: Benchmark, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "guess"
    evaluate(tiny, Guess("guess"), folder)
    return folder


@pytest.fixture(scope="module")
def blind(tiny: Benchmark, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "blind"
    evaluate(tiny, Oracle("blind", blind_to=["place"]), folder)
    return folder


def test_by_rank_they_are_ordered_and_what_is_above_scores_higher(guess: Path, tiny: Benchmark) -> None:
    found = worst_queries(guess, tiny, task="t2i", number=8)
    ranks = [one.rank for one in found]
    assert ranks == sorted(ranks, reverse=True)
    assert len(found) == 8
    reciprocal = read_result(guess / "result.json").tasks["t2i"].scores["mrr"]
    single = [one for one in found if len(one.query.grains) == 3]  # with one right answer alone
    assert single
    assert reciprocal == pytest.approx(np.mean([1 / rank for rank in ranks]), abs=0.2)
    for one in found:
        assert all(above.score >= one.score for above in one.above)
        assert all(above.lost for above in one.above)  # what keeps every grain is relevant
        assert len(one.above) == min(4, one.rank - 1)


def test_by_grain_the_candidate_that_loses_it_alone_stands_first(guess: Path, tiny: Benchmark) -> None:
    found = worst_queries(guess, tiny, grain="place", task="i2i", number=6)
    margins = [one.margin for one in found]
    assert margins == sorted(margins)
    assert all(one.above[0].lost == ("place",) for one in found)
    assert all((one.margin < 0) == (one.above[0].score > one.score) for one in found)
    pairs = read_result(guess / "result.json").tasks["i2i"].pair_accuracy["place"]
    assert pairs.score == sum(margin > 0 for margin in margins) / 6


def test_a_blind_model_ties_and_only_queries_with_the_grain_are_there(blind: Path, tiny: Benchmark) -> None:
    found = worst_queries(blind, tiny, grain="place", number=100)
    assert len(found) == 4 + 6 + 6 + 6  # half of the text queries ask for no place
    assert {one.margin for one in found} == {0.0}
    assert {one.query.task for one in found} == {"t2i", "i2t", "i2i", "it2i"}


def test_what_cannot_be_asked_is_refused(blind: Path, tiny: Benchmark, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="count, entity, place"):
        worst_queries(blind, tiny, grain="colour")
    with pytest.raises(InputError, match="t2i"):
        worst_queries(blind, tiny, task="t2x")
    with pytest.raises(ResultError, match="another benchmark"):
        worst_queries(blind, write_tiny(tmp_path / "other", salt="x"))


def test_the_sheet_is_a_picture_that_grows_with_the_queries(guess: Path, tiny: Benchmark) -> None:
    few, more = (worst_queries(guess, tiny, grain="count", number=number) for number in (1, 4))
    heights = []
    for found in (few, more):
        with Image.open(io.BytesIO(draw_sheet(found, "title"))) as sheet:
            heights.append(sheet.height)
            assert sheet.format == "PNG"
            assert len(sheet.convert("RGB").getcolors(1 << 24) or []) > 20
    assert heights[1] > 2 * heights[0]
    assert "loses count" in worst_text(more)


@pytest.mark.slow
def test_the_command(guess: Path, tiny: Benchmark, tmp_path: Path) -> None:
    sheet = tmp_path / "worst.png"
    words = ["worst", guess, tiny.folder, "--grain", "count", "--number", 2, "--sheet", sheet]
    done = subprocess.run(
        [sys.executable, "-m", "mrbench", *map(str, words)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("  answer  ") == 2
    assert sheet.stat().st_size > 1000
    words = [*words[:-1], tmp_path / "worst.jpg", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "mrbench", *map(str, words)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    words = ["worst", guess, tiny.folder, "--number", 1, "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "mrbench", *map(str, words)], capture_output=True, text=True, check=False
    )
    (one,) = json.loads(done.stdout)
    assert one["above"][0]["lost"]
