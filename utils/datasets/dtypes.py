"""What values of a polars type are good for: names, or something that has a size."""

import polars as pl


def is_text(dtype: pl.DataType | None) -> bool:
    """Whether values of a type are names: texts or categories."""
    return isinstance(dtype, pl.String | pl.Categorical | pl.Enum)


def is_ordered(dtype: pl.DataType) -> bool:
    """Whether values of a type have a size: numbers, truth values, times."""
    return dtype.is_numeric() or dtype.is_temporal() or isinstance(dtype, pl.Boolean)
