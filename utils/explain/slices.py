"""Where errors gather: error rates by kind of anomaly and by each column of few values, and which exceed chance."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy import stats

from utils.datasets import require
from utils.datasets.dtypes import is_text
from utils.evaluation import intervals
from utils.evaluation.conformal import benjamini_hochberg
from utils.evaluation.inputs import Bools, Floats, Values, as_decisions, as_labels, as_weights
from utils.evaluation.intervals import LEVEL

MOST_VALUES = 50
LEAST_ROWS = 5
FALSE_DISCOVERY = 0.05
MISSING = "missing"
SLICES = {
    "column": pl.String,
    "value": pl.String,
    "rows": pl.Float64,
    "errors": pl.Float64,
    "rate": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "expected": pl.Float64,
    "excess": pl.Float64,
    "p_value": pl.Float64,
    "beyond_chance": pl.Boolean,
}


def sliceable(frame: pl.DataFrame, columns: Sequence[str] | None = None, most_values: int = MOST_VALUES) -> list[str]:
    """Name the columns that rows can be sliced by: texts, truth values and codes of 2 to so many values.

    Args:
        frame: any table.
        columns: columns to choose from; all by default.
        most_values: most values of one column.
    """
    names = frame.columns if columns is None else [name for name in columns if name in frame.columns]
    kinds = {name: frame.schema[name] for name in names}
    nominal = [
        name for name, kind in kinds.items() if is_text(kind) or isinstance(kind, pl.Boolean) or kind.is_integer()
    ]
    return [name for name in nominal if 2 <= frame[name].n_unique() <= most_values]


def slices(
    frame: pl.DataFrame,
    y: Values,
    decisions: Values,
    columns: Sequence[str] | None = None,
    weight: Values | None = None,
    *,
    most_values: int = MOST_VALUES,
    least_rows: int = LEAST_ROWS,
    level: float = LEVEL,
) -> pl.DataFrame:
    """Tabulate the error rate of each slice with its interval, those with the largest excess of errors first.

    The excess is what a slice has more errors than it would have at the error rate of its class over all rows: a slice
    of anomalies is compared with the misses of all anomalies, a mixed slice with both. Slices beyond chance are found
    by a one-sided binomial test over all slices together, at a false discovery rate of 5 %.

    Args:
        frame: judged rows (n rows).
        y: true for an anomaly (n,).
        decisions: true for an alarm (n,).
        columns: columns to slice by (kind of anomaly, service, application); all of few values by default.
        weight: how many rows each row stands for (n,).
        most_values: columns of more values are left out.
        least_rows: slices of fewer rows are left out.
        level: nominal coverage of the intervals.

    Returns:
        One row a slice: ``column``, ``value``, ``rows``, ``errors``, ``rate`` with Wilson's interval ``low`` and
        ``high``, ``expected`` errors, ``excess`` over them, ``p_value``, ``beyond_chance``. No rows where there is
        nothing to slice by.

    Raises:
        SchemaError: if a named column is missing.
        DataError: if lengths differ.

    Source:
        Chung et al., "Slice Finder: automated data slicing for model validation", ICDE 2019; Benjamini and Hochberg
        1995; Wilson 1927.
    """
    require.columns(frame, columns or (), "the judged rows")
    labels = as_labels(y, frame.height)
    wrong = as_decisions(decisions, frame.height) != labels
    mass = as_weights(weight, frame.height)
    counts = np.ones(frame.height) if mass is None else mass.astype(np.float64)
    expected = _expected(labels, wrong, counts)
    work = pl.DataFrame({"rows": counts, "errors": counts * wrong, "expected": expected, "squares": counts**2})
    parts = [
        _sliced(work.with_columns(frame[name].cast(pl.String).fill_null(MISSING).alias("value")), name)
        for name in sliceable(frame, columns, most_values)
    ]
    found = pl.concat(parts).filter(pl.col("rows") >= least_rows) if parts else pl.DataFrame()
    if found.is_empty():
        return pl.DataFrame(schema=SLICES)
    return _judged(found, level)


def _expected(labels: Bools, wrong: Bools, counts: Floats) -> Floats:
    """Errors that each row would make at the rate of its class (n,)."""
    expected = np.zeros(len(labels))
    for side in (labels, ~labels):
        total = float(counts[side].sum())
        expected[side] = counts[side] * (float((counts * wrong)[side].sum()) / total if total else 0.0)
    return expected


def _sliced(work: pl.DataFrame, column: str) -> pl.DataFrame:
    sums = work.group_by("value").agg(pl.col("rows", "errors", "expected", "squares").sum()).sort("value")
    return sums.select(pl.lit(column).alias("column"), "value", "rows", "errors", "expected", "squares")


def _judged(found: pl.DataFrame, level: float) -> pl.DataFrame:
    """Add rates, intervals and tests, and sort by excess."""
    rows, errors, expected, squares = (found[name].to_numpy() for name in ("rows", "errors", "expected", "squares"))
    effective = np.where(squares > 0, rows**2 / np.maximum(squares, 1e-300), 0.0)
    whole = np.maximum(np.rint(effective), 1)
    share, chance = errors / rows, np.clip(expected / rows, 0.0, 1.0)
    p_values = np.maximum(stats.binom.sf(np.rint(share * whole) - 1, whole, chance), np.finfo(np.float64).tiny)
    limits = [intervals.wilson(rate * size, size, level) for rate, size in zip(share, effective, strict=True)]
    table = found.drop("squares").with_columns(
        pl.Series("rate", share),
        pl.Series("low", [one.low for one in limits]),
        pl.Series("high", [one.high for one in limits]),
        pl.Series("excess", errors - expected),
        pl.Series("p_value", p_values),
        pl.Series("beyond_chance", benjamini_hochberg(p_values, FALSE_DISCOVERY, any_dependence=True)),
    )
    return table.select(*SLICES).sort("excess", "column", "value", descending=[True, False, False])
