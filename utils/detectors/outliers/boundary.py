"""One-class support vector machine."""

import numpy as np

from utils.detectors.outliers.base import CELLS, OutlierDetector
from utils.detectors.outliers.points import kept_places
from utils.errors import SettingsError
from utils.evaluation.inputs import Floats
from utils.settings import SEED


class OneClassSVM(OutlierDetector):
    """Distance from the region of the training rows in the space of a Gaussian kernel; HIGHER = MORE ABNORMAL.

    The score is the negative logarithm of the kernel sum over the support vectors, divided by the sum of their
    coefficients. It ranks rows as the decision function of the machine does, but goes on rising where that one stands
    still because all kernels are 0 to the last digit. 0 or more; ``boundary_`` on the boundary of the region.

    Weights scale the penalty of each distinct point, which is the same as repeated rows.

    Args:
        nu: share of the training rows that may be outside the region, above 0 and below 1.
        narrowness: how narrow the kernel exp(-gamma distance**2) is: gamma in multiples of 1 / (columns x variance of
            all numbers). 1 is what scikit-learn takes; it draws one smooth region around everything.
        most_points: most points that are kept, drawn among the distinct ones; ``None`` for all (time grows with the
            square).
        seed: seed of that draw.

    Attributes:
        gamma_: the width that is used.
        support_: support vectors, shape (s, d).
        coefficients_: their positive coefficients, adding up to 1, shape (s,).
        boundary_: score on the boundary of the region.

    Source:
        Scholkopf, Platt, Shawe-Taylor, Smola, Williamson, "Estimating the support of a high-dimensional distribution",
        Neural Computation 13 (2001).
    """

    def __init__(
        self,
        nu: float = 0.05,
        *,
        narrowness: float = 16.0,
        most_points: int | None = 5_000,
        seed: int = SEED,
    ) -> None:
        self.nu = nu
        self.narrowness = narrowness
        self.most_points = most_points
        self.seed = seed

    def _check_parameters(self) -> None:
        if not 0 < self.nu < 1:
            raise SettingsError(f"nu of {self._what} must be above 0 and below 1, found {self.nu!r}: choose a share")
        if not 0 < self.narrowness < np.inf:
            wanted = f"narrowness of {self._what} must be above 0"
            raise SettingsError(f"{wanted}, found {self.narrowness!r}: choose such a number")
        if self.most_points is not None:
            self._require_whole("most_points", self.most_points)

    def _learn(self, values: Floats, counts: Floats) -> None:
        from sklearn.svm import OneClassSVM as Machine

        kept = kept_places(len(values), self.most_points, self.seed)
        self.n_learned_ = len(kept)
        points, weight = values[kept], counts[kept] / counts[kept].mean()
        variance = float(points.var())
        self.gamma_ = self.narrowness / (points.shape[1] * (variance if variance > 0 else 1.0))
        machine = Machine(nu=self.nu, gamma=self.gamma_).fit(points, sample_weight=weight)
        total = float(machine.dual_coef_.sum())
        self.support_ = np.asarray(machine.support_vectors_)
        self.coefficients_ = np.asarray(machine.dual_coef_[0] / total)
        self.boundary_ = float(-np.log(max(machine.offset_[0] / total, np.finfo(float).tiny)))

    def _score(self, values: Floats) -> Floats:
        from scipy.special import logsumexp
        from sklearn.metrics.pairwise import euclidean_distances

        logs = np.log(self.coefficients_)
        scores = np.empty(len(values))
        step = max(1, CELLS // len(logs))
        for start in range(0, len(values), step):
            block = slice(start, start + step)
            squares = euclidean_distances(values[block], self.support_, squared=True)
            scores[block] = -logsumexp(logs - self.gamma_ * squares, axis=1)
        return scores
