"""Flows, and tables of any kind, to numbers: typed columns, logarithms, scales, categories, and never an identity."""

from utils.datasets.identity import identity_columns, identity_reason
from utils.features.flows.transformer import FlowFeatures

__all__ = ["FlowFeatures", "identity_columns", "identity_reason"]
