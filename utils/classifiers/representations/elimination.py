"""Columns chosen by leaving out the least important ones, again and again."""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from utils.classifiers.representations.importance import RankedColumns, best_first, classes_of, importances
from utils.detectors.outliers.points import kept_places
from utils.errors import SettingsError
from utils.evaluation.inputs import Floats, Ints, Values
from utils.settings import SEED


class RecursiveElimination(RankedColumns):
    """The columns that are left when a forest is fitted again and again and its least important columns leave.

    Unlike a single ranking it sees what a column is worth after those that say the same have gone: of two equal columns
    one leaves, and the other then earns what both had shared. Columns that left together stand in the order of their
    importance in that round, so that :meth:`resized` can keep more of them.

    Args:
        k: number of columns that are left.
        step: columns that leave in one round: a whole number, or a share of those still there (at least one leaves).
        trees: trees of each forest.
        most_rows: most rows that the forests learn from; of more, so many are drawn. ``None`` for all.
        seed: of the forests and the draw.
        threads: threads that fit trees; the result does not depend on it.

    Attributes:
        order_: columns from the best to the worst: those that are left, then those that left last (d,).
        rounds_: forests that were fitted.
        n_features_in_: d.

    Source:
        Guyon, Weston, Barnhill and Vapnik, "Gene selection for cancer classification using support vector machines",
        Machine Learning 46 (2002), with a forest in place of the linear machine.
    """

    def __init__(
        self,
        k: int = 50,
        *,
        step: float = 0.1,
        trees: int = 50,
        most_rows: int | None = 10_000,
        seed: int = SEED,
        threads: int = 1,
    ) -> None:
        self.k = k
        self.step = step
        self.trees = trees
        self.most_rows = most_rows
        self.seed = seed
        self.threads = threads

    def fit(self, X: ArrayLike, y: Values) -> Self:
        """Leave columns out until ``k`` are left.

        Args:
            X: training rows (n, d): finite numbers.
            y: class of each row (n,).

        Raises:
            SettingsError: if there are not so many columns, or the step is none.
            SchemaError: if ``X`` is no matrix of numbers.
            DataError: if it holds NaN or infinity, or the labels do not fit.
        """
        matrix = self._learned(X, self.k)
        self._require_step()
        classes = classes_of(y, len(matrix))
        rows = kept_places(len(matrix), self.most_rows, self.seed)
        self.order_ = self._eliminate(matrix[rows], classes[rows])
        return self

    def resized(self, k: int) -> Self:
        """Keep another number of columns, not fewer than were left, without fitting again.

        Raises:
            SettingsError: if it is fewer than were left, or more than there are.
        """
        if k < self.k:
            raise SettingsError(f"elimination went down to {self.k} columns, found a wish for {k}: fit with k={k}")
        return super().resized(k)

    def _require_step(self) -> None:
        whole = float(self.step).is_integer() and self.step >= 1
        if not (whole or 0 < self.step < 1):
            wanted = "step must be a whole number from 1 on or a share between 0 and 1"
            raise SettingsError(f"{wanted}, found {self.step!r}: choose one")

    def _eliminate(self, X: Floats, y: Ints) -> Ints:
        """Rank the columns, the survivors first."""
        left = np.arange(X.shape[1])
        gone: list[Ints] = []
        self.rounds_ = 0
        while True:
            ranked = left[best_first(importances(X[:, left], y, self.trees, self.seed, self.threads))]
            self.rounds_ += 1
            if len(left) == self.k:
                return np.concatenate([ranked, *gone[::-1]])
            stay = max(self.k, len(left) - self._leaving(len(left)))
            gone.append(ranked[stay:])
            left = np.sort(ranked[:stay])

    def _leaving(self, left: int) -> int:
        return int(self.step) if self.step >= 1 else max(1, int(self.step * left))
