"""Thresholds as fitted objects: chosen on training or out-of-fold scores, applied to whatever comes later.

Scores rise with abnormality, and a row is called anomalous if its score is at least the threshold. The data offer only
so many different decisions as there are distinct scores: :class:`Cuts` lists them all, from one sort. A threshold lies
midway between two neighbouring scores, so that rounding decides nothing, and of equally good thresholds the lowest is
taken, the one that misses least.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import polars as pl
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from utils.errors import DataError
from utils.evaluation.counting import ratio
from utils.evaluation.inputs import (
    Bools,
    Floats,
    Ints,
    Values,
    Weights,
    as_alarm_rate,
    as_labels,
    as_weights,
    finite_scores,
    normal_rows,
    observations,
    require_both_classes,
)

EQUAL = 1e-12
"""Relative difference below which two merits count as equal: rounding of sums of fractional weights."""

ROUNDING = 1e-9
"""Relative distance from the outermost score of a threshold that has a score on one side only."""


@dataclass(frozen=True)
class Point:
    """What one threshold does to some labelled scores; all but the threshold are shares in 0..1, NaN if undefined."""

    threshold: float
    precision: float
    recall: float
    f1: float
    false_alarm_rate: float


@dataclass(frozen=True, eq=False)
class Cuts:
    """Every different decision that a threshold can make on some scores, fewest alarms first.

    The first entry has an endless threshold, the second lies above the highest score, and each one after flags one
    distinct score more; the last flags all.

    Attributes:
        values: thresholds, falling, length d + 2 for d distinct scores.
        lowest: lowest score that each flags, endless for the two that flag nothing.
        found: weight of the anomalies that each flags.
        alarms: weight of the normals that each flags.
        anomalies: weight of all anomalies, also of those that no threshold can flag.
        normals: weight of all normals, likewise.
    """

    values: Floats
    lowest: Floats
    found: Floats
    alarms: Floats
    anomalies: float
    normals: float

    @property
    def precision(self) -> Floats:
        """Share of anomalies among the flagged, NaN where nothing is flagged."""
        return ratio(self.found, self.found + self.alarms)

    @property
    def recall(self) -> Floats:
        """Share of the anomalies that is flagged."""
        return ratio(self.found, self.anomalies)

    @property
    def false_alarm_rate(self) -> Floats:
        """Share of the normals that is flagged."""
        return ratio(self.alarms, self.normals)

    @property
    def f1(self) -> Floats:
        """Harmonic mean of precision and recall, 0 where nothing is flagged."""
        return ratio(2 * self.found, self.found + self.alarms + self.anomalies)

    def cost(self, miss: float, false_alarm: float) -> Floats:
        """Mean cost of a row.

        Args:
            miss: cost of an anomaly that is not flagged.
            false_alarm: cost of a normal row that is flagged, in the same unit.
        """
        total = miss * (self.anomalies - self.found) + false_alarm * self.alarms
        return ratio(total, self.anomalies + self.normals)

    def places(self, values: Floats) -> Ints:
        """Find the decisions that given thresholds make: their places in this list."""
        return np.asarray(len(self.lowest) - np.searchsorted(self.lowest[::-1], values, side="left") - 1).clip(min=1)

    def point(self, place: int) -> Point:
        """Describe one of the decisions."""
        columns = (self.values, self.precision, self.recall, self.f1, self.false_alarm_rate)
        return Point(*(float(column[place]) for column in columns))


@dataclass(frozen=True, eq=False)
class Tally:
    """How much of each class stands at each distinct score.

    Attributes:
        scores: distinct scores, rising, length d.
        anomalies: weight of the anomalies at each.
        normals: weight of the normals at each.
    """

    scores: Floats
    anomalies: Floats
    normals: Floats

    def negated(self) -> "Tally":
        """The same tally for the scores with the opposite sign."""
        return Tally(-self.scores[::-1], self.anomalies[::-1], self.normals[::-1])

    def cuts(self, anomalies: float | None = None, normals: float | None = None) -> Cuts:
        """List the decisions.

        Args:
            anomalies: weight of all anomalies, if some have no score (and can never be flagged).
            normals: weight of all normals, likewise.
        """
        found, alarms = (np.concatenate([[0.0, 0.0], np.cumsum(mass[::-1])]) for mass in (self.anomalies, self.normals))
        return Cuts(
            values=_between(self.scores[::-1]),
            lowest=np.concatenate([[np.inf, np.inf], self.scores[::-1]]),
            found=found,
            alarms=alarms,
            anomalies=float(found[-1] if anomalies is None else anomalies),
            normals=float(alarms[-1] if normals is None else normals),
        )


def tally(scores: Floats, anomalous: Bools, weight: Weights | None = None) -> Tally:
    """Count both classes at each distinct score, sorting once.

    Args:
        scores: length n, no NaN.
        anomalous: true for an anomaly, length n.
        weight: how much each row counts, length n.
    """
    order = np.argsort(scores)
    ranked, positive = scores[order], anomalous[order]
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if ranked.size else np.empty(0, dtype=np.int64)
    mass = np.ones(len(order)) if weight is None else weight[order].astype(np.float64)
    total, found = np.cumsum(mass)[last], np.cumsum(np.where(positive, mass, 0.0))[last]
    anomalies = np.diff(found, prepend=0.0)
    return Tally(ranked[last], anomalies, np.maximum(np.diff(total, prepend=0.0) - anomalies, 0.0))


class Threshold(BaseEstimator):  # type: ignore[misc]
    """A threshold for scores that rise with abnormality; subclasses say how it is chosen.

    Attributes:
        value_: rows with a score of at least this are called anomalous.
        n_scores_: number of scores it was chosen on.
        point_: what it does to those scores.
    """

    value_: float
    n_scores_: int
    point_: Point

    def fit(self, scores: Values, y: Values | None = None, weight: Values | None = None) -> Self:
        """Choose the threshold.

        Args:
            scores: higher is more abnormal, length n; of training, validation or out-of-fold rows, never of test rows.
            y: true for an anomaly, length n.
            weight: how many rows each score stands for (or class weights), length n.

        Returns:
            The fitted threshold.

        Raises:
            DataError: if scores are NaN or none, lengths differ, or a class that the choice needs is missing.
        """
        checked = finite_scores(scores)
        if not checked.size:
            raise DataError("a threshold is chosen on scores, found none: give the scores of at least one row")
        self._fit(checked, None if y is None else as_labels(y, len(checked)), as_weights(weight, len(checked)))
        return self

    def predict(self, scores: Values) -> Bools:
        """Tell which scores reach the threshold.

        Args:
            scores: higher is more abnormal, length n; may be empty.

        Returns:
            True where anomalous, length n.

        Raises:
            DataError: if a score is NaN.
        """
        check_is_fitted(self, "value_")
        return np.asarray(finite_scores(scores) >= self.value_)

    def choose(self, cuts: Cuts) -> int:
        """Return the place of the chosen decision among those that the scores offer."""
        merit = self.merit(cuts)
        best = merit.max()
        return int(np.flatnonzero(merit >= best - EQUAL * abs(best))[-1])

    def merit(self, cuts: Cuts) -> Floats:
        """How good each decision is by the measure of this threshold; higher is better."""
        return cuts.f1

    def describe(self) -> str:
        """Say in one sentence how the threshold was chosen and on how many scores."""
        check_is_fitted(self, "value_")
        return f"Threshold {self.value_:.6g}: {self._reason()}, on {self.n_scores_:,} scores."

    def fit_cuts(self, cuts: Cuts, n_scores: int) -> Self:
        """Choose among decisions that are already listed, as :meth:`fit` does among those of its scores.

        Args:
            cuts: the decisions.
            n_scores: number of scores behind them.
        """
        self.point_ = cuts.point(self.choose(cuts))
        self.value_, self.n_scores_ = self.point_.threshold, n_scores
        return self

    def _fit(self, scores: Floats, anomalous: Bools | None, weight: Weights | None) -> None:
        if anomalous is None:
            raise DataError("this threshold is chosen by labels, found none: give y, or take AlarmRate or Fixed")
        require_both_classes(anomalous, weight)
        self.fit_cuts(tally(scores, anomalous, weight).cuts(), len(scores))

    def _reason(self) -> str:
        raise NotImplementedError


class BestF1(Threshold):
    """The threshold with the highest F1 on the scores given."""

    def _reason(self) -> str:
        return f"the highest F1 ({self.point_.f1:.4f})"


class LowestCost(Threshold):
    """The threshold with the lowest mean cost on the scores given; flagging nothing is one of the choices.

    Source:
        Elkan, "The Foundations of Cost-Sensitive Learning", IJCAI 2001.
    """

    def __init__(self, miss: float = 10.0, false_alarm: float = 1.0) -> None:
        """Set the costs.

        Args:
            miss: cost of an anomaly that is not flagged.
            false_alarm: cost of a normal row that is flagged, in the same unit.
        """
        self.miss = miss
        self.false_alarm = false_alarm

    def merit(self, cuts: Cuts) -> Floats:
        """Negative mean cost of a row.

        Raises:
            DataError: if a cost is negative or not finite, or both are 0.
        """
        if not (np.isfinite([self.miss, self.false_alarm]).all() and min(self.miss, self.false_alarm) >= 0):
            raise DataError(f"costs must be numbers of at least 0, found {self.miss} and {self.false_alarm}: correct")
        if self.miss == self.false_alarm == 0:
            raise DataError("one of the costs must be above 0, found 0 and 0: say what a miss or a false alarm costs")
        return -cuts.cost(self.miss, self.false_alarm)

    def fit_cuts(self, cuts: Cuts, n_scores: int) -> Self:
        """Choose among decisions that are already listed (see :meth:`Threshold.fit_cuts`)."""
        super().fit_cuts(cuts, n_scores)
        self.cost_ = float(-self.merit(cuts).max())
        return self

    def _reason(self) -> str:
        return (
            f"the lowest cost ({self.cost_:.4g} a row; a miss costs {self.miss:g}, a false alarm {self.false_alarm:g})"
        )


class AlarmRate(Threshold):
    """The lowest threshold that a new normal row reaches with a probability of at most ``rate``.

    Chosen on normals only (on all scores where no labels are given). Of n normals at most ``rate * (n + 1) - 1`` are
    flagged, equal scores all or none, so that the rate holds for new exchangeable normals in every finite sample, and
    not only in the limit. Fewer than ``1 / rate - 1`` normals cannot vouch for the rate: the threshold is then endless,
    nothing is flagged, and :meth:`describe` says so.

    Source:
        Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", Springer 2005 (conformal p-values).
    """

    def __init__(self, rate: float = 0.05) -> None:
        """Set the rate.

        Args:
            rate: highest share of normal rows that may be flagged, between 0 and 1.
        """
        self.rate = rate

    def choose(self, cuts: Cuts) -> int:
        """Return the place of the lowest threshold that holds the rate.

        Raises:
            DataError: if the rate is not between 0 and 1.
        """
        held = (1 + cuts.alarms) / (1 + cuts.normals) <= as_alarm_rate(self.rate)
        return int(np.flatnonzero(held)[-1]) if held.any() else 0

    def _fit(self, scores: Floats, anomalous: Bools | None, weight: Weights | None) -> None:
        normal, mass = normal_rows(anomalous, weight, len(scores), "an alarm rate is set on the scores of")
        n = int(normal.sum())
        self.fit_cuts(tally(scores[normal], np.zeros(n, dtype=bool), observations(mass, n)).cuts(), len(scores))
        if anomalous is not None:
            self.point_ = _point(scores, anomalous, weight, self.value_)

    def fit_cuts(self, cuts: Cuts, n_scores: int) -> Self:
        """Choose among decisions that are already listed (see :meth:`Threshold.fit_cuts`)."""
        self.n_normals_ = cuts.normals
        return super().fit_cuts(cuts, n_scores)

    def _reason(self) -> str:
        if np.isposinf(self.value_):
            return f"{self.n_normals_:,.6g} normals cannot vouch for a rate of {self.rate:.4g}, so nothing is flagged"
        flagged = self.point_.false_alarm_rate
        return f"at most {self.rate:.4g} of normals flagged ({flagged:.4g} of the {self.n_normals_:,.6g} given)"


class Fixed(Threshold):
    """A threshold that is given and not chosen on the scores it is fitted to."""

    def __init__(self, value: float = 0.5, why: str = "given, not chosen") -> None:
        """Set the threshold.

        Args:
            value: rows with a score of at least this are called anomalous.
            why: how it was found, in words.
        """
        self.value = value
        self.why = why

    def choose(self, cuts: Cuts) -> int:
        """Return the place of the decision that the given value makes."""
        return int(cuts.places(np.array([self.value]))[0])

    def _fit(self, scores: Floats, anomalous: Bools | None, weight: Weights | None) -> None:
        if np.isnan(self.value):
            raise DataError("a threshold must be a number, found NaN: give a value on the scale of the scores")
        labels = np.zeros(len(scores), dtype=bool) if anomalous is None else anomalous
        self.fit_cuts(tally(scores, labels, weight).cuts(), len(scores))

    def fit_cuts(self, cuts: Cuts, n_scores: int) -> Self:
        """Look up what the given value does (see :meth:`Threshold.fit_cuts`)."""
        super().fit_cuts(cuts, n_scores)
        self.value_ = float(self.value)
        self.point_ = replace(self.point_, threshold=self.value_)
        return self

    def _reason(self) -> str:
        return self.why


def curve(
    scores: Values,
    y: Values,
    weight: Values | None = None,
    *,
    miss: float = 1.0,
    false_alarm: float = 1.0,
) -> pl.DataFrame:
    """Tabulate what every threshold would do: one row a distinct score, and one that flags nothing.

    Args:
        scores: higher is more abnormal, length n.
        y: true for an anomaly, length n.
        weight: how many rows each score stands for (or class weights), length n.
        miss: cost of an anomaly that is not flagged.
        false_alarm: cost of a normal row that is flagged.

    Returns:
        ``threshold`` (rising), ``precision`` (null where nothing is flagged), ``recall``, ``f1``,
        ``false_alarm_rate`` (shares) and ``cost`` (mean of a row).

    Raises:
        DataError: if scores are NaN or none, lengths differ, or a class is missing.
    """
    cuts = cuts_of(scores, y, weight)
    columns = {
        "threshold": cuts.values,
        "precision": cuts.precision,
        "recall": cuts.recall,
        "f1": cuts.f1,
        "false_alarm_rate": cuts.false_alarm_rate,
        "cost": cuts.cost(miss, false_alarm),
    }
    return pl.DataFrame({name: column[:0:-1] for name, column in columns.items()}).with_columns(
        pl.col("precision").fill_nan(None)
    )


def cuts_of(scores: Values, y: Values, weight: Values | None = None) -> Cuts:
    """List every different decision on labelled scores (arguments and errors as :func:`curve`)."""
    checked = finite_scores(scores)
    anomalous, mass = as_labels(y, len(checked)), as_weights(weight, len(checked))
    require_both_classes(anomalous, mass)
    return tally(checked, anomalous, mass).cuts()


def published_threshold(
    scores: Values, y: Values, weight: Values | None = None, candidates: Values | None = None
) -> Point:
    """Choose the threshold ON THE TEST SCORES, as many published results do: its F1 is optimistic.

    The number says how good the best threshold would have been for somebody who knew the test labels. It is here to be
    shown beside the honest one (a threshold fitted on training scores), never to be reported alone.

    Args:
        scores: scores of the TEST rows, higher is more abnormal, length n.
        y: their labels.
        weight: how many rows each score stands for, length n.
        candidates: thresholds that are tried; every different decision if not given.

    Returns:
        The best threshold on these rows with its optimistic F1.

    Raises:
        DataError: as :func:`curve`, or if there is no candidate.
    """
    cuts = cuts_of(scores, y, weight)
    if candidates is None:
        return cuts.point(BestF1().choose(cuts))
    tried = np.unique(finite_scores(candidates))
    if not tried.size:
        raise DataError("thresholds to try are needed, found none: give the distinct values of the training rows")
    places = cuts.places(tried)
    best = int(np.argmax(cuts.f1[places]))
    return replace(cuts.point(int(places[best])), threshold=float(tried[best]))


def _between(falling: Floats) -> Floats:
    """Thresholds for distinct falling scores: none, above the first, midway between neighbours, below the last."""
    if not falling.size:
        return np.array([np.inf, np.inf])
    upper, lower = falling[:-1], falling[1:]
    middle = upper / 2 + lower / 2
    # Neighbours that touch leave no room between them: the upper score itself is then the threshold.
    inner = np.where((middle > lower) & (middle <= upper), middle, upper)
    with np.errstate(over="ignore"):
        above = np.nextafter(falling[0] + ROUNDING * abs(falling[0]), np.inf)
        below = falling[-1] - ROUNDING * abs(falling[-1])
    return np.concatenate([[np.inf, above], inner, [below]])


def _point(scores: Floats, anomalous: Bools, weight: Weights | None, value: float) -> Point:
    cuts = tally(scores, anomalous, weight).cuts()
    return replace(cuts.point(int(cuts.places(np.array([value]))[0])), threshold=value)
