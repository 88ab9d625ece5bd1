"""DBSCAN as an estimator that can serve: it clusters once and labels new rows."""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.exceptions import NotFittedError

from utils.detectors.dbscan.distances import root
from utils.detectors.dbscan.graph import NeighbourGraph
from utils.detectors.dbscan.points import as_bytes, as_positive, distinct
from utils.detectors.dbscan.tree import Tree
from utils.detectors.outliers.base import as_matrix
from utils.errors import DataError, SchemaError
from utils.evaluation.inputs import Floats, Ints, Values

NOISE = -1


class DBSCAN(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Density-based clusters of distinct points, with the labels of scikit-learn's DBSCAN.

    A point is a core point if the rows within ``eps`` of it, itself included, weigh ``min_samples`` or more. Core
    points within ``eps`` of each other are in one cluster; clusters are numbered in the order of their first core
    point. Another point within ``eps`` of a core point belongs to the first such cluster; what is left is noise, -1.

    A new row belongs to the cluster of its *nearest* core point if that is within ``eps``, else it is noise; of equally
    near core points the first one of training counts. So a row of training is labelled again as in training, except for
    border points between two clusters: in training the first cluster takes them, later the nearest.

    Attributes:
        labels_: cluster of each row of training, -1 for noise (n,).
        core_sample_indices_: rows of training that are core points.
        n_clusters_: number of clusters.
        distinct_: distinct points of training with weights.
        point_labels_: cluster of each distinct point (k,).
        core_: which distinct points are core points (k,).
        n_features_in_: columns of the matrix.

    Source:
        Ester, Kriegel, Sander and Xu, "A density-based algorithm for discovering clusters in large spatial databases
        with noise", KDD 1996; Schubert, Sander, Ester, Kriegel and Xu, "DBSCAN revisited, revisited", ACM TODS 2017.
    """

    def __init__(self, eps: float = 0.5, min_samples: float = 5, *, memory: str | float = "2 GB") -> None:
        """Choose the density of a cluster.

        Args:
            eps: largest distance of neighbours (Euclidean).
            min_samples: weight within ``eps`` that makes a core point, the point itself included.
            memory: most bytes for neighbours, or a text such as ``"2 GB"``.
        """
        self.eps = eps
        self.min_samples = min_samples
        self.memory = memory

    def fit(self, X: ArrayLike, y: object = None, sample_weight: Values | None = None) -> Self:
        """Cluster rows.

        Args:
            X: rows, shape (n, d): finite numbers.
            y: not used.
            sample_weight: rows that each row stands for, shape (n,); ``None`` for 1 each.

        Returns:
            The estimator itself.

        Raises:
            SettingsError: if a parameter is no positive number.
            SchemaError: if ``X`` is no matrix of numbers.
            DataError: if there is no row, one is not finite, weights do not fit, or memory does not suffice.
        """
        eps, least = as_positive("eps", self.eps), as_positive("min_samples", self.min_samples)
        as_bytes(self.memory)
        seen = distinct(X, sample_weight)
        if not seen.points.size:
            raise DataError(f"DBSCAN needs rows with a column, found the shape {np.shape(X)}: give some")
        graph = NeighbourGraph(seen.points, seen.weight, radius=eps, memory=self.memory)
        labels, core = graph.clusters([eps], least)
        self.distinct_, self.point_labels_, self.core_ = seen, labels[0], core[0]
        self.labels_ = self.point_labels_[seen.inverse]
        self.core_sample_indices_ = np.flatnonzero(self.core_[seen.inverse])
        self.n_clusters_ = int(self.point_labels_.max()) + 1
        self.n_features_in_ = seen.points.shape[1]
        self._cores = np.flatnonzero(self.core_)
        self._tree = Tree(seen.points[self._cores]) if self._cores.size else None
        return self

    def predict(self, X: ArrayLike) -> Ints:
        """Label new rows: cluster of the nearest core point if it is within ``eps``, else -1.

        Args:
            X: rows, shape (n, d); none at all is allowed.

        Returns:
            Labels (n,).

        Raises:
            NotFittedError: before :meth:`fit`.
            SchemaError: if ``X`` is no matrix of numbers or has another width than in training.
            DataError: if it holds NaN or infinity.
        """
        core, square = self._nearest(X)
        found = self.point_labels_[core].astype(np.int64)
        return np.where(square <= self.eps * self.eps, found, NOISE)

    def score_samples(self, X: ArrayLike) -> Floats:
        """Distance to the nearest core point, in multiples of ``eps``; HIGHER = MORE ABNORMAL.

        Args:
            X: rows, shape (n, d).

        Returns:
            Scores from 0 on, shape (n,); at most 1 where :meth:`predict` gives a cluster, infinite where training had
            no core point.

        Raises:
            NotFittedError: before :meth:`fit`.
            SchemaError: as :meth:`predict`.
            DataError: as :meth:`predict`.
        """
        scores: Floats = root(self._nearest(X)[1]) / self.eps
        return scores

    def _nearest(self, X: ArrayLike) -> tuple[Ints, Floats]:
        """Nearest core point of each row, and squared distance."""
        if not hasattr(self, "labels_"):
            raise NotFittedError("DBSCAN must be fitted before it labels new rows: call fit")
        rows = as_matrix(X, "DBSCAN")
        if rows.shape[1] != self.n_features_in_:
            expected = f"DBSCAN was fitted on {self.n_features_in_:,} columns"
            raise SchemaError(f"{expected}, found {rows.shape[1]:,}: give the features of training in their order")
        if self._tree is None:
            return np.zeros(len(rows), np.int64), np.full(len(rows), np.inf)
        found, square = self._tree.nearest(rows)
        return self._cores[found], square
