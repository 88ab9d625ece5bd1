"""Values counted in cells: numbers between bounds, names by name; what is kept of a column is how many rows lie where.

Bounds stand where shares of the training rows are cut off, halfway between two neighbouring values and written with as
few digits as tell them apart: they are no row's own value. A name is kept where at least ten training rows have it.

Source:
    Tukey, "Non-parametric estimation II: statistically equivalent blocks and tolerance regions", Annals of Mathematical
    Statistics 1947 (how many new rows fall between order statistics does not depend on the distribution).
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, Self

import numpy as np
import polars as pl

from utils.datasets.dtypes import is_text
from utils.errors import DataError
from utils.evaluation.inputs import Bools, Floats, Ints, Weights, observations

LEVELS = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
"""Shares of the training rows that bounds cut off."""

HEAVY = 0.05
"""A value that this share of the training rows has gets a cell of its own."""

FEWEST = 10
"""Training rows that a name must have to be kept, and that lie beyond the outer bounds."""

MOST_NAMES = 30
LONGEST_NAME = 60
MARGIN = 1e-3
"""Distance of a bound from a heavy value that no other value lies beyond, as a share of the column's range."""

MISSING, OTHER = "missing", "another name"
DIGITS = 6
WIDE = (pl.Int128, pl.UInt128)
"""Integers that numpy does not have."""


class Column(Protocol):
    """What training looked like in one column.

    Attributes:
        name: of the column.
        counts: training rows in each cell (cells,); the first cell is that of missing values.
    """

    @property
    def name(self) -> str:
        """Name of the column."""

    @property
    def counts(self) -> Ints:
        """Training rows in each cell (cells,)."""

    @property
    def sets(self) -> Bools:
        """Sets of cells that are compared, one a row (sets, cells)."""

    def count(self, values: pl.Series, weight: Floats | None = None) -> Ints:
        """Count values in cells, each as often as its weight says (cells,)."""

    def said(self, place: int) -> str:
        """Say which values are in a set."""

    def to_dict(self) -> dict[str, Any]:
        """Write the column in types that JSON has."""


@dataclass(frozen=True, eq=False)
class Numbers:
    """A column of numbers or of stretches of time (in seconds), counted between bounds.

    Attributes:
        name: of the column.
        edges: bounds, rising; a value that equals a bound lies above it (k,).
        counts: training rows: missing, below the first bound, between bounds, from the last bound on (k + 2,).
        whole: whether all training values are whole numbers.
    """

    name: str
    edges: Floats
    counts: Ints
    whole: bool = False

    @classmethod
    def of(cls, name: str, values: pl.Series, weight: Floats) -> Self:
        """Count training values, each as often as its weight says."""
        found = floats(values)
        known = ~np.isnan(found)
        distinct, place = np.unique(found[known], return_inverse=True)
        mass = np.bincount(place, weight[known], minlength=len(distinct))
        finite = distinct[np.isfinite(distinct)]
        whole = bool(finite.size and (finite == np.rint(finite)).all())
        edges = _edges(distinct, mass.astype(np.float64), whole)
        return cls(name, edges, _rounded(_placed(found, edges, weight)), whole)

    def count(self, values: pl.Series, weight: Floats | None = None) -> Ints:
        """Count values in cells, each as often as its weight says; what is no number is missing (k + 2,)."""
        return _rounded(_placed(floats(values), self.edges, weight))

    @cached_property
    def sets(self) -> Bools:
        """Missing values, known ones, those below and those from each bound on, those between neighbours (s, k + 2)."""
        cells, bounds = np.arange(len(self.edges) + 2), np.arange(2, len(self.edges) + 2)[:, None]
        missing, between = cells == 0, np.arange(2, len(self.edges) + 1)[:, None]
        known = [missing[None], ~missing[None], (cells < bounds) & ~missing, cells >= bounds, cells == between]
        return np.concatenate(known)

    def said(self, place: int) -> str:
        """Say which values are in a set: ``"missing"``, ``"below 3"``, ``"1 to 3"``, ``"3 or more"``."""
        k = len(self.edges)
        if place < 2:
            return (MISSING, "not missing")[place]
        side, bound = divmod(place - 2, k) if place < 2 + 2 * k else (2, place - 2 - 2 * k)
        edge = float(self.edges[bound])
        if side == 0:
            return f"{_number(np.ceil(edge) - 1)} or less" if self.whole else f"below {_number(edge)}"
        if side == 1:
            return f"{_number(np.ceil(edge) if self.whole else edge)} or more"
        return self._between(edge, float(self.edges[bound + 1]))

    def _between(self, low: float, high: float) -> str:
        if not self.whole:
            return f"{_number(low)} to {_number(high)}"
        first, last = np.ceil(low), np.ceil(high) - 1
        return _number(first) if first == last else f"{_number(first)} to {_number(last)}"

    def to_dict(self) -> dict[str, Any]:
        """Write the column in types that JSON has."""
        return {"name": self.name, "edges": self.edges.tolist(), "counts": self.counts.tolist(), "whole": self.whole}


