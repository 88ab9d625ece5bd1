"""What is usual in a column of normal training rows, in words that stand beside a new value.

Only a summary is kept: a range and a median, or the share of each of a few hundred names; never a row.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import polars as pl

from utils.datasets.dtypes import is_text
from utils.evaluation.inputs import Floats

RANGE = (0.05, 0.95)
"""The usual range of a number lies between these quantiles of the normal training rows."""

MOST_NAMES = 1_000
"""A column of more names than this repeats none often enough for their shares to say anything; they are not kept."""

FEW_NUMBERS = 2
"""Numbers that take no more values than this are read as names, such as 0 and 1."""

WORTH_SAYING = 0.05
"""Share of missing values from which on a missing value is usual."""

LONGEST_NAME = 40
SCIENTIFIC = (1e-4, 1e15)
SECONDS = " s"
AS_USUAL = ", as usual"


class Usual(Protocol):
    """What is usual in one column."""

    @property
    def usual(self) -> str:
        """The usual values in words: ``105 to 8,314, median 1,032`` or ``SF (62 %)``."""

    def written(self, values: pl.Series) -> list[str]:
        """Write new values in words, shape (n,)."""

    def compared(self, values: pl.Series) -> list[str]:
        """Write new values beside what is usual, as the end of a sentence, shape (n,)."""


@dataclass(frozen=True)
class UsualNumbers:
    """Range and median of a column of numbers.

    Attributes:
        low: its 5 % quantile; NaN if there is no number.
        median: its median.
        high: its 95 % quantile.
        at_median: share of the rows whose value is the median.
        missing: share of the rows without a finite value.
        unit: written behind each value.
    """

    low: float
    median: float
    high: float
    at_median: float
    missing: float
    unit: str = ""

    @property
    def usual(self) -> str:
        """Range and median; one value with its share where the range is a single value."""
        if np.isnan(self.low):
            return _share_of("missing", self.missing)
        if self.low == self.high:
            said = _share_of(number(self.median) + self.unit, self.at_median)
        else:
            said = f"{number(self.low)} to {number(self.high)}{self.unit}, median {number(self.median)}{self.unit}"
        return f"{said}, missing {percent(self.missing)}" if self.missing >= WORTH_SAYING else said

    def written(self, values: pl.Series) -> list[str]:
        """Write new values in words, shape (n,)."""
        missing = _share_of("missing", self.missing)
        return [missing if value != value else number(value) + self.unit for value in _floats(values).tolist()]

    def compared(self, values: pl.Series) -> list[str]:
        """Write new values beside range and median, as the end of a sentence, shape (n,)."""
        found = _floats(values)
        alike = "as" if self.low == self.high else "within the"
        relations = np.where((found >= self.low) & (found <= self.high), f"{alike} usual", "usually").tolist()
        usual = self.usual
        return [f"{value}, {how} {usual}" for value, how in zip(self.written(values), relations, strict=True)]


@dataclass(frozen=True)
class UsualNames:
    """Shares of the names in a column of names, truth values or codes.

    Attributes:
        shares: share of the rows of each name; of the most frequent only if there are more than 1,000.
        several: how many names there are.
        missing: share of the rows without one.
        numeric: whether the names are numbers.
    """

    shares: Mapping[str, float] = field(repr=False)
    several: int
    missing: float
    numeric: bool = False

    @property
    def most_frequent(self) -> str | None:
        """The most frequent name, or none if missing values are more frequent."""
        name = next(iter(self.shares), None)
        return name if name is not None and self.shares[name] >= self.missing else None

    @property
    def usual(self) -> str:
        """The most frequent name with its share."""
        name = self.most_frequent
        said = _share_of("missing", self.missing) if name is None else _share_of(name, self.shares[name])
        return said if self._all_kept else f"one of {self.several:,} values, most often {said}"

    def written(self, values: pl.Series) -> list[str]:
        """Write new values with their share in training in words, shape (n,)."""
        found = self._names(values)
        words = {name: self._said(name) for name in set(found)}
        return [words[name] for name in found]

    def compared(self, values: pl.Series) -> list[str]:
        """Write new values beside the most frequent one, as the end of a sentence, shape (n,)."""
        found, usual, frequent = self._names(values), self.usual, self.most_frequent
        words = {
            name: self._said(name) + (AS_USUAL if name == frequent else f", usually {usual}") for name in set(found)
        }
        return [words[name] for name in found]

    @property
    def _all_kept(self) -> bool:
        return len(self.shares) == self.several

    def _said(self, name: str | None) -> str:
        if name is None:
            return _share_of("missing", self.missing)
        if name not in self.shares and not self._all_kept:
            return quoted(name)
        return _share_of(name, self.shares.get(name, 0.0))

    def _names(self, values: pl.Series) -> list[str | None]:
        return _names(values, numeric=self.numeric)


def usual_values(values: pl.Series, weight: Floats, *, nominal: bool = False) -> Usual:
    """Summarise a column of normal training rows.

    Args:
        values: n values of any type; whatever is no number is read as a name.
        weight: how much each counts, shape (n,).
        nominal: whether numbers are names, such as codes.
    """
    numeric = values.dtype.is_numeric()
    if not (numeric or isinstance(values.dtype, pl.Duration)):
        return _usual_names(values, weight, numeric=False)
    if numeric and (nominal or values.cast(pl.Float64).drop_nulls().drop_nans().n_unique() <= FEW_NUMBERS):
        return _usual_names(values, weight, numeric=True)
    return _usual_numbers(values, weight)


def number(value: float) -> str:
    """Write a number to be read: thousands apart, four digits, powers of ten only where there are many."""
    if not np.isfinite(value):
        return "missing" if np.isnan(value) else "infinite" if value > 0 else "minus infinite"
    size = abs(value)
    if size >= SCIENTIFIC[1] or 0 < size < SCIENTIFIC[0]:
        return f"{value:.3g}"
    if value == round(value):
        return f"{value:,.0f}"
    return f"{value:,.1f}" if size >= 1_000 else f"{value:.4g}"


def percent(share: float) -> str:
    """Write a share: ``62 %``, ``3.1 %``, ``under 0.1 %``."""
    if 0 < share < 0.001:
        return "under 0.1 %"
    if 0.999 < share < 1:
        return "over 99.9 %"
    digits = 0 if 0.0995 <= share <= 0.9905 or share in (0, 1) else 1
    return f"{100 * share:.{digits}f} %"


def quoted(name: str) -> str:
    """Write a name as it is if it can be read, else in quotation marks; cut where it is long."""
    short = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
    return short if short and short.isprintable() and short == short.strip() else repr(short)


def _usual_numbers(values: pl.Series, weight: Floats) -> UsualNumbers:
    every = _floats(values)
    known = np.isfinite(every)
    found, mass = every[known], weight[known]
    total, unit = float(weight.sum()), SECONDS if isinstance(values.dtype, pl.Duration) else ""
    missing = 1 - float(mass.sum()) / total
    if not mass.any():
        return UsualNumbers(np.nan, np.nan, np.nan, 0.0, 1.0, unit)
    wanted = (RANGE[0], 0.5, RANGE[1])
    low, median, high = np.quantile(found, wanted, weights=mass, method="inverted_cdf").tolist()
    at_median = float(mass[found == median].sum()) / total
    return UsualNumbers(low, median, high, at_median, max(missing, 0.0) if not known.all() else 0.0, unit)


def _usual_names(values: pl.Series, weight: Floats, *, numeric: bool) -> UsualNames:
    counts = _mass(pl.Series("value", values), weight)
    names = pl.Series("value", _names(counts["value"], numeric=numeric), dtype=pl.String)
    counts = _mass(names, counts["weight"].to_numpy()).sort("weight", "value", descending=[True, False])
    known = counts.drop_nulls("value")
    total = float(weight.sum())
    absent = total - float(known["weight"].sum()) if known.height < counts.height else 0.0
    kept = known if known.height <= MOST_NAMES else known.head(1)
    shares = {name: mass / total for name, mass in kept.iter_rows()}
    return UsualNames(shares, known.height, absent / total, numeric)


def _mass(values: pl.Series, weight: Floats) -> pl.DataFrame:
    """Distinct values with the sum of their weights: ``value``, ``weight``."""
    return pl.DataFrame([values, pl.Series("weight", weight)]).group_by("value").agg(pl.col("weight").sum())


def _floats(values: pl.Series) -> Floats:
    """Numbers as floats and stretches of time in seconds; missing ones NaN."""
    if isinstance(values.dtype, pl.Duration):
        values = values.dt.total_microseconds() / 1e6
    return np.asarray(values.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy())


def _names(values: pl.Series, *, numeric: bool) -> list[str | None]:
    """Values as names; missing ones are None."""
    if numeric:
        return [None if value != value else number(value) for value in _floats(values).tolist()]
    if isinstance(values.dtype, pl.String):
        return values.to_list()
    if is_text(values.dtype) or isinstance(values.dtype, pl.Boolean | pl.Null):
        return values.cast(pl.String).to_list()
    return [None if value is None else str(value) for value in values.to_list()]


def _share_of(name: str, share: float) -> str:
    return f"{quoted(name)} ({percent(share) if share > 0 else 'never seen'})"
