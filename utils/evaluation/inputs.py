"""Labels, scores, decisions, weights and groups as checked arrays: what every function of the package takes.

A *weight* says how a row counts, and its type says what it is:

* whole numbers (an integer column) are **counts**: the row stands for so many equal units. Everything is computed as if
  the row were written down so many times, sizes and intervals included.
* other numbers (a float column) are **importances**: the row counts for so much but is still one observation. Values
  are weighted; sizes count rows, and intervals resample rows.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from utils.errors import DataError

Values = ArrayLike | pl.Series
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Weights = Ints | Floats
NAMED = 5
"""Names that an error lists."""

TIME_UNITS = ("ms", "us", "ns")
"""Resolutions that numpy and polars share; others are read as microseconds."""


def as_series(values: Values) -> pl.Series:
    """Take values of any type as a series; nothing is checked."""
    if isinstance(values, pl.Series):
        return values
    if isinstance(values, Sequence):
        return pl.Series(list(values))
    array = np.asarray(values)
    if array.dtype.kind in "mM" and np.datetime_data(array.dtype)[0] not in TIME_UNITS:
        array = array.astype(f"{array.dtype.kind}8[us]")
    return pl.Series(array.tolist() if array.dtype == object else array)


def as_labels(y: Values, what: str = "labels") -> Bools:
    """Read verdicts: true (or 1) for an anomaly.

    Args:
        y: one value a row, Boolean or 0 and 1.
        what: how an error calls them.

    Returns:
        Boolean array (n,).

    Raises:
        DataError: if a value is missing or is neither true nor false.
    """
    series = _series(y, what)
    if series.dtype == pl.Boolean:
        return np.asarray(series.to_numpy(), dtype=np.bool_)
    values = _numbers(series, what, "true or false (or 1 and 0)")
    odd = values[(values != 0) & (values != 1)]
    if odd.size:
        raise DataError(f"{what} must be true or false (or 1 and 0), found {odd[0]:g}: compare or map the values first")
    return np.asarray(values == 1)


def as_scores(scores: Values, rows: int, what: str = "scores") -> Floats:
    """Read scores: one number a row, higher = more abnormal; infinite ones are fine.

    Raises:
        DataError: if their number is not ``rows``, or one is missing or NaN.
    """
    values = _numbers(_series(scores, what), what, "numbers")
    _require_length(values, rows, what)
    if np.isnan(values).any():
        raise DataError(f"{what} must be numbers, found NaN in {int(np.isnan(values).sum()):,} of {rows:,} rows: score")
    return values


def as_decisions(decisions: Values, rows: int, what: str = "decisions") -> Bools:
    """Read decisions: true (or 1) for an alarm.

    Raises:
        DataError: if their number is not ``rows``, or one is missing or neither true nor false.
    """
    alarms = as_labels(decisions, what)
    _require_length(alarms, rows, what)
    return alarms


def as_weights(weight: Values | None, rows: int) -> Weights | None:
    """Read weights: whole numbers stay counts (int64), others are importances (float64).

    Raises:
        DataError: if their number is not ``rows``, or one is missing, negative or not finite.
    """
    if weight is None:
        return None
    series = _series(weight, "weights")
    whole = series.dtype.is_integer() or series.dtype == pl.Boolean
    values = _numbers(series, "weights", "numbers")
    _require_length(values, rows, "weights")
    wrong = int((~(np.isfinite(values) & (values >= 0))).sum())
    if wrong:
        raise DataError(f"weights must be finite and not negative, found {wrong:,} others: correct them")
    return values.astype(np.int64) if whole else values


def as_names(values: Values, rows: int, what: str) -> pl.Series:
    """Read one name a row (anomaly types, classes) as texts.

    Raises:
        DataError: if their number is not ``rows`` or one is missing.
    """
    series = _series(values, what)
    _require_length(series, rows, what)
    return series.cast(pl.String)


def codes(values: Values, rows: int | None = None, what: str = "groups") -> Ints:
    """Number the distinct values 0, 1, ... in order of first appearance; a missing value stands alone.

    Args:
        values: one value a row, of any type (rows,).
        rows: how many there must be; ``None`` for any number.
        what: how an error calls them.

    Returns:
        The number of each row's value (rows,).

    Raises:
        DataError: if there are not ``rows`` values.
    """
    series = as_series(values)
    if rows is not None:
        _require_length(series, rows, what)
    if not series.null_count():
        return row_codes(pl.DataFrame({"value": series}))
    alone = pl.when(pl.col("value").is_null()).then(pl.int_range(pl.len()))
    return row_codes(pl.DataFrame({"value": series}).with_columns(alone.alias("alone")))


def row_codes(frame: pl.DataFrame) -> Ints:
    """Number the distinct rows of a frame 0, 1, ... in order of first appearance; missing values are equal (rows,)."""
    keys = frame.lazy().rename({name: str(place) for place, name in enumerate(frame.columns)})
    groups = keys.with_row_index("row").group_by(pl.exclude("row"), maintain_order=True).agg("row")
    numbered = groups.select("row").with_row_index("code").explode("row").sort("row").collect()
    return np.asarray(numbered["code"].to_numpy(), dtype=np.int64)


def listed(names: Sequence[object]) -> str:
    """Write a list of names into a sentence, the first few of many."""
    shown = ", ".join(repr(name) for name in names[:NAMED])
    return f"{shown} and {len(names) - NAMED:,} more" if len(names) > NAMED else shown


def _series(values: Values, what: str) -> pl.Series:
    """Take values as a series without gaps.

    Raises:
        DataError: if a value is missing or there are several columns.
    """
    series = as_series(values)
    if series.dtype in (pl.List, pl.Array):
        raise DataError(f"{what} must be one value a row, found {series.dtype}: give one column")
    missing = series.null_count()
    if missing:
        raise DataError(f"{what} must be known in every row, found {missing:,} of {len(series):,} missing: leave out")
    return series


def _numbers(series: pl.Series, what: str, expected: str) -> Floats:
    if not (series.dtype.is_numeric() or series.dtype == pl.Boolean) and len(series):
        raise DataError(f"{what} must be {expected}, found {series.dtype}: convert them first")
    return series.cast(pl.Float64).to_numpy()


def _require_length(values: pl.Series | np.ndarray, rows: int, what: str) -> None:
    if len(values) != rows:
        raise DataError(f"{what} must be given for each of {rows:,} rows, found {len(values):,}: take the same rows")
