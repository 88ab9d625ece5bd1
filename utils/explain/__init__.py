"""Why a model decides as it does, where it fails, and among which rows it fails more often than by chance."""

from utils.explain.champions import Explained, explained
from utils.explain.importance import Stability, dependence, examples, importance, single, stability
from utils.explain.mistakes import mistakes, totals
from utils.explain.normal_sessions import NormalSessions
from utils.explain.session_work import rank_choices, repeated_work
from utils.explain.sessions import SessionExplainer, SessionExplanation, session_examples
from utils.explain.shapley import Shapley, affordable, drawn, shapley
from utils.explain.slices import sliceable, slices

__all__ = [
    "Explained",
    "NormalSessions",
    "SessionExplainer",
    "SessionExplanation",
    "Shapley",
    "Stability",
    "affordable",
    "dependence",
    "drawn",
    "examples",
    "explained",
    "importance",
    "mistakes",
    "rank_choices",
    "repeated_work",
    "session_examples",
    "shapley",
    "single",
    "sliceable",
    "slices",
    "stability",
    "totals",
]
