"""Types of text columns: numbers, truth values, or text.

A column is numeric when every value of it is a number or a word for a missing value; so one odd value in row 900,000
makes a text column, not a crash, and is reported. Codes with leading zeros stay text.
"""

from collections.abc import Collection

import polars as pl

from utils.datasets.contract import Defect

TRUTH_WORDS = ("true", "false")
MISSING_WORDS = ("", "na", "n/a", "nan", "null", "none", "nil", "#n/a", "-", "--", "?")
LEADING_ZERO = r"^[+-]?0\d"
INFINITE = r"^[+-]?(?i:inf(inity)?)$"
DECIMAL_COMMA = rf"^[+-]?(\d{{1,3}}(\.\d{{3}})+|\d+)(,\d+)?([eE][+-]?\d+)?$|{INFINITE}"
THOUSANDS_COMMA = rf"^[+-]?([1-9]\d{{0,2}}(,\d{{3}})+|\d+)(\.\d+)?$|{INFINITE}"
MOSTLY_NUMBERS = 0.9


def typed(
    frame: pl.DataFrame, verbatim: Collection[str | None], decimal: str | None
) -> tuple[pl.DataFrame, tuple[Defect, ...]]:
    """Give text columns that hold numbers or truth values their type.

    Args:
        frame: the table.
        verbatim: columns that stay as they are.
        decimal: decimal sign, if the entry gives one.

    Returns:
        The table, and what was done about commas in numbers and about texts among them.
    """
    columns: list[pl.Series] = []
    defects: list[Defect] = []
    for column in frame.iter_columns():
        if column.name in verbatim or column.dtype != pl.String:
            columns.append(column)
            continue
        # without a point, a number is the same whatever the decimal sign
        pointed = decimal == "," and column.str.contains(".", literal=True).any()
        typed, with_commas = None if pointed else _number(column), None
        if typed is None:
            typed, with_commas = _comma_number(column, decimal)
        odd = _odd_texts(column, decimal) if typed is None and with_commas is None else None
        columns.append(column if typed is None else typed)
        defects += [defect for defect in (with_commas, odd) if defect]
    return pl.DataFrame(columns), tuple(defects)


def _number(column: pl.Series) -> pl.Series | None:
    """Return the column as numbers or truth values, or nothing if it holds other text."""
    stripped = column.str.strip_chars()
    number = stripped.cast(pl.Float64, strict=False)
    other = stripped.filter(number.is_null() & stripped.is_not_null())
    words = other.head(1_000).str.to_lowercase()
    if not words.is_in((*MISSING_WORDS, *TRUTH_WORDS)).all():
        return None
    if number.drop_nans().drop_nulls().is_empty():
        return _truth(stripped)
    return _whole(stripped, number) if other.str.to_lowercase().is_in(MISSING_WORDS).all() else None


def _truth(stripped: pl.Series) -> pl.Series | None:
    lower = stripped.str.to_lowercase()
    known = lower.filter(~lower.is_in(MISSING_WORDS)).drop_nulls()
    if known.is_empty() or not known.is_in(TRUTH_WORDS).all():
        return None
    return lower.replace_strict({"true": True, "false": False}, default=None, return_dtype=pl.Boolean)


def _whole(stripped: pl.Series, number: pl.Series) -> pl.Series | None:
    """Return integers where all values are; codes such as 007 are no numbers."""
    if stripped.str.contains(LEADING_ZERO).any() and not stripped.str.contains(r"^[+-]?0\d*\.").any():
        return None
    integer = stripped.cast(pl.Int64, strict=False)
    if (integer.is_null() == number.fill_nan(None).is_null()).all():
        return integer
    long = stripped.str.contains(r"^[+-]?\d{17,}$").any()
    return None if long and not stripped.str.contains(r"[.eE]").any() else number


def _comma_number(column: pl.Series, decimal: str | None) -> tuple[pl.Series | None, Defect | None]:
    """Read numbers with commas, unless a comma may stand for decimals as well as for thousands."""
    stripped = column.str.strip_chars()
    if not stripped.str.contains("[,.]" if decimal == "," else ",").any():
        return None, None
    values = stripped.filter(~stripped.str.to_lowercase().is_in(MISSING_WORDS)).drop_nulls()
    decimals = decimal != "." and bool(values.str.contains(DECIMAL_COMMA).all())
    thousands = decimal != "," and bool(values.str.contains(THOUSANDS_COMMA).all())
    if decimals and thousands:
        handling = 'kept as text; set decimal = "," or "." in the entry to read them as numbers'
        return None, Defect(f"commas in {column.name!r} that may be decimal or thousands", values.len(), handling)
    if decimals:
        plain = stripped.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
        return plain.cast(pl.Float64, strict=False), _commas(column, values, "decimal points")
    if thousands:
        number = stripped.str.replace_all(",", "", literal=True).cast(pl.Float64, strict=False)
        return number, _commas(column, values, "thousands")
    return None, None


def _commas(column: pl.Series, values: pl.Series, meaning: str) -> Defect | None:
    handling = f"read as {meaning}; set decimal in the entry if that is wrong"
    rows = int(values.str.contains(",", literal=True).sum())
    return Defect(f"commas in the numbers of {column.name!r}", rows, handling) if rows else None


def _odd_texts(column: pl.Series, decimal: str | None) -> Defect | None:
    """Report the few texts that keep a column of numbers from being one."""
    stripped = column.str.strip_chars()
    values = stripped.filter(~stripped.str.to_lowercase().is_in(MISSING_WORDS)).drop_nulls()
    plain = values.cast(pl.Float64, strict=False).is_not_null() if decimal != "," else values.is_null()
    comma = values.str.contains(DECIMAL_COMMA) if decimal != "." else values.is_null()
    odd = values.filter(~(plain if plain.sum() >= comma.sum() else comma))
    if odd.is_empty() or odd.len() > (1 - MOSTLY_NUMBERS) * values.len():
        return None
    handling = "the column stays text; if they mean a missing value, add them to nulls in the entry"
    return Defect(f"texts such as {odd[0]!r} among the numbers of {column.name!r}", odd.len(), handling)
