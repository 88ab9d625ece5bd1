"""Features of call graphs beside each other: how a degree compares with the others and with the size of the graph.

Trees split one column at a time and need many rows to find a ratio by themselves; some fifteen hundred behaviours are
few. The columns of the table stay the inputs: nothing else has to be known of a new behaviour.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Self

import numpy as np
import polars as pl

from utils.datasets.api import STD_LOCAL
from utils.evaluation.inputs import Floats
from utils.features.flows import FlowFeatures
from utils.features.flows.columns import Codes
from utils.features.flows.transformer import Matrix


class Derived(NamedTuple):
    """A column made of two others.

    Attributes:
        first: the column that it is told to come from in explanations.
        second: the other one.
        formula: how it is computed of both.
    """

    first: str
    second: str
    formula: Callable[[Floats, Floats], Floats]


def _ratio(above: str, below: str) -> Derived:
    return Derived(above, below, np.divide)


def _gap(above: str, below: str) -> Derived:
    return Derived(above, below, np.subtract)


def over_root(above: Floats, below: Floats) -> Floats:
    """Divide by the square root (n,)."""
    return np.asarray(above / np.sqrt(below))


SIZE = "n_connections"
SOURCE, DEST = "global_source_degrees", "global_dest_degrees"
DERIVED: Mapping[str, Derived] = MappingProxyType(
    {
        "source evenness": _ratio(f"avg_{SOURCE}", f"max_{SOURCE}"),
        "dest evenness": _ratio(f"avg_{DEST}", f"max_{DEST}"),
        "source spread": _ratio(f"std_{SOURCE}", f"avg_{SOURCE}"),
        "source over dest": _ratio(f"avg_{SOURCE}", f"avg_{DEST}"),
        "source gap": _gap(f"avg_{SOURCE}", f"min_{SOURCE}"),
        "dest gap": _gap(f"avg_{DEST}", f"min_{DEST}"),
        "rarest source for the size": _ratio(f"min_{SOURCE}", SIZE),
        "rarest dest for the size": _ratio(f"min_{DEST}", SIZE),
        "local spread for the size": _ratio(STD_LOCAL, SIZE),
        "local spread for the root of the size": Derived(STD_LOCAL, SIZE, over_root),
        "sum of source degrees": Derived(f"avg_{SOURCE}", SIZE, np.multiply),
    }
)
"""The columns that are made, by name."""


class GraphRatios(FlowFeatures):
    """:class:`~utils.features.flows.FlowFeatures`, with columns made of two features of call graphs at the end.

    One is there if both of its columns are there and vary. Where it is not defined (a graph of one edge has no
    deviation) it is 0.

    Attributes:
        derived_: names of the columns that are made, in :data:`DERIVED`.
    """

    def fit(self, X: pl.DataFrame, y: object = None) -> Self:
        """Decide, on training rows, what becomes of each column (errors as the parent's)."""
        super().fit(X, y)
        used = {column.name for column in self.columns_ if column.kind == "numeric"}
        self.derived_ = tuple(name for name, made in DERIVED.items() if {made.first, made.second} <= used)
        self.origins_ = (*self.origins_, *(DERIVED[name].first for name in self.derived_))
        self._names_out = [*self._names_out, *self.derived_]
        self.categorical_features_ = np.append(self.categorical_features_, np.zeros(len(self.derived_), dtype=bool))
        return self

    def assemble(self, numbers: Floats, codes: Sequence[Codes]) -> Matrix:
        """Compute the features and the columns made of them (n_rows, n_outputs); arguments as the parent's."""
        place = {name: number for number, name in enumerate(self.number_names_)}
        pairs = [
            (DERIVED[name].formula, place[DERIVED[name].first], place[DERIVED[name].second]) for name in self.derived_
        ]
        with np.errstate(all="ignore"):
            made = [formula(numbers[:, first], numbers[:, second]) for formula, first, second in pairs]
        matrix = super().assemble(numbers, codes)
        if made:
            limit = float(np.finfo(matrix.dtype).max)
            found = np.nan_to_num(np.column_stack(made), nan=0.0, posinf=limit, neginf=-limit)
            matrix[:, -len(made) :] = np.clip(found, -limit, limit)
        return matrix
