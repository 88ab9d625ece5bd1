"""Tables of the user: CSV in all its dialects, parquet and JSON, with the types found over all rows.

A CSV column is numeric when every value of it is a number or a word for a missing value; so one odd value in row
900,000 makes a text column, not a crash. Codes with leading zeros stay text.
"""

import csv
import io
import json
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import polars as pl
import polars.selectors as cs
from polars.exceptions import PolarsError

from utils.datasets.contract import Defect
from utils.datasets.own import paths, text
from utils.datasets.own.entry import OwnEntry
from utils.errors import SchemaError

Form = Literal["csv", "parquet", "json"]
DELIMITERS = (",", ";", "\t", "|")
SNIFFED_BYTES = 65_536
SNIFFED_ROWS = 50
MISSING_WORDS = ("", "na", "n/a", "nan", "null", "none", "nil", "#n/a", "-", "--", "?")
LEADING_ZERO = r"^[+-]?0\d"
DECIMAL_COMMA = r"^[+-]?(\d{1,3}(\.\d{3})+|\d+)?(,\d+)?([eE][+-]?\d+)?$"


class Table(NamedTuple):
    """What was read: the rows, the files and what had to be put right."""

    frame: pl.DataFrame
    files: tuple[Path, ...]
    defects: tuple[Defect, ...]


def read(entry: OwnEntry, key: str, patterns: Iterable[str], verbatim: Collection[str | None] = ()) -> Table:
    """Read the files of one table.

    Args:
        entry: the entry, for delimiter, decimal sign, missing words, column names and encoding.
        key: key of the entry that names the files.
        patterns: paths or globs.
        verbatim: columns of CSV files that stay text as it is written (labels, times, identifiers).

    Returns:
        All rows in file order; nested JSON objects become columns ``outer.inner``.

    Raises:
        CatalogError: if a file is missing.
        DataError: if a file is empty or damaged.
        SchemaError: if a file is no table, its encoding is wrong, or the files have different columns.
    """
    found = paths.resolve(entry, key, patterns)
    parts = [(path, *_one(entry, path)) for path in found]
    frame = _stacked([(path, part) for path, _, part in parts])
    if frame.is_empty():
        raise SchemaError(f"{named(found)} must hold rows, found a header only: add the data")
    if any(form == "csv" for _, form, _ in parts):
        frame, blank = _without_blank_rows(frame)
        typed, commas = _typed(frame, verbatim, entry.decimal)
        defects = (*blank, *commas)
    else:
        typed, defects = _nulled(frame, entry.nulls), ()
    finite, infinite = _finite(_flat(typed))
    return Table(finite, found, (*_twins(finite), *defects, *infinite))


def _one(entry: OwnEntry, path: Path) -> tuple[Form, pl.DataFrame]:
    data = text.content(path)
    if data.startswith(b"PAR1"):
        return "parquet", _parquet(path, data)
    ending = Path(paths.plain_name(path)).suffix.lower()
    if ending in (".parquet", ".pq"):
        raise SchemaError(f"{path} must be a parquet file as its ending says, found other bytes: rename or replace it")
    utf8 = text.exact(entry, path, data)
    if ending in (".json", ".jsonl", ".ndjson"):
        return "json", _json(path, utf8)
    return "csv", _csv(entry, path, utf8)


def _parquet(path: Path, data: bytes) -> pl.DataFrame:
    try:
        return pl.read_parquet(io.BytesIO(data))
    except PolarsError as error:
        raise SchemaError(f"{path} is a damaged parquet file ({_brief(error)}): fetch or write it again") from None


def _json(path: Path, data: bytes) -> pl.DataFrame:
    """Read a list of objects, or one object a line."""
    lines = data.lstrip()[:1] != b"["
    try:
        if lines:
            return pl.read_ndjson(io.BytesIO(data), infer_schema_length=None)
        return pl.read_json(io.BytesIO(data), infer_schema_length=None)
    except PolarsError as error:
        raise SchemaError(f"{path} must be JSON{_broken_json(data, lines)}: correct it ({_brief(error)})") from None


def _broken_json(data: bytes, lines: bool) -> str:
    """Say where JSON is broken."""
    pieces = data.splitlines() if lines else [data]
    for number, piece in enumerate(pieces, start=1):
        try:
            value = json.loads(piece) if piece.strip() else {}
        except ValueError as error:
            where = number if lines else getattr(error, "lineno", 1)
            return f" with one object a line, found line {where} broken" if lines else f", found line {where} broken"
        if lines and not isinstance(value, dict):
            return f" with one object a line, found line {number} to be none"
    return " with a list of objects, found another form"


