"""XGBoost for classes of any type. Importing this module imports xgboost; :mod:`utils.classifiers.zoo` does so late."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from xgboost import XGBClassifier


class BoostedTrees(XGBClassifier):
    """``XGBClassifier`` that takes texts and truth values for classes, as the classifiers of scikit-learn do."""

    _names: NDArray[Any] | None = None

    @property
    def classes_(self) -> NDArray[Any]:
        """The classes, sorted (c,); their numbers while the parent learns."""
        return np.arange(self.n_classes_) if self._names is None else self._names

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **arguments: Any) -> Self:  # noqa: ANN401 - as the parent
        """Learn from rows (n, d), their classes (n,) and weights (n,)."""
        self._names = None
        names, codes = np.unique(np.asarray(y), return_inverse=True)
        super().fit(X, codes, sample_weight=sample_weight, **arguments)
        self._names = names
        return self

    def predict(self, X: Any, **arguments: Any) -> NDArray[Any]:  # noqa: ANN401 - as the parent takes them
        """The most probable class of each row (n,)."""
        return np.asarray(self.classes_[np.asarray(super().predict(X, **arguments)).astype(np.int64)])
