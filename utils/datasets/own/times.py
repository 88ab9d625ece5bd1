"""Times as users write them: many formats, no year, no date, seconds since 1970, fractions after a comma.

Results are Datetime[us] without a zone; times with an offset are turned into UTC. Format strings are Python's
(``%f`` is the fraction of a second, however many digits it has).
"""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import polars as pl
from polars.exceptions import PolarsError

from utils.datasets.contract import Defect
from utils.datasets.dtypes import is_text
from utils.datasets.own import turnover
from utils.datasets.own.entry import OwnEntry
from utils.errors import DataError

EPOCH: Mapping[str, int] = MappingProxyType(
    {"epoch": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1, "epoch_ns": -1_000, "%s": 1_000_000}
)
FORMATS = (
    "%Y-%m-%d %H:%M:%S.%f",
    "%Y-%m-%d %H:%M:%S,%f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S.%f%z",
    "%Y-%m-%d %H:%M:%S.%f %z",
    "%Y-%m-%dT%H:%M:%S.%f",
    "%Y-%m-%dT%H:%M:%S.%f%z",
    "%Y-%m-%dT%H:%M:%S,%f",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d-%H.%M.%S.%f",
    "%Y/%m/%d %H:%M:%S.%f",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d",
    "%Y%m%d-%H:%M:%S:%f",
    "%Y%m%d %H:%M:%S.%f",
    "%Y%m%d %H%M%S",
    "%Y%m%d%H%M%S",
    "%Y%m%d",
    "%y%m%d %H%M%S",
    "%y%m%d %H:%M:%S",
    "%y/%m/%d %H:%M:%S.%f",
    "%d/%m/%y %H:%M:%S.%f",
    "%d/%m/%y %H:%M",
    "%d/%m/%Y %H:%M:%S.%f",
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y",
    "%d/%m/%Y %I:%M:%S %p",
    "%d/%m/%Y %I:%M %p",
    "%m/%d/%y %H:%M:%S.%f",
    "%m/%d/%y %H:%M",
    "%m/%d/%Y %H:%M:%S.%f",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y",
    "%m/%d/%Y %I:%M:%S %p",
    "%m/%d/%Y %I:%M %p",
    "%d.%m.%Y %H:%M:%S.%f",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y",
    "%d.%m.%y %H:%M",
    "%d-%m-%Y %H:%M:%S.%f",
    "%d-%m-%Y %H:%M",
    "%d-%m-%Y",
    "%d/%b/%Y:%H:%M:%S %z",
    "%d/%b/%Y:%H:%M:%S",
    "%d-%b-%Y %H:%M:%S.%f",
    "%d %b %Y %H:%M:%S.%f",
    "%a %b %d %H:%M:%S %Y",
    "%a %b %d %H:%M:%S.%f %Y",
    "%a, %d %b %Y %H:%M:%S %z",
    "%b %d %Y %H:%M:%S.%f",
    "%b %d, %Y %I:%M:%S %p",
    "%b %d %H:%M:%S.%f",
    "%m-%d %H:%M:%S.%f",
    "%m.%d %H:%M:%S.%f",
    "%H:%M:%S.%f",
    "%H:%M:%S,%f",
)
SAMPLE = 500
GOOD_FIT = 0.9
PLAUSIBLE_YEARS = (1900, 2200)
PLAUSIBLE_MICROS = (-2_208_988_800_000_000, 7_289_654_400_000_000)
"""The years 1900 to 2200, in microseconds since 1970."""

YEAR = re.compile(r"%[-_0]?[YyGgCcDFxsv+]")
DAY = re.compile(r"%[-_0]?[dejmbBhUWaA]")
WEEKDAY = re.compile(r"%[aAuw],?\s*")


class Times(NamedTuple):
    """Parsed times, null where there were none, and what was assumed."""

    values: pl.Series
    defects: tuple[Defect, ...]


