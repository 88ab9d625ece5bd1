"""The rule to beat: what simple rules reach on every processed table, fitted on training rows, judged on test rows.

Each function returns tables for a notebook. Values come with 95 % intervals (``low``, ``high``); ``optimistic_f1`` is
what choosing the threshold on the test rows would have shown, ``trivial_f1`` what flagging every row gives.
"""

from utils.detectors.baselines.normals import alarm_tables, limits
from utils.detectors.baselines.sessions import NOVELTY, session_draws, session_results, session_rules, session_tables
from utils.detectors.baselines.texts import signatures
from utils.detectors.baselines.thresholds import (
    PUBLISHED,
    Judged,
    as_published,
    best_rules,
    judge,
    later_rules,
    over_splits,
    overview,
    results,
    shortcuts,
    spread,
    spread_results,
)
from utils.detectors.judging import labelled_tables

__all__ = [
    "NOVELTY",
    "PUBLISHED",
    "Judged",
    "alarm_tables",
    "as_published",
    "best_rules",
    "judge",
    "labelled_tables",
    "later_rules",
    "limits",
    "over_splits",
    "overview",
    "results",
    "session_draws",
    "session_results",
    "session_rules",
    "session_tables",
    "shortcuts",
    "signatures",
    "spread",
    "spread_results",
]
