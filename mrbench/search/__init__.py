"""Exact search over vectors: scores to the last bit, one order, counts over the whole pool. It knows no model."""

from mrbench.search.approximate import approximate_top_k
from mrbench.search.topk import top_k

__all__ = ["approximate_top_k", "top_k"]