# ---- CSV


def _csv(entry: OwnEntry, path: Path, data: bytes) -> pl.DataFrame:
    if b"\x00" in data[:SNIFFED_BYTES]:
        raise SchemaError(f"{path} must be text, found zero bytes: export it as CSV, parquet or JSON lines")
    delimiter = entry.delimiter or _sniffed(data, path)
    try:
        frame = pl.read_csv(
            data,
            separator=delimiter,
            has_header=not entry.names,
            infer_schema=False,
            null_values=list(entry.nulls) or None,
        )
    except PolarsError:
        frame = _slow_csv(entry, path, data, delimiter)
    if not entry.names:
        return frame.rename({old: old.strip() or f"column_{i}" for i, old in enumerate(frame.columns, start=1)})
    if len(entry.names) != frame.width:
        problem = f"must name the {frame.width} columns of {path}, found {len(entry.names)} names: correct them"
        raise entry.wrong("names", problem)
    return frame.rename(dict(zip(frame.columns, entry.names, strict=True)))


def _sniffed(data: bytes, path: Path) -> str:
    """Find the delimiter: the one that splits the first rows into most fields, always equally many."""
    sample = data[:SNIFFED_BYTES]
    whole = sample if len(sample) == len(data) else sample[: sample.rfind(b"\n") + 1] or sample
    shown = whole.decode(errors="ignore")
    if Path(paths.plain_name(path)).suffix.lower() == ".tsv":
        return "\t"
    return max(DELIMITERS, key=lambda delimiter: _fitness(shown, delimiter))


def _fitness(shown: str, delimiter: str) -> tuple[float, int]:
    rows = list(_rows(shown, delimiter, SNIFFED_ROWS))
    width = len(rows[0]) if rows else 0
    if width < 2:
        return 0.0, 0
    return sum(len(row) == width for row in rows) / len(rows), width


