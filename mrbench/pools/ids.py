"""Ids of queries and candidates: checks, look-up and sampling."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa

from mrbench.arrays import Ints
from mrbench.benchmark.ids import ID_FORM, is_id
from mrbench.errors import BenchmarkError, InputError

Names = np.ndarray[Any, np.dtype[np.str_]]


def read_ids(column: pa.ChunkedArray, where: str) -> Names:
    """Return a column of ids.

    Raises:
        BenchmarkError: An id is empty, or holds a line break or a zero byte.
    """
    ids = column.to_pylist()
    for name in ids:
        if not is_id(name):
            raise BenchmarkError("malformed id", where=where, got=name, accepted=ID_FORM)
    return np.array(ids, dtype=np.str_)


def check_unique(sorted_ids: Names, where: str) -> None:
    """Check that no id occurs twice.

    Raises:
        BenchmarkError: An id does.
    """
    same = sorted_ids[1:] == sorted_ids[:-1]
    if same.any():
        raise BenchmarkError("duplicate id", where=where, got=str(sorted_ids[1:][same][0]))


def sample(ids: Names, limit: int | None, seed: int) -> Ints:
    """Return the positions of ``limit`` ids, ascending: those with the smallest SHA-256 of ``"seed:id"``.

    The first n of a larger sample are the sample of n, and the order of the ids in the file does not matter.

    Raises:
        InputError: The limit is below 1.

    >>> len(sample(np.array(["a", "b", "c"]), 2, seed=0))
    2
    """
    if limit is not None and limit < 1:
        raise InputError("malformed limit", got=limit, accepted="1 or more, or none")
    if limit is None or limit >= len(ids):
        return np.arange(len(ids))
    keys = [hashlib.sha256(f"{seed}:{name}".encode()).digest() for name in ids]
    return np.array(sorted(sorted(range(len(ids)), key=keys.__getitem__)[:limit]))


def find(sorted_ids: np.ndarray[Any, Any], wanted: np.ndarray[Any, Any]) -> Ints:
    """Return the position of each wanted id, -1 for an id that is missing.

    >>> find(np.array(["a", "c"]), np.array(["c", "b"]))
    array([ 1, -1])
    """
    if not len(sorted_ids):
        return np.full(len(wanted), -1, dtype=np.int64)
    at = np.minimum(np.searchsorted(sorted_ids, wanted), len(sorted_ids) - 1)
    return np.where(sorted_ids[at] == wanted, at, -1).astype(np.int64)
