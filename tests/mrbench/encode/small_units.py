"""Small windows, units and batches: a tiny benchmark has several of each, and a unit two batches."""

from __future__ import annotations

import pytest

from mrbench.encode import batches
from mrbench.encode import units as embed_module


def make_small(patch: pytest.MonkeyPatch) -> None:
    """Set every size, for texts and images on a CPU."""
    patch.setattr(embed_module, "WINDOW", 16)
    for name in ("UNIT", "TEXTS"):
        patch.setattr(embed_module, name, 6)
    for name in ("BATCH", "FIRST_IMAGES", "TEXTS"):
        patch.setattr(batches, name, 5)
