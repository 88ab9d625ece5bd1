"""Champions in a compiled form: records straight to a matrix, trees straight to sums."""

from utils.classifiers.compiled.champion import CompiledChampion, compiled
from utils.classifiers.compiled.parity import PARITY, Parity, parity, passed

__all__ = ["PARITY", "CompiledChampion", "Parity", "compiled", "parity", "passed"]
