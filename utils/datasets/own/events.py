"""Kind ``events``: one row is one event; events form sessions by name, time window or number."""

import polars as pl

from utils.datasets.contract import ANOMALY_TYPE, LABEL, Dataset, Defect, Roles
from utils.datasets.own import labels, roles, sequences, tabular
from utils.datasets.own.entry import OwnEntry
from utils.datasets.own.sequences import SESSION, Keys
from utils.errors import DataError

EVENT_ID = "event_id"
STRUCTURE = ("event", "session", "time")


def load(entry: OwnEntry) -> Dataset:
    """Load events as the frame ``events`` and, where there is a session or window, ``sessions``.

    The columns of the event, the session and the time are called ``event``, ``session`` and ``time``. Events are put
    in the order of their times. The frame that carries the labels comes first.

    Raises:
        CatalogError: if the entry names files or columns that are not there.
        DataError: if a file or its labels cannot be used.
        SchemaError: if a file is no table.
    """
    single = [entry.column(role) for role in (*STRUCTURE, "label", "type", "group")]
    read = tabular.read(entry, "files", entry.files, (*single, *entry.lists.get("identity", ())))
    where = tabular.named(read.files)
    roles.check_columns(entry, read.frame, where)
    rows = _structured(entry, read.frame.drop(entry.lists.get("ignore", ())))
    rows, time_defects = roles.timed(entry, rows, "time" if entry.column("time") else None, in_order=True)
    rows, order_defects = _in_order(entry, roles.split(entry, rows, entry.column("split")))
    label_defects: tuple[Defect, ...] = ()
    if label := entry.column("label"):
        rows, label_defects = labels.label(entry, rows, label, entry.column("type"), where, empty="refused")
    defects = [*read.defects, *time_defects, *order_defects, *label_defects]
    return _with_sessions(entry, rows, read, defects)


def _structured(entry: OwnEntry, frame: pl.DataFrame) -> pl.DataFrame:
    """Give the event, the session and the time their names; events and sessions are text."""
    renamed = {name: role for role in STRUCTURE if (name := entry.column(role))}
    for name, role in renamed.items():
        if role != name and role in frame.columns and role not in renamed:
            problem = (
                f"is another column than {name!r}, found both, but the column {role!r} will be that of columns.{role}"
            )
            raise entry.wrong(f"columns.{role}", f"{problem}: add {role!r} to ignore")
    _free_names(entry, frame)
    named = frame.rename(renamed)
    texts = [role for role in ("event", "session") if role in named.columns and entry.column(role)]
    return named.with_columns(_text(named[role]) for role in texts)


def _free_names(entry: OwnEntry, frame: pl.DataFrame) -> None:
    """Check that no column has a name that the events or the sessions get.

    Raises:
        CatalogError: if one has.
    """
    taken = [EVENT_ID] if EVENT_ID in frame.columns else []
    cut = entry.window or entry.window_lines
    given: tuple[str, ...] = (SESSION, *sequences.NAMES) if cut else sequences.NAMES
    taken += [name for name in (entry.column("group"), entry.column("split")) if name in given]
    if taken:
        raise entry.wrong("files", f"must not have a column {taken[0]!r}, a name that is given here: rename it, or add "
                          "it to ignore")  # fmt: skip


def _text(column: pl.Series) -> pl.Series:
    words = column.cast(pl.String).str.strip_chars()
    return words.set(words == "", None)


def _in_order(entry: OwnEntry, rows: pl.DataFrame) -> tuple[pl.DataFrame, tuple[Defect, ...]]:
    """Number the events in the order of their times; an event without a time keeps its place after the one before."""
    defects = []
    if nameless := rows["event"].null_count():
        rows = rows.drop_nulls("event")
        defects.append(Defect("events without a name", nameless, "left out"))
    if entry.column("time"):
        clock = rows["time"].fill_null(strategy="forward")
        if moved := int((clock.diff().dt.total_microseconds() < 0).sum()):
            rows = rows.sort(clock, maintain_order=True)
            defects.append(Defect("events that stand before an earlier one", moved, "put in the order of their times"))
    return rows.with_row_index(EVENT_ID, offset=1), tuple(defects)


def _with_sessions(entry: OwnEntry, rows: pl.DataFrame, read: tabular.Table, defects: list[Defect]) -> Dataset:
    files = read.files
    frames, meanings = {"events": rows}, {"events": _event_roles(entry, rows)}
    if entry.column("session") or entry.window or entry.window_lines:
        found = sequences.gather(
            entry,
            rows,
            Keys(EVENT_ID, "event", SESSION, carried=_carried(entry, rows), timed=entry.column("time") is not None),
        )
        if found.is_empty():
            problem = f"column {entry.column('session')!r} must name the sessions of events, found no value"
            raise DataError(f"data set {entry.name!r}: {problem}: correct it, or use window or window_lines")
        defects += _outside(entry, rows)
        if entry.labels:
            found, label_defects, table = sequences.label_from(entry, entry.labels, found)
            defects += label_defects
            files = (*files, *table.files)
        frames["sessions"] = found
        meanings["sessions"] = sequences.describe(entry, found, "events", {})
    if entry.labels:
        frames = dict(reversed(frames.items()))
    return roles.dataset(entry, frames, meanings, files, defects)


def _event_roles(entry: OwnEntry, rows: pl.DataFrame) -> Roles:
    kept_out = {EVENT_ID: "place of the event"}
    group = entry.column("group") or ("session" if entry.column("session") else None)
    group = "session" if group and group == entry.column("session") else group
    kept_out |= {"session": "name of the session"} if entry.column("session") and group != "session" else {}
    time = "time" if entry.column("time") else None
    return roles.describe(
        entry, rows, "event", kept_out, labelled=LABEL in rows.columns and ANOMALY_TYPE in rows.columns,
        time=time, group=group, split=entry.column("split"),
    )  # fmt: skip


def _carried(entry: OwnEntry, rows: pl.DataFrame) -> list[str]:
    wanted = [entry.column("group"), entry.column("split")]
    return [name for name in dict.fromkeys(wanted) if name and name != entry.column("session") and name in rows.columns]


def _outside(entry: OwnEntry, rows: pl.DataFrame) -> list[Defect]:
    """Report events that belong to no session."""
    column = SESSION if entry.column("session") else "time"
    lost = rows[column].null_count() if not entry.window_lines else 0
    what = "events without a session" if column == SESSION else "events without a time"
    return [Defect(what, lost, "kept among the events, left out of the sessions")] if lost else []
