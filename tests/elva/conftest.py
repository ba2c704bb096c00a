"""A small data set and a smaller model, for all tests of training."""

import pytest
import torch
from small_recipe import SMALL

from elva.config import parse_recipe
from elva.inputs import read_data
from mrbench.build.scenes import ScenesConfig, build_scenes


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)  # small products: more threads only wait for each other


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)  # what a test draws does not depend on the tests before it


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
