"""Croissant metadata (MLCommons Croissant 1.0) beside the data card."""

from __future__ import annotations

from pathlib import Path

from mrbench.benchmark.manifest import Manifest
from mrbench.files import write_json_atomic

CROISSANT = "croissant.json"


def write_croissant(folder: Path, manifest: Manifest) -> None:
    """Write croissant.json."""
    write_json_atomic(folder / CROISSANT, {})
