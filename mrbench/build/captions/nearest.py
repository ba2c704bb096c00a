"""A shortlist for each query, from an inverted index over grain values: no look at all pairs."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from scipy import sparse

from mrbench.arrays import Ints
from mrbench.grains import Grain

POSTINGS = 2000
"""Documents that a feature leads to at most, so that a query costs the same in a collection of any size."""
_BLOCK = 256


def features(grains: Iterable[Grain]) -> frozenset[str]:
    """Return what two texts may have in common: grains, and the words of their values.

    >>> sorted(features([Grain("second entity", "fire hydrant", 0, 12, "entity", ())]))
    ['entity:fire hydrant', 'fire', 'hydrant']
    """
    found: set[str] = set()
    for grain in grains:
        found.add(f"{grain.kind}:{grain.value}")
        found.update(grain.value.split())
    return frozenset(found)


class Index:
    """Documents by feature.

    A feature weighs ``log(1 + documents / documents that have it)``. Of a feature that more than 2,000 documents have,
    2,000 are kept, chosen by a hash: time for a query is bounded by 2,000 times the number of its features, memory by
    the total number of features of all documents.

    Args:
        documents: The features of each.
    """

    def __init__(self, documents: Sequence[frozenset[str]]) -> None:
        postings: dict[str, list[int]] = defaultdict(list)
        for at, document in enumerate(documents):
            for feature in sorted(document):
                postings[feature].append(at)
        self._number = len(documents)
        self._columns = {feature: column for column, feature in enumerate(sorted(postings))}
        rows, ends, weights = [], [0], []
        for feature in self._columns:
            held = postings[feature]
            kept = held if len(held) <= POSTINGS else sorted(sorted(held, key=lambda d: _mix(feature, d))[:POSTINGS])
            rows += kept
            ends.append(len(rows))
            weights += [float(np.log1p(self._number / len(held)))] * len(kept)
        shape = (len(self._columns), self._number)
        self._matrix = sparse.csr_matrix((np.array(weights), np.array(rows, dtype=np.int64), np.array(ends)), shape)

    def nearest(self, queries: Sequence[frozenset[str]], most: int) -> Iterator[Ints]:
        """Yield for each query the positions of the documents with the greatest weight in common, the greatest first.

        Ties stand in the order of the documents.

        Args:
            queries: The features of each.
            most: How many documents a query gets at most.
        """
        for start in range(0, len(queries), _BLOCK):
            block = queries[start : start + _BLOCK]
            columns = [sorted(self._columns[f] for f in query if f in self._columns) for query in block]
            ends = np.cumsum([0, *map(len, columns)])
            flat = np.array([c for row in columns for c in row], dtype=np.int64)
            asked = sparse.csr_matrix((np.ones(len(flat)), flat, ends), (len(block), self._matrix.shape[0]))
            shared = (asked @ self._matrix).tocsr()
            for row in range(len(block)):
                span = slice(shared.indptr[row], shared.indptr[row + 1])
                found, weight = shared.indices[span], np.round(shared.data[span], 9)
                yield found[np.lexsort((found, -weight))][:most].astype(np.int64)


def _mix(feature: str, document: int) -> bytes:
    return hashlib.blake2b(f"{feature} {document}".encode(), digest_size=8).digest()
