"""The queries that a model answers worst, as data, as text and as a sheet of pictures."""

from mrbench.worst.find import Above, WorstQuery, worst_queries
from mrbench.worst.sheet import draw_sheet
from mrbench.worst.words import worst_text

__all__ = ["Above", "WorstQuery", "draw_sheet", "worst_queries", "worst_text"]
