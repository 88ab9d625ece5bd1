"""Splits, metrics with intervals, thresholds as fitted objects, conformal p-values and paired comparisons."""
