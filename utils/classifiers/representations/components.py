"""Directions of largest variance."""

import copy
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utils.classifiers.representations.importance import Narrowing, require_size
from utils.evaluation.inputs import Floats


class PrincipalComponents(Narrowing):
    """The directions of largest variance; labels are not looked at.

    All directions are found at once, so that :meth:`resized` costs nothing. The sign of a direction is such that its
    largest weight is positive.

    Args:
        size: number of directions.

    Attributes:
        mean_: of each column (d,).
        directions_: all directions, one a row, the one of largest variance first (d, d).
        explained_: share of the variance along each (d,).
        n_features_in_: d.

    Source:
        Pearson, "On lines and planes of closest fit to systems of points in space", Philosophical Magazine 1901.
    """

    def __init__(self, size: int = 50) -> None:
        self.size = size

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Find the directions.

        Args:
            X: training rows (n, d): finite numbers.
            y: not used.

        Raises:
            SettingsError: if there are not so many columns.
            SchemaError: if ``X`` is no matrix of numbers.
            DataError: if there is no row, or it holds NaN or infinity.
        """
        matrix = self._learned(X, self.size)
        self.mean_ = matrix.mean(axis=0)
        centred = matrix - self.mean_
        variances, vectors = np.linalg.eigh(centred.T @ centred / len(matrix))
        variances, vectors = np.maximum(variances[::-1], 0.0), vectors[:, ::-1]
        largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])]
        self.directions_ = np.ascontiguousarray((vectors * np.where(largest < 0, -1.0, 1.0)).T)
        self.explained_ = variances / max(float(variances.sum()), np.finfo(np.float64).tiny)
        return self

    def transform(self, X: ArrayLike) -> Floats:
        """Coordinates along the directions (n, size).

        Raises:
            SchemaError: if the matrix has another width than in training.
        """
        return np.asarray((self._matrix(X) - self.mean_) @ self.directions_[: self.size].T)

    def inverse_transform(self, Z: ArrayLike) -> Floats:
        """The rows that have these coordinates and nothing in all other directions (n, d)."""
        return np.asarray(np.asarray(Z, dtype=np.float64) @ self.directions_[: self.size] + self.mean_)

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """Name the directions."""
        return np.asarray([f"component {place + 1}" for place in range(self.size)], dtype=object)

    def resized(self, size: int) -> Self:
        """Keep another number of directions, without fitting again.

        Raises:
            SettingsError: if there are not so many.
        """
        require_size(type(self).__name__, size, self.n_features_in_)
        other = copy.copy(self)
        other.size = size
        return other
