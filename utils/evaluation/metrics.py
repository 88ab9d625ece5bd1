"""Metrics of detectors, plain and with intervals: the public face of this package's numbers.

:func:`evaluate` is the one call that most notebooks need; :func:`table` shows what it returns. The plain functions
(:func:`f1`, :func:`average_precision`, ...) return one number; what every threshold would do is tabulated by
:func:`utils.evaluation.thresholds.curve`.

Verdicts ``y`` are true for an anomaly, decisions are true for an alarm, scores are higher for the more abnormal. All
take an optional ``weight``: whole numbers are counts of equal units, other numbers are importances (see
:mod:`utils.evaluation.inputs`).

A metric whose denominator is empty is not defined and is NaN: precision without an alarm, recall, average precision and
ROC-AUC without an anomaly, false-alarm rate and ROC-AUC without a normal, F1 with neither anomaly nor alarm, MCC where
verdicts or decisions are all alike. It is NaN in every function here, and :attr:`Estimate.interval` says why.
"""

from typing import Literal, NamedTuple

import numpy as np
import polars as pl

from utils.errors import DataError
from utils.evaluation import counting, inputs, shares
from utils.evaluation.baselines import dummy
from utils.evaluation.estimates import (
    Estimate,
    FittedThreshold,
    at_stated_shares,
    bootstrap,
    evaluate,
    mean_over_splits,
    over_splits,
    per_type,
    table,
)
from utils.evaluation.inputs import Floats, Values
from utils.evaluation.shares import reweight

__all__ = [
    "Confusion",
    "Estimate",
    "FittedThreshold",
    "accuracy",
    "aggregate",
    "at_stated_shares",
    "average_precision",
    "balanced_accuracy",
    "bootstrap",
    "brier",
    "confusion",
    "dummy",
    "entity_precision_at_k",
    "evaluate",
    "f1",
    "false_alarm_rate",
    "mcc",
    "mean_over_splits",
    "over_splits",
    "per_type",
    "precision",
    "precision_at_k",
    "recall",
    "recall_at_false_alarm_rate",
    "reweight",
    "roc_auc",
    "table",
]


class Confusion(NamedTuple):
    """Weight of the four kinds of decision."""

    tp: float
    fp: float
    fn: float
    tn: float


def confusion(y: Values, decisions: Values, weight: Values | None = None) -> Confusion:
    """Weight of true alarms, false alarms, misses and true silences.

    Raises:
        DataError: if the inputs do not fit together.
    """
    return Confusion(*_cells(y, decisions, weight).tolist())


def precision(y: Values, decisions: Values, weight: Values | None = None) -> float:
    """Share of the alarms that are anomalies; NaN without an alarm.

    Raises:
        DataError: if the inputs do not fit together.
    """
    return _of_decisions("precision", y, decisions, weight)


def recall(y: Values, decisions: Values, weight: Values | None = None) -> float:
    """Share of the anomalies that raise an alarm; NaN without an anomaly.

    Raises:
        DataError: if the inputs do not fit together.
    """
    return _of_decisions("recall", y, decisions, weight)


def f1(y: Values, decisions: Values, weight: Values | None = None) -> float:
    """Harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN); NaN with neither anomaly nor alarm.

    Raises:
        DataError: if the inputs do not fit together.
    """
    return _of_decisions("f1", y, decisions, weight)


def false_alarm_rate(y: Values, decisions: Values, weight: Values | None = None) -> float:
    """Share of the normals that raise an alarm; NaN without a normal.

    Raises:
        DataError: if the inputs do not fit together.
    """
    return _of_decisions("false_alarm_rate", y, decisions, weight)


def accuracy(y: Values, decisions: Values, weight: Values | None = None) -> float:
    """Share of right decisions; NaN without a row.

    Raises:
        DataError: if the inputs do not fit together.
    """
    return _of_decisions("accuracy", y, decisions, weight)


def balanced_accuracy(y: Values, decisions: Values, weight: Values | None = None) -> float:
    """Mean of the recalls of both classes; NaN if one is missing.

    Raises:
        DataError: if the inputs do not fit together.
    """
    return _of_decisions("balanced_accuracy", y, decisions, weight)


def mcc(y: Values, decisions: Values, weight: Values | None = None) -> float:
    """Correlation of verdicts and decisions (Matthews, 1975), -1..1; NaN where either are all alike.

    Raises:
        DataError: if the inputs do not fit together.
    """
    return _of_decisions("mcc", y, decisions, weight)


def average_precision(y: Values, scores: Values, weight: Values | None = None) -> float:
    """Mean precision over the anomalies as the threshold falls, equal scores together; NaN without an anomaly.

    Raises:
        DataError: if the inputs do not fit together.
    """
    return _of_scores("average_precision", y, scores, weight)


def roc_auc(y: Values, scores: Values, weight: Values | None = None) -> float:
    """Chance that an anomaly scores above a normal, ties counted half; NaN if a class is missing.

    Raises:
        DataError: if the inputs do not fit together.
    """
    return _of_scores("roc_auc", y, scores, weight)


def recall_at_false_alarm_rate(y: Values, scores: Values, rate: float, weight: Values | None = None) -> float:
    """Highest recall of any threshold whose false-alarm rate is at most ``rate``; NaN if a class is missing.

    The threshold is the best one for these very rows: the metric judges the ranking, not a threshold that was chosen
    elsewhere.

    Raises:
        DataError: if the inputs do not fit together or the rate is no share.
    """
    return _of_scores(f"recall_at_far_{shares.as_share(rate)}", y, scores, weight)


