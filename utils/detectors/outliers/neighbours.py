"""Detectors by distance to the points of training: nearest neighbours and local outlier factor."""

import numpy as np
from numpy.typing import ArrayLike

from utils.detectors.outliers.base import CELLS, OutlierDetector
from utils.detectors.outliers.points import Places, kept_places
from utils.evaluation.inputs import Floats
from utils.settings import SEED

SPARE = 2
"""Candidates that are compared beside those that are asked for."""


class NearestNeighbours(OutlierDetector):
    """Distance to the k-th nearest distinct point of training; HIGHER = MORE ABNORMAL.

    A row that is in training has the distance 0 to itself, and that is its score: nothing is more usual. For scores of
    training rows that can be compared with those of new ones, see :meth:`leave_one_out_scores`. Duplicates count once,
    so weights do no more than leave out the rows of weight 0.

    Its contributions are exact: squared differences to the k-th neighbour.

    Args:
        neighbours: which neighbour the distance is taken to; fewer where training has fewer distinct points.
        most_points: most points that are kept, drawn among the distinct ones; ``None`` for all.
        seed: seed of that draw.

    Attributes:
        points_: the points that are kept, shape (n_learned_, d).
        n_neighbours_: the neighbour that is used.

    Source:
        Ramaswamy, Rastogi, Shim, "Efficient algorithms for mining outliers from large data sets", SIGMOD 2000.
    """

    def __init__(self, neighbours: int = 1, *, most_points: int | None = 15_000, seed: int = SEED) -> None:
        self.neighbours = neighbours
        self.most_points = most_points
        self.seed = seed

    def leave_one_out_scores(self, X: ArrayLike) -> Floats:
        """Score rows against all points of training but those equal to them; HIGHER = MORE ABNORMAL.

        For rows of training this is what :meth:`score_samples` would say had they not been seen; for others both agree.

        Args:
            X: rows, shape (n, d).

        Returns:
            Scores, float64, shape (n,). Where no other point is left, the score is 0.

        Raises:
            NotFittedError: before ``fit``.
            SchemaError: if ``X`` is no matrix of numbers of the width of training.
            DataError: if it holds NaN or infinity.
        """
        points = self._points(X)
        if not len(points):
            return np.zeros(0)
        return self._score_of_training(points.values)[points.inverse]

    def _check_parameters(self) -> None:
        self._require_whole("neighbours", self.neighbours)
        if self.most_points is not None:
            self._require_whole("most_points", self.most_points)

    def _learn(self, values: Floats, counts: Floats) -> None:
        from sklearn.neighbors import NearestNeighbors

        self.points_ = values[kept_places(len(values), self.most_points, self.seed)]
        self.n_learned_ = len(self.points_)
        self.n_neighbours_ = min(self.neighbours, self.n_learned_)
        self.centre_ = np.median(self.points_, axis=0)
        self.search_ = NearestNeighbors(algorithm="brute").fit(self.points_ - self.centre_)

    def _score(self, values: Floats) -> Floats:
        return self._nearest(values, self.n_neighbours_)[0][:, -1]

    def _score_of_training(self, values: Floats) -> Floats:
        """Score with one neighbour more where the first is the point itself."""
        distances, _ = self._nearest(values, min(self.n_neighbours_ + 1, self.n_learned_))
        known = distances[:, 0] == 0
        if distances.shape[1] == 1:
            return np.asarray(distances[:, 0])
        place = np.where(known, distances.shape[1] - 1, self.n_neighbours_ - 1)
        return np.asarray(distances[np.arange(len(values)), place])

    def _attribute(self, values: Floats, scores: Floats) -> Floats:
        _, places = self._nearest(values, self.n_neighbours_)
        return np.asarray((values - self.points_[places[:, -1]]) ** 2)

    def _nearest(self, values: Floats, most: int) -> tuple[Floats, Places]:
        """Distances to the nearest points, rising, and their places; shape (k, most) each.

        The search compares by products of matrices, which are inexact to half of the digits; the candidates that it
        finds, some more than needed, are compared again by differences.
        """
        candidates = min(most + SPARE, self.n_learned_)
        distances, places = np.empty((len(values), most)), np.empty((len(values), most), np.intp)
        step = max(1, CELLS // (candidates * values.shape[1]))
        for start in range(0, len(values), step):
            block = slice(start, start + step)
            found = self.search_.kneighbors(values[block] - self.centre_, candidates, return_distance=False)
            apart = np.linalg.norm(values[block, None, :] - self.points_[found], axis=2)
            order = np.argsort(apart, axis=1, kind="stable")[:, :most]
            distances[block] = np.take_along_axis(apart, order, axis=1)
            places[block] = np.take_along_axis(found, order, axis=1)
        return distances, places


class LocalOutlierFactor(OutlierDetector):
    """How much sparser the surroundings of a row are than those of its neighbours in training; HIGHER = MORE ABNORMAL.

    About 1 for a row among its like. New rows are compared with the points of training (novelty), never with each
    other. Duplicates count once, as repeated points have no density; weights leave out the rows of weight 0.

    Args:
        neighbours: how many neighbours make the surroundings; fewer where training has fewer distinct points.
        most_points: most points that are kept, drawn among the distinct ones; ``None`` for all.
        seed: seed of that draw.

    Attributes:
        n_neighbours_: how many neighbours are used.

    Source:
        Breunig, Kriegel, Ng, Sander, "LOF: identifying density-based local outliers", SIGMOD 2000.
    """

    def __init__(self, neighbours: int = 10, *, most_points: int | None = 10_000, seed: int = SEED) -> None:
        self.neighbours = neighbours
        self.most_points = most_points
        self.seed = seed

    def _check_parameters(self) -> None:
        self._require_whole("neighbours", self.neighbours)
        if self.most_points is not None:
            self._require_whole("most_points", self.most_points)

    def _learn(self, values: Floats, counts: Floats) -> None:
        from sklearn.neighbors import LocalOutlierFactor as Factor

        kept = values[kept_places(len(values), self.most_points, self.seed)]
        self.n_learned_ = len(kept)
        self.n_neighbours_ = min(self.neighbours, max(1, len(kept) - 1))
        # A single point has no neighbour: written twice it has one, and the factor grows with the distance to it.
        known = kept if len(kept) > 1 else np.repeat(kept, 2, axis=0)
        self.factor_ = Factor(n_neighbors=self.n_neighbours_, novelty=True, algorithm="brute").fit(known)

    def _score(self, values: Floats) -> Floats:
        return -np.asarray(self.factor_.score_samples(values))
