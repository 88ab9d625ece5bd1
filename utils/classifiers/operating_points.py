"""Where to put the threshold of a classifier, what it then finds, and whether its probabilities mean what they say.

Every threshold and every calibration is learned from scores of training rows by models that had not seen them (out of
fold). What they promise there stands beside what they do on test rows, which are looked at once.

Sources:
    Cost: Elkan, "The foundations of cost-sensitive learning", IJCAI 2001. Reliability and expected calibration error in
    bins of equal mass: Naeini, Cooper and Hauskrecht, AAAI 2015; Roelofs et al., AISTATS 2022. Calibration: Platt 1999
    (sigmoid, with his smoothed targets); Zadrozny and Elkan, KDD 2002 (isotonic).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

import numpy as np
import polars as pl
from sklearn.base import BaseEstimator, clone

from utils import settings
from utils.classifiers.tuning.folds import fitted_to
from utils.classifiers.tuning.targets import folds_of, target
from utils.datasets import require
from utils.datasets.contract import NORMAL
from utils.errors import DataError, SettingsError
from utils.evaluation import inputs, intervals, metrics
from utils.evaluation.inputs import Bools, Floats, Ints, Values, Weights
from utils.evaluation.metrics import Estimate
from utils.evaluation.scoring import Table, abnormality
from utils.evaluation.splits import Split
from utils.evaluation.thresholds import AlarmRate, BestF1, LowestCost, Threshold, curve

PER = 1_000
"""Alarm budgets are alarms in so many normal rows."""

BINS = 10
SHARES = (0.001, 0.01, 0.1)
"""Shares of anomalies for which precision is told where none are named."""

FARTHEST = 1e6
"""Scores so many spreads away from the middle are as far as any."""

LEAST = 1e-6
"""Probabilities are kept so far from 0 and 1 where their logarithm is taken."""

METHODS = ("isotonic", "sigmoid")
BEFORE = "before"
MEASURES = ("precision", "recall", "f1")
KINDS = {
    "rule": pl.String,
    "kind": pl.String,
    "rows": pl.Int64,
    "recall": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
}


@dataclass(frozen=True, eq=False)
class Side:
    """Scores of labelled rows.

    Attributes:
        y: true for an anomaly (rows,).
        scores: higher is more abnormal (rows,).
        probabilities: what the classifier says the probability of an anomaly is (rows,); ``None`` if it says nothing.
        kinds: kind of each row, ``"normal"`` for normal ones (rows,); ``None`` if unknown.
        weight: counts or importances (rows,).
        groups: rows of one group are no independent evidence (rows,).
    """

    y: Bools
    scores: Floats
    probabilities: Floats | None = None
    kinds: pl.Series | None = None
    weight: Weights | None = None
    groups: Ints | None = None


@dataclass(frozen=True, eq=False)
class OperatingPoints:
    """Thresholds and what they do.

    Attributes:
        points: one row a rule: ``rule``, ``threshold``, ``chosen`` (in words), ``expected_<measure>`` on out-of-fold
            rows, ``<measure>`` with ``<measure>_low`` and ``<measure>_high`` on test rows, for the measures
            ``precision``, ``recall``, ``f1``, ``alarms`` (among 1,000 normal rows) and ``cost`` (mean of a row, without
            interval). What is expected was chosen to look good: a little less is to be found.
        confusion: one row a rule: ``rule``, ``tp``, ``fp``, ``fn``, ``tn`` (weight of the test rows).
        classes: one row a rule and class: ``rule``, ``class``, ``precision``, ``recall``, ``f1``, ``rows``.
        kinds: one row a rule and kind of anomaly: ``rule``, ``kind``, ``rows``, ``recall``, ``low``, ``high``.
        shares: one row a rule and share of anomalies: ``rule``, ``share``, ``precision``, ``low``, ``high``, ``f1``,
            ``alarms`` (among 1,000 rows of that mixture).
        reliability: one row a calibration and bin: ``calibration`` (``before`` and the methods), ``predicted`` and
            ``observed`` share of anomalies, ``low``, ``high``, ``rows``.
        calibration: one row a calibration: ``calibration``, ``ece``, ``brier``, ``brier_low``, ``brier_high``,
            ``log_loss``; all on test rows.
        curves: every threshold on ``out of fold`` and ``test`` rows (:func:`utils.evaluation.thresholds.curve`).
        thresholds: the fitted thresholds by rule.
        decisions: decisions on the test rows by rule, each (rows,).
        ranking: average precision and ROC-AUC on the test rows, with intervals.
    """

    points: pl.DataFrame
    confusion: pl.DataFrame
    classes: pl.DataFrame
    kinds: pl.DataFrame
    shares: pl.DataFrame
    reliability: pl.DataFrame
    calibration: pl.DataFrame
    curves: Mapping[str, pl.DataFrame]
    thresholds: Mapping[str, Threshold]
    decisions: Mapping[str, Bools]
    ranking: Sequence[Estimate]

    def results(self, prefix: str = "") -> dict[str, float]:
        """Numbers for the record of a run: what was found on test rows, and how far that is from what was expected."""
        found = {each.name: each.value for each in self.ranking}
        for row in self.points.iter_rows(named=True):
            for measure in (*MEASURES, "alarms", "cost"):
                found[f"{row['rule']}_{measure}"] = row[measure]
                found[f"{row['rule']}_expected_{measure}"] = row[f"expected_{measure}"]
        for row in self.calibration.iter_rows(named=True):
            found |= {f"{name}_{row['calibration']}": row[name] for name in ("ece", "brier")}
        known = {name.replace(" ", "_"): float(value) for name, value in found.items() if np.isfinite(value)}
        return {f"{prefix}{name}": value for name, value in known.items()}


class Calibrator(BaseEstimator):  # type: ignore[misc]
    """Turns scores into probabilities, learned from scores that a model gave to rows it had not seen.

    Args:
        method: ``"isotonic"`` (any rising curve; wants a thousand rows) or ``"sigmoid"`` (two numbers; wants few).

    Attributes:
        model_: the fitted curve.
    """

    def __init__(self, method: str = "isotonic") -> None:
        self.method = method

    def fit(self, scores: Values, y: Values, weight: Values | None = None) -> Self:
        """Learn the curve.

        Args:
            scores: higher is more abnormal, out of fold (n,).
            y: true for an anomaly (n,).
            weight: counts or importances (n,).

        Raises:
            SettingsError: if there is no such method.
            DataError: if a class is missing or the inputs do not fit together.
        """
        require.choice("method", self.method, METHODS)
        values = inputs.finite_scores(scores)
        anomalous, mass = inputs.as_labels(y, values.size), inputs.as_weights(weight, values.size)
        inputs.require_both_classes(anomalous, mass)
        each = inputs.observations(mass, values.size)
        self.centre_, self.spread_ = _scale(values)
        scaled = self._scaled(values)
        self.model_ = (
            _isotonic(scaled, anomalous, each) if self.method == "isotonic" else _platt(scaled, anomalous, each)
        )
        return self

    def predict(self, scores: Values) -> Floats:
        """Probability of an anomaly (n,).

        Args:
            scores: higher is more abnormal (n,).
        """
        scaled = self._scaled(inputs.finite_scores(scores))
        if self.method == "isotonic":
            return np.asarray(self.model_.predict(scaled), dtype=np.float64)
        return np.asarray(self.model_.predict_proba(scaled[:, None])[:, 1], dtype=np.float64)

    def _scaled(self, scores: Floats) -> Floats:
        return np.clip((scores - self.centre_) / self.spread_, -FARTHEST, FARTHEST)


def operating_points(
    chosen_on: Side,
    found_on: Side,
    *,
    miss: float = 10.0,
    false_alarm: float = 1.0,
    budget: float = 10.0,
    rules: Mapping[str, Threshold] | None = None,
    shares: Sequence[float] = SHARES,
    bins: int = BINS,
    unit: str = "row",
    resamples: int = 200,
    seed: int = settings.SEED,
) -> OperatingPoints:
    """Choose thresholds and calibrations on out-of-fold scores of training rows, and judge them on test rows.

    Args:
        chosen_on: training rows with scores out of fold (:func:`out_of_fold_side`).
        found_on: test rows.
        miss: cost of an anomaly that is not flagged, for ``"lowest cost"``.
        false_alarm: cost of a normal row that is flagged, in the same unit.
        budget: alarms that may be raised in 1,000 normal rows, for ``"alarm budget"``.
        rules: other thresholds by name, unfitted, in place of ``"best F1"``, ``"lowest cost"`` and ``"alarm budget"``.
        shares: shares of anomalies for which precision is told.
        bins: bins of equal mass of a reliability curve.
        unit: what a row is, in the singular.
        resamples: bootstrap draws behind intervals of rankings, of groups and of importances.
        seed: seed of the draws.

    Raises:
        DataError: if a class is missing among the training rows, or the inputs do not fit together.
    """
    given = rules or standard_rules(miss, false_alarm, budget)
    fitted = {name: clone(rule).fit(chosen_on.scores, chosen_on.y, chosen_on.weight) for name, rule in given.items()}
    decided = {name: threshold.predict(found_on.scores) for name, threshold in fitted.items()}
    judge = _Judge(found_on, unit, tuple(shares), resamples, seed)
    estimates = {name: judge.estimates(decided[name], fitted[name].describe()) for name in fitted}
    costs = (miss, false_alarm)
    return OperatingPoints(
        points=pl.DataFrame(
            [_point(name, fitted[name], estimates[name], chosen_on, found_on, costs) for name in fitted],
            infer_schema_length=None,
        ),
        confusion=pl.DataFrame([{"rule": name} | _cells(found_on, decided[name]) for name in fitted]),
        classes=pl.DataFrame([row for name in fitted for row in _by_class(name, found_on, decided[name])]),
        kinds=pl.DataFrame([row for name in fitted for row in judge.kinds(name, decided[name])], KINDS, orient="row"),
        shares=_shares(estimates, shares),
        **_calibrations(chosen_on, found_on, bins),
        curves=_curves(chosen_on, found_on, costs),
        thresholds=MappingProxyType(fitted),
        decisions=MappingProxyType(decided),
        ranking=judge.ranking(),
    )


def standard_rules(miss: float = 10.0, false_alarm: float = 1.0, budget: float = 10.0) -> dict[str, Threshold]:
    """The three ways of choosing: ``"best F1"``, ``"lowest cost"``, ``"alarm budget"`` (in 1,000 normal rows).

    Raises:
        SettingsError: if the budget is not between 0 and 1,000.
    """
    if not 0 < budget < PER:
        raise SettingsError(
            f"an alarm budget must lie between 0 and {PER:,}, found {budget}: give alarms in {PER:,} rows"
        )
    return {
        "best F1": BestF1(),
        "lowest cost": LowestCost(miss, false_alarm),
        "alarm budget": AlarmRate(budget / PER),
    }


def out_of_fold_side(
    estimator: BaseEstimator,
    X: Table,
    y: Values,
    *,
    folds: int | Sequence[Split] = 5,
    kinds: pl.Series | None = None,
    weight: Values | None = None,
    groups: Values | None = None,
    seed: int = settings.SEED,
) -> Side:
    """Score training rows by models that have not seen them.

    Args:
        estimator: a classifier or pipeline; it is cloned.
        X: training rows (n rows).
        y: true for an anomaly (n,).
        folds: number of folds (fewer where a class has fewer rows or groups), or the folds themselves.
        kinds: kind of each row (n,).
        weight: counts or importances, for thresholds and calibration (n,).
        groups: group of each row; none stands on both sides of a fold (n,).
        seed: seed of the folds.

    Raises:
        DataError: if not even two folds can be made, or the inputs do not fit together.
    """
    wanted = target(y, groups, weight, rows=len(X))
    divided = folds_of(wanted, folds, seed)[0] if isinstance(folds, int) else folds
    scores, said = np.full((2, wanted.y.size), np.nan)
    for split in divided:
        model = fitted_to(clone(estimator), X[split.train], wanted.take(split.train))
        scores[split.test], said[split.test] = _scored(model, X[split.test])
    known = None if np.isnan(said).all() else said
    return Side(wanted.y, inputs.as_scores(scores), known, kinds, wanted.weight, wanted.groups)


def side_of(
    model: BaseEstimator,
    X: Table,
    y: Values,
    *,
    kinds: pl.Series | None = None,
    weight: Values | None = None,
    groups: Values | None = None,
) -> Side:
    """Score rows by a fitted classifier or pipeline (arguments and errors as :func:`out_of_fold_side`)."""
    labels = inputs.as_labels(y, len(X))
    scores, said = _scored(model, X)
    known = None if np.isnan(said).all() else said
    named = None if groups is None else inputs.codes(groups, len(X))
    return Side(labels, scores, known, kinds, inputs.as_weights(weight, len(X)), named)


def reliability(y: Values, probabilities: Values, weight: Values | None = None, bins: int = BINS) -> pl.DataFrame:
    """How often anomalies occur where a probability is said: bins of equal mass, equal probabilities in one bin.

    Args:
        y: true for an anomaly (n,).
        probabilities: 0..1 (n,).
        weight: counts or importances (n,).
        bins: number of bins; fewer are made where probabilities are equal.

    Returns:
        One row a bin: ``predicted`` mean, ``observed`` share with Wilson's interval ``low`` and ``high``, ``rows``
        (their weight).

    Raises:
        DataError: if a probability lies outside 0..1, or the inputs do not fit together.
    """
    said = _probabilities(probabilities)
    anomalous = inputs.as_labels(y, said.size)
    each = inputs.observations(inputs.as_weights(weight, said.size), said.size)
    place = np.unique(said, return_inverse=True)[1]
    mass = np.bincount(place, each)
    middle = (np.cumsum(mass) - mass / 2) / max(mass.sum(), np.finfo(np.float64).tiny)
    of_bin = np.minimum((middle * bins).astype(np.int64), bins - 1)[place]
    sums = [np.bincount(of_bin, each * part, minlength=bins) for part in (np.ones(said.size), said, anomalous)]
    filled = sums[0] > 0
    rows, predicted, observed = (part[filled] for part in sums)
    limits = [intervals.wilson(float(hit), float(size)) for hit, size in zip(observed, rows, strict=True)]
    return pl.DataFrame(
        {
            "predicted": predicted / rows,
            "observed": observed / rows,
            "low": [one.low for one in limits],
            "high": [one.high for one in limits],
            "rows": rows,
        },
        schema=dict.fromkeys(("predicted", "observed", "low", "high", "rows"), pl.Float64),
    )


def expected_calibration_error(curve_: pl.DataFrame) -> float:
    """Mean distance of predicted and observed shares over the rows of a :func:`reliability` table; NaN without rows."""
    predicted, observed, rows = (curve_[name].to_numpy() for name in ("predicted", "observed", "rows"))
    return float(np.average(np.abs(predicted - observed), weights=rows)) if rows.sum() else np.nan


@dataclass(frozen=True)
class _Judge:
    """What all judgements of the test rows share."""

    side: Side
    unit: str
    shares: tuple[float, ...]
    resamples: int
    seed: int

    def estimates(self, decisions: Bools, chosen: str) -> dict[str, Estimate]:
        """Metrics of decisions by name."""
        found = metrics.evaluate(
            self.side.y,
            decisions=decisions,
            threshold=chosen,
            unit=self.unit,
            weight=self.side.weight,
            groups=self.side.groups,
            shares=self.shares,
            resamples=self.resamples,
            seed=self.seed,
        )
        return {each.name: each for each in found}

    def ranking(self) -> list[Estimate]:
        """Metrics of the scores."""
        side = self.side
        return metrics.evaluate(
            side.y, side.scores, unit=self.unit, weight=side.weight, groups=side.groups, resamples=self.resamples,
            seed=self.seed,
        )  # fmt: skip

    def kinds(self, rule: str, decisions: Bools) -> list[tuple[object, ...]]:
        """Recall of each kind of anomaly."""
        if self.side.kinds is None or not self.side.y.any():
            return []
        anomalous = np.flatnonzero(self.side.y)
        named = self.side.kinds.cast(pl.String).fill_null("unnamed").gather(anomalous)
        weight = None if self.side.weight is None else self.side.weight[anomalous]
        found = metrics.per_type(named.replace({NORMAL: "unnamed"}), decisions[anomalous], weight=weight)
        return [(rule, one.name.removeprefix("recall/"), one.n, one.value, one.low, one.high) for one in found]


def _point(
    rule: str,
    threshold: Threshold,
    found: Mapping[str, Estimate],
    chosen_on: Side,
    found_on: Side,
    costs: tuple[float, float],
) -> dict[str, object]:
    """One line of the table of points."""
    flagged = threshold.predict(chosen_on.scores)
    cells = metrics.confusion(chosen_on.y, flagged, chosen_on.weight)
    line: dict[str, object] = {"rule": rule, "threshold": float(threshold.value_), "chosen": threshold.describe()}
    expected = {name: getattr(metrics, name)(chosen_on.y, flagged, chosen_on.weight) for name in MEASURES}
    for name in MEASURES:
        one = found[name]
        line |= {f"expected_{name}": expected[name], name: one.value, f"{name}_low": one.low, f"{name}_high": one.high}
    alarms = found["false_alarm_rate"]
    line["expected_alarms"] = PER * _divided(cells.fp, cells.fp + cells.tn)
    line |= {"alarms": PER * alarms.value, "alarms_low": PER * alarms.low, "alarms_high": PER * alarms.high}
    line["expected_cost"] = _cost(cells, costs)
    line["cost"] = _cost(metrics.confusion(found_on.y, threshold.predict(found_on.scores), found_on.weight), costs)
    return line


def _cost(cells: metrics.Confusion, costs: tuple[float, float]) -> float:
    """Mean cost of a row."""
    return _divided(costs[0] * cells.fn + costs[1] * cells.fp, sum(cells))


def _divided(part: float, whole: float) -> float:
    return part / whole if whole else np.nan


def _cells(side: Side, decisions: Bools) -> dict[str, float]:
    return metrics.confusion(side.y, decisions, side.weight)._asdict()


def _by_class(rule: str, side: Side, decisions: Bools) -> list[dict[str, object]]:
    """Precision, recall and F1 of both classes."""
    lines: list[dict[str, object]] = []
    for name, y, flagged in ((NORMAL, ~side.y, ~decisions), ("anomaly", side.y, decisions)):
        numbers = {measure: float(getattr(metrics, measure)(y, flagged, side.weight)) for measure in MEASURES}
        rows = float(y.sum() if side.weight is None else side.weight[y].sum())
        lines.append({"rule": rule, "class": name, **numbers, "rows": rows})
    return lines


def _shares(estimates: Mapping[str, Mapping[str, Estimate]], shares: Sequence[float]) -> pl.DataFrame:
    """Precision, F1 and alarms of each rule as they would be at stated shares of anomalies."""
    lines = []
    for rule, found in estimates.items():
        for share in shares:
            precision, f1 = found[f"precision_at_share_{share}"], found[f"f1_at_share_{share}"]
            alarms = PER * (share * found["recall"].value + (1 - share) * found["false_alarm_rate"].value)
            lines.append((rule, share, precision.value, precision.low, precision.high, f1.value, alarms))
    names = ("share", "precision", "low", "high", "f1", "alarms")
    return pl.DataFrame(lines, schema={"rule": pl.String} | dict.fromkeys(names, pl.Float64), orient="row")


def _curves(chosen_on: Side, found_on: Side, costs: tuple[float, float]) -> Mapping[str, pl.DataFrame]:
    """What every threshold does on both sides; the test rows only if both classes are there."""
    miss, false_alarm = costs
    sides = {"out of fold": chosen_on, "test": found_on}
    return MappingProxyType(
        {
            name: curve(side.scores, side.y, side.weight, miss=miss, false_alarm=false_alarm)
            for name, side in sides.items()
            if side.y.any() and not side.y.all()
        }
    )


def _calibrations(chosen_on: Side, found_on: Side, bins: int) -> dict[str, pl.DataFrame]:
    """Reliability and its summary before and after each calibration, on test rows."""
    said = {} if found_on.probabilities is None else {BEFORE: found_on.probabilities}
    for method in METHODS:
        calibrator = Calibrator(method).fit(chosen_on.scores, chosen_on.y, chosen_on.weight)
        said[method] = calibrator.predict(found_on.scores)
    curves, lines = [], []
    for name, probabilities in said.items():
        bent = reliability(found_on.y, probabilities, found_on.weight, bins)
        curves.append(bent.select(pl.lit(name).alias("calibration"), pl.all()))
        lines.append((name, expected_calibration_error(bent), *_proper(found_on, probabilities)))
    columns = ("ece", "brier", "brier_low", "brier_high", "log_loss")
    schema = {"calibration": pl.String} | dict.fromkeys(columns, pl.Float64)
    return {"reliability": pl.concat(curves), "calibration": pl.DataFrame(lines, schema=schema, orient="row")}


def _proper(side: Side, probabilities: Floats) -> tuple[float, float, float, float]:
    """Brier score with its interval, and the logarithmic loss."""
    each = inputs.observations(side.weight, side.y.size)
    if not each.sum():
        return np.nan, np.nan, np.nan, np.nan
    squares = (probabilities - side.y) ** 2
    brier = metrics.brier(side.y, probabilities, side.weight)
    error = np.sqrt(np.average((squares - brier) ** 2, weights=each) / intervals.effective_size(each))
    half = intervals.normal_quantile(intervals.LEVEL) * float(error)
    inside = np.clip(probabilities, LEAST, 1 - LEAST)
    loss = np.average(-np.log(np.where(side.y, inside, 1 - inside)), weights=each)
    return brier, max(0.0, brier - half), min(1.0, brier + half), float(loss)


def _scored(model: BaseEstimator, X: Table) -> tuple[Floats, Floats]:
    """Scores, and probabilities of an anomaly (NaN where the model says none)."""
    scores = abnormality(model, X)
    if not hasattr(model, "predict_proba"):
        return scores, np.full(len(X), np.nan)
    return scores, np.asarray(model.predict_proba(X), dtype=np.float64)[:, 1]


def _probabilities(values: Values) -> Floats:
    said = inputs.as_scores(values, what="probabilities")
    if outside := int(((said < 0) | (said > 1)).sum()):
        raise DataError(f"probabilities must lie in 0..1, found {outside:,} outside: calibrate the scores first")
    return said


def _scale(scores: Floats) -> tuple[float, float]:
    """Middle and spread of scores, so that scores of any size can be learned from."""
    low, centre, high = np.quantile(scores, [0.05, 0.5, 0.95])
    spread = float(high - low) or float(np.ptp(scores)) or 1.0
    return float(centre), spread if np.isfinite(spread) else 1.0


def _isotonic(scaled: Floats, anomalous: Bools, each: Floats) -> BaseEstimator:
    from sklearn.isotonic import IsotonicRegression

    return IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(scaled, anomalous.astype(float), each)


def _platt(scaled: Floats, anomalous: Bools, each: Floats) -> BaseEstimator:
    """Logistic curve on smoothed targets: each row counts for its class, and a little for the other."""
    from sklearn.linear_model import LogisticRegression

    found, normal = float(each[anomalous].sum()), float(each[~anomalous].sum())
    target = np.where(anomalous, (found + 1) / (found + 2), 1 / (normal + 2))
    both = np.concatenate([scaled, scaled])[:, None]
    truth = np.repeat([True, False], scaled.size)
    return LogisticRegression(C=np.inf).fit(both, truth, np.concatenate([each * target, each * (1 - target)]))
