"""Simulators: one module a data set, the same raw tables as the real files, and a known truth for every row."""
