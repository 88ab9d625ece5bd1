"""Scores of rows by models that have not seen them: what thresholds are honestly chosen on."""

import inspect
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline

from utils.errors import DataError
from utils.evaluation.inputs import Bools, Floats, Ints, Values, Weights, as_labels, as_scores, as_weights
from utils.evaluation.splits import Split, k_fold
from utils.settings import SEED

Table = pl.DataFrame | NDArray[Any]


def out_of_fold(
    estimator: BaseEstimator,
    X: Table,
    y: Values | None = None,
    folds: int | Iterable[Split | tuple[Any, Any]] = 5,
    *,
    groups: Values | None = None,
    weight: Values | None = None,
    only_normals: bool = False,
    seed: int = SEED,
) -> Floats:
    """Score every row by a model that has not seen it, so that a threshold can be chosen on training rows honestly.

    Args:
        estimator: anything that :func:`abnormality` can score; it is cloned, never fitted itself.
        X: polars frame or array of n rows.
        y: true for an anomaly, length n.
        folds: number of random folds (:func:`~utils.evaluation.splits.k_fold`, stratified by ``y``), or the folds
            themselves, as splits or pairs of row numbers (train, test); each row must stand in exactly one test part.
        groups: group of each row, length n; no group stands in two random folds.
        weight: how many rows each row stands for, handed to ``fit`` as ``weight`` or ``sample_weight``.
        only_normals: fit on the normal rows of each training part only, as novelty detectors want it.
        seed: seed of random folds.

    Returns:
        Scores, higher is more abnormal, length n.

    Raises:
        DataError: if a row stands in no or several test parts, or the estimator cannot score.
    """
    n = len(X)
    labels = None if y is None else as_labels(y, n)
    mass = as_weights(weight, n)
    if only_normals and labels is None:
        raise DataError("fitting on normals only needs labels, found none: give y")
    scores, times = np.full(n, np.nan), np.zeros(n, dtype=np.int64)
    for train, test in _parts(folds, n, labels, groups, seed):
        rows = train[~labels[train]] if only_normals and labels is not None else train
        model = _fitted(clone(estimator), _rows(X, rows), None if labels is None else labels[rows], mass, rows)
        scores[test] = abnormality(model, _rows(X, test))
        np.add.at(times, test, 1)
    if (times != 1).any():
        wrong = int((times != 1).sum())
        raise DataError(f"each row must stand in exactly one test part, found {wrong:,} rows that do not: split again")
    return scores


def abnormality(estimator: BaseEstimator, X: Table) -> Floats:
    """Score rows with any fitted estimator; higher is more abnormal.

    ``score_samples`` comes first, then ``decision_function``, then the probability of the second of two classes. The
    detectors of scikit-learn itself score the other way round (higher is more normal), so their sign is turned.

    Args:
        estimator: a fitted detector, classifier or pipeline.
        X: polars frame or array of n rows.

    Returns:
        Scores, length n.

    Raises:
        DataError: if the estimator can do none of the three, does not have two classes, or gives NaN.
    """
    if hasattr(estimator, "score_samples"):
        scores = np.asarray(estimator.score_samples(X), dtype=np.float64)
        return as_scores(-scores if _of_scikit_learn(estimator) else scores, len(X))
    if hasattr(estimator, "decision_function"):
        return as_scores(estimator.decision_function(X), len(X))
    if hasattr(estimator, "predict_proba"):
        return as_scores(_second_class(np.asarray(estimator.predict_proba(X))), len(X))
    name = type(estimator).__name__
    raise DataError(f"a scoring estimator needs score_samples, decision_function or predict_proba, {name} has none")


def _rows(X: Table, rows: Ints) -> Table:
    return X[rows]


def _parts(
    folds: int | Iterable[Split | tuple[Any, Any]], n: int, labels: Bools | None, groups: Values | None, seed: int
) -> Iterator[tuple[Ints, Ints]]:
    if isinstance(folds, int | np.integer):
        folds = k_fold(np.zeros(n, dtype=bool) if labels is None else labels, int(folds), seed, groups)
    for fold in folds:
        train, test = (fold.train, fold.test) if isinstance(fold, Split) else fold
        yield np.asarray(train, dtype=np.int64), np.asarray(test, dtype=np.int64)


def _fitted(model: BaseEstimator, X: Table, y: Bools | None, weight: Weights | None, rows: Ints) -> BaseEstimator:
    arguments: dict[str, Any] = {}
    if weight is not None:
        accepted = inspect.signature(model.fit).parameters
        name = next((name for name in ("weight", "sample_weight") if name in accepted), None)
        if name is None:
            raise DataError(f"{type(model).__name__} must take weights in fit, but it does not: leave weight out")
        arguments[name] = weight[rows]
    return model.fit(X, y, **arguments) if y is not None else model.fit(X, **arguments)


def _of_scikit_learn(estimator: BaseEstimator) -> bool:
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    return type(last).__module__.startswith("sklearn.")


def _second_class(probabilities: NDArray[Any]) -> NDArray[Any]:
    if probabilities.ndim != 2 or probabilities.shape[1] != 2:
        found = probabilities.shape
        raise DataError(f"probabilities of two classes are needed, found the shape {found}: train on both classes")
    return probabilities[:, 1]
