"""Times whose year or date is not written: the one that is assumed, and when the next one starts."""

from typing import NamedTuple

import polars as pl

from utils.datasets.contract import Defect
from utils.datasets.own.entry import OwnEntry

ASSUMED_YEAR = 2000
DAY_US = 86_400_000_000
LEAP_YEARS = tuple(year for year in range(1600, 2600) if (year % 4 == 0 and year % 100) or year % 400 == 0)


class Unwritten(NamedTuple):
    """The part of a date that a format does not write.

    Attributes:
        part: its name.
        next: what starts when the time falls back.
        assumed: the part as it is put before a time to parse it.
        pattern: its format.
        length: of the part, in microseconds.
        tolerance: how far a time may fall back in disorder, in microseconds.
        tolerated: the same in words.
    """

    part: str
    next: str
    assumed: str
    pattern: str
    length: int
    tolerance: int
    tolerated: str


YEAR = Unwritten("year", "year", "2000 ", "%Y ", 365 * DAY_US, 31 * DAY_US, "31 days")
DATE = Unwritten("date", "day", "2000-01-01 ", "%Y-%m-%d ", DAY_US, DAY_US // 24, "an hour")


def complete(
    entry: OwnEntry, unwritten: Unwritten, parsed: pl.Series, chains: pl.Series | None
) -> tuple[pl.Series, Defect]:
    """Give times their year (or day): in a chain of rows, a fall back in time starts the next one.

    Args:
        entry: the entry, for its ``year``.
        unwritten: what the format does not write.
        parsed: times in the assumed year 2000 (or on its first day), in file order.
        chains: rows of one value follow each other in time; without it, all times are in one year.

    Returns:
        The times, and what was assumed.

    Raises:
        CatalogError: if a 29 February would fall into a year that has none.
    """
    turns = _turns(unwritten, parsed, chains) if chains is not None else parsed.is_null().cast(pl.Int32) * 0
    first = entry.year or ASSUMED_YEAR
    leap = turns.filter(((parsed.dt.month() == 2) & (parsed.dt.day() == 29)).fill_null(False))
    if unwritten is YEAR and not leap.is_empty():
        first = entry.year or ASSUMED_YEAR + (-int(leap[0])) % 4
        if not (first + leap).is_in(LEAP_YEARS).all():
            problem = (
                f"must fit the times, found 29 February outside a leap year, with {first} as the first: correct it"
            )
            raise entry.wrong("year", problem)
    years, days = (first + turns, turns * 0) if unwritten is YEAR else (turns * 0 + first, turns)
    return _moved(parsed, years, days), _assumption(entry, unwritten, parsed, first, chains is not None)


def _turns(unwritten: Unwritten, parsed: pl.Series, chains: pl.Series) -> pl.Series:
    """Count how often the year (or day) has changed before each row of its chain."""
    step = pl.col("time") - pl.col("time").forward_fill().shift(1)
    micros = step.dt.total_microseconds().over("chain")
    back = (micros < -unwritten.tolerance).cast(pl.Int32)
    # a late line of the old year after the first of the new one
    forth = (micros > unwritten.length - unwritten.tolerance).cast(pl.Int32)
    turns = (back - forth).fill_null(0).cum_sum().over("chain")
    return pl.DataFrame({"time": parsed, "chain": chains}).select(turns).to_series()


def _moved(parsed: pl.Series, years: pl.Series, days: pl.Series) -> pl.Series:
    time = pl.col("time").dt
    parts = (time.month(), time.day(), time.hour(), time.minute(), time.second(), time.microsecond())
    moved = pl.datetime(pl.col("year"), *parts, time_unit="us") + pl.duration(days="days")
    frame = pl.DataFrame({"time": parsed, "year": years, "days": days})
    return frame.select(pl.when(pl.col("time").is_not_null()).then(moved)).to_series().alias(parsed.name)


def _assumption(entry: OwnEntry, unwritten: Unwritten, parsed: pl.Series, first: int, chained: bool) -> Defect:
    day = "" if unwritten is YEAR else "1 January "
    handling = f"taken to begin in {day}{first}" + ("" if entry.year else " (set year in the entry to state it)")
    if chained:
        handling += f"; a fall back by more than {unwritten.tolerated} starts the next {unwritten.next}"
    return Defect(f"times without a {unwritten.part}", parsed.len() - parsed.null_count(), handling)
