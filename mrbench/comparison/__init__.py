"""Models compared on the same queries: differences with intervals and tests, and the queries that changed."""

from mrbench.comparison.changed import ChangedQuery, changed_queries
from mrbench.comparison.paired import Comparison, Difference, compare
from mrbench.comparison.words import comparison_text

__all__ = ["ChangedQuery", "Comparison", "Difference", "changed_queries", "compare", "comparison_text"]
