"""Checks of how rows were divided: groups (A004) and time (A005) across a split, and what was fitted on the test part.

A006 and A011 need something that no table holds, a transformer or scores, and are called by hand.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from utils.audit.finding import Finding, Severity, percent, true_share
from utils.audit.rows import expected_twin_share, in_training
from utils.datasets.dtypes import is_text
from utils.errors import DataError

GROUPS_HIGH = 0.10
OVERLAP_LOW = 0.01
OWN_TIME = 0.05
"""A kind of anomaly that takes up at most this share of the whole time is one event, not a sample of many."""

OWN_TIME_ROWS = 20
OPTIMISM_HIGH = 0.02
"""F1 that is gained by choosing the threshold on the test labels."""

Transform = Callable[[pl.DataFrame, pl.DataFrame], pl.DataFrame]


def groups_across_split(frame: pl.DataFrame, group: str, split: str | None = None) -> list[Finding]:
    """A004: count test rows whose group (session, entity, host) also stands in training.

    Without a published split, the expected share under a random split of the rows is given; that is no flaw of the data
    but the price of not splitting by group.

    Args:
        frame: any table; rows without a group are left out.
        group: column whose values must not stand on both sides.
        split: column with the published split, ``"train"`` for training.

    Returns:
        At most one finding.

    Source:
        Kapoor and Narayanan 2023 (non-independence between train and test samples); Kaufman et al. 2012.
    """
    if group not in frame.columns or isinstance(frame.schema[group], pl.Object):
        return []
    rows = frame.filter(pl.col(group).is_not_null())
    training = _training(rows, split)
    if training is None:
        return _groups_at_random(rows, group)
    test = rows.filter(~training)[group]
    both = test.is_in(rows.filter(training)[group].unique().implode())
    share = true_share(both)
    if not share:
        return []
    severity: Severity = "high" if share >= GROUPS_HIGH else "medium"
    evidence = (
        f"{test.filter(both).n_unique():,} values of {group} stand on both sides; they hold {int(both.sum()):,} of "
        f"{len(test):,} test rows ({percent(share)})."
    )
    return [_group_finding(severity, group, evidence)]


def time_overlap(frame: pl.DataFrame, time: str, split: str) -> list[Finding]:
    """A005: count test rows that are older than the newest training row.

    Args:
        frame: any table; rows without a time are left out.
        time: column of dates, times or numbers.
        split: column with the published split, ``"train"`` for training.

    Returns:
        At most one finding.

    Source:
        skore, check SKD013; Pendlebury et al., "TESSERACT", USENIX Security 2019 (temporal bias); Arp et al. 2022.
    """
    if not _is_time(frame, time) or split not in frame.columns:
        return []
    rows = pl.DataFrame([_places(frame[time]).alias("time"), frame[split].alias("split")]).drop_nulls("time")
    training = _training(rows, "split")
    if training is None:
        return []
    older = rows.filter(~training)["time"] < rows.filter(training)["time"].max()
    share = true_share(older)
    if share < OVERLAP_LOW:
        return []
    return [
        Finding(
            "A005",
            "medium",
            "Training holds rows that are newer than test rows.",
            f"{int(older.sum()):,} of {len(older):,} test rows ({percent(share)}) are older than the newest training "
            "row.",
            "Split by time: train on the past, test on what comes after it.",
            columns=(time,),
        )
    ]


def anomalies_in_own_time(frame: pl.DataFrame, time: str, anomaly_type: str, normal: str = "normal") -> list[Finding]:
    """A005: find kinds of anomaly that all happen within a small part of the time that the data cover.

    A random split then tests on the very run of a tool that training has seen, and the time gives the class away.

    Args:
        frame: any table; rows without a time are left out.
        time: column of dates, times or numbers.
        anomaly_type: column with the kind of anomaly.
        normal: the kind of normal rows.

    Returns:
        At most one finding.

    Source:
        Engelen et al. 2021; Pendlebury et al. 2019.
    """
    if not _is_time(frame, time) or not is_text(frame.schema.get(anomaly_type)):
        return []
    rows = pl.DataFrame([frame[anomaly_type].cast(pl.String).alias("kind"), _places(frame[time]).alias("time")])
    span = pl.col("time").max() - pl.col("time").min()
    kinds = rows.drop_nulls().filter(pl.col("kind") != normal).group_by("kind").agg(pl.len(), span.alias("span"))
    whole = float(rows.select(span).item() or 0)
    own = kinds.filter((pl.col("span") <= OWN_TIME * whole) & (pl.col("len") >= OWN_TIME_ROWS)).sort("span")
    if own.is_empty() or not whole:
        return []
    share = int(own["len"].sum()) / int(kinds["len"].sum())
    longest = float(own["span"][-1]) / whole
    names = ", ".join(own["kind"].head(4)) + (" ..." if own.height > 4 else "")
    return [
        Finding(
            "A005",
            "medium" if share >= 0.5 else "low",
            "Kinds of anomaly happen in a short time of their own.",
            f"{own.height} of {kinds.height} kinds ({names}), {percent(share)} of the anomalies, lie each within "
            f"{percent(longest)} of the time that the data cover.",
            "Keep the time out of the features; hold out whole kinds or days to measure how new attacks are met.",
            columns=(time,),
        )
    ]


def fitted_on_all(
    transform: Transform, train: pl.DataFrame, test: pl.DataFrame, published: pl.DataFrame, tolerance: float = 1e-9
) -> list[Finding]:
    """A006: prove that published features of the test rows were computed with the help of the test rows.

    The features of the test rows are computed twice, once with what training alone knows and once with all rows. They
    were fitted on all rows where the published value is that of the second and not of the first.

    Args:
        transform: function of (rows to learn from, rows to transform) that returns one row of features for each row of
            its second argument, in order.
        train: training rows, raw.
        test: test rows, raw.
        published: features of the test rows as published, one row each; columns that the transformation does not give
            are not compared.
        tolerance: largest relative difference of equal numbers.

    Returns:
        At most one finding, with the columns concerned.

    Raises:
        DataError: if the transformation does not return one row for each test row.

    Source:
        Kapoor and Narayanan 2023 (pre-processing on training and test set); Kaufman et al. 2012.
    """
    honest, together = transform(train, test), transform(pl.concat([train, test], how="vertical_relaxed"), test)
    for name, made in (("training rows alone", honest), ("all rows", together), ("publication", published)):
        if made.height != test.height:
            raise DataError(f"features from {name} must have {test.height} rows, found {made.height}: one a test row")
    shared = [name for name in published.columns if name in honest.columns and name in together.columns]
    told = {name: _disagree(published[name], honest[name], tolerance) for name in shared}
    apart = {name: told[name] & ~_disagree(published[name], together[name], tolerance) for name in shared}
    columns = tuple(name for name in shared if apart[name].any())
    if not columns:
        return []
    rows = int(np.logical_or.reduce([apart[name] for name in columns]).sum())
    return [
        Finding(
            "A006",
            "high" if rows >= 0.5 * test.height else "medium",
            "Features of the test rows were computed with the help of the test rows.",
            f"{len(columns)} of {len(shared)} columns; {rows:,} of {test.height:,} test rows have the value that all "
            "rows together give and not the one that training alone gives.",
            "Fit every transformation on the training part only; put it into the pipeline of the model.",
            columns=columns,
        )
    ]


def test_fitted_threshold(
    threshold: float, train_labels: ArrayLike, train_scores: ArrayLike, test_labels: ArrayLike, test_scores: ArrayLike
) -> list[Finding]:
    """A011: tell whether a threshold is the one that is best on the test labels and not the one training would choose.

    Thresholds are compared by what they decide: two that flag the same test rows are the same, and one that is best on
    the training rows may have been chosen there, wherever it lies between two of their scores. Best means highest F1.

    Args:
        threshold: rows with a score of at least this are called anomalous.
        train_labels: 1 or true for an anomaly, length n; what the threshold should have been chosen on.
        train_scores: higher is more abnormal, length n.
        test_labels: as ``train_labels``, length m.
        test_scores: as ``train_scores``, length m.

    Returns:
        At most one finding.

    Raises:
        DataError: if labels and scores differ in length, or a part has no anomaly or no rows.

    Source:
        Arp et al. 2022 (biased parameter selection); Kim et al., "Towards a Rigorous Evaluation of Time-Series Anomaly
        Detection", AAAI 2022 (best F1 over all thresholds).
    """
    y_train, s_train = _scored(train_labels, train_scores, "training")
    y_test, s_test = _scored(test_labels, test_scores, "test")
    from_train, from_test = _best_threshold(y_train, s_train), _best_threshold(y_test, s_test)
    got, honest, best = (_f1(y_test, s_test >= value) for value in (threshold, from_train, from_test))
    as_good, most = (_f1(y_train, s_train >= value) for value in (threshold, from_train))
    if got < best or as_good >= most or np.array_equal(s_test >= threshold, s_test >= from_train):
        return []
    return [
        Finding(
            "A011",
            "high" if got - honest >= OPTIMISM_HIGH else "medium",
            "The threshold is the best one on the test labels.",
            f"Threshold {threshold:.6g}: F1 {got:.4f} on the test part, the highest that any threshold reaches; that "
            f"chosen on training ({from_train:.6g}) gives {honest:.4f}.",
            "Choose the threshold on training or validation rows, then look at the test rows once.",
        )
    ]


test_fitted_threshold.__test__ = False  # type: ignore[attr-defined]


def _training(rows: pl.DataFrame, split: str | None) -> pl.Series | None:
    """Which rows are training rows; nothing if there is no split or only one part."""
    if split is None or split not in rows.columns:
        return None
    training = in_training(rows[split])
    return training if training.any() and not training.all() else None


def _groups_at_random(rows: pl.DataFrame, group: str) -> list[Finding]:
    sizes = rows.group_by(group).len()["len"].to_numpy().astype(np.int64)
    share = expected_twin_share(sizes) if len(sizes) > 1 else 0.0
    if share < OVERLAP_LOW:
        return []
    evidence = (
        f"{rows.height:,} rows in {len(sizes):,} groups; a random split of the rows, 80 to 20, gives {percent(share)} "
        "of the test rows a row of their own group in training (exact expectation)."
    )
    return [_group_finding("medium" if share >= GROUPS_HIGH else "low", group, evidence)]


def _group_finding(severity: Severity, group: str, evidence: str) -> Finding:
    return Finding(
        "A004",
        severity,
        f"Rows of the same {group} fall on both sides of a split.",
        evidence,
        "Split by group, so that each group is on one side only.",
        columns=(group,),
    )


def _is_time(frame: pl.DataFrame, time: str) -> bool:
    return time in frame.columns and (frame.schema[time].is_temporal() or frame.schema[time].is_numeric())


def _places(values: pl.Series) -> pl.Series:
    """Times as numbers, so that they can be compared and subtracted whatever their type."""
    places = values.to_physical().cast(pl.Float64).fill_nan(None)
    return places.alias(values.name)


def _disagree(one: pl.Series, other: pl.Series, tolerance: float) -> NDArray[np.bool_]:
    """Whether values differ, by row; missing values equal each other."""
    if one.dtype.is_numeric() and other.dtype.is_numeric():
        left, right = (side.cast(pl.Float64).to_numpy() for side in (one, other))
        return np.asarray(~np.isclose(left, right, rtol=tolerance, atol=tolerance, equal_nan=True))
    return np.asarray(one.cast(pl.String).ne_missing(other.cast(pl.String)), dtype=np.bool_)


def _scored(labels: ArrayLike, scores: ArrayLike, part: str) -> tuple[NDArray[np.bool_], NDArray[Any]]:
    y, s = np.asarray(labels).astype(bool), np.asarray(scores, dtype=float)
    if y.shape != s.shape:
        raise DataError(
            f"{part} labels and scores must have the same length, found {y.shape} and {s.shape}: align them"
        )
    if not y.any():
        raise DataError(f"the {part} part must have at least one anomaly, found {len(y)} rows without one: split again")
    return y, s


def _best_threshold(labels: NDArray[np.bool_], scores: NDArray[Any]) -> float:
    """Lowest threshold of highest F1."""
    from utils.evaluation.thresholds import BestF1, tally

    cuts = tally(scores, labels).cuts()
    return cuts.point(BestF1().choose(cuts)).threshold


def _f1(labels: NDArray[np.bool_], flagged: NDArray[np.bool_]) -> float:
    return float(2 * (labels & flagged).sum() / (labels.sum() + flagged.sum()))
