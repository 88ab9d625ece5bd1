"""Tables as people read them: no quotation marks, no cut texts, numbers with separators, shares in per cent."""

import html
import math
from collections.abc import Callable, Iterable

import polars as pl

MOST_ROWS = 200
SHARE_SUFFIX = "share"

_CELL = "text-align:{};vertical-align:top;padding:3px 10px"


def to_html(frame: pl.DataFrame) -> str:
    """Write a frame as an HTML table; floats in columns named ``... share`` become percentages.

    At most 200 rows are written, and a last line says how many there are.
    """
    shown = frame.head(MOST_ROWS)
    sides = ["right" if kind.is_numeric() else "left" for kind in frame.dtypes]
    head = _row("th", map(_plain, frame.columns), sides)
    writers = [_writer(name, kind) for name, kind in frame.schema.items()]
    body = "".join(
        _row("td", (write(value) for write, value in zip(writers, row, strict=True)), sides)
        for row in shown.iter_rows()
    )
    more = f"<p>{frame.height:,} rows, the first {MOST_ROWS} shown.</p>" if frame.height > MOST_ROWS else ""
    return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>{more}"


def to_text(frame: pl.DataFrame) -> str:
    """Say in a line what a frame is, for places that show no HTML."""
    return f"table of {frame.height:,} rows: {', '.join(frame.columns)}"


def _row(tag: str, cells: Iterable[str], sides: Iterable[str]) -> str:
    written = (f'<{tag} style="{_CELL.format(side)}">{cell}</{tag}>' for cell, side in zip(cells, sides, strict=True))
    return f"<tr>{''.join(written)}</tr>"


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
