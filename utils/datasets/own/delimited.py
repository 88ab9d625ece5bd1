"""CSV files in all their dialects, read as text: any delimiter, stray quotes, repeated or missing column names."""

import csv
import io
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from utils.datasets.own import paths
from utils.datasets.own.entry import OwnEntry
from utils.errors import SchemaError

DELIMITERS = (",", ";", "\t", "|")
REPEATED = "_duplicated_"
SNIFFED_BYTES = 65_536
SNIFFED_ROWS = 50
ZEEK, ZEEK_NAMES, ZEEK_NOTE = b"#separator ", b"#fields", b"#"


def parse(entry: OwnEntry, path: Path, data: bytes) -> pl.DataFrame:
    """Read a CSV file as text.

    Args:
        entry: the entry, for delimiter, column names and words for a missing value.
        path: the file, for messages.
        data: its content in UTF-8.

    Returns:
        String columns; empty fields are null; names without spaces around them, numbered where they repeat. Of the
        notes around the rows of a Zeek log only the names of its columns are read.

    Raises:
        CatalogError: if the entry names another number of columns.
        SchemaError: if there is no row, a row has too many fields or a quote is not closed.
    """
    data = _without_notes(data, named=bool(entry.names))
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
        frame.columns = _unique([name.strip() or f"column_{i}" for i, name in enumerate(frame.columns, start=1)])
        return frame
    if len(entry.names) != frame.width:
        problem = f"must name the {frame.width} columns of {path}, found {len(entry.names)} names: correct them"
        raise entry.wrong("names", problem)
    return frame.rename(dict(zip(frame.columns, entry.names, strict=True)))


def _without_notes(data: bytes, *, named: bool) -> bytes:
    """Make the notes of a Zeek log one line of column names, or none where they are ``named``; other text stays."""
    if not data.startswith(ZEEK):
        return data
    lines = data.splitlines(keepends=True)
    names = [line.removeprefix(ZEEK_NAMES)[1:] for line in lines if line.startswith(ZEEK_NAMES) and not named]
    return b"".join([*names[:1], *(line for line in lines if not line.startswith(ZEEK_NOTE))])


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
    reader = csv.reader(io.StringIO(data.decode(), newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    good = 0
    try:
        for row in reader:
            good = reader.line_num
            if row and rows and len(row) > len(rows[0]):
                raise SchemaError(
                    f"{path} must have {len(rows[0])} columns in each row, found {len(row)} in line "
                    f"{reader.line_num}: quote fields that hold {delimiter!r}, or set delimiter in the entry"
                )
            if row:
                rows.append(row)
    except csv.Error as error:
        problem = f"{path} must be CSV, found the row from line {good + 1} broken ({error}): close its quotes"
        other = f", or correct delimiter = {entry.delimiter!r} in the entry" if entry.delimiter else ""
        raise SchemaError(problem + other) from None
    if not rows:
        raise SchemaError(f"{path} must hold rows, found none: add the data")
    missing = {"", *entry.nulls}
    filled = [[None if cell in missing else cell for cell in row] + [None] * (len(rows[0]) - len(row)) for row in rows]
    first = [f"column_{i}" for i in range(1, len(rows[0]) + 1)] if entry.names else _unique(rows[0])
    return pl.DataFrame(filled[0 if entry.names else 1 :], schema=dict.fromkeys(first, pl.String), orient="row")


def _unique(names: Sequence[str]) -> list[str]:
    """Number repeated column names as polars does."""
    unique: list[str] = []
    for name in names:
        numbered = (f"{name}{REPEATED}{number}" for number in itertools.count())
        unique.append(name if name not in unique else next(new for new in numbered if new not in (*unique, *names)))
    return unique
