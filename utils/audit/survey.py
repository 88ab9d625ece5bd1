"""The audit of several data sets at once, as the tables that a notebook shows and a run records."""

from collections.abc import Mapping

import polars as pl

from utils.audit.checks import check
from utils.audit.finding import SEVERITIES, table
from utils.datasets.contract import Dataset


def survey(data: Mapping[str, Dataset]) -> pl.DataFrame:
    """Audit every data set.

    Returns:
        The table of :func:`utils.audit.table` with a leading ``data set`` column, the gravest findings first.
    """
    named = [table(check(each)).select(pl.lit(name).alias("data set"), pl.all()) for name, each in data.items()]
    return pl.concat(named).sort("severity", maintain_order=True)


def verdicts(findings: pl.DataFrame) -> pl.DataFrame:
    """Count the findings of each data set by severity, those that the roles handle apart from those to mind.

    Args:
        findings: as :func:`survey` returns them.

    Returns:
        One row a data set: ``data set``, then for each severity the number ``handled`` and ``open``.
    """
    counts = [
        ((pl.col("severity") == severity) & (pl.col("handled") == handled)).sum().alias(f"{severity}, {word}")
        for severity in SEVERITIES
        for handled, word in ((True, "handled"), (False, "open"))
    ]
    return findings.group_by("data set", maintain_order=True).agg(counts)


def results(findings: pl.DataFrame) -> dict[str, float]:
    """Numbers of findings by severity, and how many of the grave ones are open, for the record of a run."""
    counted = {f"findings_{severity}": float((findings["severity"] == severity).sum()) for severity in SEVERITIES}
    return counted | {"findings_high_open": float(((findings["severity"] == "high") & ~findings["handled"]).sum())}
