"""Group log lines into sessions: by an identifier in the text, by time window or by number of lines.

Every function returns one row a session with the same columns:

| column | type | meaning |
|---|---|---|
| ``session`` | String, Datetime or UInt32 | identifier, start of the window, or number of the run of lines |
| ``first_line``, ``last_line`` | type of the order column | smallest and largest place of its lines |
| ``n_events`` | UInt32 | number of lines |
| ``events`` | List of the event column's type | the events in line order |

and one list column more for each name in ``keep``. Lines are put in the order of the ``order`` column first, so the
order in which they stand in the frame does not matter; lines of equal rank keep theirs.

Sessions by identifier are those of loglizer (He et al., "Experience Report: System Log Analysis for Anomaly Detection",
ISSRE 2016): a line that names several identifiers belongs to each of them, once.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from utils.datasets import require
from utils.errors import DataError, SchemaError

SESSION = "session"
DURATION = re.compile(r"(?:0*[1-9]\d*(?:ns|us|ms|mo|s|m|h|d|w|q|y))+")
COLUMNS = (SESSION, "first_line", "last_line", "n_events", "events")


class DistinctSequences(NamedTuple):
    """The distinct event sequences of some sessions.

    Attributes:
        table: one row a distinct sequence, in order of first appearance: sequence_id (UInt32, 0, 1, ...), events,
            n_events (UInt32), count (UInt32, sessions that have it).
        sequence_id: the sequence_id of each session, in the order of the sessions.
    """

    table: pl.DataFrame
    sequence_id: pl.Series


def identify(lines: pl.DataFrame, pattern: str, *, text: str = "Content") -> pl.DataFrame:
    """Name the session of each line.

    Args:
        lines: one row a log line.
        pattern: regular expression (Rust syntax) of the identifier; with one group, the identifier is that group.
        text: column that is searched.

    Returns:
        The lines that have an identifier, in their order, with a String column ``session`` (in place of one that was
        there); a line with several different identifiers stands once for each, in the order in which it names them.

    Raises:
        SchemaError: if the text column is missing.
        DataError: if the pattern is no regular expression, has several groups or matches the empty text.
    """
    require.columns(lines, [text], "the table of lines")
    found = lines[text].str.extract_all(_whole(pattern))
    if _several_different(found):
        identifiers = found.list.eval(_identifier(pl.element(), pattern)).list.unique(maintain_order=True)
        named = lines.with_columns(identifiers.alias(SESSION)).explode(SESSION)
    else:
        first = found.list.first().alias(SESSION)
        named = lines.with_columns(first).with_columns(_identifier(pl.col(SESSION), pattern))
    return named.filter(pl.col(SESSION).is_not_null()) if named[SESSION].has_nulls() else named


def count_unidentified(lines: pl.DataFrame, pattern: str, *, text: str = "Content") -> int:
    """Count the lines in which the pattern finds nothing: the lines that :func:`by_identifier` leaves out.

    Args:
        lines: one row a log line.
        pattern: regular expression of the identifier.
        text: column that is searched.

    Returns:
        The number of such lines.

    Raises:
        SchemaError: if the text column is missing.
        DataError: as :func:`identify`.
    """
    require.columns(lines, [text], "the table of lines")
    return lines.height - int(lines[text].str.contains(_whole(pattern)).sum())


def by_identifier(
    lines: pl.DataFrame,
    pattern: str,
    *,
    text: str = "Content",
    order: str = "LineId",
    event: str = "EventId",
    keep: Sequence[str] = (),
) -> pl.DataFrame:
    r"""Group lines into one session for each identifier that the pattern finds in the text.

    Lines without an identifier are left out; :func:`count_unidentified` counts them.

    Args:
        lines: one row a log line.
        pattern: regular expression of the identifier, as ``r"blk_-?\d+"``; with one group, that group is what counts.
        text: column that is searched.
        order: column that puts the lines in order.
        event: column with the event of the line.
        keep: further columns whose values are gathered as lists, in line order.

    Returns:
        One row a session, in order of first appearance; columns as the module describes.

    Raises:
        SchemaError: if a column is missing.
        DataError: as :func:`identify`.
    """
    require.columns(lines, [text, order, event, *keep], "the table of lines")
    used = lines.select(pl.col(text).alias("_text"), *_roles(order, event, keep))
    return _gather(identify(used, pattern, text="_text"), keep)


def by_name(
    lines: pl.DataFrame,
    *,
    order: str = "LineId",
    event: str = "EventId",
    keep: Sequence[str] = (),
) -> pl.DataFrame:
    """Group lines whose session is named already, in a column ``session``, as :func:`identify` does.

    Args:
        lines: one row a log line; those without a name are left out.
        order: column that puts the lines in order.
        event: column with the event of the line.
        keep: further columns whose values are gathered as lists, in line order.

    Returns:
        One row a session, in order of first appearance; columns as the module describes.

    Raises:
        SchemaError: if a column is missing.
    """
    require.columns(lines, [SESSION, order, event, *keep], "the table of lines")
    named = lines.select(SESSION, *_roles(order, event, keep))
    return _gather(named.filter(pl.col(SESSION).is_not_null()) if named[SESSION].has_nulls() else named, keep)


def is_width(text: str) -> bool:
    """Whether a text is a width of time windows: a duration above zero, not of months or years and days mixed."""
    if not DURATION.fullmatch(text):
        return False
    try:
        pl.select(pl.datetime(2000, 1, 1).dt.truncate(text))
    except pl.exceptions.PolarsError:
        return False
    return True


def by_time_window(
    lines: pl.DataFrame,
    time: str,
    every: str,
    *,
    order: str = "LineId",
    event: str = "EventId",
    keep: Sequence[str] = (),
) -> pl.DataFrame:
    """Group lines into fixed windows of time that do not overlap.

    Windows without a line give no row. Lines without a time are left out.

    Args:
        lines: one row a log line.
        time: Datetime or Date column.
        every: width of a window, as ``"30s"``, ``"5m"``, ``"1h"`` or ``"1d"`` (polars duration); windows start at
            full multiples.
        order: column that puts the lines in order within a window.
        event: column with the event of the line.
        keep: further columns whose values are gathered as lists, in line order.

    Returns:
        One row a window, earliest first; ``session`` is the start of the window.

    Raises:
        SchemaError: if a column is missing or the time column holds no times.
        DataError: if the width is no duration above zero.
    """
    require.columns(lines, [time, order, event, *keep], "the table of lines")
    if not isinstance(lines.schema[time], pl.Datetime | pl.Date):
        raise SchemaError(f"column {time!r} must hold dates or times, found {lines.schema[time]}: parse it first")
    if not is_width(every):
        raise DataError(
            f"a time window must be a duration above zero, found {every!r}: write it as '30s', '5m' or '1h'"
        )
    windows = lines.select(pl.col(time).dt.truncate(every).alias(SESSION), *_roles(order, event, keep))
    return _gather(windows.filter(pl.col(SESSION).is_not_null()), keep).sort(SESSION)


def by_line_count(
    lines: pl.DataFrame,
    size: int,
    *,
    order: str = "LineId",
    event: str = "EventId",
    keep: Sequence[str] = (),
) -> pl.DataFrame:
    """Group lines into runs of ``size`` successive lines; the last run may be shorter.

    Args:
        lines: one row a log line.
        size: lines in a run, at least 1.
        order: column that puts the lines in order.
        event: column with the event of the line.
        keep: further columns whose values are gathered as lists, in line order.

    Returns:
        One row a run, in line order; ``session`` is 0, 1, ... (UInt32).

    Raises:
        SchemaError: if a column is missing.
        DataError: if the size is below 1.
    """
    require.columns(lines, [order, event, *keep], "the table of lines")
    if size < 1:
        raise DataError(f"a run of lines must have at least 1 line, found {size}: give a positive number")
    ranked = lines.select(_roles(order, event, keep)).sort("_order", maintain_order=True)
    return _gather(ranked.with_row_index(SESSION).with_columns(pl.col(SESSION) // size), keep)


def distinct_sequences(sessions: pl.DataFrame, events: str = "events") -> DistinctSequences:
    """Find the distinct event sequences, so that work on sequences is done once for each.

    Args:
        sessions: one row a session.
        events: list column with the events in order; any type of event.

    Returns:
        The distinct sequences with their counts, and the sequence of each session.

    Raises:
        SchemaError: if the column is missing or holds no lists.
    """
    require.columns(sessions, [events], "the table of sessions")
    if not isinstance(sessions.schema[events], pl.List):
        found = sessions.schema[events]
        raise SchemaError(f"column {events!r} must hold lists of events, found {found}: sessionise first")
    groups = (
        sessions.lazy()
        .select(pl.col(events).alias("events"), pl.int_range(pl.len(), dtype=pl.UInt32).alias("_row"))
        .group_by("events", maintain_order=True)
        .agg("_row")
        .with_row_index("sequence_id")
        .with_columns(pl.col("events").list.len().alias("n_events"), pl.col("_row").list.len().alias("count"))
        .collect()
    )
    mapping = groups.select("sequence_id", "_row").explode("_row").sort("_row")
    return DistinctSequences(groups.drop("_row"), mapping["sequence_id"])


def _roles(order: str, event: str, keep: Sequence[str]) -> list[pl.Expr]:
    """Rename the columns that are gathered, so that none can clash with a column of the result."""
    return [
        pl.col(order).alias("_order"),
        pl.col(event).alias("_event"),
        *(pl.col(name).alias(f"_keep_{name}") for name in keep),
    ]


def _gather(lines: pl.DataFrame, keep: Sequence[str]) -> pl.DataFrame:
    ranked = lines if lines["_order"].is_sorted() else lines.sort("_order", maintain_order=True)
    return (
        ranked.lazy()
        .group_by(SESSION, maintain_order=True)
        .agg(
            pl.col("_order").first().alias("first_line"),
            pl.col("_order").last().alias("last_line"),
            pl.len().alias("n_events"),
            pl.col("_event").alias("events"),
            *(pl.col(f"_keep_{name}").alias(name) for name in keep),
        )
        .collect()
    )


def _several_different(found: pl.Series) -> bool:
    """Tell whether any line has more than one different match."""
    several = found.filter(found.list.len() > 1)
    return bool((several.list.n_unique() > 1).any())


def _identifier(matched: pl.Expr, pattern: str) -> pl.Expr:
    """Take the identifier out of a whole match: its one group, if the pattern has one."""
    return matched.str.extract(pattern, 1) if _groups(pattern) else matched


def _whole(pattern: str) -> str:
    """Return the pattern if it can name sessions.

    Raises:
        DataError: if it cannot.
    """
    if _groups(pattern) > 1:
        raise DataError(f"a session pattern must have at most one group, found {pattern!r}: write others as (?:...)")
    if pl.select(pl.lit("").str.contains(pattern)).item():
        raise DataError(f"a session pattern must not match the empty text, found {pattern!r}: replace * by + in it")
    return pattern


def _groups(pattern: str) -> int:
    """Count the groups of a regular expression.

    Raises:
        DataError: if it is none.
    """
    try:
        return len(pl.select(pl.lit("").str.extract_groups(pattern)).to_series().struct.fields)
    except pl.exceptions.PolarsError:
        raise DataError(f"a session pattern must be a regular expression, found {pattern!r}: correct it") from None
