"""Exact top k, streamed over embeddings that may be larger than memory.

Each thread searches for its own queries (:mod:`mrbench.search.best`), and scores are exact; so the answer is one,
whatever the blocks, the threads, the linear algebra library and the shards that the candidates came in.
"""

from __future__ import annotations

import operator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from mrbench.arrays import Embeddings, Ints, Scores
from mrbench.errors import InputError
from mrbench.search.best import CHUNK, Best
from mrbench.search.exact import key_parts
from mrbench.search.gpu import DevicePool
from mrbench.search.host import even_block
from mrbench.search.products import need_torch, one_thread, residual, usable
from mrbench.search.vectors import check_units
from mrbench.workers import cores

BLOCK = 512  # queries in one product at most: fewer copy candidates into the order of the product more often;
BLOCK_BFLOAT16 = 1024  # or round them more often
_PARTS = 256  # of the candidates, looked at by all threads before the search


def top_k(
    queries: Embeddings,
    candidates: Embeddings,
    depth: int,
    *,
    threads: int | None = None,
    block: int | None = None,
    chunk: int = CHUNK,
    device: str = "cpu",
    bfloat16: bool | None = None,
) -> tuple[Ints, Scores]:
    """Find the best candidates of every query.

    Args:
        queries: float32 unit vectors, shape ``(num_queries, dimension)``.
        candidates: float32 unit vectors, shape ``(num_candidates, dimension)``, fewer than 2**32; may be a memory map.
        depth: Candidates wanted per query, 1 or more; all of them where there are fewer.
        threads: Threads that search, each for its own queries; None or 0 takes one a core.
        block: Queries in one product; None takes at most 512 or, in bfloat16, 1,024, fewer for a great depth, and as
            many for each thread.
        chunk: Candidates in one product. No argument but the first three changes the result.
        device: ``cpu``, or a device of torch for the products, for example ``cuda``; it has its own blocks.
        bfloat16: Whether products may be of vectors rounded to bfloat16, where few candidates more are carried along
            for it; None asks this where the processor is faster so, or the GPU is made for it.

    Returns:
        Rows of the candidates and their scores, both of shape ``(num_queries, depth)``, by falling score, the tied by
        rising row.

    Raises:
        InputError: The depth is no whole number or below 1, there is no candidate, or the vectors are not as above.
        ModelError: A vector is not of length 1.
        MissingExtraError: A device or bfloat16 is asked for, and torch is not installed.

    >>> top_k(np.float32([[1, 0]]), np.float32([[0, 1], [1, 0], [0.6, 0.8]]), 2)
    (array([[1, 2]]), array([[1. , 0.6]], dtype=float32))
    """
    check_units(query=queries, candidate=candidates)
    if not isinstance(depth, int | np.integer) or depth < 1 or not len(candidates):
        raise InputError("nothing to search for", got=(depth, len(candidates)), accepted="depth and candidates >= 1")
    for name, value, least in (("threads", threads, 0), ("block", block, 1), ("chunk", chunk, 1)):
        if value is not None and value < least:
            raise InputError("a number is too small", where=name, got=value, accepted=f"{least} or more")
    if bfloat16:
        need_torch()
    depth = operator.index(min(depth, len(candidates)))
    if device != "cpu":
        return DevicePool(candidates, device, bfloat16=bfloat16).search(queries, depth)[:2]

    rows = np.empty((len(queries), depth), dtype=np.int64)
    scores = np.empty((len(queries), depth), dtype=np.float32)
    threads = threads or cores()
    if bfloat16 is None:
        bfloat16 = usable(2.0 * len(queries) * candidates.size, candidates.shape[1])
    if block is None:
        most = BLOCK_BFLOAT16 if bfloat16 else BLOCK
        block = even_block(len(queries), threads, depth, most, candidates.nbytes)
    # One thread a block, each with a product of its own, leaves no core idle while the best are picked.
    with one_thread(), ThreadPoolExecutor(threads) as pool:
        step = max(CHUNK, -(-len(candidates) // _PARTS))
        parts = (candidates[start : start + step] for start in range(0, len(candidates), step))
        lost = max(pool.map(residual, parts)) if bfloat16 else None

        def work(start: int) -> None:
            part = slice(start, start + block)
            best = Best(np.ascontiguousarray(queries[part]), candidates, depth, chunk=chunk, lost=lost)
            rows[part], scores[part] = key_parts(best.search())

        list(pool.map(work, range(0, len(queries), block)))
    return rows, scores
