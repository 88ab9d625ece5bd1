"""Conformal p-values: how often a normal row scores as high, with a guarantee in every finite sample.

A p-value compares a score with the scores of held-out NORMAL rows, the calibration. If a new normal row is exchangeable
with them, its p-value is at most ``r`` with a probability of at most ``r``, whatever the detector and whatever the
distribution. That promise ends where the data shift, so :func:`alarm_table` prints the real rate beside the nominal.

Sources:
    Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", Springer 2005.
    Bates, Candès, Lei, Romano and Sesia, "Testing for outliers with conformal p-values", Annals of Statistics 2023.
    Tibshirani, Barber, Candès and Ramdas, "Conformal prediction under covariate shift", NeurIPS 2019 (importances).
"""

from collections.abc import Sequence
from typing import Literal, Self, get_args

import numpy as np
import polars as pl
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from utils.errors import DataError
from utils.evaluation import counting
from utils.evaluation.inputs import (
    Bools,
    Floats,
    Values,
    Weights,
    as_alarm_rate,
    as_labels,
    as_weights,
    finite_scores,
    normal_rows,
    observations,
)
from utils.evaluation.intervals import LEVEL, effective_size, wilson
from utils.settings import SEED

Method = Literal["fisher", "min", "mean"]
RATES = (0.01, 0.05, 0.10)
CALIBRATED = "p-values are calibrated on the scores of"


class ConformalPValues(BaseEstimator):  # type: ignore[misc]
    """p-values of scores against the scores of held-out normal rows.

    The p-value of a score is ``(1 + calibration scores at least as high) / (n + 1)``. Smoothed, equal scores count a
    random part each, which makes p-values exactly uniform on exchangeable data even where scores are tied.

    Attributes:
        scores_: distinct calibration scores, rising.
        at_least_: how many calibration scores are at least as high as each, and 0 at the end.
        n_calibration_: number of calibration scores, n.
    """

    def __init__(self, *, smoothed: bool = False, seed: int = SEED) -> None:
        """Say how ties count.

        Args:
            smoothed: whether equal scores count a random part; the draw is repeated with each call.
            seed: seed of the random part; detectors that are combined must have different ones.
        """
        self.smoothed = smoothed
        self.seed = seed

    def fit(self, scores: Values, y: Values | None = None, weight: Values | None = None) -> Self:
        """Learn the scores of normal rows.

        Args:
            scores: higher is more abnormal, length n; of rows that the detector was not trained on.
            y: true for an anomaly; anomalies are left out. Without labels all rows count as normal.
            weight: how many rows each score stands for, length n.

        Returns:
            The fitted p-values.

        Raises:
            DataError: if scores are NaN, or none is of a normal row.
        """
        checked = finite_scores(scores)
        normal, mass = normal_rows(y, weight, len(checked), CALIBRATED)
        self.scores_, self.at_least_ = _survival(checked[normal], observations(mass, int(normal.sum())))
        self.n_calibration_ = float(self.at_least_[0])
        return self

    def as_high(self, scores: Values) -> Floats:
        """Count the calibration scores that are at least as high as each score; arguments as :meth:`p_values`."""
        check_is_fitted(self, "scores_")
        return np.asarray(self.at_least_[np.searchsorted(self.scores_, finite_scores(scores), side="left")])

    def p_values(self, scores: Values) -> Floats:
        """Compare scores with the calibration.

        Args:
            scores: higher is more abnormal, length m; may be empty.

        Returns:
            p-values above 0 and at most 1, length m; LOW is abnormal.

        Raises:
            DataError: if a score is NaN.
        """
        as_high = self.as_high(scores)
        if not self.smoothed:
            return np.asarray((1 + as_high) / (1 + self.n_calibration_))
        higher = self.at_least_[np.searchsorted(self.scores_, finite_scores(scores), side="right")]
        part = 1 - np.random.default_rng(self.seed).random(len(higher))
        return np.asarray((higher + part * (1 + as_high - higher)) / (1 + self.n_calibration_))

    def predict(self, scores: Values, rate: float = 0.05) -> Bools:
        """Tell which rows are flagged at a nominal alarm rate.

        Args:
            scores: higher is more abnormal, length m.
            rate: share of new normal rows that may be flagged, between 0 and 1.

        Returns:
            True where flagged, length m.

        Raises:
            DataError: if a score is NaN or the rate is not between 0 and 1.
        """
        return np.asarray(self.p_values(scores) <= as_alarm_rate(rate))


