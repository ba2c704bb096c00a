"""Exact top k with the products on a GPU: the same answer as :mod:`mrbench.search.topk`, to the last bit.

The device finds in float32 who may be among the best, and carries some more along than are wanted. Where the last of
these is so near that one left behind could be better, the processor searches that query again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from mrbench.errors import InputError
from mrbench.measures.ties import Ints
from mrbench.search.exact import Keys, exact_scores, order_keys
from mrbench.search.vectors import Embeddings

QUERIES, CANDIDATES = 4096, 65_536  # in one product: 1 GiB of scores
SLACK = 128  # candidates that are carried along beside the best
_U = 2.0**-24


def best_keys(
    queries: Embeddings,
    candidates: Embeddings,
    depth: int,
    device: str,
    *,
    block: int = QUERIES,
    chunk: int = CANDIDATES,
    slack: int = SLACK,
) -> tuple[Keys, Ints]:
    """Find the best candidates of every query.

    Args:
        queries: float32 unit vectors, shape ``(num_queries, dimension)``.
        candidates: float32 unit vectors, shape ``(num_candidates, dimension)``; may be a memory map.
        depth: Candidates wanted per query, at most ``num_candidates``.
        device: Of torch, for example ``cuda``.
        block: Queries in one product.
        chunk: Candidates in one product.
        slack: Candidates carried along beside the best.

    Returns:
        Keys of the best (:func:`mrbench.search.exact.order_keys`), ascending, shape ``(num_queries, depth)``, and
        the queries that are not settled: too many candidates are too near to tell in float32.

    Raises:
        InputError: Torch has no such device here.
    """
    import torch

    try:
        place = torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as fault:
        raise InputError("torch has no such device", got=device, accepted="cpu, cuda, cuda:N, where there") from fault

    # Two values that are compared may both err: inputs are exact, so this is the summation alone.
    error = 2.1 * (queries.shape[1] + 2) * _U
    keys, unsure = np.empty((len(queries), depth), dtype=np.uint64), []
    with torch.inference_mode(), torch.autocast(place.type, enabled=False), _full_precision(torch):
        for start in range(0, len(queries), block):
            some = torch.from_numpy(np.ascontiguousarray(queries[start : start + block])).to(place)
            values, rows = _scan(torch, some, candidates, depth + slack, chunk)
            # What was left behind is below the last that was carried along.
            near = values >= values[:, depth - 1 : depth] - error
            open_end = near[:, -1] if len(candidates) > depth + slack else torch.zeros_like(near[:, -1])
            marks, found = near.cpu().numpy(), rows.cpu().numpy()
            for number, late in enumerate(open_end.tolist()):
                if late:
                    unsure.append(start + number)
                    continue
                mine = np.sort(found[number, marks[number]])
                scores = exact_scores(queries[start + number], candidates, mine)
                keys[start + number] = np.sort(order_keys(scores, mine))[:depth]
    return keys, np.array(unsure, dtype=np.int64)


def _scan(torch: Any, queries: Any, candidates: Embeddings, wanted: int, chunk: int) -> tuple[Any, Any]:
    """Return the highest products and their rows, falling, shape ``(num_queries, min(wanted, num_candidates))``."""
    values = torch.empty(len(queries), 0, device=queries.device)
    rows = torch.empty(len(queries), 0, dtype=torch.int64, device=queries.device)
    for start in range(0, len(candidates), chunk):
        part = torch.from_numpy(np.ascontiguousarray(candidates[start : start + chunk])).to(queries.device)
        scores = queries @ part.T
        high, row = scores.topk(min(wanted, scores.shape[1]), dim=1)
        values, rows = torch.cat([values, high], 1), torch.cat([rows, row + start], 1)
        values, kept = values.topk(min(wanted, values.shape[1]), dim=1)
        rows = rows.gather(1, kept)
    return values, rows


@contextmanager
def _full_precision(torch: Any) -> Iterator[None]:
    """Keep products of float32 in float32: TensorFloat-32 errs by more than the bound."""
    settings = [getattr(torch.backends, name).matmul for name in ("cuda", "mkldnn")]
    if not all(hasattr(setting, "fp32_precision") for setting in settings):  # before torch 2.9
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)
        return
    said = [setting.fp32_precision for setting in settings]
    try:
        for setting in settings:
            setting.fp32_precision = "ieee"
        yield
    finally:
        for setting, value in zip(settings, said, strict=True):
            setting.fp32_precision = value
