"""Intervals, tests and ranks for scores whose queries share art. Sees numbers only.

Queries that show the same thing are a *cluster*: they are drawn together in a bootstrap, and change sign together in a
test. Without that, intervals are too narrow.
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