class ConformalCombination(BaseEstimator):  # type: ignore[misc]
    """One p-value from the scores of several detectors, valid although the detectors depend on each other.

    Scores become p-values detector by detector, the p-values of a row become one statistic (Fisher: sum of -log p;
    min: -log of the smallest; mean: minus the mean), and the statistic is compared with that of the calibration rows.
    The dependence between detectors is in the calibration rows, so nothing need be assumed about it. All rows serve
    for both steps: a calibration row is ranked among the calibration with itself counted, which can only make its own
    p-values smaller than they would be with the new row counted too, hence the result is valid, a little conservative.

    Attributes:
        detectors_: fitted :class:`ConformalPValues`, one a detector.
        combined_: :class:`ConformalPValues` of the statistic.
    """

    def __init__(self, method: Method = "fisher") -> None:
        """Choose the statistic.

        Args:
            method: ``"fisher"`` finds rows that several detectors dislike a little, ``"min"`` those that one dislikes
                very much, ``"mean"`` those that all dislike.
        """
        self.method = method

    def fit(self, scores: Values, y: Values | None = None, weight: Values | None = None) -> Self:
        """Learn the scores of normal rows.

        Args:
            scores: n rows x k detectors, higher is more abnormal; of rows that no detector was trained on.
            y: true for an anomaly; anomalies are left out. Without labels all rows count as normal.
            weight: how many rows each row stands for, length n.

        Returns:
            The fitted combination.

        Raises:
            DataError: if the method does not exist, scores are no table or NaN, or no row is normal.
        """
        _checked_method(self.method)
        table = _table(scores, "scores")
        normal, mass = normal_rows(y, weight, len(table), CALIBRATED)
        self.detectors_ = [ConformalPValues().fit(column, weight=mass) for column in table[normal].T]
        pairs = zip(self.detectors_, table[normal].T, strict=True)
        own = np.column_stack([fitted.as_high(column) / (1 + fitted.n_calibration_) for fitted, column in pairs])
        self.combined_ = ConformalPValues().fit(_statistic(own, self.method), weight=mass)
        return self

    def score_samples(self, scores: Values) -> Floats:
        """Combine the scores into one statistic.

        Args:
            scores: m rows x k detectors, in the order of ``fit``.

        Returns:
            The statistic, HIGHER is more abnormal, length m.

        Raises:
            DataError: if the table has another number of detectors, or NaN.
        """
        check_is_fitted(self, "detectors_")
        table = _table(scores, "scores")
        if table.shape[1] != len(self.detectors_):
            expected, found = len(self.detectors_), table.shape[1]
            raise DataError(f"scores of {expected} detectors are needed, found {found}: keep the columns of fit")
        pairs = zip(self.detectors_, table.T, strict=True)
        return _statistic(np.column_stack([fitted.p_values(column) for fitted, column in pairs]), self.method)

    def p_values(self, scores: Values) -> Floats:
        """Compare rows with the calibration.

        Args:
            scores: m rows x k detectors, in the order of ``fit``.

        Returns:
            One p-value a row, LOW is abnormal, length m.

        Raises:
            DataError: as :meth:`score_samples`.
        """
        return self.combined_.p_values(self.score_samples(scores))

    def predict(self, scores: Values, rate: float = 0.05) -> Bools:
        """Tell which rows are flagged at a nominal alarm rate (see :meth:`ConformalPValues.predict`)."""
        return np.asarray(self.p_values(scores) <= as_alarm_rate(rate))


