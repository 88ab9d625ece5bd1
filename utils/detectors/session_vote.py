"""A vote on log sessions: novelty rules and other detectors, made comparable by conformal p-values.

Each member gives a score. What a score is worth is learned from normal sessions alone: the training sessions are
divided into folds, and each fold is scored by members that were fitted on the others, so that every training session
serves for learning and for calibration (cross-conformal prediction: Vovk, "Cross-conformal predictors", Annals of
Mathematics and Artificial Intelligence 2015). The folds divide sessions, not distinct sequences: a sequence that a
hundred sessions have is known in every fold, one that a single session has is as new there as it would be tomorrow.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import polars as pl
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from utils.detectors import novelty
from utils.errors import DataError
from utils.evaluation.conformal import ConformalCombination, ConformalPValues, Method
from utils.evaluation.inputs import Bools, Floats, Ints, Values, as_alarm_rate
from utils.evaluation.thresholds import AlarmRate
from utils.features import log_sessions
from utils.features.log_sessions import Distinct
from utils.settings import SEED

TRUSTED = 8
"""Training sessions from which on a structure is normal, whatever its free events do.

Five, the usual least count of a frequency that is relied on, is too few: a kind of session of which a draw of training
sessions has two on average has five in every twentieth draw, and then lets thousands of anomalies through that look
like it. Eight it has in one of a thousand draws. Each session more that is asked for costs false alarms.
"""

TIE = 0.01
"""Weight of the scores beside their p-values: it orders sessions that are stranger than every calibration session."""

FEW = 64
"""Sessions up to which none is looked for twice."""

ANY = 0.5
"""A score from here on means that some member fires."""

COUNTS, ORDER, SET, LENGTH = "counts", "order", "event set", "length"


class SessionVote(BaseEstimator):  # type: ignore[misc]
    """Combination of detectors of sessions, learned from normal sessions; HIGHER = MORE ABNORMAL.

    A session is abnormal on the word of a *leading* member: of :class:`~utils.detectors.novelty.BackOffNovelty` over
    structures that fewer than :data:`TRUSTED` training sessions had, by default. Where only others fire (order of
    events, set of events, length), the session stands below every alarm of a leading member and above all others: the
    wide threshold, or one of a higher alarm rate (:meth:`threshold`), finds sessions whose order alone is new. Within
    these levels the combined p-values rank. Where even the leading members would flag more than ``rate`` of the normal
    sessions, the threshold rises until they do not.

    Score: 1 if a leading member fires, 1/2 if only others do, 0 if none does, and on top of it x / (2 + 2x), x being
    the statistic of the combination.

    Attributes:
        members_: the fitted members by name.
        bounds_: score from which on each member fires; for members that are no rules, just above every calibration
            score.
        calibration_: conformal p-values of the combined score.
        threshold_: score from which on a session is abnormal, at least 1.
        wide_threshold_: the same on the word of any member, at least 1/2; the promise of ``rate`` holds here too.
        false_alarm_rate_: share of the calibration sessions that reach it.
        n_sessions_: number of training sessions.
    """

    def __init__(
        self,
        members: Mapping[str, Any] | None = None,
        events: str = "events",
        *,
        leading: Sequence[str] | None = None,
        method: Method = "min",
        folds: int = 10,
        rate: float = 0.01,
        seed: int = SEED,
    ) -> None:
        """Choose the members.

        Args:
            members: detectors of sessions by name, with ``fit(X, y, weight)`` and ``score_samples(X)``; the default
                recipe by default.
            events: list column of the events; members must read the same.
            leading: names of the members whose firing is an alarm; the first one by default.
            method: how p-values are combined (:class:`~utils.evaluation.conformal.ConformalCombination`).
            folds: into how many folds the training sessions are divided, at least 2.
            rate: share of normal sessions that may be flagged at most, between 0 and 1.
            seed: of the folds.
        """
        self.members = members
        self.events = events
        self.leading = leading
        self.method = method
        self.folds = folds
        self.rate = rate
        self.seed = seed

    def fit(self, X: pl.DataFrame, y: Values | None = None, weight: Values | None = None) -> Self:
        """Learn from normal sessions, and calibrate on the same sessions fold by fold.

        Args:
            X: one row a session, with a list column of events (integers or texts).
            y: true for an anomaly, shape (n,); anomalies and rows without a label are left out. ``None``: all rows are
                normal.
            weight: how many sessions each row stands for, shape (n,).

        Returns:
            The vote itself.

        Raises:
            SchemaError: if the column is missing or holds no lists of integers or texts.
            DataError: if no normal session is left, or a parameter is out of range.
        """
        members = self._recipe()
        normal, weights = novelty.normal_sessions(X, y, weight, "a vote")
        seen = log_sessions.distinct(normal, self.events, weight=weights)
        self.vocabulary_, self.n_sessions_ = seen.sequences.vocabulary, float(seen.counts.sum())
        table = self._table(seen)
        self.members_ = {name: clone(member).fit(table, weight=seen.counts) for name, member in members.items()}
        self._calibrate(*held_out_scores(members, table, seen.counts, folds=self.folds, seed=self.seed))
        return self

    def score_samples(self, X: pl.DataFrame) -> Floats:
        """Score sessions; HIGHER = MORE ABNORMAL, 1 or more where a leading member fires.

        Args:
            X: n sessions.

        Returns:
            Scores from 0 to below 3/2, shape (n,).

        Raises:
            SchemaError: if the column is missing or holds events of another kind than in training.
        """
        seen = self._distinct(X)
        return self._combined(self._rated(seen))[seen.inverse]

    def p_values(self, X: pl.DataFrame) -> Floats:
        """Share of held-out normal training sessions that are at least as abnormal as each session.

        Args:
            X: n sessions.

        Returns:
            p-values above 0 and at most 1, LOW is abnormal, shape (n,).

        Raises:
            SchemaError: as ``score_samples``.
        """
        return self.calibration_.p_values(self.score_samples(X))

    def fires(self, X: pl.DataFrame) -> Bools:
        """Tell which sessions are abnormal.

        Args:
            X: n sessions.

        Returns:
            True where the score reaches ``threshold_``, shape (n,).

        Raises:
            SchemaError: as ``score_samples``.
        """
        return self.score_samples(X) >= self.threshold_

    def threshold(self, rate: float) -> AlarmRate:
        """Choose another threshold on the same held-out normal sessions.

        Args:
            rate: share of new normal sessions that may be flagged, between 0 and 1.

        Returns:
            The fitted threshold; with fewer than 1 / ``rate`` sessions it is above all of their scores.

        Raises:
            DataError: if the rate is not between 0 and 1.
        """
        check_is_fitted(self, "calibration_")
        least = 1 / (1 + self.calibration_.n_calibration_)
        weight = -np.diff(self.calibration_.at_least_)
        held = AlarmRate(max(as_alarm_rate(rate), min(least * (1 + 1e-9), 0.5)))
        return held.fit(self.calibration_.scores_, weight=_counts(weight))

    def votes(self, X: pl.DataFrame) -> pl.DataFrame:
        """Tell what each member says.

        Args:
            X: n sessions.

        Returns:
            One row a session, three columns a member: ``<member> score``, ``<member> p`` and ``<member> fires``.

        Raises:
            SchemaError: as ``score_samples``.
        """
        seen = self._distinct(X)
        scores = _each(self.members_, self._table(seen))
        columns: dict[str, Any] = {}
        for place, name in enumerate(self.members_):
            column = scores[:, place]
            columns[f"{name} score"] = column
            columns[f"{name} p"] = self.combination_.detectors_[place].p_values(column)
            columns[f"{name} fires"] = column >= self.bounds_[name]
        return pl.DataFrame(columns)[pl.Series(seen.inverse)]

    def explain(self, X: pl.DataFrame) -> list[str]:
        """Say for each session in one sentence which member speaks against it, and why.

        Args:
            X: n sessions.

        Returns:
            n sentences: of the leading members that fire, else of the others that do, else of the lowest p-value.

        Raises:
            SchemaError: as ``score_samples``.
        """
        seen = self._distinct(X)
        table = self._table(seen)
        scores = _each(self.members_, table)
        p = np.column_stack(
            [fitted.p_values(column) for fitted, column in zip(self.combination_.detectors_, scores.T, strict=True)]
        )
        said = [self._said(name, table, scores[:, place]) for place, name in enumerate(self.members_)]
        flagged = self._combined(scores) >= self.threshold_
        leads, others = (self._fired(scores, leading=leading) for leading in (True, False))
        fired = np.where(leads.any(axis=1, keepdims=True), leads, others)
        sentences = [
            self._sentence(said, row, lead, p[row], alarm)
            for row, (lead, alarm) in enumerate(zip(fired, flagged.tolist(), strict=True))
        ]
        return [sentences[row] for row in seen.inverse.tolist()]

    def _sentence(self, said: list[list[str]], row: int, lead: Bools, p: Floats, alarm: bool) -> str:
        names, places = list(self.members_), np.flatnonzero(lead).tolist()
        speaking = places or [int(np.argmin(p))]
        why = "; ".join(f"{names[place]}: {said[place][row]} (p = {p[place]:.2g})" for place in speaking)
        return f"{'abnormal' if alarm else 'no alarm'}, by {why}"

    def _said(self, name: str, table: pl.DataFrame, scores: Floats) -> list[str]:
        member = self.members_[name]
        if hasattr(member, "explain"):
            return list(member.explain(table))
        return [f"score {score:.3g}" for score in scores.tolist()]

    def _recipe(self) -> dict[str, Any]:
        """Check the parameters and name the members.

        Raises:
            DataError: if a parameter is out of range.
        """
        as_alarm_rate(self.rate)
        if self.folds < 2:
            raise DataError(f"folds must be at least 2, found {self.folds}: give a number of folds")
        members = dict(default_members(self.events) if self.members is None else self.members)
        if not members:
            raise DataError("a vote needs at least one member, found none: name detectors, or leave members out")
        self.leading_ = tuple(list(members)[:1] if self.leading is None else self.leading)
        if unknown := [name for name in self.leading_ if name not in members]:
            raise DataError(f"leading must be among {', '.join(members)}, found {', '.join(unknown)}: name members")
        return members

    def _distinct(self, X: pl.DataFrame) -> Distinct:
        """Distinct sessions; a few are taken as they are, as looking for equal ones takes longer."""
        check_is_fitted(self, "calibration_")
        if X.height > FEW or self.events not in X.columns:
            return log_sessions.distinct(X, self.events, vocabulary=self.vocabulary_)
        sequences = log_sessions.encode(X[self.events], self.vocabulary_)
        return Distinct(sequences, X[self.events], np.ones(X.height), np.arange(X.height))

    def _rated(self, seen: Distinct) -> Floats:
        """Scores of all members, shape (k, members); rules that read the same events take them as they are coded."""
        table = self._table(seen)
        known = self.vocabulary_.events

        def scores(member: Any) -> Floats:  # noqa: ANN401 (any detector of sessions)
            alike = getattr(member, "events", None) == self.events and hasattr(member, "rated")
            if alike and member.vocabulary_.events.equals(known, check_dtypes=True):
                return np.asarray(member.rated(seen), np.float64)
            return np.asarray(member.score_samples(table), np.float64)

        return np.column_stack([scores(member) for member in self.members_.values()])

    def _table(self, seen: Distinct) -> pl.DataFrame:
        return pl.DataFrame({self.events: seen.events})

    def _calibrate(self, scores: Floats, weight: Floats) -> None:
        mass = _counts(weight)
        self.combination_ = ConformalCombination(self.method).fit(scores, weight=mass)
        above = {name: np.nextafter(column.max(), np.inf) for name, column in zip(self.members_, scores.T, strict=True)}
        self.bounds_ = {
            name: novelty.FIRES if hasattr(member, "fires") else float(above[name])
            for name, member in self.members_.items()
        }
        combined = self._combined(scores)
        self.calibration_ = ConformalPValues().fit(combined, weight=mass)
        held = float(self.threshold(self.rate).value_)
        self.threshold_, self.wide_threshold_ = max(novelty.FIRES, held), max(ANY, held)
        self.false_alarm_rate_ = float(weight[combined >= self.threshold_].sum() / weight.sum())
        self.sentence_ = (
            f"abnormal if {' or '.join(self.leading_)} fires (score of at least {self.threshold_:.4g}), as "
            f"{self.false_alarm_rate_:.2%} of {self.n_sessions_:,.0f} held-out training sessions do"
        )

    def _fired(self, scores: Floats, *, leading: bool) -> Bools:
        """Whether each leading member, or each of the others, fires, shape (n, members)."""
        bounds = [self.bounds_[name] if (name in self.leading_) == leading else np.inf for name in self.members_]
        return np.asarray(scores >= bounds)

    def _combined(self, scores: Floats) -> Floats:
        leads, others = (self._fired(scores, leading=leading).any(axis=1) for leading in (True, False))
        strange = self.combination_.score_samples(scores) + TIE * np.log1p(np.maximum(scores, 0)).sum(axis=1)
        combined: Floats = np.where(leads, novelty.FIRES, ANY * others) + strange / (2 + 2 * strange)
        return combined


def held_out_scores(
    members: Mapping[str, Any], table: pl.DataFrame, weight: Values, *, folds: int = 10, seed: int = SEED
) -> tuple[Floats, Floats]:
    """Score normal sessions by detectors that have not seen them, fold by fold.

    Args:
        members: detectors of sessions by name; they are cloned, never fitted themselves.
        table: one row a distinct sequence.
        weight: how many sessions have it, shape (n,); whole numbers are divided session by session.
        folds: number of folds.
        seed: of the folds.

    Returns:
        Scores, shape (k, members), and how many sessions have them, shape (k,). A single session cannot be held out; it
        is scored by detectors that know it.
    """
    counts = np.asarray(weight, np.float64)
    scores, weights = [], []
    for inside in _folds(counts, folds, seed).T:
        rest, rows = counts - inside, inside > 0
        if rows.any() and (rest > 0).any():
            others = table.filter(pl.Series(rest > 0))
            fitted = {name: clone(each).fit(others, weight=_counts(rest[rest > 0])) for name, each in members.items()}
            scores.append(_each(fitted, table.filter(pl.Series(rows))))
            weights.append(inside[rows])
    if not scores:
        known = {name: clone(each).fit(table, weight=_counts(counts)) for name, each in members.items()}
        return _each(known, table), counts
    return np.concatenate(scores), np.concatenate(weights)


def default_members(events: str = "events") -> dict[str, Any]:
    """Make the members of the default recipe, the leading one first.

    Args:
        events: list column of the events.

    Returns:
        Unfitted rules by name.
    """
    return {
        COUNTS: novelty.BackOffNovelty(events, trusted=TRUSTED),
        ORDER: novelty.UnseenTransition(events),
        SET: novelty.UnseenEventSet(events),
        LENGTH: novelty.SessionLength(events),
    }


def _each(members: Mapping[str, Any], table: pl.DataFrame) -> Floats:
    """Scores of all members, shape (n, members)."""
    return np.column_stack([np.asarray(member.score_samples(table), np.float64) for member in members.values()])


def _folds(counts: Floats, folds: int, seed: int) -> Floats:
    """Divide the sessions of each distinct sequence into folds at random, shape (sequences, folds).

    Where rows are importances and no numbers of sessions, each sequence lies in one fold.
    """
    whole = bool((counts == np.floor(counts)).all())
    owner: Ints = np.repeat(np.arange(len(counts)), counts.astype(np.int64) if whole else 1)
    fold = np.empty(len(owner), np.int64)
    fold[np.random.default_rng(seed).permutation(len(owner))] = np.arange(len(owner)) % folds
    cells = np.bincount(owner * folds + fold, minlength=len(counts) * folds).reshape(-1, folds).astype(np.float64)
    return cells if whole else cells * counts[:, None]


def _counts(weight: Floats) -> Values:
    """Whole numbers as counts, which evaluation takes as so many equal sessions."""
    return weight.astype(np.int64) if bool((weight == np.floor(weight)).all()) else weight