@dataclass(frozen=True, eq=False)
class Names:
    """A column of names or truth values.

    Attributes:
        name: of the column.
        names: the most frequent names of training, each of which ten rows have (k,).
        counts: training rows: missing, with another name, with each name (k + 2,).
    """

    name: str
    names: tuple[str, ...]
    counts: Ints

    @classmethod
    def of(cls, name: str, values: pl.Series, weight: Floats) -> Self:
        """Count training values, each as often as its weight says."""
        known = _mass(values, weight).drop_nulls("value")
        fit = (pl.col("weight") >= FEWEST) & (pl.col("value").str.len_chars() <= LONGEST_NAME)
        kept = known.filter(fit).sort("weight", "value", descending=[True, False]).head(MOST_NAMES)
        everything, named, frequent = (
            one.sum() for one in (weight, known["weight"].to_numpy(), kept["weight"].to_numpy())
        )
        counts = _rounded(np.array([everything - named, named - frequent, *kept["weight"]]))
        return cls(name, tuple(kept["value"]), counts)

    def count(self, values: pl.Series, weight: Floats | None = None) -> Ints:
        """Count values in cells, each as often as its weight says (k + 2,)."""
        if weight is None:
            found = Counter(_texts(values).to_list())
            names, mass = list(found), np.array(list(found.values()), dtype=np.float64)
        else:
            summed = _mass(values, weight)
            names, mass = summed["value"].to_list(), summed["weight"].to_numpy()
        place = np.array([0 if name is None else self._places.get(name, 1) for name in names], dtype=np.int64)
        return _rounded(np.bincount(place, mass, minlength=len(self.counts)).astype(np.float64))

    @cached_property
    def sets(self) -> Bools:
        """Each cell, and all but each (2 cells, cells)."""
        each = np.eye(len(self.counts), dtype=np.bool_)
        return np.concatenate([each, ~each])

    def said(self, place: int) -> str:
        """Say which values are in a set: ``"missing"``, ``"another name"``, ``"http"``, ``"not http"``."""
        words = (MISSING, OTHER, *self.names)
        without, cell = divmod(place, len(words))
        return f"not {words[cell]}" if without else words[cell]

    def to_dict(self) -> dict[str, Any]:
        """Write the column in types that JSON has."""
        return {"name": self.name, "names": list(self.names), "counts": self.counts.tolist()}

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.names, 2)}


def column_of(name: str, values: pl.Series, weight: Weights | None = None) -> Numbers | Names | None:
    """Count the training values of a column in cells.

    Args:
        name: of the column.
        values: n values.
        weight: how many rows each value stands for, or importances (n,).

    Returns:
        The column, or nothing where its type has neither order nor names that recur (lists, dates).
    """
    mass = observations(weight, len(values))
    if values.dtype.is_numeric() or isinstance(values.dtype, pl.Duration):
        return Numbers.of(name, values, mass)
    if is_text(values.dtype) or isinstance(values.dtype, pl.Boolean | pl.Null):
        return Names.of(name, values, mass)
    return None


