"""From result files to tables and pages.

``read`` finds result files, ``standings`` decides what is shown (grouping, order, ranks, what is missing) and puts it
into the records of ``data``, and the renderers (``terminal``, ``markdown``, ``csv_file``, ``html``) only format those.
"""

from mrbench.leaderboard.data import Board
from mrbench.leaderboard.publish import publish
from mrbench.leaderboard.read import read_results
from mrbench.leaderboard.standings import boards
from mrbench.leaderboard.terminal import terminal

__all__ = ["Board", "boards", "publish", "read_results", "terminal"]
