"""A small suite with ladders, and photos with captions, for all tests of heads."""

import pytest
from drawn_photos import write_photos

from mrbench.build.scenes import ScenesConfig, build_scenes


@pytest.fixture(scope="session")
def suite(tmp_path_factory):
    """A scenes suite with 24 training queries a task and all three splits."""
    folder = tmp_path_factory.mktemp("suite") / "scenes"
    config = ScenesConfig(size=64, train_queries=24, train_pool=150, test_queries=6, pool=60)
    build_scenes(folder, config, seed=0, workers=1)
    return folder


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("photos"))
