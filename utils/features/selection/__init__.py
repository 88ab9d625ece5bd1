"""Feature selection, shown and not hidden: every function returns a table, one row a feature.

Everything is measured on the rows that are given: give training rows only.
"""

from utils.features.selection.redundancy import correlated_groups, correlation
from utils.features.selection.resampling import Stability, stability, stability_index
from utils.features.selection.screening import gaps
from utils.features.selection.signal import TOO_GOOD, mutual_information, predictive_power, single_feature_auc
from utils.features.selection.verdict import VERDICTS, Selection, select

__all__ = [
    "TOO_GOOD",
    "VERDICTS",
    "Selection",
    "Stability",
    "correlated_groups",
    "correlation",
    "gaps",
    "mutual_information",
    "predictive_power",
    "select",
    "single_feature_auc",
    "stability",
    "stability_index",
]