def combine(p_values: Values, method: Method = "fisher", calibration: Values | None = None) -> Floats:
    """Combine the p-values of several detectors into one a row.

    With a calibration the combination is valid whatever the dependence between detectors. Without one it rests on
    theory: ``"fisher"`` is valid for INDEPENDENT detectors only (Fisher 1932), ``"min"`` is k times the smallest
    (Bonferroni) and ``"mean"`` twice the mean (Rüschendorf 1982; Vovk and Wang, Biometrika 2020), both valid under any
    dependence and conservative.

    Args:
        p_values: m rows x k detectors.
        method: ``"fisher"``, ``"min"`` or ``"mean"``.
        calibration: p-values of normal rows by the same detectors, n rows x k, of rows that neither trained the
            detectors nor gave the p-values their calibration (:class:`ConformalCombination` needs no second set).

    Returns:
        One p-value a row, length m.

    Raises:
        DataError: if a p-value is not above 0 and at most 1, or the tables have different numbers of columns.
    """
    _checked_method(method)
    table = _probabilities(_table(p_values, "p-values"))
    if calibration is None:
        return _by_theory(table, method)
    reference = _probabilities(_table(calibration, "calibration p-values"))
    if reference.shape[1] != table.shape[1]:
        found = f"{table.shape[1]} and {reference.shape[1]}"
        raise DataError(f"p-values and calibration must have the same detectors, found {found}: align the columns")
    return ConformalPValues().fit(_statistic(reference, method)).p_values(_statistic(table, method))


def benjamini_hochberg(p_values: Values, rate: float = 0.05, *, any_dependence: bool = False) -> Bools:
    """Flag rows so that the expected share of false alarms AMONG THE FLAGGED is at most ``rate``.

    Conformal p-values that share one calibration set are positively dependent, so the plain procedure holds for them
    (Bates et al. 2023, theorem 2).

    Args:
        p_values: one a row, length m; may be empty.
        rate: false-discovery rate, between 0 and 1.
        any_dependence: divide the rate by ``1 + 1/2 + ... + 1/m``, which holds under every dependence.

    Returns:
        True where flagged, length m.

    Raises:
        DataError: if a p-value is not above 0 and at most 1, or the rate is not between 0 and 1.

    Source:
        Benjamini and Hochberg, JRSS B 57 (1995); Benjamini and Yekutieli, Annals of Statistics 29 (2001).
    """
    level = as_alarm_rate(rate)
    p = _probabilities(finite_scores(p_values))
    places = np.arange(1, len(p) + 1)
    if any_dependence and len(p):
        level /= float((1 / places).sum())
    order = np.argsort(p, kind="stable")
    below = np.flatnonzero(p[order] * len(p) <= level * places)
    flagged = np.zeros(len(p), dtype=bool)
    flagged[order[: below[-1] + 1 if below.size else 0]] = True
    return flagged


def alarm_table(
    values: Values,
    y: Values,
    rates: Sequence[float] = RATES,
    *,
    calibration: Values | None = None,
    weight: Values | None = None,
    level: float = LEVEL,
) -> pl.DataFrame:
    """Print the real alarm rate beside the nominal one, and what the alarms are worth.

    Args:
        values: p-values, length m; or scores (higher is more abnormal) if a calibration is given.
        y: true for an anomaly, length m.
        rates: nominal alarm rates, each between 0 and 1.
        calibration: scores of held-out normal rows; turns scores into p-values.
        weight: how many rows each value stands for (whole numbers), or importances, length m; with
            importances the interval rests on the effective number of rows (Kish 1965).
        level: nominal coverage of the interval of the real rate.

    Returns:
        One row a rate: ``nominal``; ``real``, ``low``, ``high`` (share of the normals flagged, Wilson interval);
        ``recall``, ``precision`` (null without alarms),
        ``f1`` (shares); ``alarms`` and ``normals`` (weight of rows). A class that is missing leaves nulls.

    Raises:
        DataError: if a value is no p-value (or NaN), or a rate is not between 0 and 1.
    """
    p = _nominal(values, calibration)
    anomalous, mass = as_labels(y, len(p)), as_weights(weight, len(p))
    rows = [_alarms(p <= as_alarm_rate(rate), anomalous, mass, level) | {"nominal": rate} for rate in rates]
    columns = ("nominal", "real", "low", "high", "recall", "precision", "f1", "alarms", "normals")
    return pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.Float64)).fill_nan(None)


