"""Rows as the protocols need them: features with label, kind, time and group beside them, and what they allow."""

from dataclasses import replace

import polars as pl

from utils.datasets.contract import NORMAL, Dataset, Roles
from utils.datasets.wording import listed
from utils.detectors.judging import detectable, label_of
from utils.errors import DataError, LabError
from utils.evaluation import inputs, splits
from utils.evaluation.inputs import Ints
from utils.evaluation.splits import Split

LATER_SHARE = 0.4
"""Share of the rows that the later days should have: days stay whole, so it is met as nearly as they allow."""

NATURAL = "natural_weight"
"""Column with the number of rows in the wild that a row stands for, where a sample has levelled the classes."""

UNNAMED = "unnamed"


def rows_of(data: Dataset, processed: Dataset | None = None, table: str | None = None) -> tuple[pl.DataFrame, Roles]:
    """Put the times and natural weights of a data set beside the features of its processed table.

    Args:
        data: as :func:`utils.datasets.load` gives it.
        processed: its tables, as :func:`utils.features.tables.build` makes them; the data themselves if not given.
        table: name of the table; the main one if not given.

    Returns:
        The rows and what their columns mean; a time that the table no longer has is there if the rows are those of the
        data. Rows whose time or label is missing are left out where others have one; a label or
        time that no row has is none.

    Raises:
        DataError: if there is no such table.
    """
    made = processed or data
    name = table or made.main
    if name not in made.frames:
        raise DataError(f"a table must be one of {listed(list(made.frames))}, found {name!r}: choose one of them")
    frame, roles = made[name], made.roles[name]
    source = data.roles.get(name)
    if source is not None and data[name].height == frame.height:
        beside = [each for each in (source.time, NATURAL) if each in data[name].columns and each not in frame.columns]
        frame = pl.concat([frame, data[name].select(beside)], how="horizontal")
        roles = replace(roles, time=source.time)
    label, time = (column if column and frame[column].count() else None for column in (roles.label, roles.time))
    frame = frame.drop_nulls([column for column in (label, time) if column])
    return frame, replace(roles, label=label, time=time, features=tuple(detectable(frame, roles)))


def possible(frame: pl.DataFrame, roles: Roles) -> pl.DataFrame:
    """Tell which protocols a table allows.

    Args:
        frame: a table as :func:`rows_of` gives it.
        roles: what its columns mean.

    Returns:
        One row a protocol: ``protocol``, ``possible``, ``why`` not.
    """
    lines = [("later days", _why_no_days(frame, roles)), ("left-out families", _why_no_families(frame, roles))]
    lines.append(("ranked", ""))
    return pl.DataFrame(
        [(name, not why, why) for name, why in lines], schema=["protocol", "possible", "why"], orient="row"
    )


def split_by_days(frame: pl.DataFrame, roles: Roles, later: float = LATER_SHARE) -> Split:
    """Divide rows into earlier and later days, or by their times where they are of one day or no dates.

    Args:
        frame: a table whose rows all have a time.
        roles: what its columns mean.
        later: share of the rows that the later part should have.

    Raises:
        DataError: if there are no times, or all are equal.
    """
    return splits.by_time(parts_of_time(frame, roles), later)


def parts_of_time(frame: pl.DataFrame, roles: Roles) -> pl.Series:
    """Days of the rows; the times as they are where they are of one day or no dates.

    Args:
        frame: any rows.
        roles: what their columns mean.

    Raises:
        DataError: if there are no times.
    """
    if roles.time is None or roles.time not in frame.columns:
        raise DataError("earlier and later rows are told by their times, found none: use left_out_families")
    times = frame[roles.time]
    days = times.dt.date() if isinstance(times.dtype, pl.Datetime) else times
    return days if days.n_unique() > 1 else times


def kinds_of(frame: pl.DataFrame, roles: Roles) -> pl.Series:
    """Kind of each row, ``"normal"`` for normal ones."""
    normal = ~frame[label_of(roles)]
    named = pl.col(roles.anomaly_type).cast(pl.String) if roles.anomaly_type in frame.columns else pl.lit(UNNAMED)
    named = pl.when(named == NORMAL).then(None).otherwise(named).fill_null(UNNAMED)
    return frame.select(pl.when(normal).then(pl.lit(NORMAL)).otherwise(named).alias("kind")).to_series()


def groups_of(frame: pl.DataFrame, roles: Roles) -> Ints:
    """Number the group of each row; twins are one where the rows have none, a row without one stands alone."""
    if roles.group in frame.columns:
        return inputs.codes(frame[roles.group], frame.height)
    return splits.distinct_rows(frame, roles.features)


def _why_no_days(frame: pl.DataFrame, roles: Roles) -> str:
    if roles.label is None:
        return "nobody labelled the rows"
    if roles.time is None or roles.time not in frame.columns:
        return "the rows have no time"
    try:
        sides = split_by_days(frame, roles)
    except LabError as error:
        return str(error)
    if frame[sides.train].filter(~pl.col(roles.label)).is_empty():
        return "the earlier rows hold no normal one"
    return "" if frame[roles.label].gather(sides.test).n_unique() == 2 else "the later rows are all of one class"


def _why_no_families(frame: pl.DataFrame, roles: Roles) -> str:
    if roles.label is None:
        return "nobody labelled the rows"
    kinds = kinds_of(frame, roles).filter(frame[roles.label]).n_unique()
    return "" if kinds > 1 else f"a kind can be left out only where others stay, found {kinds}"
