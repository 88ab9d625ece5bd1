"""Tables as people read them: no quotation marks, no cut texts, numbers with separators, shares in per cent."""

import html
import math
from collections.abc import Callable, Iterable

import polars as pl

MOST_ROWS = 200
SHARE_SUFFIX = "share"
LONG_TEXT = 60


def to_html(frame: pl.DataFrame) -> str:
    """Write a frame as an HTML table; floats in columns named ``... share`` become percentages.

    At most 200 rows are written, and a last line says how many there are.
    """
    shown = frame.head(MOST_ROWS)
    looks = [_look(column) for column in shown]
    writers = [_writer(name, kind) for name, kind in frame.schema.items()]
    head = _row("th", map(_plain, frame.columns), looks)
    body = "".join(
        _row("td", (write(value) for write, value in zip(writers, row, strict=True)), looks)
        for row in shown.iter_rows()
    )
    more = f"<p>{frame.height:,} rows, the first {MOST_ROWS} shown.</p>" if frame.height > MOST_ROWS else ""
    return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>{more}"


def to_text(frame: pl.DataFrame) -> str:
    """Say in a line what a frame is, for places that show no HTML."""
    return f"table of {frame.height:,} rows: {', '.join(frame.columns)}"


def _look(column: pl.Series) -> str:
    """Attributes of a column's cells: numbers to the right, room for long texts."""
    if column.dtype.is_numeric():
        return ' align="right"'
    long = column.dtype == pl.String and (column.str.len_chars().max() or 0) > LONG_TEXT  # type: ignore[operator]
    return ' align="left" width="30%"' if long else ' align="left"'


def _row(tag: str, cells: Iterable[str], looks: Iterable[str]) -> str:
    written = (f"<{tag}{look}>{cell}</{tag}>" for cell, look in zip(cells, looks, strict=True))
    return f'<tr valign="top">{"".join(written)}</tr>'


def _writer(name: str, kind: pl.DataType) -> Callable[[object], str]:
    if kind.is_float():
        return _share if name.replace("_", " ").endswith(SHARE_SUFFIX) else _number
    if kind.is_integer():
        return lambda value: "" if value is None else f"{value:,}"
    return _plain


def _number(value: object) -> str:
    if not isinstance(value, float) or math.isnan(value):
        return ""
    return f"{value:,.3f}" if abs(value) < 1_000 else f"{value:,.0f}"


def _share(value: object) -> str:
    return f"{100 * value:.1f} %" if isinstance(value, float) and not math.isnan(value) else ""


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else html.escape(str(value))
