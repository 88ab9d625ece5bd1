"""Estimates: a metric with its interval, its unit and how its threshold was chosen.

Sources of the intervals:
    Wilson for shares; F1 = 2J / (1 + J), where J = TP / (TP + FP + FN) is a share too (Hand, Christen and Kirielle,
    "F*: an interpretable transformation of the F-measure", Machine Learning 2021), so Wilson's interval of J gives that
    of F1 ("Wilson indirect" of Lam, Gopal and Qian, "Confidence intervals for the F1 score", 2023); Jeffreys' prior on
    the cells for what is no share (Goutte and Gaussier, "A probabilistic interpretation of precision, recall and
    F-score", ECIR 2005; Brown, Cai and DasGupta, Statistical Science 2001); the Bayesian bootstrap for rankings (Rubin
    1981, see :func:`utils.evaluation.counting.draw_rankings`); the bootstrap for groups and importances (Efron and
    Tibshirani 1993). With 15 to 30 anomalies the plain percentile bootstrap of a ROC-AUC near .95 holds the truth in
    half to nine tenths of the cases where it promises .95, which is why it is not used there.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
import polars as pl

from utils import settings
from utils.datasets.contract import NORMAL
from utils.errors import DataError
from utils.evaluation import counting, inputs, intervals
from utils.evaluation.counting import Order, Ranking, Sample, Units
from utils.evaluation.inputs import Bools, Floats, Ints, Values
from utils.evaluation.intervals import LEVEL, RESAMPLES, Interval
from utils.evaluation.shares import as_share, matched

PRIOR_DRAWS = 10_000
UNNAMED = "unnamed"
DECISION_METRICS = tuple(counting.DECISION)
STATED_METRICS = ("f1", "precision", "recall", "accuracy")
LOWEST = {"mcc": -1.0}
"""Smallest possible value of the metrics that can fall below 0."""


@runtime_checkable
class FittedThreshold(Protocol):
    """A threshold that was chosen on other data, as in :mod:`utils.evaluation.thresholds`."""

    def predict(self, scores: Floats) -> Bools:
        """Decide: true for an alarm."""

    def describe(self) -> str:
        """Say how it was chosen."""


@dataclass(frozen=True)
class Estimate:
    """One number with its interval.

    Attributes:
        name: the metric, as in ``f1``, ``recall_at_far_0.01``, ``recall/DoS``.
        value: the metric; NaN where it is not defined.
        low: lower limit; NaN where there is no interval.
        high: upper limit.
        unit: what was judged, in the singular ("session").
        n: how many units the value is about: anomalies for a recall, normals for a false-alarm rate, alarms for a
            precision, else all. Rows of importance 3.5 count once.
        threshold: how the threshold was chosen; ``None`` where the metric needs none.
        interval: how the interval was found, or why the metric is not defined.
    """

    name: str
    value: float
    low: float
    high: float
    unit: str
    n: int
    threshold: str | None = None
    interval: str = ""

    def __str__(self) -> str:
        """Value and interval to three digits, as in ``0.912 [0.901, 0.923]``."""
        if np.isnan(self.value):
            return "not defined"
        shown = f"{self.value:.3f}"
        return shown if np.isnan(self.low) else f"{shown} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class _Plan:
    """What all estimates of one evaluation share."""

    rows: Sample
    unit: str
    level: float
    resamples: int
    seed: int
    stratified: bool


def bootstrap(
    metric: str,
    y: Values,
    values: Values,
    *,
    weight: Values | None = None,
    groups: Values | None = None,
    stratified: bool = False,
    unit: str = "row",
    threshold: str | None = None,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = settings.SEED,
) -> Estimate:
    """Estimate one metric with a percentile bootstrap interval.

    Args:
        metric: name of a metric, as in ``f1``, ``roc_auc``, ``recall_at_far_0.01``, ``f1_at_share_0.01``.
        y: verdicts (rows,).
        values: decisions, or scores for a metric of rankings (rows,).
        weight: counts or importances (rows,).
        groups: rows of one group are drawn together (rows,).
        stratified: keep the number of anomalies and normals (or of groups with and without an anomaly); for data whose
            class sizes were fixed by design.
        unit: what a row is.
        threshold: how the threshold was chosen.
        level: nominal coverage.
        resamples: number of draws.
        seed: seed of the draws.

    Raises:
        DataError: if there is no such metric or the inputs do not fit together.
    """
    rows = counting.sample(y, weight, groups)
    plan = _Plan(rows, unit, level, resamples, seed, stratified)
    if counting.is_ranking(metric):
        return _ranking_estimates(plan, inputs.as_scores(values, rows.y.size), [metric])[0]
    alarms = inputs.as_decisions(values, rows.y.size)
    return _resampled_decisions(plan, alarms, [metric], threshold)[0]


def per_type(
    anomaly_type: Values,
    decisions: Values,
    *,
    weight: Values | None = None,
    groups: Values | None = None,
    unit: str = "row",
    threshold: str | None = None,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = settings.SEED,
) -> list[Estimate]:
    """Estimate the recall of each anomaly type, by name; normal rows are left out.

    Args:
        anomaly_type: type of each row, ``"normal"`` for normal ones (rows,).
        decisions: true for an alarm (rows,).
        weight: counts or importances (rows,); importances enter the interval by their effective number.
        groups: rows of one group are drawn together (rows,): bootstrap in place of Wilson's interval.
        unit: what a row is.
        threshold: how the threshold was chosen.
        level: nominal coverage.
        resamples: number of draws, with groups.
        seed: seed of the draws, with groups.

    Raises:
        DataError: if the inputs do not fit together.
    """
    kinds = inputs.as_names(anomaly_type, len(inputs.as_series(anomaly_type)), "anomaly types")
    rows = counting.sample((kinds != NORMAL).to_numpy(), weight, groups)
    plan = _Plan(rows, unit, level, resamples, seed, False)
    return _type_estimates(plan, kinds, inputs.as_decisions(decisions, len(kinds)), threshold)


def at_stated_shares(
    anomaly_type: Values,
    decisions: Values,
    shares: Mapping[str, float],
    *,
    weight: Values | None = None,
    groups: Values | None = None,
    unit: str = "row",
    threshold: str | None = None,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = settings.SEED,
) -> list[Estimate]:
    """Estimate precision, recall, F1 and accuracy as they would be if the types had the stated shares.

    The alarm rate of each type is taken from the rows, the mixture from ``shares``. Intervals come from Jeffreys' prior
    on each alarm rate, so that a type without a false alarm is not taken for one that cannot have any; with groups or
    importances from the bootstrap.

    Args:
        anomaly_type: type of each row, ``"normal"`` for normal ones (rows,).
        decisions: true for an alarm (rows,).
        shares: share of each type, ``"normal"`` included; they sum to 1.
        weight: counts or importances (rows,).
        groups: rows of one group are drawn together (rows,).
        unit: what a row is.
        threshold: how the threshold was chosen.
        level: nominal coverage.
        resamples: number of draws of the bootstrap.
        seed: seed of the draws.

    Raises:
        DataError: if the shares do not fit the types or the inputs do not fit together.
    """
    kinds = inputs.as_names(anomaly_type, len(inputs.as_series(anomaly_type)), "anomaly types")
    rows = counting.sample((kinds != NORMAL).to_numpy(), weight, groups)
    plan = _Plan(rows, unit, level, resamples, seed, False)
    return _stated_estimates(plan, kinds, inputs.as_decisions(decisions, len(kinds)), shares, threshold)


def evaluate(
    y: Values,
    scores: Values | None = None,
    *,
    threshold: FittedThreshold | float | str | None = None,
    decisions: Values | None = None,
    unit: str = "row",
    anomaly_type: Values | None = None,
    weight: Values | None = None,
    groups: Values | None = None,
    shares: float | Sequence[float] | Mapping[str, float] = (),
    rates: Sequence[float] = (0.01,),
    stratified: bool = False,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = settings.SEED,
) -> list[Estimate]:
    """Estimate everything that verdicts, scores and decisions allow, each number with its interval.

    Intervals of metrics of decisions are Wilson's (shares, F1) and Jeffreys' (the rest), those of metrics of rankings
    come from the Bayesian bootstrap; with groups or importances all come from the bootstrap.

    Args:
        y: verdicts, true for an anomaly (rows,).
        scores: higher = more abnormal (rows,).
        threshold: a fitted threshold or a number (alarm where score >= number); beside ``decisions``, words that say
            how they were made.
        decisions: true for an alarm (rows,); in place of a threshold.
        unit: what a row is, in the singular.
        anomaly_type: type of each row (rows,): adds the recall of each type of anomaly.
        weight: counts or importances (rows,).
        groups: rows of one group are no independent evidence and are drawn together (rows,).
        shares: shares of anomalies, as in ``0.01``, for which precision, F1 and average precision are given besides; or
            the share of each anomaly type and of ``"normal"``.
        rates: false-alarm rates at which the recall is given.
        stratified: bootstrap with the number of anomalies and normals kept, for rankings, groups and importances.
        level: nominal coverage.
        resamples: bootstrap draws; 0 for no bootstrap intervals (for repeated splits, see :func:`over_splits`).
        seed: seed of the draws.

    Raises:
        DataError: if the inputs do not fit together or neither scores nor decisions are given.
    """
    rows = counting.sample(y, weight, groups)
    plan = _Plan(rows, unit, level, resamples, seed, stratified)
    ranks = None if scores is None else inputs.as_scores(scores, rows.y.size)
    alarms, chosen = _decide(ranks, threshold, decisions, rows.y.size)
    if ranks is None and alarms is None:
        raise DataError("an evaluation needs scores, decisions or both, found neither: give one of them")
    listed = [] if isinstance(shares, Mapping) else [as_share(share) for share in np.atleast_1d(shares)]
    found: list[Estimate] = []
    if alarms is not None:
        stated = [f"{name}_at_share_{share}" for share in listed for name in ("precision", "f1")]
        found += _decision_estimates(plan, alarms, [*DECISION_METRICS, *stated], chosen)
    if ranks is not None:
        at_rates = [f"recall_at_far_{as_share(rate)}" for rate in rates]
        stated = [f"average_precision_at_share_{share}" for share in listed]
        ranked = ["average_precision", "roc_auc", *at_rates, *stated]
        found += _ranking_estimates(plan, ranks, ranked, bayesian=rows.independent and not stratified)
    if alarms is not None and anomaly_type is not None:
        kinds = _types(rows.y, anomaly_type)
        found += _type_estimates(plan, kinds, alarms, chosen)
        if isinstance(shares, Mapping):
            found += _stated_estimates(plan, kinds, alarms, shares, chosen)
    elif isinstance(shares, Mapping):
        raise DataError("shares by type need anomaly types and decisions: give anomaly_type and a threshold")
    return found


def over_splits(runs: Iterable[Sequence[Estimate]], test_share: float, level: float = LEVEL) -> list[Estimate]:
    """Put the estimates of repeated splits together: mean and corrected t-interval of each metric.

    Args:
        runs: what :func:`evaluate` gave on each split.
        test_share: share of the rows that each test part had.
        level: nominal coverage.

    Returns:
        One estimate a metric, in order of first appearance; ``n`` is the mean over the splits.

    Raises:
        DataError: if the share or the level does not lie between 0 and 1.
    """
    given = [{estimate.name: estimate for estimate in run} for run in runs]
    names = list(dict.fromkeys(name for run in given for name in run))
    found = []
    for name in names:
        known = [run[name] for run in given if name in run]
        values = [run[name].value if name in run else np.nan for run in given]
        n = round(sum(estimate.n for estimate in known) / len(known))
        chosen = {estimate.threshold for estimate in known}
        threshold = chosen.pop() if len(chosen) == 1 else "chosen anew for each split"
        found.append(mean_over_splits(name, values, test_share, known[0].unit, n, threshold, level))
    return found


def mean_over_splits(
    name: str,
    values: Sequence[float] | Floats,
    test_share: float,
    unit: str,
    n: int,
    threshold: str | None = None,
    level: float = LEVEL,
) -> Estimate:
    """Estimate one metric from its values on repeated splits: mean and corrected t-interval (Nadeau and Bengio 2003).

    Args:
        name: the metric; its interval is cut at 0 (-1 for ``mcc``) and 1.
        values: one value a split; NaN where a split had none.
        test_share: share of the rows that each test part had.
        unit: what was judged.
        n: units of a test part.
        threshold: how the threshold was chosen.
        level: nominal coverage.

    Raises:
        DataError: if the share or the level does not lie between 0 and 1.
    """
    found = intervals.repeats(values, test_share, level=level, bounds=(LOWEST.get(name, 0.0), 1.0))
    return Estimate(name, found.mean, found.interval.low, found.interval.high, unit, n, threshold, found.interval.how)


def table(estimates: Sequence[Estimate] | Mapping[str, Sequence[Estimate]], of: str = "model") -> pl.DataFrame:
    """Tabulate estimates for a notebook.

    Args:
        estimates: the estimates, or those of several models by name.
        of: name of the leading column, for several.

    Returns:
        ``metric``, ``estimate`` (value and interval as text), ``value``, ``low``, ``high``, ``unit``, ``n``,
        ``threshold``, ``interval``.
    """
    several = isinstance(estimates, Mapping)
    listed = estimates.items() if isinstance(estimates, Mapping) else [("", estimates)]
    lines = [
        (name, one.name, str(one), one.value, one.low, one.high, one.unit, one.n, one.threshold, one.interval)
        for name, part in listed
        for one in part
    ]
    texts, numbers = (pl.String, pl.Float64)
    schema = {of: texts, "metric": texts, "estimate": texts, "value": numbers, "low": numbers, "high": numbers}
    rest = {"unit": texts, "n": pl.Int64, "threshold": texts, "interval": texts}
    frame = pl.DataFrame(lines, schema=schema | rest, orient="row")
    return frame if several else frame.drop(of)


def _decide(
    scores: Floats | None, threshold: FittedThreshold | float | str | None, decisions: Values | None, rows: int
) -> tuple[Bools | None, str | None]:
    """Find the decisions, if any, and the words that say how they were made.

    Raises:
        DataError: if both decisions and a threshold are given, a threshold without scores, or one that is NaN.
    """
    if decisions is not None:
        if threshold is not None and not isinstance(threshold, str):
            raise DataError("decisions are made already, found a threshold besides: give one of them")
        return inputs.as_decisions(decisions, rows), threshold or "decisions as given"
    if threshold is None:
        return None, None
    if scores is None or isinstance(threshold, str):
        raise DataError("a threshold needs scores, and words need decisions, found neither pair: give one of the two")
    if isinstance(threshold, FittedThreshold):
        return inputs.as_decisions(threshold.predict(scores), rows), threshold.describe()
    if np.isnan(threshold):
        raise DataError("a threshold must be a number, found NaN: give a value on the scale of the scores")
    return scores >= float(threshold), f"fixed at {float(threshold):g}"


def _decision_estimates(plan: _Plan, alarms: Bools, names: Sequence[str], chosen: str | None) -> list[Estimate]:
    if not plan.rows.independent:
        return _resampled_decisions(plan, alarms, names, chosen)
    cell = counting.cells(counting.cell_of(plan.rows.y, alarms), plan.rows.weight)
    draws = np.random.default_rng(plan.seed).gamma(cell + 0.5, size=(PRIOR_DRAWS, cell.size))
    found = []
    for name in names:
        value = float(counting.decision_formula(name)(cell))
        found.append(_estimate(plan, name, value, _closed(name, value, cell, draws, plan.level), cell, chosen))
    return found


def _closed(name: str, value: float, cell: Floats, draws: Floats, level: float) -> Interval:
    """Interval from the cells alone: Wilson's of a share, else Jeffreys' prior on the cells."""
    if name not in PROPORTIONS:
        return _from_prior(counting.decision_formula(name)(draws), value, level)
    successes, trials = PROPORTIONS[name](cell)
    found = intervals.wilson(float(successes), float(trials), level)
    if name != "f1":
        return found
    return Interval(2 * found.low / (1 + found.low), 2 * found.high / (1 + found.high), f"{found.how} of TP/(TP+FP+FN)")


def _from_prior(drawn: Floats, value: float, level: float) -> Interval:
    return intervals.percentile(drawn, value, level, f"Jeffreys {intervals.percent(level)}")


def _resampled_decisions(plan: _Plan, alarms: Bools, names: Sequence[str], chosen: str | None) -> list[Estimate]:
    code = counting.cell_of(plan.rows.y, alarms)
    weighted, counted = (counting.cells(code, weight) for weight in (plan.rows.weight, plan.rows.counts))
    drawn = np.empty((0, counting.CELLS))
    if plan.resamples and weighted.sum():
        drawn = counting.draw_cells(code, plan.rows, plan.resamples, plan.seed, stratified=plan.stratified)
    found = []
    for name in names:
        formula = counting.decision_formula(name)
        value = float(formula(weighted))
        found.append(_estimate(plan, name, value, _bootstrapped(plan, formula(drawn), value), counted, chosen))
    return found


def _ranking_estimates(plan: _Plan, scores: Floats, names: Sequence[str], *, bayesian: bool = False) -> list[Estimate]:
    units, (order,) = counting.ranking_units(plan.rows, scores)
    formulas = {name: counting.ranking_formula(name) for name in names}
    whole = counting.cumulate(units.counts[None, :].astype(np.float64), order)
    drawn: dict[str, list[Floats]] = {name: [np.empty(0)] for name in names}
    if plan.resamples and units.counts.sum():
        for ranks in _drawn_rankings(plan, units, order, bayesian):
            for name, formula in formulas.items():
                drawn[name].append(formula(ranks))
    counted = counting.cells(counting.cell_of(plan.rows.y, plan.rows.y), plan.rows.counts)
    found = []
    for name, formula in formulas.items():
        value = float(formula(whole)[0])
        interval = _bootstrapped(plan, np.concatenate(drawn[name]), value, bayesian=bayesian)
        found.append(_estimate(plan, name, value, interval, counted, None))
    return found


def _drawn_rankings(plan: _Plan, units: Units, order: Order, bayesian: bool) -> Iterator[Ranking]:
    if bayesian:
        return counting.draw_rankings(units, order, plan.resamples, plan.seed)
    drawn = counting.draw(units, plan.resamples, plan.seed, plan.stratified)
    return (counting.cumulate(chunk, order) for chunk in drawn)


def _bootstrapped(plan: _Plan, drawn: Floats, value: float, *, bayesian: bool = False) -> Interval:
    if not plan.resamples:
        return Interval(np.nan, np.nan, "no interval asked for")
    of = " of groups" if plan.rows.groups is not None else ""
    kept = ", stratified" if plan.stratified else ""
    level = intervals.percent(plan.level)
    how = f"bootstrap {level}, {plan.resamples:,} resamples{of}{kept}"
    name = f"Bayesian bootstrap {level}, {plan.resamples:,} draws" if bayesian else how
    return intervals.percentile(drawn, value, plan.level, name)


def _estimate(
    plan: _Plan, name: str, value: float, interval: Interval, counted: Floats, chosen: str | None
) -> Estimate:
    """Put an estimate together; ``counted`` are the units in each cell."""
    n = int(PROPORTIONS[name](counted)[1] if name in ABOUT else counted.sum())
    if np.isnan(value):
        return Estimate(name, value, np.nan, np.nan, plan.unit, n, chosen, _why_not(counted))
    return Estimate(name, value, interval.low, interval.high, plan.unit, n, chosen, interval.how)


def _why_not(counted: Floats) -> str:
    tp, fp, fn, tn = counted
    reasons = {
        "no rows": tp + fp + fn + tn == 0,
        "no anomalies": tp + fn == 0,
        "no normals": fp + tn == 0,
        "no alarms": tp + fp == 0,
        "nothing but alarms": fn + tn == 0,
    }
    return "not defined: " + next((reason for reason, holds in reasons.items() if holds), "weights of zero")


def _types(y: Bools, anomaly_type: Values) -> pl.Series:
    """Type of each row by its verdict: normals are ``"normal"``, anomalies have their type or are unnamed.

    Raises:
        DataError: if there is not one type a row.
    """
    kinds = inputs.as_series(anomaly_type).cast(pl.String)
    if len(kinds) != y.size:
        raise DataError(f"anomaly types must be given for each of {y.size:,} rows, found {len(kinds):,}: take the same")
    named = pl.when(pl.col("kind") != NORMAL).then("kind").otherwise(pl.lit(UNNAMED))
    verdict = pl.when(pl.col("y")).then(named).otherwise(pl.lit(NORMAL))
    return pl.DataFrame({"kind": kinds, "y": y}).select(verdict.alias("kind")).to_series()


def _type_estimates(plan: _Plan, kinds: pl.Series, alarms: Bools, chosen: str | None) -> list[Estimate]:
    anomalous = (kinds != NORMAL).to_numpy()
    rows, hits, named = plan.rows.keep(anomalous), alarms[anomalous], kinds.filter(anomalous)
    found = []
    for name in sorted(named.unique().to_list()):
        mine = (named == name).to_numpy()
        part = _Plan(rows.keep(mine), plan.unit, plan.level, plan.resamples, plan.seed, False)
        estimate = _recall_estimate(part, hits[mine], chosen)
        found.append(replace(estimate, name=f"recall/{name}"))
    return found


def _recall_estimate(plan: _Plan, alarms: Bools, chosen: str | None) -> Estimate:
    """Recall of rows that are all anomalies."""
    rows = plan.rows
    if rows.groups is not None:
        return _resampled_decisions(plan, alarms, ["recall"], chosen)[0]
    code = counting.cell_of(rows.y, alarms)
    weighted, counted = (counting.cells(code, weight) for weight in (rows.weight, rows.counts))
    value = float(counting.decision_formula("recall")(weighted))
    size = counted.sum() if rows.importance is None else intervals.effective_size(rows.importance)
    return _estimate(plan, "recall", value, intervals.wilson(value * size, size, plan.level), counted, chosen)


def _stated_estimates(
    plan: _Plan, kinds: pl.Series, alarms: Bools, shares: Mapping[str, float], chosen: str | None
) -> list[Estimate]:
    """Metrics of the mixture of the types' alarm rates; cells of the types are (silent, alarm) pairs."""
    present, place, wanted = matched(kinds, shares)
    anomalous = np.array([name != NORMAL for name in present], dtype=np.bool_)
    code, size = 2 * place + alarms, 2 * len(present)
    weighted, counted = (counting.cells(code, weight, size) for weight in (plan.rows.weight, plan.rows.counts))
    drawn = _drawn_pairs(plan, code, counted, np.repeat(anomalous, 2))
    value_cells = _mixture(weighted, wanted, anomalous)
    drawn_cells = _mixture(drawn, wanted, anomalous)
    closed = plan.rows.independent
    found = []
    for metric in STATED_METRICS:
        formula = counting.decision_formula(metric)
        value, values = float(formula(value_cells)), formula(drawn_cells)
        interval = _from_prior(values, value, plan.level) if closed else _bootstrapped(plan, values, value)
        found.append(_estimate(plan, f"{metric}_at_stated_shares", value, interval, _four(counted, anomalous), chosen))
    return found


