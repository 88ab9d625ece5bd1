"""The features of a few rows at once, in two compiled loops; bit by bit those of ``FlowFeatures.assemble``."""

from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utils.classifiers.graph_ratios import DERIVED, GraphRatios, over_root
from utils.evaluation.inputs import Floats, Ints
from utils.features.flows import FlowFeatures
from utils.features.flows.transformer import Matrix

FORMULAS = MappingProxyType({np.divide: 0, np.subtract: 1, np.multiply: 2, over_root: 3})
"""Formulas of derived columns that the loops know, and their numbers there."""

FEW = 64
"""Rows up to which planning blocks of numpy takes longer than the loops."""


class Assembler:
    """Computes the features of rows whose numbers and codes were read already.

    Logarithms are those of numpy, everything else is arithmetic of single numbers in the same order.

    Args:
        features: fitted.
    """

    def __init__(self, features: FlowFeatures) -> None:
        self._features = features
        table = features._numeric
        derived = features.derived_ if isinstance(features, GraphRatios) else ()
        self._known = not table.curves and all(DERIVED[name].formula in FORMULAS for name in derived)
        divided = bool(np.any(table.unit[table.logged] != 1.0))
        self._reading = (table.fill, table.low, table.high, features.missing == "keep", table.logged)
        self._unit = table.unit[table.logged] if divided else np.zeros(0)
        self._flagged, self._derived = table.flagged, _derived(features, derived)
        labels = [1 if features.nominal == "native" else len(column.labels) for column in features.nominal_columns_]
        first = len(table.shown) + len(table.flagged)
        starts = first + np.cumsum([0, *labels])[:-1].astype(np.int64)
        self._writing = (table.centre, table.spread, table.logged, table.shown, starts, features.nominal == "native")
        self._shape, self._dtype = len(features.origins_), np.dtype(features.dtype)
        self._limit = float(np.finfo(self._dtype).max)

    def __call__(self, numbers: Floats, codes: Sequence[Sequence[int]]) -> Matrix:
        """Compute the features (n, outputs).

        Args:
            numbers: as ``FlowFeatures.assemble`` takes them (n, columns); they are changed.
            codes: for each nominal column the codes of the rows (columns, n).
        """
        if not self._known or len(numbers) > FEW:
            return self._features.assemble(numbers, [np.array(column, dtype=np.int64) for column in codes])
        from utils.classifiers.compiled import _kernel

        out: Matrix = np.zeros((len(numbers), self._shape), dtype=self._dtype)
        coded = np.array(codes, dtype=np.int64).reshape(len(codes), len(numbers))
        if self._derived[0].size:
            _kernel.derive(numbers, *self._derived, self._limit, out)
        logs = _kernel.read(numbers, *self._reading, self._unit, self._flagged, len(self._writing[3]), out)
        if logs.size:
            np.log1p(logs, out=logs)
        _kernel.write(numbers, logs, *self._writing, coded, self._limit, out)
        return out


def _derived(features: FlowFeatures, names: Sequence[str]) -> tuple[Ints, Ints, Ints]:
    """Formula, first and second column of each derived column."""
    place = {name: number for number, name in enumerate(features.number_names_)}
    formulas: list[Callable[..., Any]] = [DERIVED[name].formula for name in names]
    found: list[NDArray[np.int64]] = [
        np.array([FORMULAS.get(formula, -1) for formula in formulas], dtype=np.int64),
        np.array([place[DERIVED[name].first] for name in names], dtype=np.int64),
        np.array([place[DERIVED[name].second] for name in names], dtype=np.int64),
    ]
    return found[0], found[1], found[2]
