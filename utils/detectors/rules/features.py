"""Rules on single features: the baseline that every model has to beat, and a sentence that anybody can check.

:class:`FeatureRule` tries every column in both directions and keeps the best on the TRAINING rows; the published rule
"few connections" is ``FeatureRule(feature="n_connections", direction="low")``. Rules that need no
labels are in :mod:`utils.detectors.rules.limits`. Scores rise with abnormality everywhere.

A missing value (null or NaN) never satisfies a rule: its row scores below every threshold. Columns that name who, where
or when (identifiers, addresses, ports, times) and columns that are derived from the label are refused, because a rule
on them would recognise the recording and not the attack; :func:`shortcut_strength` shows how far it would get.

Source of the one-rule baseline: Holte, "Very simple classification rules perform well on most commonly used datasets",
Machine Learning 11 (1993).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from utils.datasets.contract import Roles
from utils.datasets.dtypes import is_text
from utils.detectors.rules.columns import Rule, below, column_of, numbers, texts, usable_columns, written
from utils.errors import DataError
from utils.evaluation.inputs import Bools, Floats, Values, as_labels, as_weights, observations, require_both_classes
from utils.evaluation.thresholds import (
    BestF1,
    Cuts,
    Fixed,
    Point,
    Tally,
    Threshold,
    published_threshold,
    tally,
)
from utils.features.target_encoding import SMOOTHING, assign_folds, codes, count, elsewhere, smoothed_share
from utils.settings import SEED

Direction = Literal["high", "low"]
Kind = Literal["number", "truth", "nominal"]

FOLDS = 5
SHOWN_VALUES = 6


@dataclass(frozen=True, eq=False)
class ColumnRule:
    """The rule on one column.

    Attributes:
        feature: name of the column.
        kind: ``"number"``, ``"truth"`` (Boolean) or ``"nominal"``.
        direction: ``"high"`` if high values are anomalous, else ``"low"``; nominal values are always ``"high"``.
        point: threshold on the score and what it did to the training rows (nominal: out of fold).
        unknown: score of a missing value, below the threshold and below every value seen.
        whole: whether the column holds whole numbers.
        values: nominal values seen in training, sorted.
        shares: their smoothed anomaly shares.
        prior: overall anomaly share, the score of a nominal value that training has not seen.
    """

    feature: str
    kind: Kind
    direction: Direction
    point: Point
    unknown: float
    whole: bool = False
    values: tuple[str, ...] = ()
    shares: Floats = field(default_factory=lambda: np.empty(0))
    prior: float = 0.0

    @property
    def cut(self) -> float | None:
        """The threshold in the unit of the column, rounded for whole numbers; null for nominal columns."""
        value = self.point.threshold
        if self.kind == "nominal":
            return None
        if not np.isfinite(value):
            return value if self.direction == "high" else -value
        if self.direction == "high":
            return float(np.ceil(value)) if self.whole else value
        return float(np.floor(-value)) if self.whole else -value

    @property
    def flagged(self) -> list[str]:
        """Nominal values that are called anomalous, highest anomaly share first."""
        reach = np.flatnonzero(self.shares >= self.point.threshold)
        return [self.values[place] for place in reach[np.argsort(-self.shares[reach], kind="stable")]]

    def scores(self, X: pl.DataFrame) -> Floats:
        """Score rows; higher is more abnormal.

        Args:
            X: frame with the column, n rows.

        Returns:
            Finite scores, length n.

        Raises:
            SchemaError: if the column is missing or of the wrong type.
        """
        column = column_of(X, self.feature)
        if self.kind == "nominal":
            raw = _nominal_scores(column, self)
        else:
            raw = numbers(column) if self.direction == "high" else -numbers(column)
        return np.where(np.isnan(raw), self.unknown, raw)

    def words(self) -> str:
        """The condition in words."""
        if np.isposinf(self.point.threshold):
            return f"{self.feature} is never conspicuous enough"
        if self.kind == "nominal":
            return _nominal_words(self)
        if self.kind == "truth" and self.cut is not None and 0 < self.cut < 1:
            return f"{self.feature} is {'true' if self.direction == 'high' else 'false'}"
        bound = "at least" if self.direction == "high" else "at most"
        return f"{self.feature} is {bound} {written(self.cut, whole=self.whole)}"


class FeatureRule(Rule):
    """The best threshold on a single feature, chosen on training rows.

    Every numeric, Boolean and nominal column is tried, numbers in both directions. A nominal column is scored by the
    smoothed anomaly share of its values; the share of a row is then computed on the other folds, so that a column of
    unique values gets no credit. Columns that are constant or hold no value offer no rule.

    Attributes:
        rule_: the best rule.
        rules_: the rules of all features, best first.
        feature_, direction_, cut_: its column, direction and threshold in the column's unit (null if nominal).
        threshold_: its threshold on the score, a fitted object.
        scoreboard_: one row a feature, best first: ``feature``, ``kind``, ``direction``, ``cut``, ``rule`` (in words),
            ``f1``, ``precision``, ``recall``, ``false_alarm_rate`` on training rows (nominal: out of fold), ``merit``.
        left_out_: columns without a rule, each with the reason.
        sentence_: the rule in words.
    """

    def __init__(
        self,
        features: Sequence[str] | None = None,
        *,
        feature: str | None = None,
        direction: Direction | None = None,
        threshold: Threshold | None = None,
        roles: Roles | None = None,
        refuse: Sequence[str] = (),
        nominal: Sequence[str] = (),
        smoothing: float = SMOOTHING,
        seed: int = SEED,
    ) -> None:
        """Say which columns may be tried.

        Args:
            features: columns to choose from; by default the features that ``roles`` names, else every usable column.
            feature: the one column to use.
            direction: ``"high"`` or ``"low"`` to try one direction only.
            threshold: how thresholds are chosen, :class:`BestF1` by default. The best feature is the one of highest F1
                (lowest cost for :class:`LowestCost`). The value of a :class:`Fixed` is in the unit of the column.
            roles: what the columns mean; identity, time, label, group, split and withheld columns are refused.
            refuse: further columns that are refused.
            nominal: numeric columns whose values are names (codes) and not sizes.
            smoothing: rows of the overall anomaly share mixed into each nominal share.
            seed: seed of the folds for nominal columns.
        """
        self.features = features
        self.feature = feature
        self.direction = direction
        self.threshold = threshold
        self.roles = roles
        self.refuse = refuse
        self.nominal = nominal
        self.smoothing = smoothing
        self.seed = seed

    def fit(self, X: pl.DataFrame, y: Values, weight: Values | None = None) -> Self:
        """Find the best rule.

        Args:
            X: training rows, n rows.
            y: true for an anomaly, length n.
            weight: how many rows each row stands for (whole numbers) or importances, length n.

        Returns:
            The fitted rule.

        Raises:
            DataError: if a column is refused, a class is missing, or no column offers a rule.
            SchemaError: if a column is missing or cannot carry a rule.
        """
        names = self._candidates(X)
        target = _target(X, y, weight, self.smoothing, self.seed)
        found: list[tuple[ColumnRule, Threshold, float]] = []
        self.left_out_: dict[str, str] = {}
        for name in names:
            best = self._best(X[name], target)
            if best is None:
                self.left_out_[name] = "holds no value" if X[name].null_count() == X.height else "is constant"
            else:
                found.append(best)
        if not found:
            raise DataError(f"a rule needs a column that varies, found none among {names}: give other features")
        found.sort(key=lambda entry: -entry[2])
        self.rules_ = tuple(rule for rule, _, _ in found)
        self.rule_, self.threshold_, _ = found[0]
        self.scoreboard_ = _scoreboard(self.rules_, [merit for _, _, merit in found])
        self.n_rows_ = X.height
        return self

    @property
    def feature_(self) -> str:
        """Column of the rule."""
        return self._fitted.feature

    @property
    def direction_(self) -> Direction:
        """Whether high or low values are anomalous."""
        return self._fitted.direction

    @property
    def cut_(self) -> float | None:
        """Threshold in the unit of the column; null for a nominal one."""
        return self._fitted.cut

    @property
    def sentence_(self) -> str:
        """The rule in words."""
        rule = self._fitted
        return (
            f"A row is anomalous if {rule.words()} (F1 {rule.point.f1:.3f} on {self.n_rows_:,} training rows); "
            "a missing value never is."
        )

    def score_samples(self, X: pl.DataFrame) -> Floats:
        """Score rows by the value of the column (or its negative); HIGHER is more abnormal.

        Args:
            X: frame with the column of the rule, n rows; may be empty.

        Returns:
            Finite scores, length n.

        Raises:
            SchemaError: if the column is missing or of the wrong type.
        """
        return self._fitted.scores(X)

    def explain(self, X: pl.DataFrame) -> list[str]:
        """Say for each row what the rule sees and decides.

        Args:
            X: as :meth:`score_samples`.

        Returns:
            One sentence a row.

        Raises:
            SchemaError: as :meth:`score_samples`.
        """
        rule = self._fitted
        verdicts = np.where(self.predict(X), "Anomalous", "Normal")
        condition = rule.words()
        return [
            f"{verdict}: {rule.feature} is {written(value)}; the rule is that {condition}."
            for verdict, value in zip(verdicts, X[rule.feature].to_list(), strict=True)
        ]

    def compare(self, X: pl.DataFrame, y: Values, weight: Values | None = None) -> pl.DataFrame:
        """Put what every rule does on other rows beside what it did on the training rows.

        Args:
            X: test rows with all features, n rows.
            y: true for an anomaly, length n.
            weight: how many rows each row stands for, or importances, length n.

        Returns:
            :attr:`scoreboard_` with ``test_f1``, ``test_precision``, ``test_recall`` and ``test_false_alarm_rate``.

        Raises:
            DataError: if a class is missing.
            SchemaError: if a column is missing or of the wrong type.
        """
        check_is_fitted(self, "rules_")
        target = _target(X, y, weight, self.smoothing, self.seed)
        points = [_reached(rule.scores(X), target, rule.point.threshold) for rule in self.rules_]
        measured = ("f1", "precision", "recall", "false_alarm_rate")
        columns = [pl.Series(f"test_{name}", [getattr(point, name) for point in points]) for name in measured]
        return self.scoreboard_.with_columns(columns).fill_nan(None)

    @property
    def _fitted(self) -> ColumnRule:
        check_is_fitted(self, "rule_")
        return self.rule_

    def _candidates(self, X: pl.DataFrame) -> list[str]:
        if self.direction not in (None, "high", "low"):
            raise DataError(f"a direction must be 'high', 'low' or None, found {self.direction!r}: choose one")
        named = [self.feature] if self.feature is not None else self.features
        return usable_columns(X, named, self.roles, self.refuse)

    def _best(self, column: pl.Series, target: "_Target") -> tuple[ColumnRule, Threshold, float] | None:
        if is_text(column.dtype) or column.name in self.nominal:
            return self._nominal(column.cast(pl.String), target)
        return self._numeric(column, target)

    def _numeric(self, column: pl.Series, target: "_Target") -> tuple[ColumnRule, Threshold, float] | None:
        values = numbers(column)
        known = ~np.isnan(values)
        counts = tally(values[known], target.anomalous[known], target.mass[known])
        if len(counts.scores) < 2:
            return None
        kind: Kind = "truth" if column.dtype == pl.Boolean else "number"
        both: tuple[Direction, ...] = ("high", "low")
        tried = []
        for direction in both if self.direction is None else (self.direction,):
            seen = counts if direction == "high" else counts.negated()
            threshold, merit = self._chosen(seen.cuts(*target.totals), target, direction)
            rule = ColumnRule(
                column.name, kind, direction, threshold.point_, below(float(seen.scores[0]), threshold.value_)
            )
            tried.append((replace(rule, whole=column.dtype.is_integer()), threshold, merit))
        return max(tried, key=lambda entry: entry[2])

    def _nominal(self, column: pl.Series, target: "_Target") -> tuple[ColumnRule, Threshold, float] | None:
        shares = _Shares.of(column, target)
        if len(shares.values) < 2:
            return None
        threshold, merit = self._chosen(shares.out_of_fold.cuts(*target.totals), target, "high")
        unknown = below(min(float(shares.final.min()), target.prior), threshold.value_)
        rule = ColumnRule(column.name, "nominal", "high", threshold.point_, unknown)
        rule = replace(rule, values=tuple(shares.values), shares=shares.final, prior=target.prior)
        return rule, threshold, merit

    def _chosen(self, cuts: Cuts, target: "_Target", direction: Direction) -> tuple[Threshold, float]:
        wanted = BestF1() if self.threshold is None else clone(self.threshold)
        if isinstance(wanted, Fixed) and direction == "low":
            wanted = Fixed(-wanted.value)
        threshold = wanted.fit_cuts(cuts, len(target.anomalous))
        return threshold, float(threshold.merit(cuts)[threshold.choose(cuts)])


class OptimisticChoice(NamedTuple):
    """A rule as it would look if its threshold were chosen on the test rows, beside the honest one.

    Attributes:
        cut: threshold that is best on the test rows, in the unit of the column; null for a nominal column.
        f1: its F1 on the same rows: OPTIMISTIC.
        honest_cut: threshold from the training rows.
        honest_f1: its F1 on the test rows.
    """

    cut: float | None
    f1: float
    honest_cut: float | None
    honest_f1: float

    @property
    def optimism(self) -> float:
        """F1 that is gained by looking at the test labels."""
        return self.f1 - self.honest_f1


def best_on_test(
    rule: FeatureRule, X: pl.DataFrame, y: Values, weight: Values | None = None, *, candidates: Values | None = None
) -> OptimisticChoice:
    """Choose the threshold of a rule on the TEST rows, as many published results do: the F1 is OPTIMISTIC.

    It says how good the rule could have been for somebody who knew the test labels. Show it beside the honest one,
    never alone.

    Args:
        rule: a rule that was fitted on training rows; its column and direction are kept.
        X: test rows, n rows.
        y: their labels, length n.
        weight: how many rows each row stands for, length n.
        candidates: values of the column that are tried, such as the distinct values of the training rows; every
            different decision if not given.

    Returns:
        Both thresholds with their F1 on the test rows.

    Raises:
        DataError: if a class is missing.
        SchemaError: if the column is missing or of the wrong type.
    """
    fitted, scores = rule.rule_, rule.score_samples(X)
    sign = -1.0 if fitted.direction == "low" else 1.0
    tried = None if candidates is None else sign * np.asarray(candidates, dtype=np.float64)
    best = published_threshold(scores, y, weight, tried)
    honest = _reached(scores, _target(X, y, weight, 0.0, 0), fitted.point.threshold)
    return OptimisticChoice(replace(fitted, point=best).cut, best.f1, fitted.cut, honest.f1)


def shortcut_strength(
    X: pl.DataFrame, y: Values, columns: Sequence[str], weight: Values | None = None, *, seed: int = SEED
) -> pl.DataFrame:
    """Show how far a refused column alone would get: a warning, not a rule.

    Each value of the column is scored by the anomaly share that it has in the other four of five folds and called
    anomalous if that is above the overall share, as a decision tree on this column would.

    Args:
        X: labelled rows, n rows.
        y: true for an anomaly, length n.
        columns: refused columns (ports, addresses, identifiers, days).
        weight: how many rows each row stands for, or importances, length n.
        seed: seed of the folds.

    Returns:
        One row a column, strongest first: ``column``, ``distinct`` values, and out of fold ``balanced_accuracy`` (mean
        of recall and specificity, 0.5 says nothing), ``recall``, ``false_alarm_rate``, ``f1``.

    Raises:
        DataError: if a class is missing.
        SchemaError: if a column is missing.
    """
    target = _target(X, y, weight, SMOOTHING, seed)
    rows = [_shortcut(texts(column_of(X, name)), target) for name in columns]
    names = ("column", "distinct", "balanced_accuracy", "recall", "false_alarm_rate", "f1")
    table = pl.DataFrame(rows, schema=names, orient="row")
    return table.sort("balanced_accuracy", descending=True, maintain_order=True)


@dataclass(frozen=True, eq=False)
class _Target:
    """Labels, weights and folds of some rows."""

    anomalous: Bools
    mass: Floats
    fold: NDArray[np.int64]
    smoothing: float

    @property
    def totals(self) -> tuple[float, float]:
        return float(self.mass[self.anomalous].sum()), float(self.mass[~self.anomalous].sum())

    @property
    def prior(self) -> float:
        return self.totals[0] / sum(self.totals)


@dataclass(frozen=True, eq=False)
class _Shares:
    """Anomaly shares of the values of a nominal column, of all rows and as the other folds see them."""

    values: list[str]
    final: Floats
    out_of_fold: Tally

    @classmethod
    def of(cls, column: pl.Series, target: _Target) -> "_Shares":
        known = column.is_not_null().to_numpy()
        present = column.drop_nulls()
        values = present.unique().sort()
        cells = count(codes(present) - 1, target.fold[known], target.anomalous[known], target.mass[known], FOLDS)
        mixed = target.smoothing * float(target.mass.mean())
        others = smoothed_share(elsewhere(cells), target.prior, mixed)
        masses = cells.reshape(-1, 2).T
        both = np.repeat([False, True], others.size)
        filled = masses.ravel() > 0
        counts = tally(np.tile(others.ravel(), 2)[filled], both[filled], masses.ravel()[filled])
        return cls(values.to_list(), smoothed_share(cells.sum(axis=1), target.prior, mixed), counts)


def _target(X: pl.DataFrame, y: Values, weight: Values | None, smoothing: float, seed: int) -> _Target:
    anomalous, raw = as_labels(y, X.height), as_weights(weight, X.height)
    require_both_classes(anomalous, raw)
    mass = observations(raw, X.height)
    if raw is not None and raw.dtype == np.float64:
        # Rates are held for normal rows: each of them is one observation on average.
        mass = mass / mass[~anomalous].mean()
    return _Target(anomalous, mass, assign_folds(anomalous, FOLDS, seed), smoothing)


def _reached(scores: Floats, target: _Target, threshold: float) -> Point:
    cuts = tally(scores, target.anomalous, target.mass).cuts()
    return replace(cuts.point(int(cuts.places(np.array([threshold]))[0])), threshold=threshold)


def _scoreboard(rules: Sequence[ColumnRule], merits: Sequence[float]) -> pl.DataFrame:
    rows = [
        {
            "feature": rule.feature,
            "kind": rule.kind,
            "direction": rule.direction,
            "cut": rule.cut,
            "rule": rule.words(),
            "f1": rule.point.f1,
            "precision": rule.point.precision,
            "recall": rule.point.recall,
            "false_alarm_rate": rule.point.false_alarm_rate,
            "merit": merit,
        }
        for rule, merit in zip(rules, merits, strict=True)
    ]
    types = {"cut": pl.Float64, "precision": pl.Float64}
    return pl.DataFrame(rows, schema_overrides=types).fill_nan(None)


def _nominal_scores(column: pl.Series, rule: ColumnRule) -> Floats:
    shares = texts(column).replace_strict(
        pl.Series(rule.values, dtype=pl.String),
        pl.Series(rule.shares, dtype=pl.Float64),
        default=rule.prior,
        return_dtype=pl.Float64,
    )
    return np.where(column.is_null().to_numpy(), np.nan, shares.to_numpy())


def _nominal_words(rule: ColumnRule) -> str:
    flagged = rule.flagged
    named = [written(value) for value in flagged[:SHOWN_VALUES]]
    if len(flagged) > SHOWN_VALUES:
        named.append(f"one of {len(flagged) - SHOWN_VALUES:,} more")
    if rule.prior >= rule.point.threshold:
        named.append("a value that training has not seen")
    return f"{rule.feature} is {' or '.join(named)}" if named else f"{rule.feature} is never conspicuous enough"


def _shortcut(column: pl.Series, target: _Target) -> tuple[str, int, float, float, float, float]:
    shares = _Shares.of(column, target)
    cuts = shares.out_of_fold.cuts(*target.totals)
    point = cuts.point(int(cuts.places(np.array([np.nextafter(target.prior, 1.0)]))[0]))
    balanced = (point.recall + 1 - point.false_alarm_rate) / 2
    return column.name, len(shares.values), balanced, point.recall, point.false_alarm_rate, point.f1
