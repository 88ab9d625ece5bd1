"""What must hold before a model is trained again; each gate is closed with one sentence.

| gate | opens where |
|---|---|
| labels | the data set has a labelled table with a training and a test side |
| audit | no finding of severity high stands open against that table |
| rows | both classes have rows enough on each side |
| schema | the table has the columns that the champion in office reads, in types that it can read |
| registry | the new model may be registered at all |
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from utils.datasets.contract import NORMAL, Dataset, Defect, Roles
from utils.datasets.wording import listed
from utils.detectors.judging import labelled_tables
from utils.errors import DataError, LabError
from utils.features.tables import weight_of
from utils.tracking import log_champion
from utils.tracking.log_champion import EVENTS

FEWEST = 6
"""Rows of a class on a side below which a model is not trained: where two models judge only five rows differently, the
exact sign test gives p = 2/32 > .05 even if all five speak for the same one."""

FAMILIES = (
    ("a number", ("Int", "UInt", "Float", "Decimal")),
    ("a text", ("String", "Categorical", "Enum")),
    ("a point in time", ("Datetime", "Date", "Time")),
)
"""Types among which a column may change without being another column, by the beginning of their names."""

REVIEW = "correct the data, or accept the new columns with --allow-schema-change"


class GateClosed(DataError):
    """A gate stops a retraining; ``gate`` is its name."""

    def __init__(self, gate: str, sentence: str) -> None:
        super().__init__(f"the gate {gate!r} is closed: {sentence}")
        self.gate = gate


def table_of(made: Dataset, *, log: bool) -> str:
    """Name the table that the champion of a data set learns from.

    Args:
        made: processed tables.
        log: whether the data set is a log.

    Raises:
        GateClosed: if no table has labels and two sides with both classes in the test part.
    """
    found = _session_tables(made) if log else [table for (_, table), *_ in labelled_tables({made.name: made})]
    if found:
        return found[0]
    expected = "a labelled table with both classes on both sides of its split"
    had = listed(list(made.frames)) or "no table"
    raise GateClosed(
        "labels", f"{made.name} must have {expected}, found none among {had}: label rows of both classes, or rank them "
        "without a champion"
    )  # fmt: skip


def check_audit(table: str, findings: pl.DataFrame) -> None:
    """Let a table pass against which no finding of severity high stands open.

    Args:
        table: name of the table.
        findings: of :func:`utils.audit.survey`, of the one data set.

    Raises:
        GateClosed: if there is one.
    """
    grave = findings.filter((pl.col("frame") == table) & (pl.col("severity") == "high") & ~pl.col("handled"))
    if grave.is_empty():
        return
    first = grave.row(0, named=True)
    name, more = first["data set"], f" and {grave.height - 1} more" if grave.height > 1 else ""
    evidence, remedy = first["evidence"].rstrip("."), _lower(first["remedy"])
    raise GateClosed(
        "audit", f"no finding of severity high may stand open against the table {table!r} of {name}, found "
        f"{first['code']} {first['what'].rstrip('.')} ({evidence}){more}: {remedy}"
    )  # fmt: skip


def check_rows(name: str, table: str, frame: pl.DataFrame, roles: Roles, *, log: bool) -> None:
    """Let a table pass whose classes have at least :data:`FEWEST` rows on each side.

    A log is learned from normal sessions, so that its training side needs no anomalies.

    Raises:
        GateClosed: if one has fewer.
    """
    counts = _counts(frame, roles)
    asked = [("train", False), ("train", True), ("test", False), ("test", True)]
    few = [key for key in asked if counts.get(key, 0) < FEWEST and not (log and key == ("train", True))]
    if few:
        found = ", ".join(
            f"{counts.get(key, 0):,.0f} {'anomalous' if key[1] else NORMAL} on the {key[0]} side" for key in few
        )
        raise GateClosed(
            "rows", f"the table {table!r} of {name} must have {FEWEST} {roles.unit}s of each class on each side, found "
            f"{found}: label more {roles.unit}s"
        )  # fmt: skip


def check_schema(
    name: str,
    holder: Any,  # noqa: ANN401 (any model that was registered)
    frame: pl.DataFrame,
    defects: Sequence[Defect] = (),
) -> None:
    """Let a table pass that the champion in office can read.

    Args:
        name: of the data set.
        holder: the champion in office.
        frame: the table.
        defects: what was left out when the table was made.

    Raises:
        GateClosed: if a column that it reads is missing or has changed its type; all of them are named.
    """
    expected = _readable_types(holder, frame)
    broken = schema_breaks(expected, frame)
    if broken:
        shown = "; ".join([*broken, *_left_out(set(expected) - set(frame.columns), defects)])
        raise GateClosed("schema", f"the table must have what the champion of {name} reads, found {shown}: {REVIEW}")
    try:
        holder.predict(frame.head(1))
    except Exception as error:  # whatever a model of another time raises
        said = str(error) if isinstance(error, LabError) else f"{type(error).__name__}: {error}".splitlines()[0]
        raise GateClosed("schema", f"the champion of {name} must read the table, found {said}; or {REVIEW}") from error


def expected_types(holder: Any) -> dict[str, str]:  # noqa: ANN401 (any model that was registered)
    """Columns that a champion reads with their polars types as text; those of a log are its lists of events."""
    if hasattr(holder, "input_schema_"):
        return dict(holder.input_schema_.select("column", "type").iter_rows())
    return {EVENTS: "List"}


def _readable_types(holder: Any, frame: pl.DataFrame) -> dict[str, str]:  # noqa: ANN401 (any model that was registered)
    """Columns that a table must have: the texts, where the champion makes of them what no table has."""
    reader = getattr(holder, "reader_", None)
    if reader is None or set(reader.names) & set(frame.columns):
        return expected_types(holder)
    return dict.fromkeys(reader.inputs, "String")


def schema_breaks(expected: Mapping[str, str], frame: pl.DataFrame) -> list[str]:
    """Say of each column that a champion could no longer read what became of it.

    Args:
        expected: polars type of each column, as text.
        frame: a table.

    Returns:
        Clauses; none where the table can be read.
    """
    missing = [name for name in expected if name not in frame.columns]
    broken = [f"no column {listed(missing, len(missing))}"] if missing else []
    for name, dtype in expected.items():
        if name in frame.columns and family(dtype) != family(found := str(frame.schema[name])):
            broken.append(f"column {name!r} of type {found} in place of {dtype}")
    return broken


def family(dtype: str) -> str:
    """Kind of values that a polars type holds: types of one kind are read alike."""
    plain = dtype.split("(")[0]
    return next((name for name, starts in FAMILIES if plain.startswith(starts)), plain)


def _session_tables(made: Dataset) -> list[str]:
    """Labelled tables of sessions with two classes in their test part, in the order in which they are taken."""
    found = []
    for table in log_champion.TABLES:
        roles = made.roles.get(table)
        if roles and roles.sequence == EVENTS and roles.label and roles.split:
            test = made[table].filter(pl.col(roles.split) == "test")
            found += [table] * (test[roles.label].drop_nulls().n_unique() == 2)
    return found


def _counts(frame: pl.DataFrame, roles: Roles) -> dict[tuple[str, bool], float]:
    """Rows by side and label, each counted as often as it stands."""
    weight = weight_of(frame, roles)
    each = np.ones(frame.height) if weight is None else weight.to_numpy()
    split, label = pl.col(roles.split or ""), pl.col(roles.label or "")
    sums = frame.select(split.alias("side"), label.alias("label"), pl.Series("rows", each)).group_by("side", "label")
    return {(side, label): rows for side, label, rows in sums.agg(pl.col("rows").sum()).iter_rows()}


def _left_out(columns: Collection[str], defects: Sequence[Defect]) -> list[str]:
    """What was left out when the table was made, where it tells of some columns."""
    return [each.what for each in defects if set(columns) & set(re.split(r"[\s,:()]+", each.what))]


def _lower(sentence: str) -> str:
    """A sentence as the continuation of another."""
    return sentence[:1].lower() + sentence[1:]
