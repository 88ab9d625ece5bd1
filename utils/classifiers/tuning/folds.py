"""Folds whose features are computed once: every trial of every study with the same preprocessing shares them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import polars as pl
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from utils.classifiers.spaces import Space, Value
from utils.classifiers.tuning.targets import Target
from utils.evaluation.inputs import Ints
from utils.evaluation.scoring import Table
from utils.evaluation.splits import Split
from utils.features.flows import FlowFeatures

KEPT = 2
"""Preprocessings of which the matrices are kept; more would fill the memory."""


class Tunable(Protocol):
    """What can be tuned: an entry of the zoo, or anything with these."""

    @property
    def name(self) -> str:
        """How tables call it."""
        ...

    @property
    def features(self) -> Mapping[str, Any]:
        """Options of :class:`utils.features.flows.FlowFeatures`, its preprocessing."""
        ...

    @property
    def space(self) -> Space:
        """What its parameters may be."""
        ...

    @property
    def make(self) -> Any:  # noqa: ANN401 - a function of seed and threads, as a field or a method
        """Function of seed and threads that makes an unfitted classifier."""
        ...


@dataclass(frozen=True, eq=False)
class Part:
    """One fold as matrices.

    Attributes:
        learned: features of the training rows (rows, features).
        judged: features of the rows that are judged (rows, features).
        known: labels of the training rows.
        wanted: labels of the rows that are judged.
        rows: row numbers of the rows that are judged.
    """

    learned: NDArray[Any]
    judged: NDArray[Any]
    known: Target
    wanted: Target
    rows: Ints


class Folds:
    """Rows divided into folds, features computed when they are first asked for.

    Args:
        X: polars frame, or matrix of numbers (n rows).
        wanted: labels, groups and weights of the rows.
        splits: the folds.
        columns: columns of the frame to use; all of them if not given.
    """

    def __init__(self, X: Table, wanted: Target, splits: Sequence[Split], columns: Sequence[str] | None = None) -> None:
        self.X = X
        self.wanted = wanted
        self.splits = tuple(splits)
        self.columns = columns
        self._parts: dict[str, list[Part]] = {}

    def parts(self, features: Mapping[str, Any]) -> list[Part]:
        """The folds as matrices of one preprocessing, learned from each training part.

        Args:
            features: options of :class:`utils.features.flows.FlowFeatures`; without meaning for a matrix.
        """
        key = repr(sorted(features.items(), key=str))
        if key not in self._parts:
            while len(self._parts) >= KEPT:
                del self._parts[next(iter(self._parts))]
            self._parts[key] = [self._part(split, features) for split in self.splits]
        return self._parts[key]

    def _part(self, split: Split, features: Mapping[str, Any]) -> Part:
        known, wanted = self.wanted.take(split.train), self.wanted.take(split.test)
        if not isinstance(self.X, pl.DataFrame):
            return Part(self.X[split.train], self.X[split.test], known, wanted, split.test)
        learned = self.X[split.train]
        prepared = FlowFeatures(columns=self.columns, **features).fit(learned)
        return Part(prepared.transform(learned), prepared.transform(self.X[split.test]), known, wanted, split.test)


def classifier_of(choice: Tunable, parameters: Mapping[str, Value], seed: int, threads: int) -> BaseEstimator:
    """Make an unfitted classifier with some parameters set."""
    made = choice.make(seed, threads)
    return made.set_params(**parameters) if parameters else made


def pipeline_of(
    choice: Tunable,
    parameters: Mapping[str, Value],
    seed: int,
    threads: int = 1,
    columns: Sequence[str] | None = None,
) -> Pipeline:
    """Make an unfitted pipeline for frames: features, then the classifier with some parameters set."""
    features = FlowFeatures(columns=columns, **choice.features)
    return Pipeline([("features", features), ("classifier", classifier_of(choice, parameters, seed, threads))])


def fitted_to(model: BaseEstimator, X: Table, known: Target) -> BaseEstimator:
    """Fit a classifier, or a pipeline that ends in one, with weights where it takes them."""
    last, prefix = (model.steps[-1][1], f"{model.steps[-1][0]}__") if isinstance(model, Pipeline) else (model, "")
    if known.weight is None or not has_fit_parameter(last, "sample_weight"):
        return model.fit(X, known.y)
    return model.fit(X, known.y, **{f"{prefix}sample_weight": known.weight})
