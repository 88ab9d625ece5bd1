"""Checks of event sequences: sessions that the end of the log cut off (A009), and the ceiling that this puts on F1."""

import polars as pl

from utils.audit.finding import Finding, Severity, percent, true_share
from utils.evaluation.baselines import f1_ceiling

USUAL_LENGTH = 0.9
"""Quantile of the session lengths that counts as usual: all but a tenth of the sessions are done by then."""

OPEN_MEDIUM = 0.10
OPEN_HIGH = 0.25
CEILING_HIGH = 0.95
"""Highest possible F1 below which truncation has made the task unsolvable for practical purposes."""

CUT_CORRELATION = -0.05
CUT_Z = -5.0
"""Rank correlation of beginning and length, and its standard score, from which on a log was cut: -0.46 in the first
104,815 lines of HDFS, within 0.015 of zero in whole logs of 6,000 sessions."""

LEAST_OPEN = 0.01
SEPARATOR = "\x1f"


def truncated_sessions(
    sessions: pl.DataFrame, sequence: str, first: str, last: str, *, label: str | None = None
) -> list[Finding]:
    """A009: find sessions that were still open when the log ended.

    In a log that was cut, sessions that begin later are shorter, because less of them was seen; in a whole one, length
    does not depend on the beginning. Where Spearman's rank correlation of the two shows a cut (``CUT_CORRELATION``), a
    session counts as open if its last line lies closer to the end of the log than the usual session is long (quantile
    ``USUAL_LENGTH``) and its sequence is the beginning of a longer one that occurs. Places may be lines or times.
    Grave only where many are open and equal sequences stand under both labels so often that the highest F1 of any model
    of the sequence is below ``CEILING_HIGH``.

    Args:
        sessions: one row a session.
        sequence: list column with its events in order.
        first: column with the place of its first line.
        last: column with the place of its last line.
        label: Boolean column; needed for the ceiling.

    Returns:
        At most one finding.

    Source:
        Landauer et al., FSE 2024, and Le and Zhang, "Log-based Anomaly Detection with Deep Learning: How Far Are We?",
        ICSE 2022, on how sessions of HDFS are cut; the 798 seconds of HDFS_100k.
    """
    wanted = {sequence, first, last}
    if not wanted <= set(sessions.columns) or not isinstance(sessions.schema[sequence], pl.List):
        return []
    rows = sessions.filter(pl.all_horizontal(pl.col(name).is_not_null() for name in sorted(wanted)))
    if rows.is_empty() or not _are_places(rows, first, last):
        return []
    correlation = _shortening(rows, sequence, first)
    if correlation > CUT_CORRELATION or correlation * rows.height**0.5 > CUT_Z:
        return []
    is_open = _near_the_end(rows, first, last) & _is_beginning(rows[sequence])
    share = true_share(is_open)
    if share < LEAST_OPEN:
        return []
    ceiling = f1_ceiling(rows, sequence, label) if label is not None else None
    return [_truncated(is_open, correlation, ceiling, _labels(rows, label))]


def _are_places(rows: pl.DataFrame, first: str, last: str) -> bool:
    types = (rows.schema[first], rows.schema[last])
    return all(dtype.is_numeric() or dtype.is_temporal() for dtype in types)


def _shortening(rows: pl.DataFrame, sequence: str, first: str) -> float:
    """Rank correlation between where sessions begin and how long they are; 0 if either does not vary."""
    begin = pl.col(first).to_physical().cast(pl.Float64)
    length = pl.col(sequence).list.len().cast(pl.Float64)
    return float(rows.select(pl.corr(begin, length, method="spearman").fill_nan(0.0).fill_null(0.0)).item())


def _near_the_end(rows: pl.DataFrame, first: str, last: str) -> pl.Series:
    begin, end = (pl.col(name).to_physical().cast(pl.Float64) for name in (first, last))
    usual = (end - begin).quantile(USUAL_LENGTH)
    return rows.select((end.max() - end < usual).fill_null(value=False)).to_series()


def _is_beginning(sequences: pl.Series) -> pl.Series:
    """Whether each sequence is a proper beginning of another one that occurs; done once a distinct sequence.

    Among sorted texts, those that begin with a given one follow it at once, so looking at the next one is enough.
    """
    nested = isinstance(sequences.dtype, pl.List) and sequences.dtype.inner.is_nested()
    events = (pl.element().hash() if nested else pl.element()).cast(pl.String)
    text = sequences.to_frame("events").select(
        pl.col("events").list.eval(events.fill_null("")).list.join(SEPARATOR).add(SEPARATOR).alias("text")
    )
    distinct = text.unique().sort("text")
    followed = distinct.with_columns(
        pl.col("text").shift(-1).str.starts_with(pl.col("text")).fill_null(value=False).alias("begins")
    )
    return text.join(followed, on="text", how="left", maintain_order="left")["begins"]


def _labels(rows: pl.DataFrame, label: str | None) -> pl.Series | None:
    return rows[label] if label is not None and rows.schema.get(label) == pl.Boolean else None


def _truncated(is_open: pl.Series, correlation: float, ceiling: float | None, labels: pl.Series | None) -> Finding:
    share = true_share(is_open)
    grave = share >= OPEN_HIGH and ceiling is not None and ceiling < CEILING_HIGH
    severity: Severity = "high" if grave else "medium" if share >= OPEN_MEDIUM else "low"
    return Finding(
        "A009",
        severity,
        "The log ends while sessions are still open.",
        f"Sessions that begin later are shorter (rank correlation {correlation:.2f}); {int(is_open.sum()):,} of "
        f"{len(is_open):,} ({percent(share)}) stop near the end with a sequence that others continue"
        f"{_among_anomalies(is_open, labels)}{_bound(ceiling)}.",
        "Score whole sessions only, or print the ceiling beside every score; a result above it is a leak.",
    )


def _among_anomalies(is_open: pl.Series, labels: pl.Series | None) -> str:
    if labels is None or not labels.any():
        return ""
    hits = int((is_open & labels.fill_null(value=False)).sum())
    return f", {hits:,} of the {int(labels.sum()):,} anomalous sessions among them"


def _bound(ceiling: float | None) -> str:
    return "" if ceiling is None else f"; no model of the sequence can exceed F1 {ceiling:.3f}"
