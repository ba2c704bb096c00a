"""The vectors that a check of a model looks at: of one or several an item, checked, and compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mrbench.arrays import Floats, Ragged, Rows
from mrbench.models.model_code import embedding
from mrbench.models.protocol import EmbeddingModel, Item, is_multi_vector
from mrbench.search.maxsim import maxsim_products
from mrbench.search.vectors import checked, checked_ragged


def embedded(model: EmbeddingModel, items: Sequence[Item], side: str, instruction: str) -> Any:
    """Return the embeddings of items, float32: an array of shape ``(len(items), dimension)``, or :class:`Ragged`.

    Raises:
        ModelError: Another shape, or a vector with NaN or infinity, or of length 0.
    """
    with embedding(model):
        raw = model.embed_queries(items, instruction) if side == "queries" else model.embed_candidates(items)
    check = checked_ragged if is_multi_vector(model) else checked
    return check(raw, model.dimension, [described(item) for item in items], model.name)


def described(item: Item) -> str:
    """Return what to call an item."""
    said = [] if item.text is None else [f"text {item.text[:20]!r}"]
    size = getattr(item.image, "size", None)
    return " and ".join([*said, *([f"picture {size}"] if item.image is not None else [])])


def cosines(a: Rows, b: Rows) -> Floats:
    """Return the cosine of the embeddings of each item, shape ``(num_items,)``.

    Of several vectors an item it is the least cosine of two in the same place, and 0 where their numbers differ.
    """
    if isinstance(a, Ragged) and isinstance(b, Ragged):
        pairs = ((a[n].flat, b[n].flat) for n in range(len(a)))
        return np.array([_cosines(x, y).min() if len(x) == len(y) else 0.0 for x, y in pairs])
    return _cosines(a, b)


def _cosines(a: Any, b: Any) -> Floats:
    one, other = a.astype(np.float64), b.astype(np.float64)
    found: Floats = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    return found


def maxsim_difference(a: Ragged, b: Ragged) -> float:
    """Return how far two embeddings of the same items move a MaxSim among them, for each vector of the query."""
    one, other = (maxsim_products(rows, rows) / rows.counts[:, None] for rows in (a, b))
    return float(np.abs(one - other).max())


def shape_in_words(rows: Rows) -> str:
    """Return number, dimension and lengths of embeddings in words."""
    if not isinstance(rows, Ragged):
        return f"{len(rows)} vectors of dimension {rows.shape[1]}, length {lengths_in_words(rows)}"
    each = _span(rows.counts.min(), rows.counts.max())
    return f"{each} vectors an item of dimension {rows.flat.shape[1]}, length {lengths_in_words(rows)}"


def lengths_in_words(rows: Rows) -> str:
    """Return the smallest and the largest Euclidean norm among some vectors."""
    lengths = np.linalg.norm(rows.flat if isinstance(rows, Ragged) else rows, axis=1)
    return _span(lengths.min(), lengths.max())


def _span(least: Any, most: Any) -> str:
    one, other = f"{least:.4g}", f"{most:.4g}"
    return one if one == other else f"{one} to {other}"