def parse(entry: OwnEntry, key: str, values: pl.Series, chains: pl.Series | None = None) -> Times:
    """Turn a column into times.

    Args:
        entry: the entry, for ``time_format`` and ``year``.
        key: how to name the column in a message.
        values: times, text or numbers, in file order.
        chains: for times without a year or date: rows of one value follow each other in time;
            without it, rows have no order.

    Returns:
        The times, and what was reported.

    Raises:
        CatalogError: if the format does not fit, is needed, or could be either of two.
        DataError: if there is no time at all.
    """
    values = values.cast(pl.String) if is_text(values.dtype) else values
    if values.dtype == pl.String:
        values = values.set(~values.str.contains(r"\S"), None)
    if values.drop_nulls().is_empty():
        raise DataError(
            f"data set {entry.name!r}: {key} must hold times, found no value: correct the entry or the file"
        )
    if values.dtype.is_temporal():
        return _temporal(entry, key, values)
    if values.dtype == pl.String and (entry.time_format or _guess_number(values)) not in EPOCH:
        return _text(entry, key, values, chains)
    return _number(entry, key, values)


def _temporal(entry: OwnEntry, key: str, values: pl.Series) -> Times:
    if not isinstance(values.dtype, pl.Datetime | pl.Date):
        raise entry.wrong(key, f"must hold dates or times of day with a date, found {values.dtype}: convert it")
    zone = values.dtype.time_zone if isinstance(values.dtype, pl.Datetime) else None
    universal = values.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if zone else values
    moments = _plausible(universal.cast(pl.Datetime("us")))
    what = f"times in {key} outside the years {PLAUSIBLE_YEARS[0]} to {PLAUSIBLE_YEARS[1]}"
    lost = moments.null_count() - values.null_count()
    return Times(moments, (Defect(what, lost, "taken as missing"),) if lost else ())


def _plausible(moments: pl.Series) -> pl.Series:
    """Times of years that make sense; others, such as the first and the last day of a calendar, are null."""
    return moments.set(~moments.dt.year().is_between(*PLAUSIBLE_YEARS).fill_null(True), None)


# ---- numbers


def _guess_number(values: pl.Series) -> str | None:
    """Name the unit of times in seconds and the like since 1970, if the values are of this century."""
    if values.dtype == pl.String and not values.drop_nulls().head(SAMPLE).str.contains(r"^\d{9,19}(\.\d+)?$").all():
        return None
    middle = values.cast(pl.Float64, strict=False).median()
    if not isinstance(middle, float):
        return None
    units = (("epoch", 1e9), ("epoch_ms", 1e12), ("epoch_us", 1e15), ("epoch_ns", 1e18))
    return next((name for name, size in units if 0.6 * size <= middle < 4.2 * size), None)


def _number(entry: OwnEntry, key: str, values: pl.Series) -> Times:
    unit = entry.time_format or _guess_number(values)
    if unit is None or unit not in EPOCH:
        problem = f"must say what the numbers in {key} are, found such as {values.drop_nulls()[0]}: write one of "
        raise entry.wrong("time_format", problem + '"epoch" (seconds since 1970), "epoch_ms", "epoch_us", "epoch_ns"')
    factor = EPOCH[unit]
    numbers = values.str.strip_chars() if values.dtype == pl.String else values
    whole = numbers.cast(pl.Int64, strict=False)
    exact = whole * factor if factor > 0 else whole // -factor
    scale = float(factor) if factor > 0 else -1.0 / factor
    fractional = (numbers.cast(pl.Float64, strict=False) * scale).round().cast(pl.Int64, strict=False)
    plausible = fractional.is_between(*PLAUSIBLE_MICROS).fill_null(False)
    whole_numbers = numbers.dtype.is_integer() or (
        numbers.dtype == pl.String and whole.null_count() == numbers.null_count()
    )
    micros = (exact if whole_numbers else fractional).set(~plausible, None)
    return Times(micros.cast(pl.Datetime("us")), _unread(entry, key, values, numbers.is_not_null() & ~plausible))


# ---- text


def _text(entry: OwnEntry, key: str, values: pl.Series, chains: pl.Series | None) -> Times:
    known = values.str.strip_chars().str.replace_all(r"\s+", " ")
    written = entry.time_format or _guessed(entry, key, known.drop_nulls())
    try:
        parsed = _plausible(_parsed(known, written))
    except PolarsError as error:
        problem = f"must be a format of times, found {written!r} ({str(error).partition(chr(10))[0]}): complete it"
        raise entry.wrong("time_format", problem) from None
    unread = _unread(entry, key, values, known.is_not_null() & parsed.is_null())
    unwritten = _unwritten(written)
    if unwritten is None:
        return Times(parsed, unread)
    completed, assumption = turnover.complete(entry, unwritten, parsed, chains)
    return Times(completed, (*unread, assumption))