def _survival(scores: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Distinct scores, rising, and how much stands at each or above; one entry more, 0, for what is above all."""
    distinct, place = np.unique(scores, return_inverse=True)
    mass = np.bincount(place, weight, minlength=len(distinct)).astype(np.float64)
    return distinct, np.append(np.cumsum(mass[::-1])[::-1], 0.0)


def _statistic(p: Floats, method: Method) -> Floats:
    """One number a row that rises as its p-values fall."""
    if method == "mean":
        return np.asarray(-_rounded(p.mean(axis=1)))
    logs = -np.log(p)
    return _rounded(logs.sum(axis=1) if method == "fisher" else logs.max(axis=1))


def _rounded(values: Floats) -> Floats:
    """Drop the last digits, so that rows with the same p-values in another order are ties."""
    return np.round(values, 10)


def _by_theory(p: Floats, method: Method) -> Floats:
    from scipy.special import chdtrc

    detectors = p.shape[1]
    if method == "fisher":
        return np.asarray(chdtrc(2 * detectors, -2 * np.log(p).sum(axis=1)), dtype=np.float64)
    return np.asarray(np.minimum(1.0, detectors * p.min(axis=1) if method == "min" else 2 * p.mean(axis=1)))


def _nominal(values: Values, calibration: Values | None) -> Floats:
    if calibration is not None:
        return ConformalPValues().fit(calibration).p_values(values)
    return _probabilities(finite_scores(values))


def _alarms(flagged: Bools, anomalous: Bools, weight: Weights | None, level: float) -> dict[str, float]:
    cell = counting.cells(counting.cell_of(anomalous, flagged), weight)
    tp, fp, fn, tn = (float(mass) for mass in cell)
    observed = fp + tn
    if weight is not None and weight.dtype == np.float64:
        observed = effective_size(weight[~anomalous].astype(np.float64))
    measured = {name: float(counting.DECISION[name](cell)) for name in ("false_alarm_rate", "recall", "precision")}
    real = measured.pop("false_alarm_rate")
    interval = wilson(real * observed if observed else 0.0, observed, level)
    f1 = float(counting.DECISION["f1"](cell)) if tp + fn else float("nan")
    limits = {"real": real, "low": interval.low, "high": interval.high}
    return {**limits, **measured, "f1": f1, "alarms": tp + fp, "normals": fp + tn}


def _table(values: Values, what: str) -> Floats:
    """Check a table of one row a row and one column a detector."""
    plain = values.to_numpy() if isinstance(values, pl.DataFrame) else values
    try:
        table = np.asarray(plain, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{what} must be a table of numbers, found other values: convert the columns") from None
    if table.ndim != 2 or not table.shape[1]:
        raise DataError(f"{what} must be a table, rows x detectors, found the shape {table.shape}: stack the columns")
    if np.isnan(table).any():
        raise DataError(f"{what} must be numbers, found {int(np.isnan(table).sum()):,} NaN: score or drop these rows")
    return table


def _probabilities(values: Floats) -> Floats:
    odd = int((~((values > 0) & (values <= 1))).sum())
    if odd:
        raise DataError(f"p-values must be above 0 and at most 1, found {odd:,} that are not: calibrate scores first")
    return values


def _checked_method(method: str) -> None:
    if method not in get_args(Method):
        raise DataError(f"a combination must be one of {', '.join(get_args(Method))}, found {method!r}: choose one")
