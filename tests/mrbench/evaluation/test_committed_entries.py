"""Both suites, built and evaluated now, against the committed entries: closed suites keep their scores."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from mrbench.benchmark import Benchmark
from mrbench.build.emoji import EmojiConfig, build_emoji
from mrbench.build.scenes import ScenesConfig, build_scenes
from mrbench.evaluation import evaluate
from mrbench.models.zoo import load_model

ENTRIES = Path(__file__).parents[3] / "leaderboards" / "entries"
BY_SPREAD = ("margin", "standardised_score")  # their unit is a sum that a processor's library rounds in its own way
BUILDERS = {
    "emoji": lambda folder: build_emoji(folder, EmojiConfig(splits=("test",)), seed=0, workers=2),
    "scenes": lambda folder: build_scenes(folder, ScenesConfig(splits=("test",)), seed=0, workers=2),
}


def differences(committed: Any, computed: Any, name: str = "") -> list[str]:
    """Return where two values differ, by more than rounding."""
    if isinstance(committed, dict):
        parts = [differences(committed[key], computed.get(key), f"{name}.{key}") for key in committed]
        return [found for part in parts for found in part]
    if isinstance(committed, list):
        if len(committed) != len(computed):
            return [name]
        parts = [differences(*pair, name) for pair in zip(committed, computed, strict=True)]
        return [found for part in parts for found in part]
    if isinstance(committed, float) and isinstance(computed, float):
        tolerance = 1e-6 if any(word in name for word in BY_SPREAD) else 1e-9
        return [] if math.isclose(committed, computed, rel_tol=tolerance, abs_tol=tolerance) else [name]
    return [] if committed == computed else [name]


@pytest.mark.slow
@pytest.mark.parametrize("suite", BUILDERS)
def test_closed_suites_keep_their_scores(suite: str, tmp_path: Path) -> None:
    BUILDERS[suite](tmp_path / suite)
    benchmark = Benchmark(tmp_path / suite)
    for model in ("random", "constant", "colour-histogram"):
        committed = json.loads((ENTRIES / f"{suite}-{model}.json").read_text())["tasks"]
        evaluate(benchmark, load_model(model, seed=0), tmp_path / model)
        result = json.loads((tmp_path / model / "result.json").read_text())["tasks"]
        for task, part in committed.items():
            kept = {key: value for key, value in part.items() if key not in ("seconds", "task", "setting", "chance")}
            assert differences(kept, result[task], f"{model}.{task}") == []
