"""Columns that a rule may read: which ones, as what numbers, and how values are written in a sentence."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from sklearn.base import BaseEstimator

from utils.datasets import require
from utils.datasets.contract import ANOMALY_TYPE, LABEL, Roles
from utils.datasets.dtypes import is_text
from utils.errors import DataError, SchemaError
from utils.evaluation.inputs import LARGEST, Bools, Floats
from utils.evaluation.thresholds import ROUNDING, Threshold

HIGHEST = LARGEST / 2
"""Largest size of a value that a rule sees; endless values are cut to it, so that a threshold can lie beyond."""

LONGEST_TEXT = 40
"""Characters of a value that a sentence quotes."""

REFUSED = {
    "identity": "recognise who it was (an identifier, address or port) and not what happened",
    "time": "recognise when it was recorded and not what happened",
    "label": "repeat the label",
    "anomaly_type": "repeat the label",
    "group": "recognise the group and not what happened",
    "split": "recognise the published split and not what happened",
    "sequence": "compare the numbers of sequences, which say nothing about what is in them",
}


class Rule(BaseEstimator):  # type: ignore[misc]
    """What every rule can do once it is fitted."""

    threshold_: Threshold

    def score_samples(self, X: pl.DataFrame) -> Floats:
        """Score rows; HIGHER is more abnormal (see the rule)."""
        raise NotImplementedError

    def predict(self, X: pl.DataFrame) -> Bools:
        """Tell which rows the rule calls anomalous.

        Args:
            X: frame with the columns of ``fit``, n rows; may be empty.

        Returns:
            True where anomalous, length n.

        Raises:
            SchemaError: if a column is missing or of the wrong type.
        """
        scores = self.score_samples(X)
        return self.threshold_.predict(scores)


def usable_columns(
    X: pl.DataFrame, features: Sequence[str] | None, roles: Roles | None = None, refuse: Sequence[str] = ()
) -> list[str]:
    """Name the columns that a rule may use.

    Args:
        X: any frame.
        features: columns that are asked for; by default the features that ``roles`` names, else all columns that can
            carry a rule and are not refused.
        roles: what the columns mean.
        refuse: further columns that are refused.

    Returns:
        The names, in order.

    Raises:
        DataError: if a column that is asked for is refused, or none is left.
        SchemaError: if ``X`` is no polars frame, or a column is missing or cannot carry a rule.
    """
    require.frame(X, "the table of a rule")
    reasons = _refusals(roles) | dict.fromkeys(refuse, "use a column that you refused")
    if features is not None:
        names = list(dict.fromkeys(features))
        _check_asked(X, names, reasons)
    else:
        offered = roles.features if roles and roles.features else tuple(X.columns)
        names = [name for name in offered if name not in reasons and _can_carry(column_of(X, name).dtype)]
    if not names:
        raise DataError(f"a rule needs a column, found none to use among {X.columns}: name features")
    return names


def column_of(X: pl.DataFrame, name: str) -> pl.Series:
    """Return one column.

    Raises:
        SchemaError: if it is missing.
    """
    require.columns(X, [name], "the table of a rule")
    return X[name]


def numbers(column: pl.Series) -> Floats:
    """Values as floats: missing ones are NaN, endless ones the largest that a rule sees.

    Raises:
        SchemaError: if the column is neither numeric nor Boolean.
    """
    if not (column.dtype.is_numeric() or column.dtype == pl.Boolean):
        name, found = column.name, column.dtype
        raise SchemaError(f"column {name!r} must hold numbers for this rule, found {found}: convert it or leave it out")
    values = column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return np.asarray(np.clip(values, -HIGHEST, HIGHEST))


def texts(column: pl.Series) -> pl.Series:
    """Values as texts.

    Raises:
        SchemaError: if values cannot be written as texts.
    """
    if column.dtype.is_nested() or column.dtype in (pl.Object, pl.Binary):
        found = column.dtype
        raise SchemaError(f"column {column.name!r} must hold single values, found {found}: leave it out")
    return (column.to_physical() if isinstance(column.dtype, pl.Duration) else column).cast(pl.String)


def below(lowest: float, threshold: float) -> float:
    """A score below the lowest one seen and below the threshold: that of a missing value."""
    bound = min(lowest, threshold)
    return bound - max(1.0, abs(bound)) * ROUNDING


def written(value: object, *, whole: bool = False) -> str:
    """Write a value of a column into a sentence."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "missing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) or (whole and isinstance(value, float) and np.isfinite(value)):
        return str(int(value))
    return f"{value:.6g}" if isinstance(value, float) else _quoted(str(value))


def any_of(features: Sequence[str]) -> str:
    """Name the one feature, or say how many there are."""
    return features[0] if len(features) == 1 else f"one of {len(features)} features"


def _quoted(text: str) -> str:
    return repr(text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…")


def _can_carry(dtype: pl.DataType) -> bool:
    return dtype.is_numeric() or dtype == pl.Boolean or is_text(dtype)


def _refusals(roles: Roles | None) -> dict[str, str]:
    """What a rule on each refused column would do."""
    reasons = dict.fromkeys((LABEL, ANOMALY_TYPE), REFUSED["label"])
    if roles is None:
        return reasons
    for role, reason in REFUSED.items():
        held = getattr(roles, role)
        reasons |= dict.fromkeys(held if isinstance(held, tuple) else [held] if held else [], reason)
    return reasons | {name: f"use a withheld column, which {reason}" for name, reason in roles.withheld.items()}


def _check_asked(X: pl.DataFrame, names: Sequence[str], reasons: dict[str, str]) -> None:
    for name in names:
        if name in reasons:
            raise DataError(f"a rule on {name!r} would {reasons[name]}: leave this column out of the features")
        if not _can_carry(column_of(X, name).dtype):
            found = X.schema[name]
            raise SchemaError(f"column {name!r} must hold numbers, truth values or names, found {found}: leave it out")
