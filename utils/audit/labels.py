"""Checks of the labels themselves: their share against deployment (A012), and gaps in them (A014)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import polars as pl

from utils.audit.finding import Finding, Severity, percent, true_share
from utils.audit.rows import in_training
from utils.features.target_encoding import ENOUGH_ROWS

UNUSUAL_SHARE = 0.2
"""Above this share of anomalies, what is called anomalous is hardly the exception any more."""

FEW = 20
"""With fewer rows of a class, a test part of a fifth holds three of them at most."""

FAR_FACTOR = 2.0
"""A share more than this factor away from the natural one moves precision beyond any use."""


class NaturalShare(NamedTuple):
    """Share of anomalies where the data came from.

    Attributes:
        share: between 0 and 1.
        source: where the figure is from.
    """

    share: float
    source: str


NATURAL_SHARES: Mapping[str, NaturalShare] = MappingProxyType(
    {
        "cicids2017": NaturalShare(
            505_431 / 2_087_997, "corrected edition without attempted attacks (Liu et al., IEEE CNS 2022)"
        ),
        "hdfs": NaturalShare(16_838 / 575_061, "all blocks of HDFS_v1 (Xu et al., SOSP 2009)"),
    }
)
"""Known natural shares by name of the data set."""


def class_share(frame: pl.DataFrame, label: str, natural: NaturalShare | None = None) -> list[Finding]:
    """A012: compare the share of anomalies with that of the place where a detector would work.

    With a known natural share, more than ``FAR_FACTOR`` in odds away from it is a finding; without one, more than
    ``UNUSUAL_SHARE`` is. Ranking measures survive another share, precision, F1 and thresholds do not.

    Args:
        frame: any table; rows without a label are left out.
        label: Boolean column.
        natural: share in deployment, if known.

    Returns:
        At most one finding.

    Source:
        Axelsson, "The Base-Rate Fallacy and the Difficulty of Intrusion Detection", TISSEC 2000; Arp et al. 2022
        (base rate fallacy); Pendlebury et al. 2019 (spatial bias).
    """
    known = _labels(frame, label).drop_nulls()
    share = true_share(known)
    if not 0 < share < 1:
        return []
    if natural is None:
        return [_unusual_share(share, len(known))] if share > UNUSUAL_SHARE else []
    odds, usual = share / (1 - share), natural.share / (1 - natural.share)
    if 1 / FAR_FACTOR <= odds / usual <= FAR_FACTOR:
        return []
    evidence = (
        f"{percent(share)} of {len(known):,} rows are anomalous, {percent(natural.share)} in the {natural.source}; a "
        f"detector with 90 % recall and 1 % false alarms has precision {_precision(share):.3f} here and "
        f"{_precision(natural.share):.3f} there."
    )
    return [_share_finding("medium", evidence)]


def gaps(frame: pl.DataFrame, label: str | None, split: str | None = None) -> list[Finding]:
    """A014: find rows without a label, labels of one class only, and a part of the split without anomalies to find.

    Args:
        frame: any table.
        label: Boolean column; ``None`` if nobody labelled the rows.
        split: column with the published split.

    Returns:
        One finding for each gap.

    Source:
        Arp et al. 2022 (label inaccuracy); Made With ML, data expectations.
    """
    if label is None or label not in frame.columns:
        return [
            _gap(
                "low",
                "Nobody labelled these rows.",
                f"{frame.height:,} rows without labels.",
                "Judge results on a sample that is labelled by hand; report no score without it.",
            )
        ]
    if frame.schema[label] != pl.Boolean:
        return [
            _gap(
                "medium",
                "The label is not Boolean.",
                f"{label} holds {frame.schema[label]}.",
                "Give it as true for an anomaly and false for a normal row.",
                label,
            )
        ]
    return _missing_labels(frame, label) + _missing_classes(frame, label, split)


def few_of_a_class(frame: pl.DataFrame, label: str) -> list[Finding]:
    """A014: tell that a class has so few rows that scores say little, and that leaks may not have been measured.

    Args:
        frame: any table; rows without a label are left out.
        label: Boolean column.

    Returns:
        At most one finding; none where a class has no row (:func:`gaps`).
    """
    known = _labels(frame, label).drop_nulls()
    anomalous = int(known.sum())
    fewest = min(anomalous, len(known) - anomalous)
    if not 0 < fewest < FEW:
        return []
    name = "anomalous" if fewest == anomalous else "normal"
    unmeasured = "; whether a single column gives the label away was not measured" if fewest < ENOUGH_ROWS else ""
    return [
        _gap(
            "medium",
            "So few rows of one class that scores say little.",
            f"{fewest} of {len(known):,} labelled rows are {name}{unmeasured}.",
            "Label more rows; until then look at rankings, and quote a score only with its interval and this number.",
            label,
        )
    ]


def _labels(frame: pl.DataFrame, label: str) -> pl.Series:
    return frame[label] if frame.schema.get(label) == pl.Boolean else pl.Series(dtype=pl.Boolean)


def _precision(share: float, recall: float = 0.9, false_alarms: float = 0.01) -> float:
    """Precision of a detector at a share of anomalies, by Bayes' rule."""
    return recall * share / (recall * share + false_alarms * (1 - share))


def _unusual_share(share: float, rows: int) -> Finding:
    severity: Severity = "medium" if share > 0.5 else "low"
    return _share_finding(severity, f"{percent(share)} of {rows:,} rows are anomalous; no natural share is on record.")


def _share_finding(severity: Severity, evidence: str) -> Finding:
    return Finding(
        "A012",
        severity,
        "The share of anomalies is far from that of deployment.",
        evidence,
        "Report ranking measures, and precision at the natural share; choose the threshold on normal rows.",
    )


def _gap(severity: Severity, what: str, evidence: str, remedy: str, label: str | None = None) -> Finding:
    return Finding("A014", severity, what, evidence, remedy, columns=(label,) if label else ())


def _missing_labels(frame: pl.DataFrame, label: str) -> list[Finding]:
    missing = frame[label].null_count()
    if not missing:
        return []
    share = missing / frame.height
    return [
        _gap(
            "medium" if share >= 0.01 else "low",
            "Some rows have no label.",
            f"{missing:,} of {frame.height:,} rows ({percent(share)}).",
            "Leave them out of every score; do not count them as normal.",
            label,
        )
    ]


def _missing_classes(frame: pl.DataFrame, label: str, split: str | None) -> list[Finding]:
    known = frame[label].drop_nulls()
    if known.n_unique() < 2:
        name = "anomalous" if known.any() else "normal"
        return [
            _gap(
                "medium",
                "All labels are the same.",
                f"{len(known):,} labelled rows, all {name}.",
                "No score can be computed: look for the other class.",
                label,
            )
        ]
    if split is None or split not in frame.columns:
        return []
    test = frame.filter(~in_training(frame[split]))[label].drop_nulls()
    if test.n_unique() != 1:
        return []
    return [
        _gap(
            "medium",
            "The test part holds one class only.",
            f"{len(test):,} labelled test rows.",
            "Split again so that both classes are tested.",
            label,
        )
    ]
