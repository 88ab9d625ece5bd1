"""Checks of rows that equal each other: twins across a split (A003), twins with two labels (A008), repeats (A015).

Rows are hashed once (64 bits: two different rows of a million collide with probability 3e-8) and everything else is
counting. Without a published split, the share of test rows with a twin in training is the exact expectation over all
random splits, not a draw.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from utils.audit.finding import Finding, Severity, percent, true_share
from utils.datasets.dtypes import is_text
from utils.errors import DataError

TRAIN = "train"
TEST_SHARE = 0.2
"""Test part of the random split that is supposed where none is published."""

TWINS_HIGH = 0.10
TWINS_MEDIUM = 0.01
CONFLICTS_HIGH = 0.10
CONFLICTS_MEDIUM = 0.01
REPEATS_MEDIUM = 0.10

KEY = "_key"
ANOMALOUS = "_anomalous"
TRAINING = "_training"
TYPE = "_type"


def row_keys(frame: pl.DataFrame, columns: Iterable[str]) -> pl.Series:
    """Hash the rows of some columns: equal rows have equal keys, and NaN equals NaN.

    Columns that are missing or hold Python objects are left out; without any column all keys are 0.

    Returns:
        UInt64 series of length n.
    """
    names = [name for name in columns if name in frame.columns and not isinstance(frame.schema[name], pl.Object)]
    if not names:
        return pl.zeros(frame.height, dtype=pl.UInt64, eager=True)
    return frame.select(names).hash_rows()


def has_content(frame: pl.DataFrame, columns: Sequence[str]) -> pl.Series:
    """Say for each row whether one of some columns is neither missing nor zero.

    Args:
        frame: any table.
        columns: columns of it, at least one.
    """
    said = [
        pl.col(name).is_not_null() & (pl.col(name) != 0)
        if frame.schema[name].is_numeric()
        else pl.col(name).is_not_null()
        for name in columns
    ]
    return frame.select(pl.any_horizontal(said).fill_null(value=False).alias("content")).to_series()


def in_training(split: pl.Series) -> pl.Series:
    """Say for each row whether the split calls it training; a split that is no text calls none so.

    Returns:
        Boolean series without nulls, named as the split.
    """
    if not is_text(split.dtype):
        return pl.repeat(value=False, n=len(split), eager=True).alias(split.name)
    return (split.cast(pl.String) == TRAIN).fill_null(value=False)


def expected_twin_share(sizes: NDArray[np.int64], test_share: float = TEST_SHARE) -> float:
    """Expected share of test rows with at least one equal row in training, over all random splits of the rows.

    A row of a group of g equal rows has no twin in training if the other g - 1 all fall into the test part, which has
    m of n rows: probability prod_{i=1}^{g-1} (m - i) / (n - i).

    Args:
        sizes: number of rows of each group of equal rows.
        test_share: share of the rows that are tested on, between 0 and 1.

    Returns:
        The share, between 0 and 1.

    Raises:
        DataError: if the share is not between 0 and 1.
    """
    if not 0 < test_share < 1:
        raise DataError(f"the test share must lie between 0 and 1, found {test_share}: choose for instance 0.2")
    rows = int(sizes.sum())
    tested = round(test_share * rows)
    if tested in (0, rows):
        return 0.0
    distinct, counts = np.unique(sizes, return_counts=True)
    steps = np.arange(1, min(int(distinct[-1]), tested + 1))
    alone = np.concatenate([[1.0], np.cumprod((tested - steps) / (rows - steps))])
    lonely = alone[np.minimum(distinct, tested + 1) - 1]
    return float((counts * distinct * (1 - lonely)).sum() / rows)


def twins_across_split(
    frame: pl.DataFrame,
    features: Sequence[str],
    split: str | None = None,
    *,
    label: str | None = None,
    recurring: bool = False,
) -> list[Finding]:
    """A003: count test rows that equal a training row in all features.

    Grave where a part of the test rows of ``TWINS_HIGH`` can be answered by memory. Less so where training holds one
    class only (a detector of the unusual is meant to know the usual again), for rows that recur by nature, and
    where nobody labelled the rows.

    Args:
        frame: any table.
        features: columns of which all must agree.
        split: column with the published split, ``"train"`` for training; ``None`` for a random split of 80 to 20.
        label: Boolean column; if given, the evidence tells the classes apart.
        recurring: whether rows recur in service as they do here: sequences of events, parts of a larger whole.

    Returns:
        At most one finding.

    Source:
        Kapoor and Narayanan 2023 (duplicates); Barz and Denzler, "Do We Train on Test Data?", J. Imaging 2020; Landauer
        et al., "A critical review of common log data sets used for evaluation of sequence-based anomaly detection
        techniques", FSE 2024.
    """
    if not _present(frame, features):
        return []
    keyed = _keyed(frame, features, label, split)
    if TRAINING in keyed.columns and _both_parts(keyed):
        return _published_twins(keyed, recurring=recurring)
    return _random_twins(keyed, recurring=recurring)


def conflicting_twins(
    frame: pl.DataFrame,
    features: Sequence[str],
    label: str,
    *,
    anomaly_type: str | None = None,
    split: str | None = None,
) -> list[Finding]:
    """A008: count rows that equal each other in all features and differ in label, or only in the kind of anomaly.

    No model of these features can be right about all of them. Grave from ``CONFLICTS_HIGH`` of the anomalies on.

    Args:
        frame: any table; rows without a label are left out.
        features: columns of which all must agree.
        label: Boolean column.
        anomaly_type: column with the kind of anomaly.
        split: column with the published split; if given, pairs of a training and a test row are counted too.

    Returns:
        At most one finding of either kind.

    Source:
        Engelen, Rimmer and Joosen, "Troubleshooting an Intrusion Detection Dataset", IEEE SPW 2021; Northcutt et al.,
        "Confident Learning", JAIR 2021, for the floor that wrong labels put under every error.
    """
    if not _present(frame, features) or frame.schema.get(label) != pl.Boolean:
        return []
    keyed = _keyed(frame.filter(pl.col(label).is_not_null()), features, label, split, anomaly_type)
    twins = keyed.filter(pl.col(KEY).is_duplicated())
    by_label = _label_conflicts(twins, keyed)
    return by_label + (_type_conflicts(twins, keyed) if TYPE in keyed.columns else [])


def repeats_within_part(frame: pl.DataFrame, features: Sequence[str], split: str | None = None) -> list[Finding]:
    """A015: count rows that repeat an earlier row of the same part (all rows are one part without a split).

    Args:
        frame: any table.
        features: columns of which all must agree.
        split: column with the published split.

    Returns:
        At most one finding.

    Source:
        Tavallaee et al., CISDA 2009: three quarters of KDD Cup 99 are repeats, and every score was a score of them.
    """
    names = [*features, split] if split is not None else list(features)
    if not _present(frame, features) or not frame.height:
        return []
    parts = frame.select(
        row_keys(frame, names).alias(KEY), pl.col(split).alias("part") if split else pl.lit("all rows").alias("part")
    )
    repeats = parts.group_by("part").agg((pl.len() - pl.col(KEY).n_unique()).alias("repeats"), pl.len()).sort("part")
    total = int(repeats["repeats"].sum())
    if not total:
        return []
    each = ", ".join(f"{n:,} of {rows:,} in {part}" for part, n, rows in repeats.iter_rows() if n)
    return [
        Finding(
            "A015",
            "medium" if total >= REPEATS_MEDIUM * frame.height else "low",
            "Rows repeat an earlier row, so some cases count several times.",
            f"Repeated rows: {each}.",
            "Keep one of each, or weight by count on purpose; say which when reporting a score.",
        )
    ]


def _present(frame: pl.DataFrame, features: Sequence[str]) -> bool:
    return any(name in frame.columns for name in features)


def _keyed(
    frame: pl.DataFrame, features: Sequence[str], label: str | None, split: str | None, anomaly_type: str | None = None
) -> pl.DataFrame:
    """Only what is counted: the key of each row, its label, its part and its kind."""
    columns = [row_keys(frame, features).alias(KEY)]
    if label is not None and frame.schema.get(label) == pl.Boolean:
        columns.append(frame[label].alias(ANOMALOUS))
    if split is not None and split in frame.columns:
        columns.append(in_training(frame[split]).alias(TRAINING))
    if anomaly_type is not None and is_text(frame.schema.get(anomaly_type)):
        columns.append(frame[anomaly_type].cast(pl.String).alias(TYPE))
    return pl.DataFrame(columns)


def _both_parts(keyed: pl.DataFrame) -> bool:
    return bool(keyed[TRAINING].any()) and not bool(keyed[TRAINING].all())


def _published_twins(keyed: pl.DataFrame, *, recurring: bool) -> list[Finding]:
    train, test = keyed.filter(TRAINING), keyed.filter(~pl.col(TRAINING))
    twin = test[KEY].is_in(train[KEY].unique().implode())
    if not twin.any():
        return []
    parts = [("test rows", twin), *_by_class(test, twin)]
    one_class = ANOMALOUS in train.columns and train[ANOMALOUS].drop_nulls().n_unique() < 2
    told = [f"{int(one.sum()):,} of {len(one):,} {name} ({percent(true_share(one))})" for name, one in parts]
    note = "; training holds one class only" if one_class else ""
    evidence = f"{told[0]} equal a training row{': ' if told[1:] else ''}{', '.join(told[1:])}{note}."
    worst = max(true_share(one) for _, one in parts)
    return [_twin_finding(_twin_severity(worst, softened=one_class or recurring), evidence)]


def _by_class(test: pl.DataFrame, twin: pl.Series) -> list[tuple[str, pl.Series]]:
    """Flags of the test rows of each class that occurs."""
    if ANOMALOUS not in test.columns:
        return []
    classes = (("normal", False), ("anomalous", True))
    flags = [(name, twin.filter((test[ANOMALOUS] == value).fill_null(value=False))) for name, value in classes]
    return [(name, one) for name, one in flags if len(one)]


def _random_twins(keyed: pl.DataFrame, *, recurring: bool) -> list[Finding]:
    sizes = keyed.group_by(KEY).len()["len"].to_numpy().astype(np.int64)
    expected = expected_twin_share(sizes) if len(sizes) else 0.0
    if not expected:
        return []
    evidence = (
        f"{keyed.height:,} rows, {len(sizes):,} distinct; a random split of 80 to 20 gives {percent(expected)} of the "
        "test rows an equal row in training (exact expectation)."
    )
    return [_twin_finding(_twin_severity(expected, softened=recurring or ANOMALOUS not in keyed.columns), evidence)]


def _twin_severity(share: float, *, softened: bool) -> Severity:
    if share >= TWINS_HIGH and not softened:
        return "high"
    return "medium" if share >= TWINS_MEDIUM else "low"


def _twin_finding(severity: Severity, evidence: str) -> Finding:
    return Finding(
        "A003",
        severity,
        "Test rows have exact twins in training.",
        evidence,
        "Split by distinct row (or remove repeats first), and report the score on test rows without a twin beside it.",
    )


def _label_conflicts(twins: pl.DataFrame, keyed: pl.DataFrame) -> list[Finding]:
    counted = [pl.len().alias("rows"), pl.col(ANOMALOUS).sum().alias("anomalous")]
    if TRAINING in twins.columns:
        counted += [
            (pl.col(TRAINING) & pl.col(ANOMALOUS) if anomalous else pl.col(TRAINING) & ~pl.col(ANOMALOUS))
            .sum()
            .cast(pl.Int64)
            .alias(name)
            for name, anomalous in (("train_anomalous", True), ("train_normal", False))
        ]
    groups = twins.group_by(KEY).agg(counted)
    mixed = groups.filter((pl.col("anomalous") > 0) & (pl.col("anomalous") < pl.col("rows")))
    if mixed.is_empty():
        return []
    lost = int(mixed["anomalous"].sum())
    part = lost / int(keyed[ANOMALOUS].sum())
    floor = int(mixed.select(pl.min_horizontal("anomalous", pl.col("rows") - pl.col("anomalous")).sum()).item())
    across = _pairs_across(mixed)
    evidence = (
        f"{mixed.height:,} distinct rows stand under both labels: {int(mixed['rows'].sum()):,} rows, of which {lost:,} "
        f"anomalous ({percent(part)} of the anomalies); at least {floor:,} errors for any model{across}."
    )
    severity: Severity = "high" if part >= CONFLICTS_HIGH else "medium" if part >= CONFLICTS_MEDIUM else "low"
    return [_conflict(severity, "Equal rows carry different labels.", evidence)]


def _pairs_across(mixed: pl.DataFrame) -> str:
    if "train_normal" not in mixed.columns:
        return ""
    test_anomalous = pl.col("anomalous").cast(pl.Int64) - pl.col("train_anomalous")
    test_normal = (pl.col("rows") - pl.col("anomalous")).cast(pl.Int64) - pl.col("train_normal")
    pairs = pl.col("train_normal") * test_anomalous + pl.col("train_anomalous") * test_normal
    return f"; {int(mixed.select(pairs.sum()).item()):,} pairs of a training and a test row disagree"


def _type_conflicts(twins: pl.DataFrame, keyed: pl.DataFrame) -> list[Finding]:
    """Twins that are all anomalous but are called by different names: they spoil the naming of kinds only."""
    groups = twins.filter(pl.col(ANOMALOUS)).group_by(KEY).agg(pl.len().alias("rows"), pl.col(TYPE).unique())
    mixed = groups.filter(pl.col(TYPE).list.len() > 1)
    if mixed.is_empty():
        return []
    rows = int(mixed["rows"].sum())
    part = rows / int(keyed[ANOMALOUS].sum())
    names = mixed[TYPE].explode().value_counts(sort=True)[TYPE].head(4).to_list()
    evidence = (
        f"{mixed.height:,} distinct rows ({rows:,} rows, {percent(part)} of the anomalies) stand under several kinds "
        f"of anomaly, mostly {', '.join(map(str, names))}."
    )
    severity: Severity = "medium" if part >= CONFLICTS_MEDIUM else "low"
    return [_conflict(severity, "Equal rows carry different kinds of anomaly.", evidence)]


def _conflict(severity: Severity, what: str, evidence: str) -> Finding:
    return Finding(
        "A008",
        severity,
        what,
        evidence,
        "Leave them out of training, keep them in the test with the floor that they put under the errors, or find the "
        "feature that tells them apart.",
    )
