"""Classifiers of scikit-learn made fit for tables of any size and kind: learned rows bounded, numbers in bins."""

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.naive_bayes import BernoulliNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from utils.evaluation.inputs import Ints, Values, codes
from utils.settings import SEED


def sampled_rows(classes: Values, most: int, seed: int = SEED) -> Ints:
    """Draw rows, the same share of each class, but two of each at least.

    Args:
        classes: class of each row, of any type (n,).
        most: rows that are wanted; no more are drawn but where classes of two rows each are more than that.
        seed: seed of the draw.

    Returns:
        Rising row numbers; all of them where there are no more than wanted.
    """
    place = codes(classes, what="classes")
    if len(place) <= most:
        return np.arange(len(place))
    sizes = np.bincount(place)
    wanted = np.minimum(np.maximum(np.floor(sizes * most / len(place)).astype(np.int64), 2), sizes)
    largest = int(wanted.argmax())
    wanted[largest] = np.clip(wanted[largest] - (wanted.sum() - most), min(2, sizes[largest]), sizes[largest])
    order = np.random.default_rng(seed).permutation(len(place))
    order = order[np.argsort(place[order], kind="stable")]
    rank = np.arange(len(place)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.sort(order[rank < np.repeat(wanted, sizes)])


class BoundedNeighbours(KNeighborsClassifier):  # type: ignore[misc]
    """Nearest neighbours among at most :attr:`most_rows` rows, a sample with the classes' shares.

    Attributes:
        n_learned_: number of rows that were kept.
    """

    most_rows: ClassVar[int] = 8_000

    def fit(self, X: NDArray[Any], y: NDArray[Any]) -> Self:
        """Keep rows (n, d) and their classes (n,)."""
        kept = sampled_rows(y, self.most_rows)
        self.n_learned_ = len(kept)
        super().fit(np.asarray(X)[kept], np.asarray(y)[kept])
        return self


class BoundedVectors(SVC):  # type: ignore[misc]
    """A support vector machine that learns from at most :attr:`most_rows` rows, a sample with the classes' shares.

    Attributes:
        n_learned_: number of rows that were learned from.
    """

    most_rows: ClassVar[int] = 4_000

    def fit(self, X: NDArray[Any], y: NDArray[Any], sample_weight: Any = None) -> Self:  # noqa: ANN401 - weights
        """Learn from rows (n, d), their classes (n,) and weights (n,)."""
        kept = sampled_rows(y, self.most_rows)
        self.n_learned_ = len(kept)
        weight = None if sample_weight is None else np.asarray(sample_weight)[kept]
        super().fit(np.asarray(X)[kept], np.asarray(y)[kept], sample_weight=weight)
        return self


class BinnedBernoulli(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Bernoulli naive Bayes on bins: each column of shares in 0..1 becomes one truth value a bin of equal width.

    On ranks (``FlowFeatures(scale="quantile")``) the bins hold equally many rows. Columns that are 0 or 1 fill the
    first or the last bin.

    Args:
        bins: number of bins of a column.
        alpha: Laplace smoothing.
    """

    def __init__(self, bins: int = 10, *, alpha: float = 1.0) -> None:
        self.bins = bins
        self.alpha = alpha

    def fit(self, X: NDArray[Any], y: NDArray[Any], sample_weight: Any = None) -> Self:  # noqa: ANN401 - weights
        """Learn how often each bin is filled in each class; rows (n, d), classes (n,), weights (n,)."""
        model = BernoulliNB(alpha=self.alpha, binarize=None)
        self.model_ = model.fit(self._binned(X), y, sample_weight=sample_weight)
        self.classes_, self.n_features_in_ = model.classes_, np.asarray(X).shape[1]
        return self

    def predict_proba(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Probability of each class, shape (n, classes)."""
        return np.asarray(self.model_.predict_proba(self._binned(X)))

    def predict(self, X: NDArray[Any]) -> NDArray[Any]:
        """The most probable class of each row, shape (n,)."""
        return np.asarray(self.model_.predict(self._binned(X)))

    def _binned(self, X: NDArray[Any]) -> NDArray[np.bool_]:
        place = np.clip(np.floor(np.asarray(X) * self.bins), 0, self.bins - 1)
        return np.asarray(place[:, :, None] == np.arange(self.bins)).reshape(len(place), -1)
