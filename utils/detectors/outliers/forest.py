"""Isolation forest."""

import numpy as np

from utils.detectors.outliers.base import OutlierDetector
from utils.detectors.outliers.points import drawn_rows
from utils.evaluation.inputs import Floats
from utils.settings import SEED


class IsolationForest(OutlierDetector):
    """How few random cuts set a row apart, from 0 to 1; HIGHER = MORE ABNORMAL.

    Weights count as repeated rows.

    Args:
        trees: number of trees.
        sample: rows that each tree is grown on; fewer where training has fewer.
        most_rows: most rows that the samples are drawn from; more are drawn from at random.
        seed: seed of the draws and cuts.

    Attributes:
        n_sample_: rows that each tree is grown on.

    Source:
        Liu, Ting, Zhou, "Isolation forest", ICDM 2008.
    """

    def __init__(self, trees: int = 100, *, sample: int = 8_192, most_rows: int = 200_000, seed: int = SEED) -> None:
        self.trees = trees
        self.sample = sample
        self.most_rows = most_rows
        self.seed = seed

    def _check_parameters(self) -> None:
        for name in ("trees", "sample", "most_rows"):
            self._require_whole(name, getattr(self, name))

    def _learn(self, values: Floats, counts: Floats) -> None:
        from sklearn.ensemble import IsolationForest as Forest

        rows = drawn_rows(values, counts, self.most_rows, self.seed)
        self.n_learned_ = len(rows)
        self.n_sample_ = min(self.sample, len(rows))
        self.forest_ = Forest(n_estimators=self.trees, max_samples=self.n_sample_, random_state=self.seed).fit(rows)

    def _score(self, values: Floats) -> Floats:
        return -np.asarray(self.forest_.score_samples(values))
