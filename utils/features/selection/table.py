"""What all measures of single features need: the rows that count, their labels and weights."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from utils.datasets import require
from utils.datasets.contract import ANOMALY_TYPE, LABEL
from utils.datasets.dtypes import is_ordered, is_text
from utils.datasets.wording import listed
from utils.errors import DataError, SchemaError
from utils.features.target_encoding import Codes, Numbers


@dataclass(frozen=True)
class Labelled:
    """Rows with a label.

    Attributes:
        frame: the features, one row a labelled row.
        label: (n,) 0 or 1.
        weight: (n,) what each row counts.
    """

    frame: pl.DataFrame
    label: Codes
    weight: Numbers

    @property
    def usable(self) -> bool:
        """Whether both classes are there, with a weight."""
        return all(self.weight[self.label == one_class].sum() > 0 for one_class in (0, 1))


def feature_names(frame: pl.DataFrame, features: Sequence[str] | None, label: str | None = None) -> list[str]:
    """Names of the features to look at: those given, else all columns that are not the label.

    Raises:
        SchemaError: if one is missing, named twice, or of a type that has no order and no categories.
    """
    taken = {label, LABEL, ANOMALY_TYPE}
    names = [name for name in frame.columns if name not in taken] if features is None else list(features)
    require.columns(frame, names, "the table of features")
    if len(set(names)) < len(names) or (label is not None and label in names):
        raise SchemaError(f"features must be named once and without the label, found {listed(names)}: correct the list")
    if wrong := [name for name in names if not _is_measurable(frame.schema[name])]:
        found = f"feature {wrong[0]!r} must hold numbers, truth values, times or texts, found {frame.schema[wrong[0]]}"
        raise SchemaError(f"{found}: leave it out")
    return names


def labelled(
    frame: pl.DataFrame, label: str, features: Sequence[str] | None = None, weight: str | None = None
) -> Labelled:
    """Take the rows that have a label.

    Args:
        frame: any table.
        label: Boolean column; rows without it are left out.
        features: columns to keep; ``None`` for all but label and weight.
        weight: column with what each row counts; ``None`` for 1.

    Raises:
        SchemaError: if a column is missing or of the wrong type.
        DataError: if a weight is missing, negative or not finite.
    """
    if label not in frame.columns or not isinstance(frame.schema[label], pl.Boolean):
        found = frame.schema[label] if label in frame.columns else f"the columns {listed(frame.columns)}"
        raise SchemaError(f"label {label!r} must be a Boolean column, found {found}: name the label column")
    names = [name for name in feature_names(frame, features, label) if name != weight]
    rows = frame.filter(pl.col(label).is_not_null())
    return Labelled(rows.select(names), rows[label].cast(pl.Int64).to_numpy(), weights(rows, weight))


def weights(frame: pl.DataFrame, weight: str | None) -> Numbers:
    """What each row counts: (n,) numbers, 1 without a weight column.

    Raises:
        SchemaError: if the column is missing or holds no numbers.
        DataError: if a weight is missing, negative or not finite.
    """
    if weight is None:
        return np.ones(frame.height)
    if weight not in frame.columns or not frame.schema[weight].is_numeric():
        found = frame.schema[weight] if weight in frame.columns else f"the columns {listed(frame.columns)}"
        raise SchemaError(f"weight {weight!r} must be a column of numbers, found {found}: name the weight column")
    values = frame[weight].cast(pl.Float64).to_numpy()
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise DataError(f"weights {weight!r} must be finite and not negative, found others: correct the column")
    return values


def numeric(frame: pl.DataFrame, names: Sequence[str]) -> list[str]:
    """Those of the columns that hold numbers or truth values."""
    return [name for name in names if frame.schema[name].is_numeric() or isinstance(frame.schema[name], pl.Boolean)]


def _is_measurable(dtype: pl.DataType) -> bool:
    return is_ordered(dtype) or is_text(dtype) or isinstance(dtype, pl.Null)
