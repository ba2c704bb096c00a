"""The bootstrap over clusters of queries, for any function of sums over queries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import stats

from mrbench.errors import ResultError

Array = np.ndarray[Any, Any]
_BLOCK = 1000
_KEPT = 1 << 25  # numbers of a draw that are kept for the next one, 64 MiB


def cluster_codes(names: Sequence[str]) -> Array:
    """Return the number of each query's cluster, in the order of the clusters' names.

    >>> cluster_codes(["dog", "cat", "dog"])
    array([1, 0, 1])
    """
    return np.unique(np.asarray(names, dtype=np.str_), return_inverse=True)[1].reshape(-1)


def bootstrap(
    columns: Array,
    clusters: Array,
    function: Callable[[Array], Array],
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> Array:
    """Return the values of a function over resamples of the clusters.

    Every resample draws as many clusters as there are, with replacement, and sums the columns over the drawn queries.

    Args:
        columns: One row per query, shape ``(num_queries, num_columns)``; a column of ones counts queries.
        clusters: Cluster of each query, 0 to ``num_clusters - 1``.
        function: From sums of shape ``(resamples, num_columns)`` to values of shape ``(resamples, ...)``.
        resamples: Number of resamples.
        seed: Seed of the draw.

    Raises:
        ResultError: There is no query, or columns and clusters differ in length.

    >>> ones_and_hits = np.array([[1, 1], [1, 0], [1, 1], [1, 0]])
    >>> share = bootstrap(ones_and_hits, np.arange(4), lambda s: s[:, 1] / s[:, 0], resamples=2000)
    >>> bool(abs(share.mean() - 0.5) < 0.02)
    True
    """
    if not len(columns) or len(columns) != len(clusters):
        raise ResultError("no query to draw from", got=f"{len(columns)} rows, {len(clusters)} clusters")
    number = int(clusters.max()) + 1
    sums = np.zeros((number, columns.shape[1]))
    np.add.at(sums, clusters, columns)
    keep = number * resamples <= _KEPT  # tasks of one benchmark have as many clusters, and are drawn alike
    drawn = _kept_draws(number, resamples, seed) if keep else _draws(number, resamples, seed)
    return np.concatenate([function(weights @ sums) for weights in drawn])


def bootstrap_means(values: Array, weights: Array, clusters: Array, *, resamples: int = 10_000, seed: int = 0) -> Array:
    """Return the means of several rows over the same resamples of the clusters, such as paired differences.

    Args:
        values: Sums by query, shape ``(num_rows, num_queries)``.
        weights: What each of them is a sum over, same shape; a mean over none is NaN.
        clusters: Cluster of each query, 0 to ``num_clusters - 1``.
        resamples: How many.
        seed: Seed of the draw.

    Returns:
        Shape ``(resamples, num_rows)``.

    >>> drawn = bootstrap_means(np.array([[1.0, 0.0, 1.0]]), np.ones((1, 3)), np.arange(3), resamples=2000)
    >>> bool(abs(drawn.mean() - 2 / 3) < 0.02)
    True
    """

    def means(sums: Array) -> Array:
        total, number = np.split(sums, 2, axis=1)
        mean: Array = np.divide(total, number, out=np.full(total.shape, np.nan), where=number > 0)
        return mean

    return bootstrap(np.concatenate([values, weights]).T, clusters, means, resamples=resamples, seed=seed)


def _draws(number: int, resamples: int, seed: int) -> Iterator[Array]:
    """Yield the number of times that each cluster is drawn, for some resamples at a time, ``(resamples, number)``."""
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, _BLOCK):
        yield rng.multinomial(number, np.full(number, 1 / number), size=min(_BLOCK, resamples - start))


@lru_cache(maxsize=1)
def _kept_draws(number: int, resamples: int, seed: int) -> list[Array]:
    smallest = np.uint16 if number < 1 << 16 else np.uint32
    return [weights.astype(smallest) for weights in _draws(number, resamples, seed)]


def bootstrap_interval(values: Array, number_of_clusters: int, *, level: float = 0.95) -> tuple[float, float]:
    """Return the expanded percentile interval of bootstrap values.

    With few clusters plain percentiles are too narrow: by the factor ``sqrt((n - 1) / n)``, and because they follow the
    normal distribution instead of Student's t. So percentiles farther out are taken.

    Source: Hesterberg, What teachers should know about the bootstrap, arXiv 1411.5279, section 4.

    Args:
        values: From :func:`bootstrap`, shape ``(resamples,)``; values that are not finite are left out.
        number_of_clusters: 2 or more.
        level: 0 to 1.

    Raises:
        ResultError: There is only one cluster, or no finite value.
    """
    values = values[np.isfinite(values)]
    if number_of_clusters < 2 or not len(values):
        raise ResultError("an interval needs two clusters or more", got=number_of_clusters)
    n = number_of_clusters
    tail = stats.norm.cdf(stats.t.ppf((1 - level) / 2, n - 1) * np.sqrt(n / (n - 1)))
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)
