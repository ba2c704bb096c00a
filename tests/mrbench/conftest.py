"""Fixtures for all tests of mrbench; this folder is on the import path, so its modules can be imported."""

from __future__ import annotations

import pytest
from tiny_benchmark import write_tiny

from mrbench.benchmark import Benchmark


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    """A benchmark of four tasks and 36 candidates per modality."""
    return write_tiny(tmp_path_factory.mktemp("benchmark") / "tiny")