def _rows(shown: str, delimiter: str, most: int | None = None) -> Iterable[list[str]]:
    reader = csv.reader(io.StringIO(shown, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        for row in reader:
            if row:
                yield row
            if most is not None and reader.line_num >= most:
                return
    except csv.Error:
        return


def _slow_csv(entry: OwnEntry, path: Path, data: bytes, delimiter: str) -> pl.DataFrame:
    """Read with Python's parser what the fast one refuses: stray quotes, spaces before quotes; or say what is wrong."""
    rows: list[list[str]] = []
    reader = csv.reader(io.StringIO(data.decode(), newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        for row in reader:
            if row and rows and len(row) > len(rows[0]):
                raise SchemaError(
                    f"{path} must have {len(rows[0])} columns in each row, found {len(row)} in line "
                    f"{reader.line_num}: quote fields that hold {delimiter!r}, or set delimiter in the entry"
                )
            if row:
                rows.append(row)
    except csv.Error as error:
        problem = f"{path} must be CSV, found line {reader.line_num} broken ({error}): close its quotes"
        raise SchemaError(problem) from None
    missing = {"", *entry.nulls}
    filled = [[None if cell in missing else cell for cell in row] + [None] * (len(rows[0]) - len(row)) for row in rows]
    first = [f"column_{i}" for i in range(1, len(rows[0]) + 1)] if entry.names else _unique(rows[0])
    return pl.DataFrame(filled[0 if entry.names else 1 :], schema=dict.fromkeys(first, pl.String), orient="row")


def _unique(names: Sequence[str]) -> list[str]:
    """Number repeated column names as polars does."""
    return [
        f"{name}_duplicated_{names[:i].count(name) - 1}" if name in names[:i] else name for i, name in enumerate(names)
    ]


# ---- putting right


def _stacked(parts: Sequence[tuple[Path, pl.DataFrame]]) -> pl.DataFrame:
    first_path, first = parts[0]
    for path, part in parts[1:]:
        if different := sorted(set(first.columns) ^ set(part.columns)):
            lacking = path if different[0] in first.columns else first_path
            problem = (
                f"have the same columns, found {different[0]!r} missing in {lacking}: name them in separate entries"
            )
            raise SchemaError(f"the files of one entry must {problem}")
    try:
        return pl.concat([part.select(first.columns) for _, part in parts], how="vertical_relaxed")
    except PolarsError as error:
        problem = f"the files of one entry must have the same types, found others ({_brief(error)}): convert them"
        raise SchemaError(problem) from None


def _without_blank_rows(frame: pl.DataFrame) -> tuple[pl.DataFrame, tuple[Defect, ...]]:
    kept = frame.filter(~pl.all_horizontal(pl.all().is_null()))
    blank = frame.height - kept.height
    return kept, (Defect("rows without any value", blank, "left out"),) if blank else ()


def _nulled(frame: pl.DataFrame, nulls: Sequence[str]) -> pl.DataFrame:
    return frame.with_columns(cs.string().replace(list(nulls), None)) if nulls else frame


def _typed(
    frame: pl.DataFrame, verbatim: Collection[str | None], decimal: str | None
) -> tuple[pl.DataFrame, tuple[Defect, ...]]:
    """Give text columns that hold numbers or truth values their type."""
    commas: list[str] = []
    columns = []
    for column in frame.iter_columns():
        if column.name in verbatim or column.dtype != pl.String:
            columns.append(column)
            continue
        typed = _number(column) if decimal != "," else None
        if typed is None and decimal != ".":
            typed = _comma_number(column)
            commas += [column.name] if typed is not None else []
        columns.append(column if typed is None else typed)
    handling = f"read as decimal points in {', '.join(commas)}; set decimal in the entry if that is wrong"
    return pl.DataFrame(columns), (Defect("decimal commas", frame.height, handling),) if commas else ()


def _number(column: pl.Series) -> pl.Series | None:
    """Return the column as numbers or truth values, or nothing if it holds other text."""
    stripped = column.str.strip_chars()
    number = stripped.cast(pl.Float64, strict=False)
    other = stripped.filter(number.is_null() & stripped.is_not_null())
    words = other.head(1_000).str.to_lowercase()
    if set(words.unique()) <= {"true", "false"} and other.len() == column.len() - column.null_count() > 0:
        return _truth(other, stripped)
    if not words.is_in(MISSING_WORDS).all() or not other.str.to_lowercase().is_in(MISSING_WORDS).all():
        return None
    if number.drop_nans().drop_nulls().is_empty():
        return None
    return _whole(stripped, number)


def _truth(other: pl.Series, stripped: pl.Series) -> pl.Series | None:
    lower = stripped.str.to_lowercase()
    return lower == "true" if other.str.to_lowercase().is_in(["true", "false"]).all() else None


def _whole(stripped: pl.Series, number: pl.Series) -> pl.Series | None:
    """Return integers where all values are; codes such as 007 are no numbers."""
    if stripped.str.contains(LEADING_ZERO).any() and not stripped.str.contains(r"^[+-]?0\d*\.").any():
        return None
    integer = stripped.cast(pl.Int64, strict=False)
    if (integer.is_null() == number.fill_nan(None).is_null()).all():
        return integer
    long = stripped.str.contains(r"^[+-]?\d{17,}$").any()
    return None if long and not stripped.str.contains(r"[.eE]").any() else number


def _comma_number(column: pl.Series) -> pl.Series | None:
    stripped = column.str.strip_chars()
    if not stripped.head(1_000).str.contains(",", literal=True).any():
        return None
    missing = stripped.str.to_lowercase().is_in(MISSING_WORDS)
    values = stripped.filter(~missing)
    if not values.str.contains(DECIMAL_COMMA).all() or not values.str.contains(r",\d").any():
        return None
    plain = stripped.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
    return plain.cast(pl.Float64, strict=False)


def _flat(frame: pl.DataFrame) -> pl.DataFrame:
    """Turn objects within objects into columns of their own."""
    while nested := [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Struct)]:
        frame = frame.unnest(nested, separator=".")
    return frame


def _finite(frame: pl.DataFrame) -> tuple[pl.DataFrame, tuple[Defect, ...]]:
    infinite = frame.select(cs.float().is_infinite()).sum_horizontal() if frame.select(cs.float()).width else None
    finite = frame.with_columns(pl.when(cs.float().is_finite()).then(cs.float()))
    rows = int((infinite > 0).sum()) if infinite is not None else 0
    return finite, (Defect("rows with an infinite number", rows, "read as a missing value"),) if rows else ()


def _twins(frame: pl.DataFrame) -> tuple[Defect, ...]:
    names = [name for name in frame.columns if "_duplicated_" in name]
    return tuple(Defect(f"a column name that stands twice: {name}", frame.height, "kept both") for name in names)


def _brief(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:120]


def named(found: Sequence[Path]) -> str:
    """Name the files of a table in a message."""
    return str(found[0]) if len(found) == 1 else f"{found[0]} and {len(found) - 1} more"
