"""Records of traffic as edges of a graph in windows of time, whatever the columns are called."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from utils.datasets import require
from utils.datasets.contract import ANOMALY_TYPE, LABEL, NORMAL, Roles
from utils.errors import DataError, SchemaError

WINDOW, TIME, SRC, DST = "window", "time", "src", "dst"
EDGE = (WINDOW, SRC, DST)
VOLUMES = ("bytes", "packets", "flows")
PORTS = "ports"
EVERY = timedelta(minutes=5)
UNNAMED = "anomaly"
"""Kind of anomalies that have none."""

_WHO = r"(?:[ _.-]*(?:ip|addr|address|host|node|id))?"
_NAMES = {
    "source": re.compile(rf"(?:src|source|from|client|origin|orig|sender|caller){_WHO}$", re.IGNORECASE),
    "destination": re.compile(rf"(?:dst|dest|destination|to|server|target|resp|receiver|callee){_WHO}$", re.IGNORECASE),
    "port": re.compile(r"(?:dst|dest|destination|server|target|resp)[ _.-]*port$", re.IGNORECASE),
    "bytes": re.compile(
        r"(?:n_)?bytes|octets|total length of (?:fwd|bwd) packets?|(?:src|dst|orig|resp|in|out)_(?:ip_)?bytes"
        r"|bytes_\w+",
        re.IGNORECASE,
    ),
    "packets": re.compile(
        r"(?:n_)?(?:packets|pkts)|total (?:fwd|bwd) packets?|(?:src|dst|orig|resp|in|out)_(?:packets|pkts)|packets_\w+",
        re.IGNORECASE,
    ),
    "flows": re.compile(r"(?:n_)?(?:flows|connections|requests)", re.IGNORECASE),
}


@dataclass(frozen=True)
class Columns:
    """Which columns of a table say who talked to whom, when and how much.

    Attributes:
        source: host that opened the flow.
        destination: host that it went to.
        time: begin of the flow or of its window, ``Datetime``.
        bytes: columns that are added up to the bytes of a row; none: unknown, counted as 0.
        packets: likewise.
        flows: column with the flows that a row stands for; none: each row is one flow.
        port: column with the port of the destination, if there is one.
    """

    source: str
    destination: str
    time: str
    bytes: tuple[str, ...] = ()
    packets: tuple[str, ...] = ()
    flows: str | None = None
    port: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns that are read."""
        single = tuple(name for name in (self.flows, self.port) if name is not None)
        return (self.source, self.destination, self.time, *self.bytes, *self.packets, *single)


def columns_of(frame: pl.DataFrame, roles: Roles) -> Columns | None:
    """Find the columns of traffic in a table by their roles and names.

    Args:
        frame: any table.
        roles: what its columns mean; ``time`` must be declared.

    Returns:
        The columns, or nothing where the table has no time, no source or no destination.
    """
    if roles.time is None or not isinstance(frame.schema[roles.time], pl.Datetime | pl.Date):
        return None
    source, destination = (_first(frame.columns, what) for what in ("source", "destination"))
    if source is None or destination is None:
        return None
    numeric = [name for name, kind in frame.schema.items() if kind.is_numeric()]
    volumes = {
        what: tuple(name for name in numeric if _NAMES[what].fullmatch(name.strip())) for what in ("bytes", "packets")
    }
    flows, port = _first(numeric, "flows"), _first(frame.columns, "port")
    return Columns(source, destination, roles.time, **volumes, flows=flows, port=port)


