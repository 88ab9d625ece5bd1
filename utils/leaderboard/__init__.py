"""What won, by how much, at what cost, and is the lead real? Read from the store alone; no data set is loaded.

>>> from utils import leaderboard
>>> board = leaderboard.read()                        # doctest: +SKIP
>>> leaderboard.scored(board.best)                    # doctest: +SKIP

``python -m utils.leaderboard`` shows it; ``python -m utils.leaderboard readme`` writes the table of results of the
README.
"""

from utils.leaderboard.board import ACROSS, Leaderboard, build, read
from utils.leaderboard.shown import conclusions, costs, judged, results, scored, verdicts

__all__ = ["ACROSS", "Leaderboard", "build", "conclusions", "costs", "judged", "read", "results", "scored", "verdicts"]
