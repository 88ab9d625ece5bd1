"""A vote of classifiers that lifts rare classes: for a mean over classes, and not over rows."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import VotingClassifier

from utils.evaluation.inputs import Floats


class LiftedVote(VotingClassifier):  # type: ignore[misc]
    """Mean of the members' probabilities, each class divided by its share of the training rows to the power ``lift``.

    The most likely class makes fewest errors over rows, and of ten rows among thirty thousand it hardly ever is one.
    The mean F1 over classes gives them the same weight as all others. Dividing by the whole share (``lift=1``) would be
    the best decision for the mean recall of classes; F1 counts false alarms, too, and wants less.

    Source:
        Menon, Jayasumana, Rawat, Jain, Veit and Kumar, "Long-tail learning via logit adjustment", ICLR 2021.

    Args:
        estimators: names and classifiers with ``predict_proba``.
        lift: power, 0 for a plain vote.

    Attributes:
        shares_: share of each class in training (c,).
    """

    def __init__(self, estimators: list[tuple[str, Any]], *, lift: float = 0.2) -> None:
        super().__init__(estimators, voting="soft")
        self.lift = lift

    def fit(self, X: NDArray[Any], y: NDArray[Any], **arguments: Any) -> Self:  # noqa: ANN401 - weights of rows
        """Learn from rows (n, d) and their classes (n,); ``sample_weight`` (n,) goes to all members."""
        super().fit(X, y, **arguments)
        weight = arguments.get("sample_weight")
        counts = np.bincount(self.le_.transform(np.asarray(y)), weight, minlength=len(self.classes_))
        self.shares_ = counts / counts.sum()
        return self

    def predict_proba(self, X: NDArray[Any]) -> Floats:
        """Lifted probabilities, which sum to 1 (n, c)."""
        lifted = super().predict_proba(X) / self.shares_**self.lift
        return np.asarray(lifted / lifted.sum(axis=1, keepdims=True))
