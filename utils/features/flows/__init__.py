"""Flows, and tables of any kind, to numbers: typed columns, logarithms, scales, categories, and never an identity."""

from utils.features.flows.transformer import FlowFeatures

__all__ = ["FlowFeatures"]