def from_dict(written: Mapping[str, Any]) -> Numbers | Names:
    """Read a column that :meth:`Column.to_dict` wrote.

    Raises:
        DataError: if cells are missing or not rising, or a count is negative.
    """
    named = "names" in written
    bounds, counts = written["names" if named else "edges"], np.asarray(written["counts"], dtype=np.int64)
    if len(counts) != len(bounds) + 2 or (counts < 0).any():
        found = f"{len(counts)} counts for {len(bounds)} bounds or names"
        raise DataError(f"column {written['name']!r} of a profile must have two counts more than bounds, found {found}")
    if named:
        return Names(written["name"], tuple(map(str, bounds)), counts)
    edges = np.asarray(bounds, dtype=np.float64)
    if not np.isfinite(edges).all() or (np.diff(edges) <= 0).any():
        raise DataError(
            f"bounds of column {written['name']!r} of a profile must rise, found {bounds[:5]}: make it again"
        )
    return Numbers(written["name"], edges, counts, bool(written.get("whole", False)))


def floats(values: pl.Series) -> Floats:
    """Numbers as floats and stretches of time in seconds; missing values and what is no number are NaN."""
    if isinstance(values.dtype, pl.Duration):
        values = values.dt.total_microseconds() / 1e6
    if values.dtype.is_nested():
        return np.full(len(values), np.nan)
    if values.dtype.is_float() or (values.dtype.is_integer() and values.dtype not in WIDE):
        return values.to_numpy().astype(np.float64, copy=False)
    return np.asarray(values.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy())


def _mass(values: pl.Series, weight: Floats) -> pl.DataFrame:
    """Names with the sum of their weights: ``value``, ``weight``."""
    return pl.DataFrame({"value": _texts(values), "weight": weight}).group_by("value").agg(pl.col("weight").sum())


def _texts(values: pl.Series) -> pl.Series:
    """Names as texts; what is neither name nor number is another name."""
    if values.dtype.is_nested():
        return pl.Series(["\0"] * len(values), dtype=pl.String)
    return values.cast(pl.String)


def _placed(values: Floats, edges: Floats, weight: Floats | None) -> Floats:
    """How much lies in each cell, the missing first."""
    place = np.searchsorted(edges, values, side="right") + 1
    place[np.isnan(values)] = 0
    return np.bincount(place, weight, minlength=len(edges) + 2).astype(np.float64)


def _edges(distinct: Floats, mass: Floats, whole: bool) -> Floats:
    """Bounds between distinct values, rising."""
    if not distinct.size:
        return np.zeros(0)
    below = np.concatenate([[0.0], np.cumsum(mass)])
    total = below[-1]
    cuts = np.flatnonzero((below >= FEWEST) & (below <= total - FEWEST))
    near = [cuts[np.abs(below[cuts] - level * total).argmin()] for level in LEVELS if cuts.size]
    heavy = np.flatnonzero(mass >= HEAVY * total)
    chosen = np.unique(np.concatenate([near, heavy, heavy + 1]).astype(np.int64))
    margin = 0.5 if whole else MARGIN * (_span(distinct) or abs(float(distinct[0])) or 1.0)
    bounds = [_bound(distinct, int(cut), margin) for cut in chosen]
    return np.unique(np.array([bound for bound in bounds if np.isfinite(bound)]))


def _span(distinct: Floats) -> float:
    finite = distinct[np.isfinite(distinct)]
    return float(np.clip(finite[-1] / 2 - finite[0] / 2, 0, None)) * 2 if finite.size else 0.0


def _bound(distinct: Floats, cut: int, margin: float) -> float:
    """A number above ``distinct[cut - 1]`` and at most ``distinct[cut]``, with few digits."""
    low = float(distinct[cut - 1]) if cut else float(distinct[0]) - margin
    high = float(distinct[cut]) if cut < len(distinct) else float(distinct[-1]) + margin
    if not (np.isfinite(low) and np.isfinite(high)):
        return low + margin if np.isfinite(low) else high if np.isfinite(high) else float("nan")
    middle = low / 2 + high / 2
    for digits in range(1, 17):
        short = float(f"{middle:.{digits}g}")
        if low < short < high:
            return short
    return high


def _rounded(mass: Floats) -> Ints:
    return np.rint(mass).astype(np.int64)


def _number(value: float) -> str:
    """Write a bound to be read."""
    if value == round(value) and abs(value) < 10.0**DIGITS:
        return f"{value:,.0f}"
    return f"{value:,.{DIGITS - 2}g}" if abs(value) < 10.0**DIGITS else f"{value:.3g}"
