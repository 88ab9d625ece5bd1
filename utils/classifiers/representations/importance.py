"""Columns chosen by the importance that a random forest gives them."""

import copy
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from utils.detectors.outliers.base import as_matrix
from utils.errors import DataError, SchemaError, SettingsError
from utils.evaluation.inputs import Floats, Ints, Values, as_series, codes
from utils.settings import SEED

TREES = 100


class Narrowing(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """What all transformers to fewer columns share: a checked matrix, and a number of columns that it can have."""

    def _matrix(self, X: ArrayLike) -> Floats:
        """Read a matrix of the width of training."""
        check_is_fitted(self)
        matrix = as_matrix(X, type(self).__name__)
        if matrix.shape[1] != self.n_features_in_:
            found = f"{matrix.shape[1]} columns, trained on {self.n_features_in_}"
            raise SchemaError(f"{type(self).__name__} needs the columns of training, found {found}: give the same ones")
        return matrix

    def _learned(self, X: ArrayLike, size: int) -> Floats:
        """Read the matrix of training and check the number of columns that are asked for."""
        what = type(self).__name__
        matrix = as_matrix(X, what)
        if not len(matrix):
            raise DataError(f"{what} needs rows to learn from, found none: give training rows")
        require_size(what, size, matrix.shape[1])
        self.n_features_in_ = matrix.shape[1]
        return matrix


class RankedColumns(Narrowing):
    """The best columns of a ranking.

    Attributes:
        order_: columns from the best to the worst (d,).
        selected_: those that are kept, the best first (k,).
        n_features_in_: d.
    """

    k: int
    order_: Ints

    @property
    def selected_(self) -> Ints:
        """Columns that are kept, the best first (k,)."""
        check_is_fitted(self)
        return self.order_[: self.k]

    def transform(self, X: ArrayLike) -> Floats:
        """Keep the best columns (n, k), the best first.

        Raises:
            SchemaError: if the matrix has another width than in training.
        """
        return np.ascontiguousarray(self._matrix(X)[:, self.selected_])

    def get_feature_names_out(self, input_features: Sequence[str] | None = None) -> NDArray[np.object_]:
        """Name the columns that are kept."""
        check_is_fitted(self)
        names = input_features if input_features is not None else [f"x{place}" for place in range(self.n_features_in_)]
        return np.asarray(names, dtype=object)[self.selected_]

    def resized(self, k: int) -> Self:
        """Keep another number of columns of the same ranking, without fitting again.

        Raises:
            SettingsError: if there are not so many.
        """
        check_is_fitted(self)
        require_size(type(self).__name__, k, self.n_features_in_)
        other = copy.copy(self)
        other.k = k
        return other


class TopImportance(RankedColumns):
    """The columns that a random forest relies on most.

    The importance is how much a column lowers the Gini impurity, on average over the trees; equal ones stand in the
    order of the matrix. It is measured on training rows and favours columns of many values.

    Args:
        k: number of columns to keep.
        trees: trees of the forest.
        seed: of the forest.
        threads: threads that fit trees; the result does not depend on it.

    Attributes:
        importances_: importance of each column, together 1 (d,).
        order_: columns from the best to the worst (d,).
        n_features_in_: d.

    Source:
        Breiman, Friedman, Olshen and Stone, "Classification and Regression Trees", 1984; Breiman, "Random Forests",
        Machine Learning 45 (2001); Strobl et al., BMC Bioinformatics 8:25 (2007), on columns of many values.
    """

    def __init__(self, k: int = 50, *, trees: int = TREES, seed: int = SEED, threads: int = 1) -> None:
        self.k = k
        self.trees = trees
        self.seed = seed
        self.threads = threads

    def fit(self, X: ArrayLike, y: Values) -> Self:
        """Rank the columns.

        Args:
            X: training rows (n, d): finite numbers.
            y: class of each row (n,).

        Raises:
            SettingsError: if there are not so many columns.
            SchemaError: if ``X`` is no matrix of numbers.
            DataError: if it holds NaN or infinity, or the labels do not fit.
        """
        matrix = self._learned(X, self.k)
        self.importances_ = importances(matrix, classes_of(y, len(matrix)), self.trees, self.seed, self.threads)
        self.order_ = best_first(self.importances_)
        return self


def importances(X: Floats, y: Ints, trees: int, seed: int, threads: int = 1) -> Floats:
    """Importance of each column for a random forest (d,), together 1 (all 0 where no column says anything)."""
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(trees, random_state=seed, n_jobs=threads).fit(X, y)
    return np.asarray(forest.feature_importances_, dtype=np.float64)


def best_first(worth: Floats) -> Ints:
    """Places from the largest value to the smallest; equal ones as they stand."""
    return np.argsort(-worth, kind="stable").astype(np.int64)


def overlap(first: Sequence[Any] | Ints, second: Sequence[Any] | Ints, k: int) -> float:
    """Share of the best ``k`` of one ranking that are among the best ``k`` of another; by chance it is k / d.

    Args:
        first: columns or their names, the best first.
        second: the same of the other ranking.
        k: how many of each are compared.

    Raises:
        SettingsError: if a ranking has not so many.
    """
    require_size("a comparison of rankings", k, min(len(first), len(second)))
    return len(set(list(first)[:k]) & set(list(second)[:k])) / k


def classes_of(y: Values, rows: int) -> Ints:
    """Number the classes (rows,).

    Raises:
        DataError: if there is not one label a row, or one class only.
    """
    series = as_series(y)
    if len(series) != rows or series.null_count():
        found = f"{len(series):,} labels, {series.null_count():,} missing"
        raise DataError(f"each of {rows:,} rows must have a label, found {found}: give one for each")
    if series.n_unique() < 2:
        raise DataError("columns are ranked by how they tell classes apart, found one class: give rows of two")
    return codes(series, rows)


def require_size(what: str, size: int, columns: int) -> None:
    """Check a number of columns.

    Raises:
        SettingsError: if it is no whole number from 1 to the number of columns.
    """
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or not 1 <= size <= columns:
        raise SettingsError(
            f"{what} can keep 1 to {columns} columns of {columns}, found {size!r}: choose such a number"
        )
