"""Features that say nothing because they are missing or always the same."""

from collections.abc import Sequence

import polars as pl

from utils.features.selection.table import feature_names


def gaps(frame: pl.DataFrame, features: Sequence[str] | None = None) -> pl.DataFrame:
    """Tabulate missing, infinite and repeated values of each feature.

    Args:
        frame: training rows only.
        features: columns to look at; ``None`` for all.

    Returns:
        One row a feature, in the order given: ``feature``, ``missing_share`` (null or NaN), ``infinite_share``,
        ``distinct`` (values, missing ones not counted), ``top_share`` (the most frequent value, of the rows that have
        one), ``constant`` (at most one value, and no row that lacks it).

    Raises:
        SchemaError: if a feature is not a column of the table or has no values that can be compared.
    """
    names = feature_names(frame, features)
    return pl.DataFrame([_gaps(frame[name]) for name in names], schema=_SCHEMA)


_SCHEMA = {
    "feature": pl.String,
    "missing_share": pl.Float64,
    "infinite_share": pl.Float64,
    "distinct": pl.Int64,
    "top_share": pl.Float64,
    "constant": pl.Boolean,
}


def _gaps(values: pl.Series) -> dict[str, object]:
    rows = max(len(values), 1)
    infinite = int(values.is_infinite().sum()) if values.dtype.is_float() else 0
    known = values.drop_nulls().drop_nans() if values.dtype.is_float() else values.drop_nulls()
    counts = known.alias("value").value_counts(name="rows")["rows"]
    missing = len(values) - len(known)
    return {
        "feature": values.name,
        "missing_share": missing / rows,
        "infinite_share": infinite / rows,
        "distinct": len(counts),
        "top_share": counts.to_numpy().max() / len(known) if len(known) else None,
        "constant": len(counts) == 0 or (len(counts) == 1 and missing == 0),
    }
