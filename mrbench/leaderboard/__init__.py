"""From result files to tables and a site.

``read`` finds result files, ``standings`` decides what is shown (grouping, order, ranks, what is missing) and puts it
into the records of ``data``, and the renderers (``terminal``, ``markdown``, ``csv_file``, ``latex``, ``site``) only
format those.
"""

from mrbench.leaderboard.audits import read_audits
from mrbench.leaderboard.data import Board
from mrbench.leaderboard.publish import publish
from mrbench.leaderboard.read import find_runs, read_results
from mrbench.leaderboard.reported import read_reported
from mrbench.leaderboard.standings import boards, conflicts
from mrbench.leaderboard.terminal import terminal

__all__ = [
    "Board",
    "boards",
    "conflicts",
    "find_runs",
    "publish",
    "read_audits",
    "read_reported",
    "read_results",
    "terminal",
]
