"""Several detectors as one: scores become conformal p-values against held-out normal rows, and p-values combine.

Scores of different detectors have nothing in common but their direction. What share of normal rows scores as high is
the same question for all of them, whether they learned from normal rows alone or from labels, and its answers can be
combined. The rows that answer it must be normal, and no member may have learned from them or from copies of them.

Sources:
    Fisher, "Statistical Methods for Research Workers", 4th edition 1932, section 21.1 (sum of logarithms).
    Bates, Candès, Lei, Romano and Sesia, "Testing for outliers with conformal p-values", Annals of Statistics 2023.
    Vovk, "Cross-conformal predictors", Annals of Mathematics and Artificial Intelligence 74 (2015) (folds).
"""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Self

import numpy as np
import polars as pl
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from utils.datasets.wording import listed
from utils.errors import DataError, SettingsError
from utils.evaluation import inputs, splits
from utils.evaluation.conformal import ConformalCombination, Method
from utils.evaluation.inputs import Bools, Floats, Ints, Values, Weights, as_alarm_rate, as_labels, as_weights
from utils.evaluation.scoring import Table, abnormality
from utils.settings import SEED

FEWEST_FOLDS = 2


class Ensemble(BaseEstimator):  # type: ignore[misc]
    """One detector from several: p-values of its members combined into one, valid however they depend on each other.

    A member that learns from labels (a scikit-learn classifier, or a pipeline that ends in one) gets normal and
    anomalous rows; every other member gets normal rows only. Members are cloned, never fitted themselves. Some normal
    rows are kept from all members and calibrate the p-values: a share of them, or, fold by fold, all of them, with the
    members fitted once more on all rows for new ones. Anomalies are never held out: they calibrate nothing.

    A new normal row that is exchangeable with those of training is flagged at a nominal rate ``r`` with a probability
    of at most ``r`` where a share is held out. Folds use more rows, and the rate holds up to what a member gains from
    the last fold (Vovk 2015). ``groups`` say what the rate is to be true for: held out by host or service, the
    calibration rows are as new to the members as rows of a new host or service will be.

    Attributes:
        members_: the fitted members by name.
        combination_: fitted :class:`~utils.evaluation.conformal.ConformalCombination`.
        calibration_: scores of the normal rows that calibrate, one column a member.
        n_calibration_: what they weigh.
    """

    def __init__(
        self,
        members: Mapping[str, BaseEstimator],
        *,
        method: Method = "fisher",
        held_out: float | int = 0.2,
        seed: int = SEED,
    ) -> None:
        """Choose members and how they are calibrated.

        Args:
            members: unfitted detectors and classifiers by name, each taking the rows as they are given here.
            method: how p-values combine (:class:`~utils.evaluation.conformal.ConformalCombination`).
            held_out: share of the normal rows that calibrates, between 0 and 1; or number of folds, from 2 on, each
                of which calibrates with members that learned from the others.
            seed: of the division; members bring their own.
        """
        self.members = members
        self.method = method
        self.held_out = held_out
        self.seed = seed

    def fit(
        self, X: Table, y: Values | None = None, weight: Values | None = None, groups: Values | None = None
    ) -> Self:
        """Learn and calibrate.

        Args:
            X: n rows, a polars frame or a matrix.
            y: true for an anomaly, length n; ``None``: all rows are normal.
            weight: how many rows each row stands for, length n.
            groups: rows of one group are held out together, length n; identical rows by default.

        Returns:
            The fitted ensemble.

        Raises:
            SettingsError: if there is no member, or ``held_out`` is neither a share nor a number of folds.
            DataError: if a member learns from labels and a class is missing, a member takes no weights, or the normal
                rows cannot be divided.
        """
        given = _Given.of(X, y, weight, groups)
        self._check(given)
        normal = np.flatnonzero(given.usable & ~given.anomalous)
        parts = list(self._parts(given.group[normal]))
        scores = np.full((normal.size, len(self.members)), np.nan)
        for held in parts:
            self.members_ = self._fitted(given, kept_from=normal[held])
            scores[held] = self._scores(_rows(X, normal[held]))
        if len(parts) > 1:
            self.members_ = self._fitted(given, kept_from=np.empty(0, dtype=np.int64))
        used = np.concatenate(parts)
        self._mass = None if given.weight is None else given.weight[normal[used]]
        self.calibration_ = pl.DataFrame(scores[used], schema=list(self.members), orient="row")
        self._calibrate()
        return self

    def subset(self, names: Sequence[str]) -> Self:
        """Combine some of the fitted members only; nothing is fitted again.

        Args:
            names: members, in the order wanted.

        Returns:
            A fitted ensemble that shares members and calibration rows with this one.

        Raises:
            SettingsError: if no member is named, or one that there is not.
        """
        check_is_fitted(self, "combination_")
        if not names or (set(names) - set(self.members_)):
            raise SettingsError(f"a subset must name some of {listed(self.members_)}, found {names!r}: choose of them")
        some: Self = clone(self).set_params(members={name: self.members[name] for name in names})
        some.members_ = {name: self.members_[name] for name in names}
        some.calibration_, some._mass = self.calibration_.select(names), self._mass
        some._calibrate()
        return some

    def member_scores(self, X: Table) -> pl.DataFrame:
        """Score rows with each member.

        Args:
            X: m rows with the columns of training; may be none.

        Returns:
            One column a member, m rows; HIGHER is more abnormal, each on a scale of its own.
        """
        check_is_fitted(self, "combination_")
        return pl.DataFrame(self._scores(X), schema=list(self.members_), orient="row")

    def member_p_values(self, X: Table) -> pl.DataFrame:
        """Compare rows with the calibration member by member (arguments as :meth:`member_scores`).

        Returns:
            One column a member, m rows of p-values above 0 and at most 1; LOW is abnormal.
        """
        return self._each_p_value(self.member_scores(X))

    def score_samples(self, X: Table) -> Floats:
        """Combine the members (arguments as :meth:`member_scores`).

        Returns:
            The combined statistic, HIGHER is more abnormal, length m.
        """
        return np.asarray(self.combination_.score_samples(self.member_scores(X)))

    def p_values(self, X: Table) -> Floats:
        """Compare rows with the calibration, all members together (arguments as :meth:`member_scores`).

        Returns:
            p-values above 0 and at most 1, length m; LOW is abnormal.
        """
        return np.asarray(self.combination_.p_values(self.member_scores(X)))

    def predict(self, X: Table, rate: float = 0.05) -> Bools:
        """Tell which rows are flagged at a nominal alarm rate.

        Args:
            X: m rows with the columns of training; may be none.
            rate: share of new normal rows that may be flagged, between 0 and 1.

        Returns:
            True where flagged, length m.

        Raises:
            DataError: if the rate is not between 0 and 1.
        """
        return np.asarray(self.p_values(X) <= as_alarm_rate(rate))

    def explain(self, X: Table) -> list[str]:
        """Say for each row in one sentence how rare it is, which member says so loudest, and what that member saw.

        Args:
            X: m rows with the columns of training; may be none.

        Returns:
            m sentences; members with a method ``explain`` add their own.
        """
        scores = self.member_scores(X)
        each, together = self._each_p_value(scores), self.combination_.p_values(scores)
        loudest = each.to_numpy().argmin(axis=1) if each.height else np.empty(0, dtype=np.int64)
        seen = [""] * each.height
        for place, name in enumerate(self.members_):
            rows = np.flatnonzero(loudest == place)
            for row, sentence in zip(rows.tolist(), _said(self.members_[name], X, rows), strict=True):
                seen[row] = f"{self._verdict(together[row])}; loudest {name} ({_rarity(each[row, place])}){sentence}"
        return seen

    def _calibrate(self) -> None:
        self.combination_ = ConformalCombination(self.method).fit(self.calibration_, weight=self._mass)
        self.n_calibration_ = self.combination_.combined_.n_calibration_

    def _verdict(self, p_value: float) -> str:
        together = f"{len(self.members_)} detectors together" if len(self.members_) > 1 else "one detector"
        return f"{_rarity(p_value)} of normal rows are as abnormal to {together}"

    def _each_p_value(self, scores: pl.DataFrame) -> pl.DataFrame:
        pairs = zip(scores.columns, self.combination_.detectors_, strict=True)
        return pl.DataFrame({name: fitted.p_values(scores[name]) for name, fitted in pairs})

    def _scores(self, X: Table) -> Floats:
        """Scores of all members (rows, members)."""
        if not len(X):
            return np.empty((0, len(self.members_)))
        return np.column_stack([abnormality(member, X) for member in self.members_.values()])

    def _parts(self, groups: Ints) -> Iterator[Ints]:
        """Rows, among the normal ones, that are held out together: one part, or one for each fold."""
        if isinstance(self.held_out, int | np.integer):
            yield from (fold.test for fold in splits.k_fold(None, int(self.held_out), self.seed, groups))
        else:
            yield splits.grouped(None, groups, self.held_out, self.seed).test

    def _fitted(self, given: "_Given", kept_from: Ints) -> dict[str, BaseEstimator]:
        """Fit all members on the rows that are not kept from them."""
        known = given.usable.copy()
        known[kept_from] = False
        rows = {True: np.flatnonzero(known), False: np.flatnonzero(known & ~given.anomalous)}
        return {name: _learned(clone(one), given, rows[is_classifier(one)]) for name, one in self.members.items()}

    def _check(self, given: "_Given") -> None:
        """Check members, division and labels.

        Raises:
            SettingsError: if there is no member, or ``held_out`` means nothing.
            DataError: if a member needs a class that is missing.
        """
        if not self.members:
            raise SettingsError("an ensemble must have members, found none: name at least one detector")
        share = not isinstance(self.held_out, int | np.integer) and 0 < self.held_out < 1
        if isinstance(self.held_out, bool) or not (share or self.held_out >= FEWEST_FOLDS):
            expected = "a share between 0 and 1 or a number of folds from 2 on"
            raise SettingsError(f"held_out must be {expected}, found {self.held_out}: write a fifth as 0.2 or 5")
        learners = [name for name, member in self.members.items() if is_classifier(member)]
        if learners and not (given.usable & given.anomalous).any():
            raise DataError(f"members {listed(learners)} learn from labels, found no anomaly: give y or leave them out")


