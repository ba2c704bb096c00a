"""The trained models that come with the package."""

import hashlib
import re
from pathlib import Path

import pytest

import elva
from mrbench.benchmark import Benchmark
from mrbench.build.scenes import ScenesConfig, build_scenes
from mrbench.evaluation import evaluate
from mrbench.models.zoo import ZOO, load_model

WEIGHTS = Path(elva.__file__).parent / "weights"
NAMES = ("tiny", "tiny-contrastive", "tiny-dual-encoder")


def test_they_are_small_and_hold_no_code():
    files = [path for path in WEIGHTS.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".json", ".md", ".safetensors"}
    assert sum(path.stat().st_size for path in files) <= 12e6


@pytest.mark.parametrize("name", NAMES)
def test_the_weights_are_those_of_the_table(name):
    line = next(line for line in (WEIGHTS / "README.md").read_text().splitlines() if f"`elva:{name}`" in line)
    digest = hashlib.sha256((WEIGHTS / name / "model.safetensors").read_bytes()).hexdigest()
    assert re.findall(r"`([0-9a-f]{64})`", line) == [digest]


@pytest.mark.slow
def test_training_helped(tmp_path):
    config = ScenesConfig(size=64, train_queries=4, train_pool=40, test_queries=25, pool=400, splits=("test",))
    build_scenes(tmp_path / "scenes", config, seed=0, workers=1)
    found = {}
    for name in NAMES:
        assert f"elva:{name}" in ZOO.names()
        model = load_model(f"elva:{name}", device="cpu")
        assert model.name == f"elva-{name}"
        result = evaluate(Benchmark(tmp_path / "scenes"), model, tmp_path / name)
        found[name] = sum(task.scores["hit_rate@5"] for task in result.tasks.values()) / len(result.tasks)
    print(found)
    assert found["tiny"] > found["tiny-contrastive"] > 0.2
    assert found["tiny-dual-encoder"] > 0.1  # a random order gets 0.0125
