"""Rules a person can read: one feature and a threshold, a signature, an event nobody has seen before."""

from utils.detectors.rules.columns import usable_columns
from utils.detectors.rules.features import FeatureRule, OptimisticChoice, best_on_test, shortcut_strength
from utils.detectors.rules.limits import MeanPlusSigma, QuantileRule

__all__ = [
    "FeatureRule",
    "MeanPlusSigma",
    "OptimisticChoice",
    "QuantileRule",
    "best_on_test",
    "shortcut_strength",
    "usable_columns",
]