def edge_windows(
    rows: pl.DataFrame,
    columns: Columns,
    *,
    every: timedelta = EVERY,
    label: str | None = None,
    kind: str | None = None,
    start: datetime | None = None,
) -> pl.DataFrame:
    """Add up traffic by pair of hosts and window of time.

    Args:
        rows: one row a flow, or a pair and window already, n rows; order does not matter.
        columns: where to find what.
        every: length of a window; windows begin at multiples of it since midnight of the first day.
        label: Boolean column that is true for an anomaly; an edge and window is anomalous if ANY of its rows is.
        kind: column with the kind of anomaly; the most frequent kind among the anomalous rows is kept, and
            ``"anomaly"`` where none of them has one.
        start: time at which window 0 begins; ``None`` for midnight of the first day of these rows.

    Returns:
        One row an edge and window, sorted: ``window`` (number, 0 at the first midnight), ``time`` (its begin), ``src``,
        ``dst``, ``bytes``, ``packets``, ``flows``, ``answer`` (bytes in the other direction in the same window),
        ``ports`` (distinct ports of the destination) where known, and ``is_anomaly`` and ``anomaly_type`` where a label
        is given. Rows without source, destination or time are left out.

    Raises:
        SchemaError: if a column is missing, times are no times, or volumes are no numbers.
        DataError: if no row is left, or the window is no positive length.
    """
    named = [name for name in (label, kind) if name is not None]
    require.columns(rows, (*columns.names, *named), "the table of traffic")
    _require_types(rows, columns)
    if every <= timedelta(0):
        raise DataError(f"a window must have a length above 0, found {every}: give minutes, for example")
    known = rows.drop_nulls([columns.source, columns.destination, columns.time])
    if known.is_empty():
        raise DataError("traffic needs rows with source, destination and time, found none: check these columns")
    when = pl.col(columns.time).cast(pl.Datetime("us"))
    start = start or known.select(when.min().dt.truncate("1d")).item()
    number = (when - start).dt.total_microseconds() // (every // timedelta(microseconds=1))
    keyed = known.with_columns(
        number.alias(WINDOW),
        pl.col(columns.source).cast(pl.String).alias(SRC),
        pl.col(columns.destination).cast(pl.String).alias(DST),
    )
    added = keyed.group_by(EDGE).agg(_sums(columns, label, kind)).sort(EDGE)
    begin = pl.lit(start) + pl.duration(microseconds=pl.col(WINDOW) * (every // timedelta(microseconds=1)))
    return with_answers(added.with_columns(begin.cast(pl.Datetime("us")).alias(TIME)))


def with_answers(edges: pl.DataFrame) -> pl.DataFrame:
    """Add the bytes that flow back between the same hosts in the same window, ``answer``, 0 where none do."""
    back = edges.select(WINDOW, pl.col(DST).alias(SRC), pl.col(SRC).alias(DST), pl.col("bytes").alias("answer"))
    both = edges.drop("answer", strict=False).join(back, on=EDGE, how="left", maintain_order="left")
    return both.with_columns(pl.col("answer").fill_null(0))


def _first(names: Iterable[str], what: str) -> str | None:
    """First of the names that reads like this."""
    return next((name for name in names if _NAMES[what].fullmatch(name.strip())), None)


def _require_types(rows: pl.DataFrame, columns: Columns) -> None:
    """Check that times are times and volumes are numbers.

    Raises:
        SchemaError: if one is not.
    """
    if not isinstance(rows.schema[columns.time], pl.Datetime | pl.Date):
        found = f"column {columns.time!r} must hold the times of traffic, found {rows.schema[columns.time]}"
        raise SchemaError(f"{found}: parse it first")
    for name in (*columns.bytes, *columns.packets, *(() if columns.flows is None else (columns.flows,))):
        if not rows.schema[name].is_numeric():
            found = f"column {name!r} must hold numbers of traffic, found {rows.schema[name]}"
            raise SchemaError(f"{found}: convert it, or leave it out")


def _sums(columns: Columns, label: str | None, kind: str | None) -> list[pl.Expr]:
    """Volumes, ports and truth of the rows of an edge and window."""
    total = [
        pl.sum_horizontal(_volume(name) for name in names).sum().alias(what) if names else pl.lit(0.0).alias(what)
        for what, names in (("bytes", columns.bytes), ("packets", columns.packets))
    ]
    flows = pl.len().cast(pl.Float64) if columns.flows is None else _volume(columns.flows).sum()
    total.append(flows.alias("flows"))
    if columns.port is not None:
        total.append(pl.col(columns.port).n_unique().alias(PORTS))
    if label is None:
        return total
    guilty = pl.col(label).fill_null(False)
    total.append(guilty.any().alias(LABEL))
    unnamed = pl.when(guilty.any()).then(pl.lit(UNNAMED)).otherwise(pl.lit(NORMAL))
    if kind is None:
        return [*total, unnamed.alias(ANOMALY_TYPE)]
    named = pl.col(kind).filter(guilty).drop_nulls().mode().sort().first()
    return [*total, pl.coalesce(named.cast(pl.String), unnamed).alias(ANOMALY_TYPE)]


def _volume(name: str) -> pl.Expr:
    """Amounts of a column; what is missing or below 0 counts as 0."""
    return pl.col(name).cast(pl.Float64).fill_nan(0).clip(0)
