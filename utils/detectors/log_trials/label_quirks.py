"""Quirks of the labels that bound every score on the sessions: rare events in normal sessions, and cut-off sessions."""

import polars as pl

from utils.datasets.contract import LABEL, Roles
from utils.detectors.log_trials.tables import EVENTS, Sessions, distinct
from utils.detectors.log_trials.truncated_log import ceiling

COLUMNS = pl.Schema(
    {
        "quirk": pl.String,
        "normals": pl.Int64,
        "anomalies": pl.Int64,
        "highest f1": pl.Float64,
        "what it means": pl.String,
    }
)
RARE_SHARE = 0.01
RARE = "what finds every anomaly flags these normals too, or lets these anomalies through once it has seen a normal one"
CUT = "sessions whose sequence stands under both labels: equal sequences, unequal labels, as the log was cut off"
BOTH = "sessions whose sequence stands under both labels"


def rare_events(sessions: Sessions, most: int = 3) -> pl.DataFrame:
    """Events that no normal training session has, but anomalous and a few normal test sessions do.

    Args:
        sessions: the table.
        most: how many of them, those with the most anomalies first.

    Returns:
        ``quirk``, ``normals`` and ``anomalies`` (test sessions with the event), ``highest f1`` (of a detector that
        finds every anomaly by flagging what is new), ``what it means``.
    """
    judged = sessions.judged
    normals = int(judged.filter(~pl.col("anomalous"))["sessions"].sum())
    known = sessions.normals[EVENTS].explode(empty_as_null=False).unique()
    counted = (
        judged.select("anomalous", "sessions", pl.col(EVENTS).list.unique().alias("event"))
        .explode("event", empty_as_null=False, keep_nulls=False)
        .filter(~pl.col("event").is_in(known.implode()) & pl.col("event").is_not_null())
        .group_by("event")
        .agg(
            normals=pl.col("sessions").filter(~pl.col("anomalous")).sum(),
            anomalies=pl.col("sessions").filter(pl.col("anomalous")).sum(),
        )
        .filter((pl.col("normals") > 0) & (pl.col("normals") <= RARE_SHARE * normals) & (pl.col("anomalies") > 0))
        .sort("anomalies", "event", descending=[True, False])
    )
    every = int(judged.filter("anomalous")["sessions"].sum())
    highest = 2 * every / (2 * every + pl.col("normals"))
    quirk = pl.format("event {} is in no normal training session", pl.col("event"))
    rows = counted.head(most).select(quirk.alias("quirk"), "normals", "anomalies", highest.alias("highest f1"))
    return rows.with_columns(pl.lit(RARE).alias("what it means")).cast(COLUMNS)


def ambiguous(frame: pl.DataFrame, *, label: str = LABEL, cut: bool = True) -> pl.DataFrame:
    """Sessions whose sequence stands under both labels.

    Args:
        frame: one row a session: ``events`` and the label.
        label: Boolean column of the label.
        cut: whether the log is known to be cut off.

    Returns:
        The columns of :func:`rare_events`, at most one row.
    """
    sessions = distinct(frame, Roles("session", label=label, sequence=EVENTS))
    both = sessions.judged.filter(pl.col("anomalous").n_unique().over(EVENTS) == 2)
    if both.is_empty():
        return pl.DataFrame(schema=COLUMNS)
    normals, anomalies = (int(both.filter(pl.col("anomalous") == side)["sessions"].sum()) for side in (False, True))
    row = ("one sequence, both labels", normals, anomalies, ceiling(sessions), CUT if cut else BOTH)
    return pl.DataFrame([row], schema=COLUMNS, orient="row")


def quirks(sessions: Sessions, blocks: pl.DataFrame | None = None) -> pl.DataFrame:
    """Name what bounds every score on a table of sessions, with numbers.

    Args:
        sessions: the table.
        blocks: sessions of a log that was cut off, with ``events`` and label.

    Returns:
        One row a quirk: ``quirk``, ``normals``, ``anomalies``, ``highest f1``, ``what it means``.
    """
    found = [rare_events(sessions)]
    return pl.concat([*found, *([] if blocks is None else [ambiguous(blocks)])])
