"""What a check reports, and the table of it that people read."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Literal

import polars as pl

Severity = Literal["high", "medium", "low"]
SEVERITIES: tuple[Severity, ...] = ("high", "medium", "low")
COLUMN_SEPARATOR = ", "


@dataclass(frozen=True)
class Finding:
    """One flaw that one check found.

    Attributes:
        code: number of the check, as ``"A001"``.
        severity: what the flaw would do to a result if the column or the rows were used as they are.
        what: the flaw in one sentence.
        evidence: the measured figures behind it.
        remedy: what to do.
        frame: table it was found in.
        columns: columns it concerns.
        handled: whether the roles of the data set already keep it out of a model or a split.
    """

    code: str
    severity: Severity
    what: str
    evidence: str
    remedy: str
    frame: str = ""
    columns: tuple[str, ...] = ()
    handled: bool = False


def order(findings: Iterable[Finding]) -> list[Finding]:
    """Sort findings: the gravest first, then by code, frame and columns."""
    return sorted(findings, key=lambda f: (SEVERITIES.index(f.severity), f.code, f.frame, f.columns))


def table(findings: Iterable[Finding]) -> pl.DataFrame:
    """Put findings into a table, the gravest first.

    Returns:
        One row a finding: code, severity (Enum high < medium < low), handled, frame, columns (joined by commas), what,
        evidence, remedy. No findings give an empty table with these columns.
    """
    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        "code": pl.String,
        "severity": pl.Enum(SEVERITIES),
        "handled": pl.Boolean,
        "frame": pl.String,
        "columns": pl.String,
        "what": pl.String,
        "evidence": pl.String,
        "remedy": pl.String,
    }
    rows = [{f.name: getattr(finding, f.name) for f in fields(finding)} for finding in order(findings)]
    joined = [row | {"columns": COLUMN_SEPARATOR.join(row["columns"])} for row in rows]
    return pl.DataFrame(joined, schema=schema)


def true_share(flags: pl.Series) -> float:
    """Share of true values; missing values count as false, and no values give 0."""
    return int(flags.sum()) / len(flags) if len(flags) else 0.0


def percent(share: float) -> str:
    """Write a share between 0 and 1 as a percentage that never rounds a little to nothing or nearly all to all."""
    if 0 < share < 0.0005:
        return "< 0.1 %"
    if 0.9995 < share < 1:
        return "> 99.9 %"
    return f"{100 * share:.3g} %" if share in (0, 1) else f"{100 * share:.1f} %"
