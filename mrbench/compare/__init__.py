"""Models compared on the same queries: differences with intervals and tests, and the queries that changed."""

from mrbench.compare.changed import ChangedQuery, changed_queries
from mrbench.compare.paired import Comparison, Difference, compare
from mrbench.compare.words import comparison_text

__all__ = ["ChangedQuery", "Comparison", "Difference", "changed_queries", "compare", "comparison_text"]
