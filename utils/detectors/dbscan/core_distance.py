"""Outliers by their distance to the dense part of training."""

import numpy as np

from utils.detectors.dbscan.distances import k_distances, root
from utils.detectors.dbscan.points import as_positive
from utils.detectors.dbscan.tree import Tree
from utils.detectors.outliers.base import OutlierDetector
from utils.errors import SettingsError
from utils.evaluation.inputs import Floats


class CoreDistance(OutlierDetector):
    """Distance to the nearest core point of DBSCAN, in multiples of eps; HIGHER = MORE ABNORMAL.

    Core points are the rows of training that have ``min_samples`` rows within eps, themselves included. Eps is the
    ``core_share`` quantile of the distances to the ``min_samples``-th neighbour: this share of training is core.

    Attributes:
        eps_: the radius.
        n_core_: distinct core points.

    Source:
        Ester, Kriegel, Sander and Xu, "A density-based algorithm for discovering clusters", KDD 1996 (core points);
        Ramaswamy, Rastogi and Shim, "Efficient algorithms for mining outliers", SIGMOD 2000 (distance as score).
    """

    def __init__(self, min_samples: int = 10, core_share: float = 0.99) -> None:
        """Choose what is dense.

        Args:
            min_samples: rows within eps that make a core point, itself included; fewer if training has fewer rows.
            core_share: share of the rows of training that are core points, above 0, at most 1. Measured on KDDTrain+
                alone (normals to learn from, held-out normals and attacks to tell apart): .99 is better than .8, .9
                and .95 with every ``min_samples`` from 2 to 30 (logarithm and standard scale).
        """
        self.min_samples = min_samples
        self.core_share = core_share

    def _check_parameters(self) -> None:
        self._require_whole("min_samples", self.min_samples)
        if not 0 < as_positive("core_share", self.core_share) <= 1:
            raise SettingsError(f"core_share must be above 0 and at most 1, found {self.core_share}: give a share")

    def _learn(self, values: Floats, counts: Floats) -> None:
        reach = k_distances(values, min(self.min_samples, counts.sum()), counts)
        self.eps_ = _radius(reach, counts, self.core_share)
        core = reach <= self.eps_
        self.n_core_ = int(core.sum())
        self._counts, self._tree = counts[core], Tree(values[core])

    def _score(self, values: Floats) -> Floats:
        return root(self._tree.nearest(values)[1]) / self.eps_

    def _score_of_training(self, values: Floats) -> Floats:
        """Distance to the nearest core row other than the row itself."""
        own = self._tree.nearest(values)[1] == 0
        scores = self._score(values)
        if own.any() and self._counts.sum() >= 2:
            scores[own] = root(self._tree.reach(values[own], self._counts, 2.0)) / self.eps_
        return scores

    def _attribute(self, values: Floats, scores: Floats) -> Floats:
        """Squared differences to the nearest core point: the score is the root of their sum."""
        nearest = self._tree.points[self._tree.place[self._tree.nearest(values)[0]]]
        parts: Floats = np.square(values - nearest)
        return parts


def _radius(reach: Floats, counts: Floats, share: float) -> float:
    """Quantile of the distances by rows; where that is 0, the smallest distance above, or 1 if there is none."""
    order = np.argsort(reach)
    reached = np.cumsum(counts[order])
    place = np.searchsorted(reached, share * reached[-1] * (1 - 1e-12))
    found = float(reach[order][min(place, len(order) - 1)])
    above = reach[reach > 0]
    return found or (float(above.min()) if above.size else 1.0)
