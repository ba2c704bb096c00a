"""The best candidates by an approximate index of FAISS, for pools that even a streamed scan is too slow for.

Nothing in an evaluation uses it: scores and places need every candidate. It serves whoever searches a large pool
again and again, and says each time how many of the exact answers it found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mrbench.arrays import Embeddings, Ints, Scores
from mrbench.errors import InputError, MissingExtraError
from mrbench.search.exact import exact_scores, key_parts, order_keys
from mrbench.search.topk import top_k
from mrbench.search.vectors import check_units

ADDED = 65_536  # candidates that go into the index at a time: a memory map is never read whole
TRAINED = 262_144  # candidates that an index learns its cells from


@dataclass(frozen=True, slots=True)
class Found:
    """The answer of an approximate search.

    Attributes:
        rows: Of the candidates, shape ``(num_queries, depth)``, by falling exact score, the tied by rising row;
            -1 at the end where the index found fewer.
        scores: Exact, the same shape; minus infinity beside -1.
        recall: Share of the exact best ``depth`` that are among them, 0 to 1, mean over the queries that were checked.
        checked: Number of these queries.
    """

    rows: Ints
    scores: Scores
    recall: float
    checked: int


def build_index(candidates: Embeddings, factory: str, *, seed: int = 0) -> Any:
    """Return an index of FAISS over candidates, by inner product.

    Args:
        candidates: float32 unit vectors, shape ``(num_candidates, dimension)``; may be a memory map.
        factory: What FAISS calls a factory string: ``IVF4096,Flat``, ``HNSW32``, ``IVF4096,PQ64``.
        seed: Of the sample that the index is trained on.

    Raises:
        MissingExtraError: FAISS is not installed.
        InputError: FAISS does not know the string, or cannot build it for so few candidates or this dimension, or
            the vectors are not as above.
        ModelError: A vector is not of length 1.
    """
    check_units(candidate=candidates)
    try:
        import faiss
    except ModuleNotFoundError as error:
        raise MissingExtraError("approximate search needs FAISS", hint='pip install "mrbench[faiss]"') from error
    rows = np.random.default_rng(seed).permutation(len(candidates))[:TRAINED]
    try:
        index = faiss.index_factory(candidates.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
        if not index.is_trained:
            index.train(np.ascontiguousarray(candidates[np.sort(rows)]))
        for start in range(0, len(candidates), ADDED):
            index.add(np.ascontiguousarray(candidates[start : start + ADDED]))
        index.search(np.ascontiguousarray(candidates[:1]), 1)  # IVF0 is built, and fails here
    except RuntimeError as error:
        reason = str(error).rpartition("Error: ")[2].splitlines()[0]
        raise InputError(
            "FAISS cannot build the index", got=f"{factory}: {reason}", accepted="a factory string"
        ) from error
    return index


def approximate_top_k(
    queries: Embeddings, candidates: Embeddings, depth: int, index: Any, *, check: int = 256, seed: int = 0
) -> Found:
    """Find candidates by an index, score them exactly, and measure on some queries what the index missed.

    Args:
        queries: float32 unit vectors, shape ``(num_queries, dimension)``.
        candidates: What the index was built over.
        depth: Candidates wanted per query, 1 or more.
        index: Of :func:`build_index`; parameters such as ``nprobe`` are set on it.
        check: Queries, drawn at random, that are also searched exactly; at least 1.
        seed: Of that draw.

    Raises:
        InputError: The depth or the number of queries to check is below 1, the index is over other candidates, or
            the vectors are not as above.
        ModelError: A vector is not of length 1.

    >>> Found(np.array([[1]]), np.float32([[0.5]]), recall=1.0, checked=1).recall
    1.0
    """
    check_units(query=queries, candidate=candidates)
    if depth < 1 or check < 1 or not len(queries):
        raise InputError("nothing to search for", got=(depth, check, len(queries)), accepted="1 or more of each")
    if (index.ntotal, index.d) != candidates.shape:
        raise InputError("the index is over other candidates", got=(index.ntotal, index.d), accepted=candidates.shape)
    depth = min(depth, len(candidates))
    rows = np.full((len(queries), depth), -1, dtype=np.int64)
    scores = np.full((len(queries), depth), -np.inf, dtype=np.float32)
    for number, found in enumerate(index.search(np.ascontiguousarray(queries), depth)[1]):
        some = np.sort(found[found >= 0])
        keys = np.sort(order_keys(exact_scores(queries[number], candidates, some), some))
        rows[number, : len(some)], scores[number, : len(some)] = key_parts(keys)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(queries))[:check])
    exact = top_k(queries[chosen], candidates, depth)[0]
    hits = [len(np.intersect1d(one, other)) for one, other in zip(exact, rows[chosen], strict=True)]
    return Found(rows, scores, float(np.mean(hits)) / depth, len(chosen))
