"""Embed an encoder's features with linear heads. Needs numpy and safetensors alone: copy it with the heads."""

from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file


def load_heads(folder: Path = Path(__file__).parent) -> dict[str, Any]:
    """Return weight and bias of the head of each part: ``image.weight``, ``image.bias``, ``text.weight`` ..."""
    return dict(load_file(folder / "heads.safetensors"))


def embed(heads: dict[str, Any], features: dict[str, Any]) -> Any:
    """Return unit vectors, shape (n, dimension), of features by part: {"image": (n, width), "text": (n, width)}."""
    made = [unit(unit(rows) @ heads[f"{part}.weight"].T + heads[f"{part}.bias"]) for part, rows in features.items()]
    return unit(np.sum(made, axis=0))


def unit(rows: Any) -> Any:
    """Return rows divided by their lengths."""
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
