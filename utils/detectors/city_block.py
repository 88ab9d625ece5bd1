"""A detector by the sum of absolute differences to the nearest normal row."""

from collections.abc import Iterator

import numpy as np

from utils.detectors.outliers.base import OutlierDetector
from utils.detectors.outliers.points import Places, kept_places
from utils.evaluation.inputs import Floats
from utils.settings import SEED

CELLS = 1 << 20
"""Distances that are held at a time: eight megabytes."""


class CityBlockNeighbours(OutlierDetector):
    """City-block distance to the nearest distinct point of training; HIGHER = MORE ABNORMAL.

    Differences count as they are and not by their squares: many small ones weigh as much as a large one, and one wild
    value cannot outweigh all others. Duplicates count once, so weights do no more than leave out rows of weight 0. A
    row of training has the distance 0. Contributions are exact: absolute differences to the nearest point.

    Args:
        most_points: most points that are kept, drawn among the distinct ones; ``None`` for all.
        seed: seed of that draw.

    Attributes:
        points_: the points that are kept, shape (n_learned_, d).

    Source:
        Aggarwal, Hinneburg and Keim, "On the surprising behavior of distance metrics in high dimensional space", ICDT
        2001.
    """

    def __init__(self, *, most_points: int | None = 5_000, seed: int = SEED) -> None:
        self.most_points = most_points
        self.seed = seed

    def _check_parameters(self) -> None:
        if self.most_points is not None:
            self._require_whole("most_points", self.most_points)

    def _learn(self, values: Floats, counts: Floats) -> None:
        self.points_ = values[kept_places(len(values), self.most_points, self.seed)]
        self.n_learned_ = len(self.points_)

    def _score(self, values: Floats) -> Floats:
        return np.concatenate([apart.min(axis=1) for apart in self._distances(values)])

    def _score_of_training(self, values: Floats) -> Floats:
        """Distance to the nearest point that is another one; 0 where there is none."""
        if self.n_learned_ == 1:
            return self._score(values)
        found = [np.where(apart > 0, apart, np.inf).min(axis=1) for apart in self._distances(values)]
        return np.concatenate(found)

    def _attribute(self, values: Floats, scores: Floats) -> Floats:
        nearest: Places = np.concatenate([apart.argmin(axis=1) for apart in self._distances(values)])
        return np.asarray(np.abs(values - self.points_[nearest]))

    def _distances(self, values: Floats) -> Iterator[Floats]:
        """Distances of some rows after the other to all points, shape (some, n_learned_)."""
        from scipy.spatial.distance import cdist

        step = max(1, CELLS // self.n_learned_)
        for start in range(0, len(values), step):
            yield cdist(values[start : start + step], self.points_, "cityblock")
