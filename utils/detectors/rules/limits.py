"""Rules that need no labels: limits learned from normal rows, feature by feature.

A missing value is never conspicuous. Identifiers, addresses, ports, times and withheld columns are refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from utils.datasets.contract import Roles
from utils.detectors.rules.columns import HIGHEST, Rule, any_of, column_of, numbers, usable_columns
from utils.errors import DataError
from utils.evaluation.inputs import LARGEST, Floats, Values, Weights, normal_rows, observations
from utils.evaluation.thresholds import AlarmRate, Fixed

EXACT_TAIL = 512
"""Highest normal values of a feature that a quantile rule keeps one by one; below, it keeps a grid of as many."""


class MeanPlusSigma(Rule):
    """A row is anomalous if a feature lies more than ``k`` standard deviations from its mean on normal rows.

    The score is the largest standardized distance over the features. Features that are constant on the normal rows have
    no standard deviation and are left out. Missing values count as the mean; endless ones are as far away as can be.

    Source:
        Shewhart, "Economic Control of Quality of Manufactured Product", 1931 (three-sigma limits).

    Attributes:
        features_: features used; ``left_out_`` the others, each with the reason.
        mean_, deviation_: mean and sample standard deviation of each feature on normal rows, in the feature's unit.
        threshold_: ``Fixed(k)``, fitted.
        sentence_: the rule in words.
    """

    def __init__(
        self,
        k: float = 3.0,
        features: Sequence[str] | None = None,
        *,
        two_sided: bool = True,
        roles: Roles | None = None,
        refuse: Sequence[str] = (),
    ) -> None:
        """Set the limit.

        Args:
            k: standard deviations.
            features: numeric columns; by default the numeric features that ``roles`` names, else every numeric column.
            two_sided: whether low values are anomalous too.
            roles: what the columns mean; see :class:`~utils.detectors.rules.features.FeatureRule`.
            refuse: further columns that are refused.
        """
        self.k = k
        self.features = features
        self.two_sided = two_sided
        self.roles = roles
        self.refuse = refuse

    def fit(self, X: pl.DataFrame, y: Values | None = None, weight: Values | None = None) -> Self:
        """Learn mean and deviation of normal rows.

        Args:
            X: training rows, n rows.
            y: true for an anomaly; anomalies are left out. Without labels all rows count as normal.
            weight: how many rows each row stands for, or importances, length n.

        Returns:
            The fitted rule.

        Raises:
            DataError: if ``k`` is not above 0, a column is refused, or no feature varies on the normal rows.
            SchemaError: if a column is missing or not numeric.
        """
        if not self.k > 0:
            raise DataError(f"a number of standard deviations must be above 0, found {self.k}: give 3, for example")
        table, mass, names = _normal_rows(X, y, weight, self.features, self.roles, self.refuse)
        scale, centre, spread = _moments(table, observations(mass, len(table)))
        varies = spread > 0
        self.left_out_ = {
            name: "is constant on normal rows" for name, kept in zip(names, varies, strict=True) if not kept
        }
        if not varies.any():
            raise DataError(f"a rule needs a column that varies on normal rows, found none among {names}: give others")
        self.features_ = [name for name, kept in zip(names, varies, strict=True) if kept]
        self._scale, self._centre, self._spread = scale[varies], centre[varies], spread[varies]
        self.threshold_ = Fixed(self.k).fit(self._scaled(table[:, varies]).max(axis=1))
        return self

    @property
    def mean_(self) -> Floats:
        """Mean of each feature on normal rows."""
        check_is_fitted(self, "features_")
        return np.asarray(self._centre * self._scale)

    @property
    def deviation_(self) -> Floats:
        """Sample standard deviation of each feature on normal rows."""
        check_is_fitted(self, "features_")
        return np.asarray(self._spread * self._scale)

    @property
    def sentence_(self) -> str:
        """The rule in words."""
        check_is_fitted(self, "features_")
        side = "from" if self.two_sided else "above"
        return (
            f"A row is anomalous if {any_of(self.features_)} lies at least {self.k:g} standard deviations "
            f"{side} its mean on normal rows; a missing value never does."
        )

    def score_samples(self, X: pl.DataFrame) -> Floats:
        """Score rows by the largest distance from the mean in standard deviations; HIGHER is more abnormal.

        Args:
            X: frame with the features, n rows; may be empty.

        Returns:
            Finite scores, length n.

        Raises:
            SchemaError: if a column is missing or not numeric.
        """
        return np.asarray(self._distances(X).max(axis=1))

    def explain(self, X: pl.DataFrame) -> list[str]:
        """Name for each row the feature that lies farthest from its mean.

        Args:
            X: as :meth:`score_samples`.

        Returns:
            One sentence a row.

        Raises:
            SchemaError: as :meth:`score_samples`.
        """
        distances = self._distances(X)
        return [
            f"{'Anomalous' if distance >= self.k else 'Normal'}: {self.features_[place]} lies {distance:.3g} standard "
            f"deviations {'from' if self.two_sided else 'above'} its mean {self.mean_[place]:.6g}; limit {self.k:g}."
            for place, distance in zip(distances.argmax(axis=1), distances.max(axis=1), strict=True)
        ]

    def _distances(self, X: pl.DataFrame) -> Floats:
        check_is_fitted(self, "features_")
        return self._scaled(_read(X, self.features_))

    def _scaled(self, table: Floats) -> Floats:
        with np.errstate(over="ignore"):
            distance = np.clip((table / self._scale - self._centre) / self._spread, -LARGEST, LARGEST)
        return np.nan_to_num(np.abs(distance) if self.two_sided else distance, nan=0.0)


class QuantileRule(Rule):
    """A row is anomalous if a feature is so extreme that at most ``rate`` of normal rows are as extreme in any feature.

    Each feature gives a tail p-value, the share of normal rows at least as extreme; the score is minus the decimal
    logarithm of the smallest, and :class:`AlarmRate` on the normal rows sets the threshold, so that the rate is that of
    rows, however many features there are. Missing values are never extreme.

    Attributes:
        features_: features used.
        threshold_: fitted :class:`AlarmRate`.
        sentence_: the rule in words.
    """

    def __init__(
        self,
        rate: float = 0.01,
        features: Sequence[str] | None = None,
        *,
        two_sided: bool = True,
        roles: Roles | None = None,
        refuse: Sequence[str] = (),
    ) -> None:
        """Set the rate.

        Args:
            rate: share of normal rows that may be flagged, between 0 and 1.
            features: numeric columns; by default the numeric features that ``roles`` names, else every numeric column.
            two_sided: whether low values are extreme too.
            roles: what the columns mean; see :class:`~utils.detectors.rules.features.FeatureRule`.
            refuse: further columns that are refused.
        """
        self.rate = rate
        self.features = features
        self.two_sided = two_sided
        self.roles = roles
        self.refuse = refuse

    def fit(self, X: pl.DataFrame, y: Values | None = None, weight: Values | None = None) -> Self:
        """Learn the distribution of normal rows.

        Args:
            X: training rows, n rows.
            y: true for an anomaly; anomalies are left out. Without labels all rows count as normal.
            weight: how many rows each row stands for, or importances, length n.

        Returns:
            The fitted rule.

        Raises:
            DataError: if the rate is not between 0 and 1, a column is refused, or no row is normal.
            SchemaError: if a column is missing or not numeric.
        """
        table, mass, self.features_ = _normal_rows(X, y, weight, self.features, self.roles, self.refuse)
        observed = observations(mass, len(table))
        self._tails = [(_Tail.of(column, observed), _Tail.of(-column, observed)) for column in table.T]
        self.threshold_ = AlarmRate(self.rate).fit(self._tail_scores(table, seen=True).max(axis=1), weight=mass)
        return self

    @property
    def sentence_(self) -> str:
        """The rule in words."""
        check_is_fitted(self, "features_")
        ends = "extreme" if self.two_sided else "high"
        if np.isposinf(self.threshold_.value_):
            return f"No row is anomalous: {self.threshold_.describe()}"
        return (
            f"A row is anomalous if {any_of(self.features_)} is so {ends} that at most "
            f"{10**-self.threshold_.value_:.2g} of normal rows are, which flags {self.rate:g} of normal rows; "
            "a missing value never is."
        )

    def score_samples(self, X: pl.DataFrame) -> Floats:
        """Score rows by -log10 of the smallest tail p-value of a feature; HIGHER is more abnormal.

        Args:
            X: frame with the features, n rows; may be empty.

        Returns:
            Scores of at least 0, length n.

        Raises:
            SchemaError: if a column is missing or not numeric.
        """
        return np.asarray(self._all_scores(X).max(axis=1))

    def explain(self, X: pl.DataFrame) -> list[str]:
        """Name for each row the feature that is most extreme.

        Args:
            X: as :meth:`score_samples`.

        Returns:
            One sentence a row.

        Raises:
            SchemaError: as :meth:`score_samples`.
        """
        scores = self._all_scores(X)
        most, limit = scores.max(axis=1), 10**-self.threshold_.value_
        return [
            f"{'Anomalous' if score >= self.threshold_.value_ else 'Normal'}: {self.features_[place]} is as extreme as "
            f"{10**-score:.2g} of normal rows; limit {limit:.2g}."
            for place, score in zip(scores.argmax(axis=1), most, strict=True)
        ]

    def _all_scores(self, X: pl.DataFrame) -> Floats:
        check_is_fitted(self, "features_")
        return self._tail_scores(_read(X, self.features_), seen=False)

    def _tail_scores(self, table: Floats, *, seen: bool) -> Floats:
        p = np.empty_like(table)
        for place, ((high, low), column) in enumerate(zip(self._tails, table.T, strict=True)):
            p[:, place] = high.p_values(column, seen=seen)
            if self.two_sided:
                p[:, place] = np.minimum(1.0, 2 * np.minimum(p[:, place], low.p_values(-column, seen=seen)))
        return np.asarray(-np.log10(p) + 0.0)


@dataclass(frozen=True, eq=False)
class _Tail:
    """The upper tail of one feature on normal rows, thinned towards its middle.

    Attributes:
        knots: some of the distinct values, rising.
        at_least: weight of the normal rows at least as high as each.
        above: weight of those that are higher.
        n: weight of all normal rows.
    """

    knots: Floats
    at_least: Floats
    above: Floats
    n: float

    @classmethod
    def of(cls, column: Floats, weight: Floats) -> "_Tail":
        known = ~np.isnan(column)
        distinct, place = np.unique(column[known], return_inverse=True)
        mass = np.bincount(place, weight[known], minlength=len(distinct)).astype(np.float64)
        at_least = np.cumsum(mass[::-1])[::-1]
        kept = _thinned(at_least)
        return cls(distinct[kept], at_least[kept], np.append(at_least[1:], 0.0)[kept], float(weight.sum()))

    def p_values(self, column: Floats, *, seen: bool) -> Floats:
        """Share of normal rows at least as high, never too small; 1 for missing values.

        Args:
            column: values, NaN where missing.
            seen: whether the values are among those of ``of`` and count already.
        """
        values = np.nan_to_num(column, nan=0.0)
        place = np.searchsorted(self.knots, values, side="left")
        exact = np.append(self.knots, np.nan)[place] == values
        count = np.where(exact, np.append(self.at_least, 0.0)[place], np.append(self.n, self.above)[place])
        return np.where(np.isnan(column), 1.0, np.minimum(1.0, (count + (not seen)) / (1 + self.n)))


def _thinned(at_least: Floats) -> NDArray[np.int64]:
    """Places to keep of a falling count: the whole tail, then a geometric grid."""
    if not at_least.size:
        return np.empty(0, dtype=np.int64)
    tail = np.flatnonzero(at_least <= EXACT_TAIL)
    grid = np.geomspace(min(EXACT_TAIL, at_least[0]), at_least[0], EXACT_TAIL)
    rest = len(at_least) - np.searchsorted(at_least[::-1], grid, side="right")
    return np.unique(np.concatenate([[0], tail, np.clip(rest, 0, len(at_least) - 1)]))


def _normal_rows(
    X: pl.DataFrame,
    y: Values | None,
    weight: Values | None,
    features: Sequence[str] | None,
    roles: Roles | None,
    refuse: Sequence[str],
) -> tuple[Floats, Weights | None, list[str]]:
    """The numeric features of the normal rows as a table, their weights, and the names of the features."""
    names = usable_columns(X, features, roles, refuse)
    if features is None:
        names = [name for name in names if X.schema[name].is_numeric()]
        if not names:
            raise DataError(f"this rule needs a numeric feature, found none among {X.columns}: name features")
    normal, mass = normal_rows(y, weight, X.height, "limits are learned from")
    return _read(X, names)[normal], mass, names


def _read(X: pl.DataFrame, names: Sequence[str]) -> Floats:
    """Columns as numbers, (rows, columns)."""
    return np.column_stack([numbers(column_of(X, name)) for name in names])


def _moments(table: Floats, weight: Floats) -> tuple[Floats, Floats, Floats]:
    """Scale, mean and sample deviation of each column, in units of the scale; 0 for a constant one."""
    known = np.abs(table) < HIGHEST
    values = np.where(known, table, 0.0)
    scale = np.maximum(np.abs(values).max(axis=0), np.finfo(np.float64).tiny)
    values /= scale
    mass = weight[:, None] * known
    total = mass.sum(axis=0)
    centre = (mass * values).sum(axis=0) / np.maximum(total, 1e-300)
    squares = (mass * (values - centre) ** 2).sum(axis=0)
    lowest = np.where(known, values, np.inf).min(axis=0)
    highest = np.where(known, values, -np.inf).max(axis=0)
    varies = (lowest < highest) & (total > 1)
    return scale, centre, np.where(varies, np.sqrt(squares / np.maximum(total - 1, 1e-300)), 0.0)