class _Given(NamedTuple):
    """Checked rows to learn from."""

    X: Table
    anomalous: Bools
    weight: Weights | None
    usable: Bools
    group: Ints

    @classmethod
    def of(cls, X: Table, y: Values | None, weight: Values | None, groups: Values | None) -> "_Given":
        rows = len(X)
        anomalous = np.zeros(rows, dtype=np.bool_) if y is None else as_labels(y, rows)
        mass = as_weights(weight, rows)
        usable = np.ones(rows, dtype=np.bool_) if mass is None else mass > 0
        if not (usable & ~anomalous).any():
            raise DataError(f"an ensemble is calibrated on normal rows, found none in {rows:,} rows: give some")
        frame = X if isinstance(X, pl.DataFrame) else pl.DataFrame(np.asarray(X))
        return cls(
            X, anomalous, mass, usable, inputs.row_codes(frame) if groups is None else inputs.codes(groups, rows)
        )


def _learned(member: BaseEstimator, given: _Given, rows: Ints) -> BaseEstimator:
    """Fit a member on some rows, with labels if it learns from them and with weights if there are any.

    Raises:
        DataError: if there are weights and the member takes none.
    """
    X = _rows(given.X, rows)
    arguments = {} if given.weight is None else {_weight_argument(member): given.weight[rows]}
    if is_classifier(member):
        return member.fit(X, given.anomalous[rows].astype(np.int64), **arguments)
    return member.fit(X, **arguments)


def _weight_argument(member: BaseEstimator) -> str:
    """How ``fit`` of a member calls the weights of rows.

    Raises:
        DataError: if it takes none.
    """
    last, prefix = (member[-1], f"{member.steps[-1][0]}__") if isinstance(member, Pipeline) else (member, "")
    accepted = inspect.signature(last.fit).parameters
    for name in ("weight", "sample_weight"):
        if name in accepted:
            return prefix + name
    raise DataError(f"{type(last).__name__} must take weights in fit, but it does not: leave weight out")


def _rows(X: Table, rows: Ints) -> Table:
    return X[rows]


def _said(member: BaseEstimator, X: Table, rows: Ints) -> list[str]:
    """What a member says about some rows, each as the end of a sentence; nothing if it cannot explain."""
    if not rows.size or not hasattr(member, "explain"):
        return [""] * rows.size
    return [f": {sentence}" for sentence in member.explain(_rows(X, rows))]


def _rarity(p_value: float) -> str:
    return f"{p_value:.2%}"
