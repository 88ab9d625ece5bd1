"""Limits learned from normal rows alone, and whether the alarm rate that they promise is the one they have."""

import contextlib
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from utils import settings
from utils.datasets.contract import Dataset, Roles
from utils.detectors.judging import decided, label_of, labelled_tables
from utils.detectors.rules import MeanPlusSigma, QuantileRule
from utils.errors import DataError
from utils.evaluation import conformal, splits
from utils.evaluation.splits import Split
from utils.features import tables
from utils.features.tables import Table, weight_of

CALIBRATION_SHARE = 0.5
LIMITS = {
    **dict.fromkeys(("data set", "table", "rule"), pl.String),
    **dict.fromkeys(("nominal", "real", "recall", "precision", "f1"), pl.Float64),
}


def limits(processed: Mapping[str, Dataset], *, rate: float = 0.01, k: float = 3.0) -> pl.DataFrame:
    """Judge limits learned from normal training rows, without a label: mean and deviation, and quantiles.

    Args:
        processed: processed data sets by name.
        rate: nominal alarm rate of the quantile rule.
        k: standard deviations of the other.

    Returns:
        One row a table and rule: ``data set``, ``table``, ``rule``, ``nominal`` and ``real`` alarm rate among normals,
        ``recall``, ``precision``, ``f1``; rules that the normal rows teach nothing are left out.
    """
    found = []
    for (name, table), frame, roles, split in labelled_tables(processed):
        train, test = frame[split.train], frame[split.test]
        normal = train.filter(~pl.col(label_of(roles)))
        features = tables.measurable(frame, roles, numeric=True)
        for rule, nominal in ((MeanPlusSigma(k, features), None), (QuantileRule(rate, features), rate)):
            with contextlib.suppress(DataError):
                flagged = rule.fit(normal, weight=weight_of(normal, roles)).predict(test)
                shares = decided(test[label_of(roles)], flagged, weight_of(test, roles))
                found.append((name, table, type(rule).__name__, nominal, *shares.values()))
    return pl.DataFrame(found, schema=LIMITS, orient="row")


def alarm_tables(
    processed: Mapping[str, Dataset], rates: Sequence[float] = (0.01, 0.05, 0.10), *, seed: int = settings.SEED
) -> dict[Table, pl.DataFrame]:
    """Nominal beside real alarm rates of two limits, combined by conformal p-values.

    Half of the normal training rows fit the limits, the other half calibrate the p-values, which Fisher's method
    combines; nothing is learned from anomalies or test rows.

    Args:
        processed: processed data sets by name.
        rates: nominal alarm rates.
        seed: of the division of the normal training rows.

    Returns:
        By table, what :func:`utils.evaluation.conformal.alarm_table` returns for the test rows; those are left out
        whose normal training rows are too few or too much alike.
    """
    found = {}
    for table, frame, roles, split in labelled_tables(processed):
        with contextlib.suppress(DataError):
            found[table] = _alarms(frame, roles, split, rates, seed)
    return found


def _alarms(frame: pl.DataFrame, roles: Roles, split: Split, rates: Sequence[float], seed: int) -> pl.DataFrame:
    """Alarm rates of one table.

    Raises:
        DataError: if the normal training rows cannot be halved, or no number varies on them.
    """
    test, label = frame[split.test], label_of(roles)
    normal = frame[split.train].filter(~pl.col(label))
    groups = normal[roles.group] if roles.group else pl.Series(range(normal.height))
    halves = splits.grouped(None, groups, CALIBRATION_SHARE, seed)
    features = tables.measurable(frame, roles, numeric=True)
    learned, held = normal[halves.train], normal[halves.test]
    fitted = [
        rule.fit(learned, weight=weight_of(learned, roles))
        for rule in (MeanPlusSigma(3.0, features), QuantileRule(0.01, features))
    ]
    calibration, tested = (np.column_stack([rule.score_samples(rows) for rule in fitted]) for rows in (held, test))
    combined = conformal.ConformalCombination("fisher").fit(calibration, weight=weight_of(held, roles))
    return conformal.alarm_table(combined.p_values(tested), test[label], rates, weight=weight_of(test, roles))
