"""Classifiers of log sessions that read the list column of events: any classifier on counts, or on their relations.

What tells anomalous sessions apart is seldom how large a count is, but how it stands to others: as many blocks closed
as opened, a replica received for each one asked for. :class:`CountRelations` therefore gives beside each count whether
the event occurs at all, and for each pair of events which of them occurs more often. On these a linear model finds the
broken equalities by itself, and what it learns carries over to count vectors that it has not seen.
"""

from collections.abc import Sequence
from typing import Any, Literal, Self, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted

from utils.detectors import novelty
from utils.detectors.session_counts import Vectors, distinct_vectors
from utils.detectors.two_input import with_labels
from utils.errors import SettingsError
from utils.evaluation.inputs import Bools, Floats, Values
from utils.evaluation.scoring import abnormality

Representation = Literal["counts", "relations"]

INTERCEPT = 10.0
"""Scale of the intercept, which this solver penalises too: so large that it hardly does."""

MOST_EVENTS = {"counts": 200, "relations": 40}
"""Event types with columns of their own, those that most sessions have; the others share one."""


class CountRelations(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Logarithms of counts, which events occur, and for each pair of events which occurs more often.

    From d counts it makes d values of ln(1 + count), d of 0 or 1, and d (d - 1) / 2 of -1, 0 or 1. It learns nothing.
    """

    def fit(self, X: Floats, y: object = None) -> Self:
        """Remember the number of columns.

        Args:
            X: counts, shape (n, d).
            y: not used.

        Returns:
            The transformer itself.
        """
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: Floats) -> Floats:
        """Compare the counts of each row.

        Args:
            X: counts, shape (n, d).

        Returns:
            Numbers, shape (n, 2 d + d (d - 1) / 2).
        """
        first, second = np.triu_indices(X.shape[1], 1)
        return np.hstack([np.log1p(X), X > 0, np.sign(X[:, first] - X[:, second])])


class TwoViews(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Mean of two logistic regressions, one of all columns and one of some of them: itself a linear model.

    The second holds the first to what the chosen columns say alone, where the others would lead it astray.

    Args:
        columns: places of the columns of the second model.
        C: inverse strengths of the penalties of both, as in ``LogisticRegression``.

    Attributes:
        classes_: the two classes, sorted.
        coef_: mean of the coefficients, shape (1, d).
        intercept_: mean of the intercepts, shape (1,).
    """

    def __init__(self, columns: Sequence[int], C: tuple[float, float] = (0.3, 1.0)) -> None:
        self.columns = columns
        self.C = C

    def fit(self, X: Floats, y: NDArray[Any], sample_weight: Floats | None = None) -> Self:
        """Fit both models.

        Args:
            X: standardised columns, shape (n, d).
            y: two classes, shape (n,).
            sample_weight: weight of each row, shape (n,).

        Returns:
            The classifier itself.
        """
        from sklearn.linear_model import LogisticRegression

        places = np.arange(X.shape[1]), np.asarray(self.columns)
        coefficients, intercepts = np.zeros(X.shape[1]), 0.0
        for view, strength in zip(places, self.C, strict=True):
            model = LogisticRegression(C=strength, solver="liblinear", intercept_scaling=INTERCEPT, max_iter=1_000)
            model.fit(X[:, view], y, sample_weight=sample_weight)
            coefficients[view] += np.ravel(model.coef_) / 2
            intercepts += float(model.intercept_[0]) / 2
        self.classes_ = model.classes_
        self.coef_, self.intercept_ = coefficients[None], np.array([intercepts])
        return self

    def predict_proba(self, X: Floats) -> Floats:
        """Probability of each class, shape (n, 2)."""
        second = 0.5 + 0.5 * np.tanh(0.5 * (X @ self.coef_[0] + self.intercept_[0]))
        return np.stack([1 - second, second], axis=1)


class SessionClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier on the event counts of sessions; HIGHER = MORE ABNORMAL.

    Each distinct count vector is learned once for each class, with a weight of ``n ** power`` where n sessions have it.
    With a power of 1 that is the same as learning from the sessions. Below 1 the mean weight is 1, and the many copies
    of the usual vectors do not drown what can be learned from rare ones, which is what counts for vectors that training
    does not have.

    Args:
        classifier: a scikit-learn classifier or pipeline that takes weights; it is cloned. By default
            :class:`TwoViews` on standardised columns: all, and which events occur.
        events: list column of the events.
        representation: ``"counts"`` or ``"relations"``.
        power: from 0 (each vector counts the same) to 1 (each session counts the same).

    Attributes:
        vocabulary_: the event types of training.
        columns_: codes of the events with columns of their own; all others share the last column.
        classifier_: the fitted classifier.
        classes_: ``[False, True]``, true for an anomaly.
        n_vectors_: distinct count vectors of training.
    """

    def __init__(
        self,
        classifier: Any = None,  # noqa: ANN401 - any classifier
        *,
        events: str = "events",
        representation: Representation = "relations",
        power: float = 0.5,
    ) -> None:
        self.classifier = classifier
        self.events = events
        self.representation = representation
        self.power = power

    def fit(self, X: pl.DataFrame, y: Values | None = None, weight: Values | None = None) -> Self:
        """Learn what tells anomalous sessions from normal ones.

        Args:
            X: one row a session, with a list column of events (integers or texts).
            y: true for an anomaly, shape (n,); rows without a label are left out.
            weight: how many sessions each row stands for, shape (n,); rows of weight 0 are left out.

        Returns:
            The classifier itself.

        Raises:
            SettingsError: if a parameter is out of range.
            SchemaError: if the column is missing or holds no lists of integers or texts.
            DataError: if ``y`` is missing, a class has no session, or a weight is no number from 0 on.
        """
        self._check_parameters()
        X, labels, mass = with_labels(X, y, weight, type(self).__name__)
        vectors, self.vocabulary_ = distinct_vectors(X, self.events, weight=mass)
        self.columns_, self.n_vectors_ = self._frequent(vectors), len(vectors.weight)
        counts = [np.bincount(vectors.inverse, mass * (labels == side), self.n_vectors_) for side in (False, True)]
        rows = [np.flatnonzero(count > 0) for count in counts]
        matrix = self._matrix(vectors)[np.concatenate(rows)]
        weights = np.concatenate([count[chosen] for count, chosen in zip(counts, rows, strict=True)]) ** self.power
        made = self._default() if self.classifier is None else clone(self.classifier)
        name = f"{made.steps[-1][0]}__sample_weight" if hasattr(made, "steps") else "sample_weight"
        anomalous = np.repeat([False, True], [len(chosen) for chosen in rows])
        self.classifier_ = made.fit(
            matrix, anomalous, **{name: weights if self.power == 1 else weights / weights.mean()}
        )
        self.classes_ = np.array([False, True])
        return self

    def score_samples(self, X: pl.DataFrame) -> Floats:
        """Score sessions; HIGHER = MORE ABNORMAL.

        Args:
            X: n sessions.

        Returns:
            What the classifier gives for an anomaly, mostly a probability, shape (n,).

        Raises:
            SchemaError: if the column is missing or holds events of another kind than in training.
        """
        vectors = self._vectors(X)
        if not len(vectors.weight):
            return np.zeros(0)
        return abnormality(self.classifier_, self._matrix(vectors))[vectors.inverse]

    def predict_proba(self, X: pl.DataFrame) -> Floats:
        """Probability of normal and of anomalous, shape (n, 2).

        Args:
            X: n sessions.

        Raises:
            SchemaError: as :meth:`score_samples`.
        """
        vectors = self._vectors(X)
        if not len(vectors.weight):
            return np.zeros((0, 2))
        return np.asarray(self.classifier_.predict_proba(self._matrix(vectors)))[vectors.inverse]

    def predict(self, X: pl.DataFrame) -> Bools:
        """True where an anomaly is more probable, shape (n,).

        Args:
            X: n sessions.

        Raises:
            SchemaError: as :meth:`score_samples`.
        """
        return self.predict_proba(X)[:, 1] >= 0.5

    def explain(self, X: pl.DataFrame) -> list[str]:
        """Say for each session with which probability it is an anomaly and what carries that, if the model is linear.

        Args:
            X: n sessions.

        Returns:
            n sentences.

        Raises:
            SchemaError: as :meth:`score_samples`.
        """
        vectors = self._vectors(X)
        if not len(vectors.weight):
            return []
        matrix = self._matrix(vectors)
        chance = np.asarray(self.classifier_.predict_proba(matrix))[:, 1]
        parts = self._parts(matrix)
        sentences = [
            f"probability {value:.3f} of an anomaly{self._because(row)}"
            for value, row in zip(chance, parts, strict=True)
        ]
        return [sentences[row] for row in vectors.inverse.tolist()]

    def _default(self) -> Any:  # noqa: ANN401 - a pipeline
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        events = len(self.columns_) + 1
        second = range(events, 2 * events) if self.representation == "relations" else range(events)
        return make_pipeline(StandardScaler(), TwoViews(tuple(second)))

    def _parts(self, matrix: Floats) -> list[list[str]]:
        """Features that speak most for an anomaly, in words; none for a model that is not linear."""
        linear = self.classifier_[-1] if hasattr(self.classifier_, "steps") else self.classifier_
        if not hasattr(linear, "coef_"):
            return [[] for _ in matrix]
        given = self.classifier_[:-1].transform(matrix) if hasattr(self.classifier_, "steps") else matrix
        parts = given * np.ravel(linear.coef_)
        leading = np.argsort(-parts, axis=1, kind="stable")[:, : novelty.MOST_DIFFERENCES]
        return [
            [self._feature(int(place), counts) for place in places if row[place] > 0]
            for row, places, counts in zip(parts, leading, matrix, strict=True)
        ]

    def _because(self, parts: list[str]) -> str:
        return f"; for it speak {novelty.joined(parts)}" if parts else ""

    def _feature(self, place: int, row: Floats) -> str:
        """A feature in words, as it is in this session."""
        events = len(self.columns_) + 1
        if self.representation == "counts" or place < events:
            shown = row[place] if self.representation == "counts" else np.expm1(row[place])
            return f"{self._column(place)} ({shown:,.0f} times)"
        if place < 2 * events:
            return f"{self._column(place - events)} ({'there' if row[place] else 'missing'})"
        first, second = (index[place - 2 * events] for index in np.triu_indices(events, 1))
        sign = {-1: "fewer", 0: "as many", 1: "more"}[int(row[place])]
        than = "as" if sign == "as many" else "than"
        return f"{sign} {self._column(first)} {than} {self._column(second)}"

    def _column(self, place: int) -> str:
        if place >= len(self.columns_):
            return "other events"
        return novelty.event_name(self.vocabulary_, self.columns_[place])

    def _vectors(self, X: pl.DataFrame) -> Vectors:
        check_is_fitted(self)
        return distinct_vectors(X, self.events, self.vocabulary_)[0]

    def _frequent(self, vectors: Vectors) -> NDArray[np.int64]:
        held = np.asarray((vectors.counts > 0).T @ vectors.weight).ravel()[:-1]
        most = MOST_EVENTS[self.representation]
        return np.sort(np.argsort(-held, kind="stable")[:most]).astype(np.int64)

    def _matrix(self, vectors: Vectors) -> Floats:
        """Features of the distinct vectors; the last count is that of all events without a column of their own."""
        own = vectors.counts[:, self.columns_].toarray().astype(np.float64)
        others = np.asarray(vectors.counts.sum(axis=1), dtype=np.float64).reshape(-1, 1) - own.sum(
            axis=1, keepdims=True
        )
        counts = np.hstack([own, others])
        return CountRelations().transform(counts) if self.representation == "relations" else counts

    def _check_parameters(self) -> None:
        if self.representation not in get_args(Representation):
            wanted = f"representation of SessionClassifier must be one of {', '.join(get_args(Representation))}"
            raise SettingsError(f"{wanted}, found {self.representation!r}: choose one of them")
        if not 0 <= self.power <= 1:
            raise SettingsError(f"power of SessionClassifier must lie between 0 and 1, found {self.power!r}: give 0.5")
