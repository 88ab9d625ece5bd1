"""What all outlier detectors share: checked matrices, distinct points, scores, and a share of the score by feature.

A detector is fitted on rows that are taken for normal and scores any row by how little it looks like them. It works
once for each distinct row and spreads the result back. What a subclass adds is ``_learn`` and ``_score``, and
``_attribute`` where its score is a sum over features; nothing else of the contract is left to it.
"""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from utils.detectors.outliers.points import (
    DistinctPoints,
    Places,
    distinct_points,
    typical_places,
    weighted_quantiles,
)
from utils.errors import DataError, SchemaError, SettingsError
from utils.evaluation.inputs import Floats, Values, as_weights

LARGEST = 1e18
"""Numbers beyond count as so large: squares of it, added up, are numbers in single precision too."""

TYPICAL_ROWS = 1_000
REFERENCES = 128
CELLS = 4_000_000
"""Most numbers of changed rows that are scored at a time."""


class OutlierDetector(BaseEstimator):  # type: ignore[misc]
    """A detector of rows unlike those of training; HIGHER = MORE ABNORMAL.

    Subclasses implement :meth:`_learn` and :meth:`_score`. Rows are distinct and checked when these see them.

    Attributes:
        n_features_in_: columns of the matrix.
        n_rows_: rows of training, by weight.
        n_distinct_: distinct rows of training.
        n_learned_: how many of them the method has looked at; fewer where a limit of size made it draw a sample.
        usual_score_: median score of rows of training; rows at or below it are not explained.
    """

    def fit(self, X: ArrayLike, y: object = None, sample_weight: Values | None = None) -> Self:
        """Learn what usual rows look like.

        Args:
            X: rows to learn from, shape (n, d): finite numbers. All are taken for normal.
            y: not used; leave anomalies out of ``X``.
            sample_weight: whole numbers say how many equal rows each row stands for, other numbers how important it is,
                shape (n,). Rows of weight 0 are left out. The same as writing each row down so many times.

        Returns:
            The detector itself.

        Raises:
            SchemaError: if ``X`` is no matrix of numbers.
            DataError: if it holds NaN or infinity, no row has a weight, or a weight is no number from 0 on.
            SettingsError: if a parameter is out of range.
        """
        self._check_parameters()
        matrix = as_matrix(X, self._what)
        if not matrix.shape[1]:
            raise SchemaError(f"{self._what} needs at least one column to learn from, found none: give features")
        weight = as_weights(sample_weight, len(matrix))
        if weight is not None:
            matrix, weight = matrix[weight > 0], weight[weight > 0]
        if not len(matrix):
            raise DataError(f"{self._what} needs rows to learn from, found none: give normal rows with a weight")
        points = distinct_points(matrix, weight)
        self.n_features_in_ = matrix.shape[1]
        self.n_rows_ = float(points.counts.sum())
        self.n_distinct_ = self.n_learned_ = len(points)
        self._learn(points.values, points.counts)
        self._remember_usual(points)
        return self

    def score_samples(self, X: ArrayLike) -> Floats:
        """Score rows; HIGHER = MORE ABNORMAL.

        Args:
            X: rows, shape (n, d); none at all is allowed.

        Returns:
            Finite scores, float64, shape (n,); the score of a row does not depend on the rows beside it.

        Raises:
            NotFittedError: before :meth:`fit`.
            SchemaError: if ``X`` is no matrix of numbers or has another width than in training.
            DataError: if it holds NaN or infinity.
        """
        points = self._points(X)
        if not len(points):
            return np.zeros(0)
        return self._score(points.values).astype(np.float64)[points.inverse]

    def contributions(self, X: ArrayLike) -> Floats:
        """Say which features carry the score of each row.

        Args:
            X: rows, shape (n, d).

        Returns:
            Shares from 0 on, float64, shape (n, d). Each row sums to 1, or is all 0 where its score is not above
            ``usual_score_``.

        Raises:
            NotFittedError: before :meth:`fit`.
            SchemaError: as :meth:`score_samples`.
            DataError: as :meth:`score_samples`.
        """
        points = self._points(X)
        shares = np.zeros(points.values.shape)
        if not len(points):
            return shares
        scores = self._score(points.values)
        unusual = np.flatnonzero(scores > self.usual_score_)
        if unusual.size:
            parts = self._attribute(points.values[unusual], scores[unusual])
            shares[unusual] = _shares(parts, lambda lost: self._deviations(points.values[unusual[lost]]))
        return shares[points.inverse]

    @property
    def _what(self) -> str:
        return type(self).__name__

    def _check_parameters(self) -> None:
        """Check the parameters.

        Raises:
            SettingsError: if one is out of range.
        """

    def _learn(self, values: Floats, counts: Floats) -> None:
        """Learn from distinct points (k, d) that stand for so many rows (k,)."""
        raise NotImplementedError

    def _score(self, values: Floats) -> Floats:
        """Score points (k, d), k >= 1; higher = more abnormal."""
        raise NotImplementedError

    def _score_of_training(self, values: Floats) -> Floats:
        """Score points of training; other than :meth:`_score` where a point must not be compared with itself."""
        return self._score(values)

    def _attribute(self, values: Floats, scores: Floats) -> Floats:
        """Parts of the scores by feature, from 0 on, of any scale, shape (k, d).

        Each point is compared with the usual row of training that is most like it. The part of a feature is the mean of
        two differences: what the score falls by when the feature takes the usual value (last out), and what the score
        of the usual row rises by when the feature takes the value of the point (first in). Only features that differ
        are tried.

        Source:
            First and last of the orders that the Shapley value averages over: Shapley, "A value for n-person games"
            (1953); Strumbelj and Kononenko, Knowledge and Information Systems 41 (2014).
        """
        usual = self._most_alike(values)
        rows, columns = np.nonzero(values != usual)
        before = self._score(usual)
        parts = np.zeros(values.shape)
        step = max(1, CELLS // values.shape[1])
        for start in range(0, len(rows), step):
            row, column = rows[start : start + step], columns[start : start + step]
            fall = scores[row] - self._changed(values, usual, row, column)
            rise = self._changed(usual, values, row, column) - before[row]
            parts[row, column] = np.maximum(fall, 0) + np.maximum(rise, 0)
        return parts

    def _changed(self, values: Floats, other: Floats, row: Places, column: Places) -> Floats:
        """Scores of rows in which one feature each has the value that it has in another row."""
        changed = values[row]
        changed[np.arange(len(row)), column] = other[row, column]
        return self._score(changed)

    def _remember_usual(self, points: DistinctPoints) -> None:
        """Keep the median score of training, the spread of each feature, and usual rows to compare others with."""
        chosen = typical_places(points.counts, TYPICAL_ROWS)
        places, inverse = np.unique(chosen, return_inverse=True)
        sample = points.values[places]
        scores = self._score_of_training(sample)
        self.usual_score_ = float(np.quantile(scores[inverse], 0.5, method="inverted_cdf"))
        low, high = weighted_quantiles(sample[inverse], np.array([0.05, 0.95]))
        deviation = sample[inverse].std(axis=0)
        self.spread_ = np.where(high > low, high - low, np.where(deviation > 0, deviation, 1.0))
        usual = np.flatnonzero(scores <= self.usual_score_)
        self.references_ = sample[usual[:: max(1, len(usual) // REFERENCES)][:REFERENCES]]

    def _most_alike(self, values: Floats) -> Floats:
        """The usual row of training that is most like each point: a feature counts by its distance, 1 at most."""
        found = np.empty(values.shape)
        step = max(1, CELLS // self.references_.size)
        for start in range(0, len(values), step):
            part = values[start : start + step]
            apart = np.abs(part[:, None, :] - self.references_) / self.spread_
            found[start : start + step] = self.references_[np.minimum(apart, 1.0).sum(axis=2).argmin(axis=1)]
        return found

    def _deviations(self, values: Floats) -> Floats:
        return np.abs(values - self._most_alike(values)) / self.spread_

    def _points(self, X: ArrayLike) -> DistinctPoints:
        """Distinct rows of a matrix to score."""
        if not hasattr(self, "usual_score_"):
            raise NotFittedError(f"{self._what} must be fitted before it is used: call fit with normal rows")
        matrix = as_matrix(X, self._what)
        if matrix.shape[1] != self.n_features_in_:
            expected = f"{self._what} was fitted on {self.n_features_in_:,} columns"
            raise SchemaError(f"{expected}, found {matrix.shape[1]:,}: give the features of training in their order")
        return distinct_points(matrix)

    def _require_whole(self, name: str, value: object, least: int = 1) -> None:
        """Refuse a parameter that is no whole number from ``least`` on."""
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            wanted = f"{name} of {self._what} must be a whole number from {least} on"
            raise SettingsError(f"{wanted}, found {value!r}: choose such a number")


def as_matrix(X: ArrayLike, what: str) -> Floats:
    """Read a matrix of finite numbers; numbers beyond 1e18 count as 1e18.

    Args:
        X: numbers or truth values, shape (n, d).
        what: how an error calls the detector.

    Returns:
        Float64 matrix (n, d).

    Raises:
        SchemaError: if it has not two dimensions or holds something else than numbers.
        DataError: if it holds NaN or infinity.
    """
    matrix = _numbers(X, what)
    if matrix.ndim != 2:
        raise SchemaError(f"{what} needs a matrix, rows x features, found the shape {matrix.shape}: reshape it")
    finite = np.isfinite(matrix)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        found = f"{int((~finite).sum()):,} NaN or infinite, the first in row {row:,}, column {column:,}"
        raise DataError(f"{what} needs finite numbers, found {found}: fill them or leave these rows out")
    return np.clip(matrix, -LARGEST, LARGEST)


def _numbers(X: Any, what: str) -> Floats:  # noqa: ANN401 - whatever a caller gives
    if hasattr(X, "toarray"):
        raise SchemaError(f"{what} needs a dense matrix, found {type(X).__name__}: call its toarray() if it fits")
    array = np.asarray(X)
    if array.dtype.kind not in "fiub":
        found = f"values of type {array.dtype}"
        raise SchemaError(f"{what} needs a matrix of numbers, found {found}: encode the columns first")
    return array.astype(np.float64)


def _shares(parts: Floats, otherwise: Any) -> Floats:  # noqa: ANN401 - a function of places
    """Scale parts to a sum of 1 a row; rows without any part take others."""
    parts = np.maximum(parts, 0.0)
    lost = np.flatnonzero(~(parts.max(axis=1) > 0))
    if lost.size:
        parts[lost] = otherwise(lost)
    largest = parts.max(axis=1, keepdims=True)
    parts = parts / np.where(largest > 0, largest, 1.0)
    total = parts.sum(axis=1, keepdims=True)
    shares: Floats = parts / np.where(total > 0, total, 1.0)
    return shares
