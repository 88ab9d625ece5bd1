"""Classifiers that learn from labels: one table declares them, one way of tuning, thresholds chosen in training."""
