"""Sessions of events or log lines: by identifier, by time window or by number of lines, and their labels."""

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from utils.datasets import sessions
from utils.datasets.contract import ANOMALY_TYPE, LABEL, NORMAL, Defect, Roles
from utils.datasets.own import labels, roles, tabular
from utils.datasets.own.entry import OwnEntry
from utils.datasets.own.values import LabelFile
from utils.errors import DataError

SESSION = "session"
ANY_TEXT = r"(?s)^.+$"
NAMES = (*sessions.COLUMNS[1:], "start", "end", "duration_s")
PLACES = {
    "first_line": "where the session starts in the files",
    "last_line": "where the session ends in the files",
    "end": "a time",
}


class Keys(NamedTuple):
    """Columns of the rows that are gathered into sessions.

    Attributes:
        order: number of the row.
        event: what a session is a sequence of.
        text: where the pattern looks for the session.
        pattern: finds the session's name in the text.
        carried: columns of which a session keeps the first value.
        timed: whether the rows have a ``time``.
    """

    order: str
    event: str
    text: str
    pattern: str = ANY_TEXT
    carried: Sequence[str] = ()
    timed: bool = True


def gather(entry: OwnEntry, rows: pl.DataFrame, keys: Keys) -> pl.DataFrame:
    """Make one row a session.

    Args:
        entry: the entry, for the window.
        rows: events or lines, with ``is_anomaly`` and ``anomaly_type`` if they are labelled.
        keys: its columns.

    Returns:
        ``session``, ``first_line``, ``last_line``, ``n_events``, ``events``, then ``start``, ``end`` and ``duration_s``
        (seconds) for rows with a time, then ``is_anomaly`` (true if any row is an anomaly) and ``anomaly_type`` (of the
        first such row) for labelled rows, then the carried columns.
    """
    labelled = [name for name in (LABEL, ANOMALY_TYPE) if name in rows.columns]
    kept = ["time"] * keys.timed + labelled + list(keys.carried)
    order, event = keys.order, keys.event
    if entry.window:
        found = sessions.by_time_window(rows, "time", entry.window, order=order, event=event, keep=kept)
    elif entry.window_lines:
        found = sessions.by_line_count(rows, entry.window_lines, order=order, event=event, keep=kept)
    else:
        found = sessions.by_identifier(rows, keys.pattern, text=keys.text, order=order, event=event, keep=kept)
    return _reduced(found, kept, keys)


def label_from(
    entry: OwnEntry, source: LabelFile, found: pl.DataFrame
) -> tuple[pl.DataFrame, tuple[Defect, ...], tabular.Table]:
    """Label sessions from a table of their names.

    Sessions without a label are left out and reported.

    Returns:
        The labelled sessions, what was reported, and the table.

    Raises:
        CatalogError: if the table or one of its columns is missing.
        DataError: if the table labels a session twice and differently, or none of the sessions.
    """
    table = tabular.read(entry, "labels", (source.file,), (source.session, source.label, source.type))
    columns = {"labels.session": source.session, "labels.label": source.label}
    where = tabular.named(table.files)
    roles.require_values(entry, table.frame, where, columns | ({"labels.type": source.type} if source.type else {}))
    labelled, _ = labels.label(entry, table.frame, source.label, source.type, where)
    verdicts = _one_each(entry, labelled, source.session)
    joined = found.join(verdicts, on=SESSION, how="inner", maintain_order="left")
    if joined.is_empty():
        problem = f"found {verdicts[SESSION][0]!r} there and {found[SESSION][0]!r} in the files"
        raise DataError(f"data set {entry.name!r}: {where} must label sessions of the files, {problem}: correct either")
    return joined, (*_coverage(found, verdicts, joined), *labels.one_class(joined)), table


def describe(entry: OwnEntry, found: pl.DataFrame, sequence: str | None, withheld: dict[str, str]) -> Roles:
    """Assign the roles of the columns of the sessions."""
    named = found.schema[SESSION] == pl.String
    features = [name for name in ("n_events", "duration_s") if name in found.columns]
    reasons = {name: why for name, why in PLACES.items() if name in found.columns}
    return Roles(
        unit="session" if named else "window",
        label=LABEL if LABEL in found.columns else None,
        anomaly_type=ANOMALY_TYPE if LABEL in found.columns else None,
        features=tuple(features),
        identity=(SESSION,) if named else (),
        time="start" if "start" in found.columns else None,
        group=entry.column("group") if entry.column("group") in found.columns else None,
        split=entry.column("split") if entry.column("split") in found.columns else None,
        sequence=sequence,
        withheld=reasons | withheld | ({} if named else {SESSION: "where the window stands"}),
    )


def _reduced(found: pl.DataFrame, kept: Sequence[str], keys: Keys) -> pl.DataFrame:
    """Reduce the gathered lists to one value a session."""
    values: list[pl.Expr] = []
    if keys.timed:
        start, end = pl.col("time").list.min().alias("start"), pl.col("time").list.max().alias("end")
        values += [start, end, ((end - start).dt.total_microseconds() / 1e6).alias("duration_s")]
    if LABEL in kept:
        abnormal = pl.col(ANOMALY_TYPE).list.eval(pl.element().filter(pl.element() != NORMAL)).list.first()
        values += [pl.col(LABEL).list.any().alias("_label"), abnormal.fill_null(NORMAL).alias("_type")]
    values += [pl.col(name).list.first().alias(f"_{name}") for name in keys.carried]
    reduced = found.with_columns(values).drop(kept)
    return reduced.rename({f"_{name}": name for name in keys.carried} | _final(LABEL in kept))


def _final(labelled: bool) -> dict[str, str]:
    return {"_label": LABEL, "_type": ANOMALY_TYPE} if labelled else {}


def _one_each(entry: OwnEntry, labelled: pl.DataFrame, session: str) -> pl.DataFrame:
    """Keep one verdict for each session."""
    name = pl.col(session).cast(pl.String).str.strip_chars().alias(SESSION)
    verdicts = labelled.select(name, LABEL, ANOMALY_TYPE).unique(maintain_order=True).drop_nulls(SESSION)
    twice = verdicts.filter(pl.col(SESSION).is_duplicated())
    if not twice.is_empty():
        problem = f"must label a session once, found {twice[SESSION][0]!r} with different labels: keep one"
        raise DataError(f"data set {entry.name!r}: the labels file {problem}")
    return verdicts


def _coverage(found: pl.DataFrame, verdicts: pl.DataFrame, joined: pl.DataFrame) -> tuple[Defect, ...]:
    without, unused = found.height - joined.height, verdicts.height - joined.height
    report = []
    if without:
        report.append(Defect("sessions that the labels file does not name", without, "left out of the sessions"))
    if unused:
        report.append(Defect("labels of sessions that the files do not have", unused, "not used"))
    return tuple(report)
