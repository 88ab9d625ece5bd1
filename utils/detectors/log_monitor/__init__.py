"""Raw log lines to verdicts: parser, sessions, vocabulary, detector and threshold as one model, in one call."""

from utils.detectors.log_monitor.monitor import LogMonitor
from utils.detectors.log_monitor.naming import KnownTemplates
from utils.detectors.log_monitor.ranking import LogVerdicts, Ranked, ranked, verdicts
from utils.detectors.log_monitor.reading import SessionRule
from utils.detectors.log_monitor.surprise import CountSurprise

__all__ = [
    "CountSurprise",
    "KnownTemplates",
    "LogMonitor",
    "LogVerdicts",
    "Ranked",
    "SessionRule",
    "ranked",
    "verdicts",
]