def _unwritten(written: str) -> turnover.Unwritten | None:
    if YEAR.search(written):
        return None
    return turnover.YEAR if DAY.search(written) else turnover.DATE


def _parsed(texts: pl.Series, written: str) -> pl.Series:
    """Parse with one format; what does not fit is null. A year or date that is not written is that of 2000."""
    pattern = re.sub(r"\s+", " ", written.strip())
    unwritten = _unwritten(pattern)
    if unwritten is turnover.YEAR and WEEKDAY.search(pattern):
        # a weekday would contradict the assumed year
        pattern = WEEKDAY.sub("", pattern)
        texts = texts.str.replace(r"(?i)\b(mon|tue|wed|thu|fri|sat|sun)[a-z]*\b,?\s*", "")
    if unwritten:
        texts, pattern = unwritten.assumed + texts, unwritten.pattern + pattern
    return _with_fraction(texts, pattern.replace(".%f", "%.f").replace("%z", "%#z"))


def _with_fraction(texts: pl.Series, pattern: str) -> pl.Series:
    """Parse a format whose ``%f`` may stand for any number of digits."""
    if "%f" not in pattern:
        return _strptime(texts, pattern)
    if pattern.endswith("%f"):
        digits = texts.str.extract(r"\D(\d{1,9})$").str.pad_end(9, "0")
        return _strptime(texts.str.extract(r"^(.*\D)\d{1,9}$") + digits, pattern[:-1] + "9f")
    parsed = _strptime(texts, pattern.replace("%f", "%3f"))
    for width in ("%6f", "%9f"):
        if parsed.has_nulls():
            parsed = parsed.zip_with(parsed.is_not_null(), _strptime(texts, pattern.replace("%f", width)))
    return parsed


def _strptime(texts: pl.Series, pattern: str) -> pl.Series:
    parsed = texts.str.to_datetime(pattern, time_unit="us", strict=False)
    zone = parsed.dtype.time_zone if isinstance(parsed.dtype, pl.Datetime) else None
    return parsed.dt.replace_time_zone(None) if zone else parsed


def _guessed(entry: OwnEntry, key: str, texts: pl.Series) -> str:
    """Find the format that fits most of a sample; if several do, most of all values.

    Raises:
        CatalogError: if none fits, or two that fit give different times.
    """
    sample = texts.gather_every(max(1, texts.len() // SAMPLE))
    fitting = _best(sample, FORMATS)
    if not fitting:
        problem = f"is needed to read {key}, found times such as {sample[0]!r}: add it, such as "
        raise entry.wrong("time_format", problem + '"%Y-%m-%d %H:%M:%S"')
    first, *others = _best(texts, fitting) if len(fitting) > 1 else fitting
    for other in others:
        if not _parsed(texts, other).equals(_parsed(texts, first)):
            problem = f"is needed to read {key}, found {texts[0]!r}, which may be {first!r} or {other!r}: write which"
            raise entry.wrong("time_format", problem)
    return first


def _best(texts: pl.Series, formats: Sequence[str]) -> list[str]:
    """Return the formats that fit most values, if they fit nine in ten."""
    fits = {written: _fit(_parsed(texts, written)) for written in formats}
    most = max(fits.values())
    return [written for written, share in fits.items() if share == most >= GOOD_FIT]


def _fit(parsed: pl.Series) -> float:
    """Share of values that a format parses, to a year that makes sense."""
    return _plausible(parsed).count() / max(parsed.len(), 1)


def _unread(entry: OwnEntry, key: str, values: pl.Series, broken: pl.Series) -> tuple[Defect, ...]:
    """Report times that could not be read, and refuse a format that fits less than half of them."""
    count = int(broken.sum())
    if not count:
        return ()
    example = values.filter(broken)[0]
    if count * 2 > values.len() - values.null_count():
        written = (
            f"time_format {entry.time_format!r}" if entry.time_format else "a format known to fit the first values"
        )
        problem = f"must fit {key}, found {written} failing for {count:,} of {values.len():,} values, first {example!r}"
        raise entry.wrong("time_format", problem + ": correct it")
    return (Defect(f"times in {key} that could not be read, such as {example!r}", count, "taken as missing"),)
