"""Unit vectors that make a search hard in one way or another."""

from __future__ import annotations

import numpy as np


def units(rows: int, length: int = 24, seed: int = 0, distinct: int | None = None, spread: float = 1.0) -> np.ndarray:
    """Unit vectors; ``distinct`` drawn again and again, or all within ``spread`` of one direction."""
    rng = np.random.default_rng(seed)
    drawn = rng.standard_normal((distinct or rows, length)) * spread + (0 if spread == 1 else 1)
    drawn = drawn if distinct is None else drawn[rng.integers(distinct, size=rows)]
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


CASES = {
    "spread": lambda: units(700, seed=1),
    "many ties": lambda: units(700, seed=1, distinct=5),
    "one vector": lambda: units(700, seed=1, distinct=1),
    "closer than the product can tell": lambda: units(700, seed=1, spread=1e-6),
}
