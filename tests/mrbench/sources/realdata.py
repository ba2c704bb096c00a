"""Where the real annotation files lie, which are not part of the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

VARIABLE = "MRBENCH_REALDATA"


def realdata(folder: str) -> Path:
    """Return a folder of real annotation files, or skip the test and say why."""
    beside = [parent / "shared" / "realdata" for parent in Path(__file__).resolve().parents]
    named = os.environ.get(VARIABLE)
    for root in [Path(named)] if named else beside:
        if (root / folder).is_dir():
            return root / folder
    pytest.skip(f"{folder} is not here: {VARIABLE} names the folder of real annotation files")
