"""Names of numbers for the record of a run."""

import math
import re
from collections.abc import Sequence

import polars as pl

FORBIDDEN = re.compile(r"[^A-Za-z0-9_./ -]+")


def recorded(prefix: str, table: pl.DataFrame, key: str, columns: Sequence[str]) -> dict[str, float]:
    """Name the numbers of a table as the tracking store allows: letters, digits and ``_./ -``.

    Args:
        prefix: stands before each name.
        table: one row a thing.
        key: column that names it.
        columns: numbers to take; those that are missing or not finite are left out.
    """
    found = {}
    for row in table.select(key, *columns).iter_rows(named=True):
        for column in columns:
            value = row[column]
            if value is not None and math.isfinite(value):
                found[FORBIDDEN.sub("", f"{prefix}/{row[key]}/{column}")] = float(value)
    return found
