"""A small data set and a smaller model, for all tests of training."""

import pytest
import torch

from elva.config import parse_recipe
from elva.train import read_data
from mrbench.build.scenes import ScenesConfig, build_scenes

SMALL = {
    "name": "small",
    "architecture": {"hidden": 32, "layers": 2, "vision_layers": 1, "intermediate": 48, "heads": 2, "patch": 16},
    "max_summary": 6,
    "prompt": {"template": "{image}{text}{ask}", "summary": "summary", "word": "word", "instructions": False},
    "lora": {"rank": 4, "alpha": 8},
    "stage0": {"steps": 4, "batch": 6, "chunk": 4, "lr": 1e-3, "train": "all"},
    "stage1": {"steps": 3, "batch": 5, "chunk": 4, "lr": 1e-3, "train": "language", "negatives": 1},
    "stage2": {"steps": 3, "batch": 6, "chunk": 5, "lr": 1e-3, "train": "language", "negatives": 1},
    "stage3": {
        "steps": 3,
        "batch": 2,
        "chunk": 8,
        "lr": 1e-3,
        "rollouts": 3,
        "sampling": {"hard": 2, "random": 2},
    },
}


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)  # small products: more threads only wait for each other


@pytest.fixture(scope="session")
def scenes(tmp_path_factory):
    """A scenes suite with eight training queries a task."""
    folder = tmp_path_factory.mktemp("suite") / "scenes"
    splits = ("train", "test")
    config = ScenesConfig(size=64, train_queries=8, train_pool=60, test_queries=4, pool=60, splits=splits)
    build_scenes(folder, config, seed=0, workers=1)
    return folder


@pytest.fixture(scope="session")
def data(scenes):
    return read_data([scenes])


@pytest.fixture
def recipe():
    return parse_recipe(SMALL)
