"""Tables of the user: CSV, parquet and JSON in one or several files."""

import io
import json
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import polars as pl
import polars.selectors as cs
from polars.exceptions import PolarsError

from utils.datasets.contract import Defect
from utils.datasets.own import delimited, inference, paths, text
from utils.datasets.own.entry import OwnEntry
from utils.datasets.wording import listed
from utils.errors import SchemaError

Form = Literal["csv", "parquet", "json"]


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
        verbatim: columns of CSV and JSON files that stay text as it is written (labels, times, identifiers).

    Returns:
        All rows in file order; nested JSON objects become columns ``outer.inner``.

    Raises:
        CatalogError: if a file is missing.
        DataError: if a file is empty or damaged.
        SchemaError: if a file is no table, its encoding is wrong, or the files have different columns.
    """
    found = paths.resolve(entry, key, patterns)
    parts = [(path, *_one(entry, path)) for path in found]
    forms = {form for _, form, _ in parts}
    frame, defects = _flat(_stacked([(path, part) for path, _, part in parts]), named(found)), tuple[Defect, ...]()
    if "csv" in forms:
        frame, defects = _without_blank_rows(frame)
    else:
        frame = _nulled(frame, entry.nulls)
    if forms != {"parquet"}:
        frame, commas = inference.typed(frame, verbatim, entry.decimal)
        defects = (*defects, *commas)
    if frame.is_empty():
        raise SchemaError(f"{named(found)} must hold rows, found a header only: add the data")
    finite, infinite = _finite(frame)
    return Table(finite, found, (*_twins(finite), *defects, *infinite))


def _one(entry: OwnEntry, path: Path) -> tuple[Form, pl.DataFrame]:
    data = text.content(path)
    if data.startswith(b"PAR1"):
        return "parquet", _parquet(path, data)
    ending = Path(paths.plain_name(path)).suffix.lower()
    if ending in (".parquet", ".pq"):
        raise SchemaError(f"{path} must be a parquet file as its ending says, found other bytes: rename or replace it")
    if b"\x00" in data[: delimited.SNIFFED_BYTES] and not entry.encoding and not data.startswith(tuple(text.MARKS)):
        raise SchemaError(f"{path} must be text, found zero bytes: export it as CSV, parquet or JSON lines")
    utf8 = text.exact(entry, path, data)
    if ending in (".json", ".jsonl", ".ndjson"):
        return "json", _json(path, utf8)
    return "csv", delimited.parse(entry, path, utf8)


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
            value = json.loads(piece, parse_constant=_no_json) if piece.strip() else {}
        except (ValueError, RecursionError) as error:
            where = number if lines else getattr(error, "lineno", 1)
            return f" with one object a line, found line {where} broken" if lines else f", found line {where} broken"
        if lines and not isinstance(value, dict):
            return f" with one object a line, found line {number} to be none"
    return " with one object a line, found another form" if lines else " with a list of objects, found another form"


def _no_json(word: str) -> None:
    raise ValueError(word)


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


def _flat(frame: pl.DataFrame, where: str) -> pl.DataFrame:
    """Turn objects within objects into columns of their own.

    Raises:
        SchemaError: if such a column has the name of another one.
    """
    while nested := [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Struct)]:
        try:
            frame = frame.unnest(nested, separator=".")
        except PolarsError as error:
            problem = f"must give each column once, found keys within {listed(nested)} that clash ({_brief(error)})"
            raise SchemaError(f"{where} {problem}: rename them") from None
    return frame


def _finite(frame: pl.DataFrame) -> tuple[pl.DataFrame, tuple[Defect, ...]]:
    infinite = frame.select(cs.float().is_infinite()).sum_horizontal() if frame.select(cs.float()).width else None
    finite = frame.with_columns(pl.when(cs.float().is_finite()).then(cs.float()))
    rows = int((infinite > 0).sum()) if infinite is not None else 0
    return finite, (Defect("rows with an infinite number", rows, "read as a missing value"),) if rows else ()


def _twins(frame: pl.DataFrame) -> tuple[Defect, ...]:
    names = [name for name in frame.columns if delimited.REPEATED in name]
    return tuple(Defect(f"a column name that stands twice: {name}", frame.height, "kept both") for name in names)


def _brief(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:120]


def named(found: Sequence[Path]) -> str:
    """Name the files of a table in a message."""
    return str(found[0]) if len(found) == 1 else f"{found[0]} and {len(found) - 1} more"
