"""Checks embeddings (shape, finite, not zero) and divides them by their lengths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

import numpy as np

from mrbench.arrays import Embeddings, Ragged, Rows
from mrbench.errors import InputError, ModelError
from mrbench.workers import cores

ROWS = 1024  # vectors that are checked and divided at a time
_SPANS = 64  # parts that are given to threads


def checked(raw: Any, dimension: int, names: Sequence[str], where: str) -> Embeddings:
    """Return a batch of embeddings as float32, whatever number format the model returned.

    Args:
        raw: The model's output: an array of numbers, or a torch tensor on any device.
        dimension: The model's dimension.
        names: Name of each item for error messages.
        where: The model's name.

    Returns:
        float32, shape ``(len(names), dimension)``.

    Raises:
        ModelError: The shape is wrong, or a vector has NaN, infinity or length 0.
    """
    try:
        if hasattr(raw, "detach"):  # a torch tensor; numpy can read neither GPU memory nor bfloat16
            raw = raw.detach().cpu().float().numpy()
        if np.iscomplexobj(raw):
            raise TypeError("complex numbers")
        if np.ma.isMaskedArray(raw):
            raise TypeError("a masked array")
        with np.errstate(over="ignore"):
            vectors: Embeddings = np.asarray(raw).astype(np.float32)
    except (TypeError, ValueError, NotImplementedError) as error:  # torch raises the last for tensors without data
        raise ModelError(
            "the embeddings are not an array of numbers", where=where, got=str(error), accepted="float32"
        ) from error
    if vectors.shape != (len(names), dimension):
        raise ModelError(
            "the embeddings have another shape",
            where=f"{where}, {names[0]}",
            got=vectors.shape,
            accepted=f"({len(names)}, {dimension}): one row per item, as long as the model's dimension",
        )
    _check_lengths([_lengths(vectors)], names, where)
    return vectors


def check_units(**named: Rows) -> None:
    """Raise unless all are float32 unit vectors of one dimension.

    Args:
        named: Arrays by their name for error messages, shape ``(number, dimension)``, or with several vectors an item.

    Raises:
        InputError: The type, number format or number of axes is wrong, or two dimensions differ.
        ModelError: A vector is not of length 1.

    >>> check_units(query=np.float32([[0, 1]]), candidate=np.float32([[1, 0], [0.6, 0.8]]))
    """
    dimension = None
    for name, rows in named.items():
        vectors = rows.flat if isinstance(rows, Ragged) else rows
        if not isinstance(vectors, np.ndarray) or vectors.dtype != np.float32 or vectors.ndim != 2:
            shape, kind = getattr(vectors, "shape", ""), getattr(vectors, "dtype", type(vectors).__name__)
            raise InputError(
                "the vectors cannot be searched",
                where=name,
                got=f"{kind} {tuple(shape) if shape else ''}".strip(),
                accepted="a numpy array, float32, shape (number, dimension)",
            )
        if dimension not in (None, vectors.shape[1]):
            raise InputError("the vectors differ in dimension", where=name, got=vectors.shape[1], accepted=dimension)
        dimension = vectors.shape[1]
        for part, wrong in enumerate(map_rows(_first_wrong, vectors)):
            if wrong is not None:
                where = f"{name} {_item_of(part * ROWS + wrong, rows)}"
                raise ModelError("a vector is not of length 1", where=where, accepted="unit vectors")


def _item_of(row: int, rows: Rows) -> int:
    return int(np.searchsorted(rows.ends, row, side="right")) - 1 if isinstance(rows, Ragged) else row


def map_rows(work: Callable[[Embeddings], Any], vectors: Embeddings) -> list[Any]:
    """Return the results of ``work`` on each :data:`ROWS` vectors, in order. Threads share the work."""
    span = -(-len(vectors) // (ROWS * _SPANS)) * ROWS  # few spans, since each takes memory

    def several(start: int) -> list[Any]:
        stop = min(start + span, len(vectors))
        return [work(vectors[row : min(row + ROWS, stop)]) for row in range(start, stop, ROWS)]

    starts = range(0, len(vectors), max(span, 1))
    if len(starts) < 2:
        return several(0)
    with ThreadPoolExecutor(cores()) as pool:
        return list(chain.from_iterable(pool.map(several, starts)))


def _first_wrong(vectors: Embeddings) -> int | None:
    wrong = ~(np.abs(np.einsum("ij,ij->i", vectors, vectors) - 1) < 1e-3)  # NaN is wrong too
    return int(np.argmax(wrong)) if wrong.any() else None


def checked_ragged(raw: Any, dimension: int, names: Sequence[str], where: str) -> Ragged:
    """Return a batch of embeddings with several vectors an item as float32; arguments as for :func:`checked`.

    Raises:
        ModelError: The number of items is wrong, an item has no vector, or as for :func:`checked`.
    """
    if not isinstance(raw, Ragged) or len(raw) != len(names):
        got = f"{len(raw)} items" if isinstance(raw, Ragged) else type(raw).__name__
        accepted = f"mrbench.arrays.Ragged of {len(names)} items, since the model says multi_vector"
        raise ModelError("the embeddings are not several vectors an item", where=where, got=got, accepted=accepted)
    empty = np.flatnonzero(raw.counts < 1)
    if len(empty):
        raise ModelError("an item has no vector", where=f"{where}, {names[int(empty[0])]}", accepted="1 or more")
    return Ragged(checked(raw.flat, dimension, _VectorNames(raw, names), where), raw.ends)


class _VectorNames(Sequence[str]):
    """The item's name for each vector, looked up on demand, since there are many vectors."""

    def __init__(self, rows: Ragged, names: Sequence[str]) -> None:
        self._rows, self._names = rows, names

    def __len__(self) -> int:
        return len(self._rows.flat)

    def __getitem__(self, row: Any) -> Any:
        return self._names[_item_of(row, self._rows)]


def unit_rows(rows: Any, names: Sequence[str], where: str) -> Any:
    """Return vectors divided by their lengths, as :func:`unit_vectors` does, for one or several an item."""
    if isinstance(rows, Ragged):
        return Ragged(unit_vectors(rows.flat, _VectorNames(rows, names), where), rows.ends)
    return unit_vectors(rows, names, where)


def unit_vectors(vectors: Embeddings, names: Sequence[str], where: str) -> Embeddings:
    """Divide each vector by its length, in place. The length is summed in float64.

    Args:
        vectors: float32, shape ``(len(names), dimension)``.
        names: Name of each vector for error messages.
        where: The model's name.

    Returns:
        The same array.

    Raises:
        ModelError: A vector has length 0, as the sum of two vectors may have.

    >>> unit_vectors(np.float32([[3, 4]]), ["query a"], "example")
    array([[0.6, 0.8]], dtype=float32)
    """
    _check_lengths(map_rows(_divide, vectors), names, where)
    return vectors


def _divide(vectors: Embeddings) -> Any:
    lengths = _lengths(vectors)
    with np.errstate(all="ignore"):
        vectors[:] = vectors / lengths
    return lengths


def _lengths(vectors: Embeddings) -> Any:
    return np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)


def _check_lengths(parts: list[Any], names: Sequence[str], where: str) -> None:
    for number, lengths in enumerate(parts):
        for what, bad in (("has NaN or infinity", ~np.isfinite(lengths)), ("is all zeros", lengths == 0)):
            if bad.any():
                name = names[number * ROWS + int(np.argmax(bad))]
                raise ModelError(f"an embedding {what}", where=f"{where}, {name}", accepted="finite numbers, not all 0")
