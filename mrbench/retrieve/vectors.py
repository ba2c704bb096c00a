"""Vectors that can be scored: numbers of the right shape, finite, not zero; and of length 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mrbench.errors import ModelError
from mrbench.models.protocol import Embeddings

ROWS = 1024  # vectors that are checked and divided at a time


def checked(raw: Any, dimension: int, names: Sequence[str], where: str) -> Embeddings:
    """Return a batch of embeddings as float32, so that nothing is added up in a lower number format.

    Args:
        raw: What a model returned: an array of numbers, or a torch tensor on any device.
        dimension: The length that an embedding should have.
        names: What to call each vector in an error.
        where: The model's name.

    Returns:
        float32, shape ``(len(names), dimension)``.

    Raises:
        ModelError: Another shape, or a vector that has NaN, infinity or the length 0.
    """
    if hasattr(raw, "detach"):  # a torch tensor; numpy knows neither its devices nor bfloat16
        raw = raw.detach().cpu().float().numpy()
    try:
        if np.iscomplexobj(raw):
            raise TypeError("complex numbers")
        with np.errstate(over="ignore"):
            vectors: Embeddings = np.asarray(raw).astype(np.float32)
    except (TypeError, ValueError) as error:
        raise ModelError("the embeddings are not an array of numbers", where=where, got=str(error)) from error
    if vectors.shape != (len(names), dimension):
        raise ModelError(
            "the embeddings have another shape",
            where=f"{where}, {names[0]}",
            got=vectors.shape,
            accepted=f"({len(names)}, {dimension}): one row per item, as long as the model's dimension",
        )
    _lengths(vectors, names, where)
    return vectors


def unit_vectors(vectors: Embeddings, names: Sequence[str], where: str) -> Embeddings:
    """Divide each vector by its length, which is summed in float64, and write it in its place.

    Args:
        vectors: float32, shape ``(len(names), dimension)``.
        names: What to call each vector in an error.
        where: The model's name.

    Returns:
        The same array.

    Raises:
        ModelError: A vector has the length 0, as the sum of two parts may.

    >>> unit_vectors(np.float32([[3, 4]]), ["query a"], "example")
    array([[0.6, 0.8]], dtype=float32)
    """
    for start in range(0, len(vectors), ROWS):
        part = vectors[start : start + ROWS]
        part[:] = part / _lengths(part, names[start : start + ROWS], where)
    return vectors


def _lengths(vectors: Embeddings, names: Sequence[str], where: str) -> Any:
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    for what, bad in (("has NaN or infinity", ~np.isfinite(lengths)), ("is all zeros", lengths == 0)):
        if bad.any():
            raise ModelError(f"an embedding {what}", where=f"{where}, {names[int(np.argmax(bad))]}")
    return lengths