def precision_at_k(y: Values, scores: Values, k: int, weight: Values | None = None) -> float:
    """Share of anomalies among the ``k`` highest scores, as expected when equal scores stand in random order.

    Args:
        y: verdicts (rows,).
        scores: higher = more abnormal (rows,).
        k: how many units can be looked at.
        weight: counts or importances (rows,); ``k`` is then a weight.

    Raises:
        DataError: if the inputs do not fit together or there are no ``k`` units.
    """
    rows = counting.sample(y, weight)
    ranks, _ = counting.ranking(rows, inputs.as_scores(scores, rows.y.size))
    reached = ranks.tp + ranks.fp
    units = reached[-1] if reached.size else 0
    if not 0 < k <= units:
        raise DataError(f"k must be a number of units in 1..{units:g}, found {k}: choose one of them")
    place = int(np.searchsorted(reached, k))
    before, found = (reached[place - 1], ranks.tp[place - 1]) if place else (0.0, 0.0)
    share = (ranks.tp[place] - found) / (reached[place] - before)
    return float((found + (k - before) * share) / k)


def entity_precision_at_k(y: Values, scores: Values, entities: Values, periods: Values, k: int) -> float:
    """Mean over periods of the share of anomalous entities among the ``k`` entities with the highest scores.

    An entity (card, host, user) scores as its highest row of the period and is anomalous if any row is. A period with
    fewer than ``k`` entities counts all of them.

    Args:
        y: verdicts (rows,).
        scores: higher = more abnormal (rows,).
        entities: entity of each row (rows,).
        periods: period (day, hour) of each row (rows,).
        k: entities that can be looked at in a period.

    Raises:
        DataError: if the inputs do not fit together, hold no row or ``k`` is below 1.

    Source:
        Card precision top-k: Dal Pozzolo et al., "Learned lessons in credit card fraud detection", 2014.
    """
    labels = inputs.as_labels(y)
    size = labels.size
    if k < 1 or not size:
        raise DataError(f"card precision needs rows and k of at least 1, found {size:,} rows and k = {k}: give both")
    frame = pl.DataFrame(
        {
            "period": inputs.codes(periods, size, "periods"),
            "entity": inputs.codes(entities, size, "entities"),
            "score": inputs.as_scores(scores, size),
            "y": labels,
        }
    )
    units = frame.group_by("period", "entity").agg(pl.col("score").max(), pl.col("y").any())
    parts = units.partition_by("period", maintain_order=False)
    return float(np.mean([precision_at_k(part["y"], part["score"], min(k, part.height)) for part in parts]))


def brier(y: Values, probabilities: Values, weight: Values | None = None) -> float:
    """Mean squared difference between probability and verdict (Brier, 1950), 0 is best; NaN without a row.

    Raises:
        DataError: if the inputs do not fit together or a probability lies outside 0..1.
    """
    rows = counting.sample(y, weight)
    given = inputs.as_scores(probabilities, rows.y.size, "probabilities")
    outside = int(((given < 0) | (given > 1)).sum())
    if outside:
        raise DataError(f"probabilities must lie in 0..1, found {outside:,} outside: calibrate the scores first")
    weights = np.ones(given.size) if rows.weight is None else rows.weight.astype(np.float64)
    return float(np.average((given - rows.y) ** 2, weights=weights)) if weights.sum() else np.nan


def aggregate(
    scores: Values, unit_ids: Values, how: Literal["max", "mean", "sum"] = "max", *, y: Values | None = None
) -> pl.DataFrame:
    """Judge units by their rows, as sessions by their windows.

    Args:
        scores: higher = more abnormal (rows,).
        unit_ids: the unit of each row (rows,).
        how: how the scores of a unit's rows are put together.
        y: verdicts of the rows (rows,); a unit is anomalous if any of its rows is.

    Returns:
        One row a unit in order of first appearance: ``unit``, ``score``, ``rows`` and, with verdicts, ``is_anomaly``.

    Raises:
        DataError: if the inputs do not fit together or there is no such way.
    """
    ways = {"max": pl.col("score").max(), "mean": pl.col("score").mean(), "sum": pl.col("score").sum()}
    if how not in ways:
        raise DataError(f"scores can be put together by {', '.join(ways)}, found {how!r}: choose one of them")
    unit = inputs.as_series(unit_ids)
    if unit.null_count():
        raise DataError(f"each row must name its unit, found {unit.null_count():,} that do not: leave those rows out")
    frame = pl.DataFrame({"unit": unit, "score": inputs.as_scores(scores, len(unit))})
    parts = [ways[how], pl.len().cast(pl.Int64).alias("rows")]
    if y is not None:
        frame = frame.with_columns(is_anomaly=pl.Series(inputs.as_labels(y, len(unit))))
        parts.append(pl.col("is_anomaly").any())
    return frame.group_by("unit", maintain_order=True).agg(parts)


def _cells(y: Values, decisions: Values, weight: Values | None) -> Floats:
    rows = counting.sample(y, weight)
    return counting.cells(counting.cell_of(rows.y, inputs.as_decisions(decisions, rows.y.size)), rows.weight)


def _of_decisions(metric: str, y: Values, decisions: Values, weight: Values | None) -> float:
    return float(counting.decision_formula(metric)(_cells(y, decisions, weight)))


def _of_scores(metric: str, y: Values, scores: Values, weight: Values | None) -> float:
    rows = counting.sample(y, weight)
    ranks, _ = counting.ranking(rows, inputs.as_scores(scores, rows.y.size))
    return float(counting.ranking_formula(metric)(ranks))
