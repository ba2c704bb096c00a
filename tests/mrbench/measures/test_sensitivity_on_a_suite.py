"""The experiment on random projections of the grains of a built suite: sensitivity stays, the raw distance does not."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mrbench.cli.app import app

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "sensitivity.py"
BUILD = ("--size", "64", "--queries", "60", "--pool", "600", "--splits", "test", "--workers", "1")


@pytest.mark.slow
def test_sensitivity_stays_where_the_distance_shrinks(tmp_path: Path) -> None:
    built = CliRunner().invoke(app, ["build", "scenes", "--output", str(tmp_path / "scenes"), *BUILD])
    assert built.exit_code == 0, built.output
    found = runpy.run_path(str(SCRIPT))["experiment"](tmp_path / "scenes", "t2i", 0)
    raw, calibrated = found["none"]
    for name in ("scaled by 3.7", "rotated"):
        np.testing.assert_allclose(found[name], found["none"], atol=1e-9)
    for times in (0.5, 1, 2, 4):
        shifted = found[f"common vector, {times:g} mean norms"]
        assert shifted[0].mean() / raw.mean() == pytest.approx(1 / (1 + times**2), rel=0.2)
        np.testing.assert_allclose(shifted[1], calibrated, atol=0.02)
    assert np.abs(found["axes stretched by 1 to 10"] - found["none"])[1].max() < 0.05
