"""Tail probabilities of each feature."""

from typing import Literal, get_args

import numpy as np

from utils.detectors.outliers.base import OutlierDetector
from utils.errors import SettingsError
from utils.evaluation.inputs import Floats

Tails = Literal["largest", "skewness", "both"]


class TailProbability(OutlierDetector):
    """Sum over the features of how rare so small or so large a value is in training; HIGHER = MORE ABNORMAL.

    Each feature gives -ln of the share of training rows that are as far out, in its lower and in its upper tail (the
    row itself counted in, so that no share is 0). Three sums are made: of all lower tails, of all upper tails, and of
    the tail that the skewness of each feature points to (lower where it is negative). Beyond the last value of training
    ln(1 + excess / range) is added, so that far and farther are told apart.

    The tails come from TRAINING rows only. PyOD's ECOD computes them on training and scored rows together, so that a
    score there depends on the batch. Contributions are exact. Weights count as repeated rows.

    Args:
        tails: ``"both"`` takes the sum of the larger tail of each feature, as PyOD does; ``"largest"`` the largest of
            the three sums, as the paper does, which can leave out the very tail that is odd; ``"skewness"`` the third.

    Attributes:
        skewed_left_: whether the skewness of a feature is negative, shape (d,).

    Source:
        Li, Zhao, Hu, Botta, Ionescu, Chen, "ECOD: unsupervised outlier detection using empirical cumulative
        distribution functions", IEEE TKDE 35 (2022).
    """

    def __init__(self, tails: Tails = "both") -> None:
        self.tails = tails

    def _check_parameters(self) -> None:
        if self.tails not in get_args(Tails):
            wanted = f"tails of {self._what} must be one of {', '.join(get_args(Tails))}"
            raise SettingsError(f"{wanted}, found {self.tails!r}: choose one of them")

    def _learn(self, values: Floats, counts: Floats) -> None:
        order = np.argsort(values, axis=0, kind="stable")
        self.sorted_ = np.asfortranarray(np.take_along_axis(values, order, axis=0))
        reached = np.cumsum(counts[order], axis=0)
        self.reached_ = np.asfortranarray(np.vstack([np.zeros(values.shape[1]), reached]))
        centred = values - np.average(values, axis=0, weights=counts)
        largest = np.abs(centred).max(axis=0)
        unit = centred / np.where(largest > 0, largest, 1.0)
        self.skewed_left_ = np.average(unit**3, axis=0, weights=counts) < 0
        spread = self.sorted_[-1] - self.sorted_[0]
        self.range_ = np.where(spread > 0, spread, 1.0)

    def _score(self, values: Floats) -> Floats:
        return np.asarray(self._parts(values).sum(axis=1))

    def _attribute(self, values: Floats, scores: Floats) -> Floats:
        return self._parts(values)

    def _parts(self, values: Floats) -> Floats:
        """What each feature adds to the score, shape (k, d)."""
        lower, upper = self._rarities(values)
        if self.tails == "both":
            return np.maximum(lower, upper)
        skewed = np.where(self.skewed_left_, lower, upper)
        if self.tails == "skewness":
            return skewed
        sums = np.stack([part.sum(axis=1) for part in (lower, upper, skewed)])
        place = sums.argmax(axis=0)[:, None]
        return np.where(place == 0, lower, np.where(place == 1, upper, skewed))

    def _rarities(self, values: Floats) -> tuple[Floats, Floats]:
        """-ln of the share of training that is as small, and as large, with what lies beyond training; (k, d) each."""
        lower, upper = np.empty(values.shape), np.empty(values.shape)
        total = self.reached_[-1, 0]
        for place in range(values.shape[1]):
            known, reached, asked = self.sorted_[:, place], self.reached_[:, place], values[:, place]
            lower[:, place] = reached[np.searchsorted(known, asked, side="right")]
            upper[:, place] = total - reached[np.searchsorted(known, asked, side="left")]
        beyond = [self.sorted_[0] - values, values - self.sorted_[-1]]
        for count, excess in zip((lower, upper), beyond, strict=True):
            rarity = np.log1p(total) - np.log1p(np.maximum(count, 0.0))
            count[:] = np.maximum(rarity, 0.0) + np.log1p(np.maximum(excess, 0.0) / self.range_)
        return lower, upper
