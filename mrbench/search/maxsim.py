"""MaxSim: the score of a query and a candidate with several vectors each, exact or with a bounded error.

The score is the sum, over the vectors of the query, of the largest product with a vector of the candidate. A product
of two vectors is summed without error and rounded to float64, and so is the sum of the largest products. The score is
that sum rounded to float32. So a score depends on the vectors alone: not on block shape, library, thread or machine.
Padding of a batch is no vector: it enters neither sum nor maximum.

Source: Khattab and Zaharia, ColBERT (arXiv 2004.12832), section 3.2.
"""

from __future__ import annotations

import numpy as np

from mrbench.arrays import Embeddings, Floats, Ints, Ragged, Scores
from mrbench.search.exact import exact_sums
from mrbench.search.pairs import query_blocks

TOKENS = 4096  # most candidate vectors in one product; a candidate with more is multiplied alone
_U, _U_32 = 2.0**-53, 2.0**-24


def maxsim_scores(query: Embeddings, candidates: Ragged, rows: Ints) -> Scores:
    """Return the exact scores of one query with some candidates.

    Args:
        query: The vectors of the query, shape ``(num_vectors, dimension)``, lengths about 1.
        candidates: Vectors of lengths about 1.
        rows: Rows of the candidates, shape ``(num_rows,)``.

    Returns:
        Shape ``(num_rows,)``, from ``-n`` to ``n`` for a query with ``n`` vectors; higher is nearer.

    >>> candidates = Ragged.of_counts(np.float32([[1, 0], [0, 1], [0.6, 0.8]]), np.array([2, 1]))
    >>> maxsim_scores(np.float32([[1, 0], [0, 1]]), candidates, np.array([0, 1])).round(3)
    array([2. , 1.4], dtype=float32)
    """
    scores = np.empty(len(rows), dtype=np.float32)
    wide = query.astype(np.float64)
    bound = 1.05 * _U * len(query) * (query.shape[1] + len(query) + 2)
    for block in query_blocks(candidates.ends[rows + 1] - candidates.ends[rows], TOKENS):
        some = candidates[rows[block]]
        products = wide @ some.flat.T.astype(np.float64)
        sums = np.maximum.reduceat(products, some.ends[:-1], axis=1).sum(axis=0)
        settled = sums.astype(np.float32)
        for at in np.flatnonzero((sums - bound).astype(np.float32) != (sums + bound).astype(np.float32)).tolist():
            start, stop = some.ends[at], some.ends[at + 1]
            settled[at] = _settled(wide, some.flat[start:stop], products[:, start:stop])
        scores[block] = settled + np.float32(0)  # -0 becomes 0, so that equal scores have equal keys
    return scores


def _settled(query: Floats, candidate: Embeddings, products: Floats) -> float:
    """Return the sum of the largest products; each product, and their sum, is taken without error."""
    near = products >= products.max(axis=1, keepdims=True) - 2.1 * _U * query.shape[1]
    of, vector = np.nonzero(near)
    exact = np.array(exact_sums(query[of] * candidate[vector]))
    largest = np.maximum.reduceat(exact, np.searchsorted(of, np.arange(len(query))))
    return exact_sums(largest[None])[0]


def maxsim_error(query: Ragged) -> Scores:
    """Return the largest error of :func:`maxsim_products` for each query, shape ``(num_queries,)``.

    Source: Higham, Accuracy and Stability of Numerical Algorithms, section 3.1.
    """
    error: Scores = (1.05 * _U_32 * (query.flat.shape[1] + 8) * query.counts).astype(np.float32)
    return error


def maxsim_products(queries: Ragged, candidates: Ragged) -> Scores:
    """Return the scores of every query with every candidate by float32 products, within :func:`maxsim_error`.

    Candidates are taken in blocks of at most :data:`TOKENS` vectors, or one candidate. Besides the scores, only the
    products of the queries with one block are in memory.

    Returns:
        Shape ``(num_queries, num_candidates)``.

    >>> candidates = Ragged.of_counts(np.float32([[1, 0], [0, 1], [0.6, 0.8]]), np.array([2, 1]))
    >>> maxsim_products(candidates, candidates).round(3)
    array([[2. , 1.4],
           [0.8, 1. ]], dtype=float32)
    """
    scores = np.empty((len(queries), len(candidates)), dtype=np.float32)
    for block in query_blocks(candidates.counts, TOKENS):
        some = candidates[block]
        largest = np.maximum.reduceat(_product(queries.flat, some.flat), some.ends[:-1], axis=1)
        for query, (start, stop) in enumerate(zip(queries.ends[:-1], queries.ends[1:], strict=True)):
            scores[query, block] = largest[start:stop].sum(axis=0, dtype=np.float64)
    return scores


def _product(one: Embeddings, other: Embeddings) -> Scores:
    """Return the products of all vectors of two blocks. It is the only large array of a search."""
    products: Scores = one @ other.T
    return products
