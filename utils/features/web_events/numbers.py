"""Numbers that stand in damaged text columns: a value that means nothing becomes null, never another number."""

import polars as pl

LARGEST_SIZE = 2**53
LEAST_CODE, LARGEST_CODE = 100, 599


def number_of(text: str | None) -> int | None:
    """Read a whole number without a sign, blanks around it allowed; everything else is ``None``."""
    if text is None:
        return None
    bare = text.strip()
    if bare.endswith(".0"):
        bare = bare[:-2]
    return int(bare) if bare.isascii() and bare.isdigit() and len(bare) < 17 else None


def size_of(text: str | None) -> int | None:
    """Read a size in bytes, 0 or more."""
    number = number_of(text)
    return number if number is not None and number <= LARGEST_SIZE else None


def code_of(text: str | None) -> int | None:
    """Read a status code, 100 to 599 (RFC 9110, section 15)."""
    number = number_of(text)
    return number if number is not None and LEAST_CODE <= number <= LARGEST_CODE else None


def as_texts(column: pl.Series) -> pl.Series:
    """Write a column of numbers as text, so that numbers and texts are read alike; NaN is missing."""
    if column.dtype.is_integer() or not column.dtype.is_numeric():
        return column.cast(pl.String)
    known = column.cast(pl.Float64).fill_nan(None)
    whole = known.cast(pl.Int64, strict=False)
    return whole.cast(pl.String).zip_with((whole == known).fill_null(False), known.cast(pl.String))
