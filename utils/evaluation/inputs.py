"""Labels, scores, decisions, weights and groups as checked arrays: what all functions of evaluation and rules take.

A *weight* says how a row counts, and its type says what it is:

* whole numbers (an integer column) are **counts**: the row stands for so many equal units. Everything is computed as if
  the row were written down so many times, sizes and intervals included.
* other numbers (a float column) are **importances**: the row counts for so much but is still one observation. Values
  are weighted; sizes count rows, and intervals resample rows.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from utils.errors import DataError

Values = ArrayLike | pl.Series
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Weights = Ints | Floats
LARGEST = float(np.finfo(np.float64).max)
TIME_UNITS = ("ms", "us", "ns")
"""Resolutions that numpy and polars share; others are read as microseconds."""


def as_series(values: Values) -> pl.Series:
    """Take values of any type as a series; nothing is checked."""
    if isinstance(values, pl.Series):
        return values
    if isinstance(values, Sequence):
        return _of_objects(list(values))
    array = np.asarray(values)
    if array.dtype == object:
        return _of_objects(array.tolist())
    if array.dtype.kind in "mM" and np.datetime_data(array.dtype)[0] not in TIME_UNITS:
        array = array.astype(f"{array.dtype.kind}8[us]")
    return pl.Series(array)


def without_nan(series: pl.Series) -> pl.Series:
    """Write NaN, by which other libraries mean a missing value, as one."""
    return series.fill_nan(None) if series.dtype.is_float() else series


def as_labels(y: Values, rows: int | None = None, what: str = "labels") -> Bools:
    """Read verdicts: true (or 1) for an anomaly.

    Args:
        y: one value a row, Boolean or 0 and 1.
        rows: how many there must be; ``None`` for any number.
        what: how an error calls them.

    Returns:
        Boolean array (n,).

    Raises:
        DataError: if there are not ``rows`` values, or one is missing or neither true nor false.
    """
    series = _series(y, rows, what)
    if series.dtype == pl.Boolean:
        return np.asarray(series.to_numpy(), dtype=np.bool_)
    values = _numbers(series, what, "true or false (or 1 and 0)")
    odd = values[(values != 0) & (values != 1)]
    if odd.size:
        raise DataError(f"{what} must be true or false (or 1 and 0), found {odd[0]:g}: compare or map the values first")
    return np.asarray(values == 1)


def as_decisions(decisions: Values, rows: int) -> Bools:
    """Read decisions: true (or 1) for an alarm; errors as :func:`as_labels`."""
    return as_labels(decisions, rows, "decisions")


def as_scores(scores: Values, rows: int | None = None, what: str = "scores") -> Floats:
    """Read scores: one number a row, higher = more abnormal; infinite ones are fine.

    Raises:
        DataError: if there are not ``rows`` scores, or one is missing, NaN or no number.
    """
    if (
        isinstance(scores, np.ndarray)
        and scores.dtype == np.float64
        and scores.ndim == 1
        and rows in (None, len(scores))
    ):
        values: Floats = scores
    else:
        values = _numbers(_series(scores, rows, what), what, "numbers")
    if nan := int(np.isnan(values).sum()):
        found = f"found NaN in {nan:,} of {values.size:,} rows"
        raise DataError(f"{what} must be numbers, {found}: score these rows or leave them out")
    return values


def finite_scores(scores: Values) -> Floats:
    """Read scores; endless ones become the largest number there is, so that a threshold can stand beyond them.

    Raises:
        DataError: as :func:`as_scores`.
    """
    return np.clip(as_scores(scores), -LARGEST, LARGEST)


def as_weights(weight: Values | None, rows: int) -> Weights | None:
    """Read weights: whole numbers stay counts (int64), others are importances (float64).

    Raises:
        DataError: if their number is not ``rows``, or one is missing, negative or not finite.
    """
    if weight is None:
        return None
    series = _series(weight, rows, "weights")
    whole = series.dtype.is_integer() or series.dtype == pl.Boolean
    values = _numbers(series, "weights", "numbers")
    wrong = int((~(np.isfinite(values) & (values >= 0))).sum())
    if wrong:
        raise DataError(f"weights must be finite and not negative, found {wrong:,} others: correct them")
    return values.astype(np.int64) if whole else values


def observations(weight: Weights | None, rows: int) -> Floats:
    """Weights as numbers of observations, 1 for each row without weights.

    Counts stay what they are. Importances are scaled to a mean of 1: a row is one observation, whatever it weighs.

    Args:
        weight: checked weights of some rows, one of them above 0 (rows,).
        rows: number of rows.
    """
    if weight is None:
        return np.ones(rows)
    return weight.astype(np.float64) if weight.dtype == np.int64 else weight / weight.mean()


def normal_rows(y: Values | None, weight: Values | None, rows: int, purpose: str) -> tuple[Bools, Weights | None]:
    """Find the rows that something is learned from: normals that have a weight.

    Args:
        y: verdicts (rows,); ``None`` if all rows are normal.
        weight: counts or importances (rows,).
        rows: number of rows.
        purpose: what is done with them, the beginning of an error ("limits are learned from").

    Returns:
        Which rows they are (rows,), and their weights, if any were given.

    Raises:
        DataError: if there is none, or labels or weights are not usable.
    """
    mass = as_weights(weight, rows)
    normal = np.ones(rows, dtype=np.bool_) if y is None else ~as_labels(y, rows)
    if mass is not None:
        normal &= mass > 0
    if not normal.any():
        raise DataError(f"{purpose} normal rows, found none in {rows:,} rows: hold some back or give others")
    return normal, None if mass is None else mass[normal]


def require_both_classes(anomalous: Bools, weight: Weights | None) -> None:
    """Check that anomalies and normals are there, each with a weight.

    Raises:
        DataError: if one is not.
    """
    weighing = anomalous if weight is None else anomalous[weight > 0]
    if anomalous.size and not weighing.size:
        raise DataError(f"one weight must be above 0, found {anomalous.size:,} zeros: say how much each row counts")
    found = int(weighing.sum())
    if not 0 < found < weighing.size:
        among = f"found {found:,} anomalies in {weighing.size:,} rows"
        raise DataError(f"anomalies and normals are both needed, {among}: add the others")


def as_fraction(number: float, what: str, remedy: str) -> float:
    """Check a number that must lie between 0 and 1, neither of them included.

    Args:
        number: the number.
        what: how an error calls it.
        remedy: what an error says is to be done.

    Raises:
        DataError: if it does not.
    """
    if not 0 < number < 1:
        raise DataError(f"{what} must lie between 0 and 1, found {number}: {remedy}")
    return float(number)


def as_test_share(share: float) -> float:
    """Check the share of rows that go to a test part.

    Raises:
        DataError: if it does not lie between 0 and 1.
    """
    return as_fraction(share, "the test share", "write a fifth as 0.2")


def as_alarm_rate(rate: float) -> float:
    """Check an alarm rate.

    Raises:
        DataError: if it does not lie between 0 and 1.
    """
    return as_fraction(rate, "an alarm rate", "give a share such as 0.05")


def as_names(values: Values, rows: int, what: str) -> pl.Series:
    """Read one name a row (anomaly types, classes) as texts; NaN is missing.

    Raises:
        DataError: if their number is not ``rows`` or one is missing.
    """
    return _series(without_nan(as_series(values)), rows, what).cast(pl.String)


def codes(values: Values, rows: int | None = None, what: str = "groups") -> Ints:
    """Number the distinct values 0, 1, ... in order of first appearance; a missing value (null, NaN) stands alone.

    Args:
        values: one value a row, of any type (rows,).
        rows: how many there must be; ``None`` for any number.
        what: how an error calls them.

    Returns:
        The number of each row's value (rows,).

    Raises:
        DataError: if there are not ``rows`` values.
    """
    series = without_nan(as_series(values))
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


def _of_objects(values: list[Any]) -> pl.Series:
    """Make a series of Python objects: numbers of several types become one type that holds them all."""
    try:
        return pl.Series(values)
    except TypeError:
        plain = [value.item() if isinstance(value, np.generic) else value for value in values]
        return pl.Series(plain, strict=False)


def _series(values: Values, rows: int | None, what: str) -> pl.Series:
    """Take values as a series without gaps.

    Raises:
        DataError: if there are not ``rows`` values, one is missing or there are several columns.
    """
    series = as_series(values)
    if rows is not None:
        _require_length(series, rows, what)
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


def _require_length(values: pl.Series, rows: int, what: str) -> None:
    if len(values) != rows:
        raise DataError(f"{what} must be given for each of {rows:,} rows, found {len(values):,}: take the same rows")
