"""Intervals, tests and ranks for scores of queries that are not independent. Sees numbers only.

Queries about the same thing form a *cluster*. A bootstrap draws them together, and a randomisation test changes their
signs together. Otherwise intervals would be too narrow.
"""

from mrbench.statistics.bootstrap import bootstrap, bootstrap_interval, bootstrap_means, cluster_codes
from mrbench.statistics.paired import holm, paired_p_values
from mrbench.statistics.power import design_effect, smallest_difference
from mrbench.statistics.ranks import rank_intervals, tie_groups
from mrbench.statistics.share import share_interval

__all__ = [
    "bootstrap",
    "bootstrap_interval",
    "bootstrap_means",
    "cluster_codes",
    "design_effect",
    "holm",
    "paired_p_values",
    "rank_intervals",
    "share_interval",
    "smallest_difference",
    "tie_groups",
]
