"""A published number beside ours, and to how many of its printed digits they are equal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import polars as pl

from utils.errors import DataError
from utils.evaluation.inputs import Ints

NOT_PUBLISHED = "not published"
NOT_COMPARABLE = "not comparable: simulated data"
BASELINE_DIGITS = 3
"""Digits shown of numbers that nobody published."""
SCHEMA = {
    **dict.fromkeys(("step", "measure", "part", "published", "reproduced"), pl.String),
    "value": pl.Float64,
    "equal": pl.Boolean,
    "agreement": pl.String,
}


class Measured(NamedTuple):
    """One number of a step: what it is, of which rows, as it was printed (``None`` if it was not) and ours."""

    measure: str
    part: str
    published: str | None
    value: float


@dataclass(frozen=True, eq=False)
class Reproduction:
    """One step of a published experiment, done again.

    Attributes:
        step: what was done.
        table: one row a number: ``step``, ``measure``, ``part`` (rows that it is of), ``published`` (as printed, or
            null), ``reproduced`` (ours with as many digits), ``value`` (ours in full), ``equal`` (to all printed
            digits; null where there is nothing to compare) and ``agreement`` in words.
        labels: cluster or decision of each row by part; -1 is noise, or an alarm.
    """

    step: str
    table: pl.DataFrame
    labels: Mapping[str, Ints] = field(default_factory=dict)


def reproduction(
    step: str, numbers: Sequence[Measured], *, comparable: bool, labels: Mapping[str, Ints] | None = None
) -> Reproduction:
    """Put published numbers beside ours.

    Args:
        step: what was done.
        numbers: the numbers in the order of the publication.
        comparable: whether the rows are the published ones.
        labels: cluster or decision of each row by part.

    Raises:
        DataError: if a published text is no number.
    """
    rows = [(step, *_row(number, comparable)) for number in numbers]
    return Reproduction(step, pl.DataFrame(rows, schema=SCHEMA, orient="row"), labels or {})


def together(steps: Sequence[Reproduction]) -> pl.DataFrame:
    """Stack the tables of several steps."""
    return pl.concat([pl.DataFrame(schema=SCHEMA), *(step.table for step in steps)])


def printed_digits(published: str) -> int:
    """Significant digits of a number as it was printed: leading zeros and the exponent do not count.

    Raises:
        DataError: if the text is no number.
    """
    try:
        float(published)
    except ValueError:
        found = f"a published number must be a number as printed, found {published!r}: write it as it was printed"
        raise DataError(found) from None
    digits = published.lower().partition("e")[0].lstrip("+-").replace(".", "").lstrip("0")
    return max(len(digits), 1)


def equal_digits(published: str, value: float) -> int:
    """Count the significant digits, from the left, to which ours rounds to the published number.

    Args:
        published: the number as it was printed.
        value: ours.

    Returns:
        0 to the number of printed digits.

    Raises:
        DataError: if the text is no number.
    """
    printed = printed_digits(published)
    wanted = float(published)
    return next((n for n in range(printed, 0, -1) if f"{wanted:.{n - 1}e}" == f"{value:.{n - 1}e}"), 0)


def _row(number: Measured, comparable: bool) -> tuple[str, str, str | None, str, float, bool | None, str]:
    measure, part, published, value = number
    printed = printed_digits(published) if published else BASELINE_DIGITS
    shown = f"{value:.0f}" if float(value).is_integer() and abs(value) >= 1 else f"{value:.{printed}g}"
    equal = None
    if not published:
        words = NOT_PUBLISHED
    elif not comparable:
        words = NOT_COMPARABLE
    else:
        digits = equal_digits(published, value)
        equal, words = digits == printed, _in_words(digits, printed)
    return measure, part, published, shown, float(value), equal, words


def _in_words(digits: int, printed: int) -> str:
    if digits == printed:
        return "all digits" if printed > 1 else "the one digit"
    return f"{digits} of {printed} digits"
