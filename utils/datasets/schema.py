"""The border: files become typed tables here, or are refused in one sentence.

A schema names each column of a table with its type and whether it may be empty. Every reader of this module checks the
file against its schema once; behind the border nothing is checked again. Columns that a schema does not name are left
out. A good file pays for one fast read with the declared types; only a bad one is read a second time, to find the
first value that is wrong.
"""

import csv
import io
import json
import zipfile
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import polars as pl
from polars.exceptions import PolarsError

from utils.datasets.wording import listed
from utils.errors import DataError, SchemaError

DType = pl.DataType | type[pl.DataType]
REMEDY = "correct the file or fetch it again"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
SHOWN = 60


@dataclass(frozen=True)
class Column:
    """What one column must hold.

    Attributes:
        dtype: polars type of the values.
        nullable: whether values may be missing.
    """

    dtype: DType
    nullable: bool = False


Schema = Mapping[str, Column]


def columns(names: Iterable[str], dtype: DType, *, nullable: bool = False) -> dict[str, Column]:
    """Declare several columns of one type; join such declarations with ``|``."""
    return dict.fromkeys(names, Column(dtype, nullable))


def take(files: Mapping[str, Path], name: str) -> Path:
    """Look up a file that a data set cannot do without.

    Args:
        files: paths by file name.
        name: file name.

    Raises:
        DataError: if it is not at hand.
    """
    try:
        return files[name]
    except KeyError:
        found = ", ".join(sorted(files)) or "no file"
        raise DataError(f"{name} is needed, found {found}: fetch it (make data) or load simulated data") from None


def read_bytes(path: Path) -> bytes:
    """Read a whole file that must not be empty; a byte order mark at its start is left out.

    Raises:
        SchemaError: if the file is empty or cannot be read.
    """
    try:
        data = path.read_bytes().removeprefix(BYTE_ORDER_MARK)
    except OSError as error:
        raise SchemaError(f"{path.name} must be a readable file, found {error.strerror}: {REMEDY}") from error
    if not data.strip():
        raise SchemaError(f"{path.name} must hold data, found an empty file: {REMEDY}")
    return data


def read_csv(path: Path, schema: Schema, *, header: bool = True, separator: str = ",") -> pl.DataFrame:
    """Read a CSV file with the declared types; nothing is inferred.

    Args:
        path: file in UTF-8.
        schema: the columns that are read. Without a header the file must have exactly these, in this order.
        header: whether the first line names the columns.
        separator: character between two fields.

    Returns:
        One row a record, the declared columns in the declared order; empty fields are null.

    Raises:
        SchemaError: if the file is empty, is not UTF-8, has no header line or no row, lacks a column, or holds a value
            of another type or none where one must be. The sentence gives the first such value and its row, counted
            from 1 without the header.
    """
    return parse_csv(path.name, read_bytes(path), schema, header=header, separator=separator)


def parse_csv(name: str, data: bytes, schema: Schema, *, header: bool = True, separator: str = ",") -> pl.DataFrame:
    """Parse the bytes of a CSV file, or of its header and some of its lines, with the declared types.

    Args:
        name: what the bytes are called in a sentence that refuses them.
        data: CSV in UTF-8 without a byte order mark.
        schema: as :func:`read_csv`.
        header: as :func:`read_csv`.
        separator: as :func:`read_csv`.

    Returns:
        As :func:`read_csv`.

    Raises:
        SchemaError: as :func:`read_csv`.
    """
    _require_header(name, data, schema, header, separator)
    try:
        table = _parse_csv(data, {name: column.dtype for name, column in schema.items()}, header, separator)
    except PolarsError as error:
        _explain_csv(name, data, schema, header, separator, error)
    return check(table, schema, name)


def read_parquet(path: Path, schema: Schema) -> pl.DataFrame:
    """Read the declared columns of a parquet file.

    Args:
        path: the file.
        schema: the columns that are read.

    Returns:
        The declared columns in the declared order.

    Raises:
        SchemaError: if it is no parquet file, or lacks a column, or a column has another type or misses values.
    """
    try:
        table = pl.read_parquet(io.BytesIO(read_bytes(path)))
    except PolarsError as error:
        raise SchemaError(f"{path.name} must be a parquet file, found {_first_line(error)}: {REMEDY}") from error
    return check(table, schema, path.name)


def read_json(path: Path, schema: Schema) -> pl.DataFrame:
    """Read a JSON file that is one list of objects.

    Args:
        path: file in UTF-8.
        schema: the keys that are read.

    Returns:
        One row an object.

    Raises:
        SchemaError: if the file is empty, is not UTF-8, ends too early, is no list of objects, or an object lacks a key
            or holds a value of another type.
    """
    data = read_bytes(path)
    try:
        if not data.lstrip().startswith(b"["):
            raise SchemaError(f"{path.name} must be a JSON list of objects, found {_excerpt(data)}: {REMEDY}")
        table = pl.read_json(data, schema={name: column.dtype for name, column in schema.items()})
    except PolarsError as error:
        _explain_json(path.name, data, schema, error)
    return check(table, schema, path.name)