def _drawn_pairs(plan: _Plan, code: Ints, counted: Floats, anomalous: Bools) -> Floats:
    """Draw the (silent, alarm) weights of each type: Jeffreys' prior for equal units, else the bootstrap."""
    if plan.rows.independent:
        return np.random.default_rng(plan.seed).gamma(counted + 0.5, size=(PRIOR_DRAWS, counted.size))
    if not plan.resamples or not counted.sum():
        return np.empty((0, counted.size))
    return counting.draw_cells(code, plan.rows, plan.resamples, plan.seed, anomalous=anomalous)


def _mixture(pairs: Floats, wanted: Floats, anomalous: Bools) -> Floats:
    """Confusion cells of classes mixed by share: (..., 2 x classes) to (..., 4); NaN where a class has no rows."""
    silent, alarm = pairs[..., ::2], pairs[..., 1::2]
    total = silent + alarm
    rate = np.divide(alarm, total, out=np.full(total.shape, np.nan), where=total > 0)
    loud, quiet = np.where(wanted > 0, rate * wanted, 0), np.where(wanted > 0, (1 - rate) * wanted, 0)
    parts = [part[..., of].sum(axis=-1) for part in (loud, quiet) for of in (anomalous, ~anomalous)]
    return np.stack(parts, axis=-1)


def _four(pairs: Floats, anomalous: Bools) -> Floats:
    """Add up (silent, alarm) pairs to the four confusion cells."""
    silent, alarm = pairs[::2], pairs[1::2]
    return np.array([part[of].sum() for part in (alarm, silent) for of in (anomalous, ~anomalous)])


PROPORTIONS: Mapping[str, Callable[[Floats], tuple[float, float]]] = {
    "f1": lambda cell: (cell[0], cell[0] + cell[1] + cell[2]),
    "precision": lambda cell: (cell[0], cell[0] + cell[1]),
    "recall": lambda cell: (cell[0], cell[0] + cell[2]),
    "false_alarm_rate": lambda cell: (cell[1], cell[1] + cell[3]),
    "accuracy": lambda cell: (cell[0] + cell[3], cell.sum()),
}
"""Metrics that are shares (F1: of which a share is the core): successes and trials."""

ABOUT = frozenset({"precision", "recall", "false_alarm_rate"})
"""Metrics that are about some units only: those of the denominator."""
