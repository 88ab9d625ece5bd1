"""Labels as the user's files write them, turned into ``is_anomaly`` and ``anomaly_type``."""

from typing import Literal, NamedTuple

import polars as pl

from utils.datasets.contract import ANOMALY_TYPE, LABEL, NORMAL, Defect
from utils.datasets.own.entry import OwnEntry
from utils.datasets.own.values import canonical
from utils.datasets.wording import listed
from utils.errors import DataError

ANOMALY = "anomaly"
Empty = Literal["left out", "normal", "refused"]


class Labelled(NamedTuple):
    """A frame whose rows have ``is_anomaly`` and ``anomaly_type``, and what was reported."""

    frame: pl.DataFrame
    defects: tuple[Defect, ...]


def label(
    entry: OwnEntry, frame: pl.DataFrame, column: str, kinds: str | None, where: str, *, empty: Empty = "left out"
) -> Labelled:
    """Turn the label of a table into ``is_anomaly`` and ``anomaly_type``.

    The kind of an anomaly is the value of ``kinds``, else the label itself; it is ``"anomaly"`` where that is empty, a
    truth value, or the only number there is. The columns of the label and of the kinds are taken out.

    Args:
        entry: the entry, for the values that mean an anomaly or normal (``""`` stands for a missing label), and for
            those that mean a missing label where rows without one are left out.
        frame: the table.
        column: its label.
        kinds: its column with the kinds of anomaly.
        where: the files in words.
        empty: what becomes of rows whose label is missing, if the entry does not say what that means.

    Returns:
        The labelled rows, and what was reported.

    Raises:
        DataError: if values are in neither list, none is as declared, or most rows have no label.
    """
    texts = _canonical(frame[column])
    if empty == "left out":
        texts = texts.set(texts.is_in([canonical(word) for word in entry.nulls]).fill_null(False), None)
    verdicts = _verdicts(entry, texts, f"column {column!r} of {where}", empty)
    verdict = texts.replace_strict(verdicts, default=_missing(entry, empty), return_dtype=pl.Boolean)
    kind = _kinds(texts if kinds is None else _canonical(frame[kinds]), verdict)
    plain = frame.drop(name for name in {column, kinds} if name)
    kept = plain.with_columns(verdict.alias(LABEL), kind.alias(ANOMALY_TYPE)).filter(verdict.is_not_null())
    dropped = frame.height - kept.height
    if dropped and (empty == "refused" or dropped * 2 > frame.height):
        problem = f'found none in {dropped:,} of {frame.height:,}: label them, or add "" to normal if that means normal'
        raise DataError(f"data set {entry.name!r}: the rows of {where} must have a label, {problem}")
    lost = (Defect("rows without a label", dropped, "left out"),) if dropped else ()
    return Labelled(kept, (*lost, *one_class(kept)))


def one_class(frame: pl.DataFrame) -> tuple[Defect, ...]:
    """Report labels that are all the same."""
    if frame[LABEL].n_unique() != 1:
        return ()
    only = "an anomaly" if frame[LABEL][0] else NORMAL
    handling = "kept; scores that need both classes cannot be computed"
    return (Defect(f"every label says {only}: one class only", frame.height, handling),)


def _missing(entry: OwnEntry, empty: Empty) -> bool | None:
    """Decide what a missing label means; nothing if nobody says."""
    if "" in entry.normal or "" in entry.anomaly:
        return "" in entry.anomaly
    return False if empty == "normal" else None


def _canonical(values: pl.Series) -> pl.Series:
    """Write each distinct value in one way; empty text is no value."""
    plain = values.cast(pl.String) if not values.dtype.is_float() else values
    distinct = plain.unique().drop_nulls()
    written = {value: canonical(value) or None for value in distinct}
    return plain.replace_strict(written, default=None, return_dtype=pl.String)


def _verdicts(entry: OwnEntry, texts: pl.Series, what: str, empty: Empty) -> dict[str, bool]:
    """Decide for each distinct label value whether it means an anomaly."""
    values = texts.unique(maintain_order=True).drop_nulls().to_list()
    known = {*entry.anomaly, *entry.normal}
    unknown = [value for value in values if value not in known]
    if entry.anomaly and entry.normal and unknown:
        problem = f"{what} must hold the values of anomaly and normal only, found also {listed(unknown)}"
        remedy = "add them to anomaly or normal in its entry"
        remedy += ", or to nulls to leave these rows out" if empty == "left out" else ""
        raise DataError(f"data set {entry.name!r}: {problem}: {remedy}")
    missing = {""} if texts.has_nulls() else set()
    if values and not known & {*values, *missing}:
        key, other = ("anomaly", "normal") if entry.anomaly else ("normal", "anomaly")
        problem = f"{what} must hold a value of {key} = {list(getattr(entry, key))}, found {listed(values)}"
        raise DataError(f"data set {entry.name!r}: {problem}: correct it, or name those values in {other}")
    meant = entry.anomaly if entry.anomaly else ()
    return {value: value in meant if meant else value not in entry.normal for value in values}


def _kinds(texts: pl.Series, verdict: pl.Series) -> pl.Series:
    """Name the kind of each row: of an anomaly, ``anomaly`` if it has no name, or only one that is a number."""
    anomalies = texts.filter(verdict.fill_null(False))
    nameless = texts.is_null() | texts.str.contains(r"^(?i:true|false|yes|no|normal)$")
    if anomalies.drop_nulls().n_unique() <= 1:
        nameless |= texts.str.contains(r"^[+-]?[\d.]+$")
    named = texts.set(nameless.fill_null(True), ANOMALY)
    return named.set(~verdict.fill_null(False), NORMAL)
