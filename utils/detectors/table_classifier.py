"""A classifier as a detector on a table: columns by name in, scores and reasons in the words of the table out.

What it learned from labels it explains in the same form as a detector that has none: beside each value that makes the
score stands what is usual among NORMAL training rows.
"""

from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin, clone
from sklearn.utils.validation import has_fit_parameter

from utils.datasets import require
from utils.detectors import table_detector
from utils.detectors.outliers.base import OutlierDetector, as_matrix
from utils.detectors.outliers.points import distinct_points
from utils.detectors.table_detector import TABLE, TableDetector
from utils.errors import DataError, SettingsError
from utils.evaluation.inputs import Floats, Values, as_labels, as_weights, require_both_classes
from utils.evaluation.scoring import abnormality
from utils.features.flows import FlowFeatures


class ClassifierScore(OutlierDetector):
    """The score of a classifier of numbers: its probability, or decision function, of an anomaly; HIGHER = ABNORMAL.

    Contributions compare a row with the usual normal row that is most like it, as those of all detectors do.

    Args:
        classifier: a scikit-learn classifier of two classes; it is cloned.

    Attributes:
        classifier_: the fitted classifier.
    """

    def __init__(self, classifier: Any) -> None:  # noqa: ANN401 - any classifier
        self.classifier = classifier

    def fit(self, X: ArrayLike, y: Any = None, sample_weight: Values | None = None) -> Self:  # noqa: ANN401
        """Learn what tells anomalies from normal rows.

        Args:
            X: rows, shape (n, d): finite numbers.
            y: true for an anomaly, shape (n,).
            sample_weight: how many rows each row stands for, shape (n,).

        Returns:
            The detector itself.

        Raises:
            SettingsError: if there are weights and the classifier takes none.
            SchemaError: if ``X`` is no matrix of numbers.
            DataError: if it holds NaN or infinity, ``y`` is missing, or a class is.
        """
        if y is None:
            raise DataError(f"{type(self.classifier).__name__} learns from labels, found none: give y")
        matrix = as_matrix(X, self._what)
        anomalous, mass = as_labels(y, len(matrix)), as_weights(sample_weight, len(matrix))
        require_both_classes(anomalous, mass)
        arguments = {} if mass is None else {"sample_weight": mass}
        if mass is not None and not has_fit_parameter(self.classifier, "sample_weight"):
            name = type(self.classifier).__name__
            raise SettingsError(f"{name} must take sample_weight in fit, but it does not: leave the weights out")
        self.classifier_ = clone(self.classifier).fit(matrix, anomalous.astype(np.int64), **arguments)
        normal = ~anomalous if mass is None else ~anomalous & (mass > 0)
        points = distinct_points(matrix[normal], None if mass is None else mass[normal])
        self.n_features_in_ = matrix.shape[1]
        self.n_rows_ = float(points.counts.sum())
        self.n_distinct_ = self.n_learned_ = len(points)
        self._remember_usual(points)
        return self

    def _score(self, values: Floats) -> Floats:
        return abnormality(self.classifier_, values)


class TableClassifier(ClassifierMixin, TableDetector):  # type: ignore[misc]
    """A classifier that reads a table, learns from labels and says why; HIGHER = MORE ABNORMAL.

    It answers like :class:`utils.detectors.table_detector.TableDetector`: ``score_samples``, ``contributions``,
    ``reasons`` and ``explain``.

    Args:
        classifier: a scikit-learn classifier; it is cloned.
        features: what makes numbers of the columns, :class:`utils.features.flows.FlowFeatures` if not given.

    Attributes:
        detector_: the fitted :class:`ClassifierScore`.
        classes_: ``[False, True]``, true for an anomaly.
        usual_: what is usual in each column among NORMAL training rows.
    """

    origins = None

    def __init__(self, classifier: Any, features: Any = None) -> None:  # noqa: ANN401 - any classifier, any transformer
        self.classifier = classifier
        self.features = features

    def fit(self, frame: pl.DataFrame, y: Values | None = None, weight: Values | None = None) -> Self:
        """Learn what tells anomalies from normal rows.

        Args:
            frame: training rows, n rows. Columns beside those that ``features`` reads are left alone.
            y: true for an anomaly, shape (n,).
            weight: how many rows each row stands for, shape (n,); the transformer sees each row once.

        Returns:
            The detector itself.

        Raises:
            SettingsError: if there are weights and the classifier takes none.
            SchemaError: if ``frame`` is no polars frame, a column is missing or no feature.
            DataError: if ``y`` is missing or a class is, or nothing varies.
        """
        require.frame(frame, TABLE)
        if y is None:
            raise DataError(f"{type(self.classifier).__name__} learns from labels, found none: give y")
        anomalous, mass = as_labels(y, frame.height), as_weights(weight, frame.height)
        require_both_classes(anomalous, mass)
        known = np.ones(frame.height, dtype=np.bool_) if mass is None else mass > 0
        rows, labels = frame.filter(pl.Series(known)), anomalous[known]
        mass = None if mass is None else mass[known]
        features = clone(FlowFeatures() if self.features is None else self.features).fit(rows)
        names, origin = table_detector._traced(features, rows.columns, {})
        self.detector_ = ClassifierScore(self.classifier).fit(table_detector._matrix(features, rows), labels, mass)
        self.features_, self._origin, self.classes_ = features, origin, np.array([False, True])
        self.feature_names_in_, self.n_features_in_ = np.asarray(names, dtype=object), len(names)
        self.n_rows_, self.n_distinct_ = int((~labels).sum()), self.detector_.n_distinct_
        counts = np.ones(rows.height) if mass is None else mass.astype(np.float64)
        self.usual_ = self._usual(rows.filter(pl.Series(~labels)), counts[~labels])
        return self