def read_lines(path: Path, name: str = "text") -> pl.DataFrame:
    """Read a text file in UTF-8, one row a line, without the line ends.

    Args:
        path: file in UTF-8.
        name: name of the column.

    Returns:
        One String column.

    Raises:
        SchemaError: if the file is empty or is not UTF-8.
    """
    data = read_bytes(path)
    try:
        return pl.read_lines(data, name=name)
    except PolarsError as error:
        _require_utf8(path.name, data)
        raise SchemaError(f"{path.name} must be lines of text, found {_first_line(error)}: {REMEDY}") from error


def read_array(path: Path, name: str, dtype: np.dtype[Any] | type, columns: int | None = None) -> np.ndarray:
    """Read one array of an ``.npz`` archive; pickled objects are never loaded.

    Args:
        path: the archive.
        name: name of the array in it.
        dtype: type that the values must have.
        columns: width of a matrix; ``None`` for a vector.

    Returns:
        Array of shape ``(rows,)`` or ``(rows, columns)``.

    Raises:
        SchemaError: if it is no such archive, lacks the array, or the array has another type or shape.
    """
    wanted = f"{np.dtype(dtype)} array {name!r} of shape (rows{'' if columns is None else f', {columns}'})"
    try:
        with np.load(io.BytesIO(read_bytes(path)), allow_pickle=False) as archive:
            array = np.asarray(archive[name])
    except KeyError:
        raise SchemaError(f"{path.name} must hold a {wanted}, found no array of that name: {REMEDY}") from None
    except (ValueError, OSError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise SchemaError(f"{path.name} must be an .npz archive, found {_first_line(error)}: {REMEDY}") from error
    if array.dtype != dtype or array.shape[1:] != (() if columns is None else (columns,)) or array.ndim == 0:
        found = f"{array.dtype} of shape {array.shape}"
        raise SchemaError(f"{path.name} must hold a {wanted}, found {found}: {REMEDY}")
    return array


def check(table: pl.DataFrame, schema: Schema, name: str) -> pl.DataFrame:
    """Check a table against its schema.

    Args:
        table: any table.
        schema: what it must have.
        name: what to call the table in a message.

    Returns:
        The declared columns in the declared order.

    Raises:
        SchemaError: if a column is missing, has another type, or misses values that it must have, or if the table has
            no row.
    """
    _require_columns(name, table.columns, schema)
    for column, declared in schema.items():
        if table.schema[column] != declared.dtype:
            found = table.schema[column]
            raise SchemaError(f"{name}: column {column!r} must be of type {declared.dtype}, found {found}: {REMEDY}")
    if table.is_empty():
        raise SchemaError(f"{name} must hold at least one row, found none: {REMEDY}")
    _require_values(name, table, schema)
    return table.select(list(schema))


def one_of(table: pl.DataFrame, column: str, allowed: Collection[str], name: str) -> pl.DataFrame:
    """Check that a column holds only certain words.

    Args:
        table: any table.
        column: column of it.
        allowed: the words.
        name: what to call the table in a message.

    Returns:
        The table as it is.

    Raises:
        SchemaError: naming the first other word and its row.
    """
    strange = ~table[column].is_in(list(allowed))
    if strange.any():
        wanted = ", ".join(allowed)
        _refuse_value(name, column, f"hold one of {wanted}", table[column], strange)
    return table


def once(table: pl.DataFrame, column: str, name: str) -> pl.DataFrame:
    """Check that no value of a column stands twice.

    Args:
        table: any table.
        column: column of it.
        name: what to call the table in a message.

    Returns:
        The table as it is.

    Raises:
        SchemaError: naming the first value that stands a second time and its row.
    """
    repeated = ~table[column].is_first_distinct()
    if repeated.any():
        _refuse_value(name, column, "hold each value once", table[column], repeated)
    return table


def converted(table: pl.DataFrame, column: str, expression: pl.Expr, expected: str, name: str) -> pl.DataFrame:
    """Replace a column by what an expression makes of it; no value may be lost.

    Args:
        table: any table.
        column: the column that is replaced.
        expression: gives null where a value has not the expected form.
        expected: the form in words, as "a time such as 2017-07-03 09:00:00".
        name: what to call the table in a message.

    Returns:
        The table with the column replaced.

    Raises:
        SchemaError: naming the first value that has not the expected form and its row.
    """
    result = table.with_columns(expression.alias(column))
    lost = result[column].is_null() & table[column].is_not_null()
    if lost.any():
        _refuse_value(name, column, f"hold {expected}", table[column], lost)
    return result


def _require_header(name: str, data: bytes, schema: Schema, header: bool, separator: str) -> None:
    first = data.lstrip(b"\r\n").partition(b"\n")[0].decode("utf-8", errors="replace").rstrip("\r")
    fields = next(csv.reader([first], delimiter=separator), [])
    if not header:
        if len(fields) != len(schema):
            wanted = f"{len(schema)} fields in each line"
            raise SchemaError(f"{name} must have {wanted}, found {len(fields)} in the first: {REMEDY}")
        return
    if not set(fields) & set(schema):
        wanted = f"a header line that names {listed(schema)}"
        raise SchemaError(f"{name} must begin with {wanted}, found {_excerpt(first.encode())}: {REMEDY}")
    _require_columns(name, fields, schema)


def _require_columns(name: str, found: Collection[str], schema: Schema) -> None:
    names = list(found)
    missing = [column for column in schema if column not in names]
    if missing:
        raise SchemaError(f"{name} must have the column {missing[0]!r}, found {listed(names)}: {REMEDY}")
    twice = [column for column in schema if names.count(column) > 1]
    if twice:
        raise SchemaError(f"{name} must have the column {twice[0]!r} once, found it twice: {REMEDY}")


def _require_values(name: str, table: pl.DataFrame, schema: Schema) -> None:
    for column, declared in schema.items():
        if not declared.nullable and table[column].null_count():
            empty = table[column].is_null()
            _refuse_value(name, column, f"hold a value of type {declared.dtype} in each row", table[column], empty)


def _require_utf8(name: str, data: bytes) -> None:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"the byte 0x{data[error.start]:02x} at position {error.start} (line {line})"
        raise SchemaError(f"{name} must be text in UTF-8, found {found}: {REMEDY}") from None


def _parse_csv(data: bytes, dtypes: Mapping[str, DType], header: bool, separator: str) -> pl.DataFrame:
    if header:
        return pl.read_csv(
            data, columns=list(dtypes), schema_overrides=dict(dtypes), infer_schema=False, separator=separator
        )
    return pl.read_csv(data, has_header=False, schema=dict(dtypes), separator=separator)


def _explain_csv(name: str, data: bytes, schema: Schema, header: bool, separator: str, error: PolarsError) -> NoReturn:
    """Read a file that polars refused as text, and say which value it is that has the wrong type."""
    _require_utf8(name, data)
    _require_fields(name, data, header, separator)
    try:
        text = _parse_csv(data, dict.fromkeys(schema, pl.String), header, separator)
    except PolarsError:
        raise SchemaError(f"{name} must be a CSV file, found {_first_line(error)}: {REMEDY}") from error
    for column, declared in schema.items():
        wrong = text[column].cast(declared.dtype, strict=False).is_null() & text[column].is_not_null()
        if wrong.any():
            _refuse_value(name, column, f"hold values of type {declared.dtype}", text[column], wrong)
    raise SchemaError(f"{name} must be a CSV file, found {_first_line(error)}: {REMEDY}") from error


def _require_fields(name: str, data: bytes, header: bool, separator: str) -> None:
    """Find the first record with more fields than the first one has."""
    try:
        records = csv.reader(io.StringIO(data.decode("utf-8"), newline=""), delimiter=separator)
        width = len(next(records))
        for row, record in enumerate(records, start=1 if header else 2):
            if len(record) > width:
                found = f"{len(record)} in row {row}"
                raise SchemaError(f"{name} must have {width} fields in each line, found {found}: {REMEDY}")
    except csv.Error as error:
        raise SchemaError(f"{name} must be a CSV file, found {_first_line(error)}: {REMEDY}") from error


def _explain_json(name: str, data: bytes, schema: Schema, error: PolarsError) -> NoReturn:
    """Read a file that polars refused with the standard library, which says where the text breaks off."""
    _require_utf8(name, data)
    try:
        objects = json.loads(data)
    except json.JSONDecodeError as broken:
        found = f"{broken.msg.lower().removesuffix(' at')} at position {broken.pos} of {len(data)}"
        raise SchemaError(f"{name} must be one complete JSON list, found {found}: {REMEDY}") from error
    for row, item in enumerate(objects, start=1):
        if not isinstance(item, dict):
            found = f"{_excerpt(json.dumps(item).encode())} in place {row}"
            raise SchemaError(f"{name} must be a JSON list of objects, found {found}: {REMEDY}") from error
    wanted = ", ".join(f"{column} ({declared.dtype})" for column, declared in schema.items())
    raise SchemaError(f"{name} must hold objects with {wanted}, found {_first_line(error)}: {REMEDY}") from error


def _refuse_value(name: str, column: str, must: str, values: pl.Series, wrong: pl.Series) -> NoReturn:
    row = int(wrong.arg_max() or 0)
    value = values[row]
    found = "nothing" if value is None else _shortened(repr(value))
    raise SchemaError(f"{name}: column {column!r} must {must}, found {found} in row {row + 1}: {REMEDY}")


def _excerpt(data: bytes) -> str:
    return _shortened(repr(data[: 4 * SHOWN].decode("utf-8", errors="replace")))


def _shortened(text: str) -> str:
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def _first_line(error: Exception) -> str:
    return _shortened(str(error).strip().partition("\n")[0]) or type(error).__name__
