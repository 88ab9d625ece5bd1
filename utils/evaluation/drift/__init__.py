"""Drift: whether a model is asked what it was trained on, and how unusual a score is among those of training."""

from utils.evaluation.drift.profile import FILE, Counts, Profile, profile_of
from utils.evaluation.drift.shifts import kinds_of, shifted
from utils.evaluation.drift.testing import drift
from utils.evaluation.drift.trials import drift_trial
from utils.evaluation.drift.watch import Look, Watch

__all__ = ["FILE", "Counts", "Look", "Profile", "Watch", "drift", "drift_trial", "kinds_of", "profile_of", "shifted"]
