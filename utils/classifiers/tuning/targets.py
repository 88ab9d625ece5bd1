"""What is to be told apart, and how well a fitted classifier tells it: verdicts, or names of several classes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from utils.errors import DataError, SettingsError
from utils.evaluation import counting, inputs, splits
from utils.evaluation.inputs import Bools, Floats, Ints, Values, Weights
from utils.evaluation.scoring import Table, abnormality
from utils.evaluation.splits import Split

Labels = NDArray[Any]
OF_CLASSES = ("macro_f1", "weighted_f1", "accuracy", "balanced_accuracy")
"""Metrics of decisions between several classes; higher is better."""


@dataclass(frozen=True, eq=False)
class Target:
    """What a classifier learns to tell.

    Attributes:
        y: verdicts (Boolean), or the class of each row as text (rows,).
        binary: whether they are verdicts.
        groups: group of each row, never on both sides (rows,); ``None`` where rows are independent.
        weight: how many rows each row stands for, or how much it counts (rows,).
    """

    y: Labels
    binary: bool
    groups: Ints | None = None
    weight: Weights | None = None

    def take(self, rows: Ints) -> "Target":
        """The same for some of the rows."""
        groups = None if self.groups is None else self.groups[rows]
        return Target(self.y[rows], self.binary, groups, None if self.weight is None else self.weight[rows])


def target(y: Values, groups: Values | None = None, weight: Values | None = None, *, rows: int | None = None) -> Target:
    """Check labels, groups and weights.

    Args:
        y: verdicts (Boolean, or 0 and 1), or names of classes (rows,).
        groups: group of each row (rows,).
        weight: counts or importances (rows,).
        rows: number of rows that must have a label; as many as there are labels if not given.

    Raises:
        DataError: if a label is missing, there is only one class, or lengths differ.
    """
    series = inputs.as_series(y)
    if rows is not None and len(series) != rows:
        raise DataError(f"each of {rows:,} rows must have a label, found {len(series):,}: take the same rows")
    if missing := series.null_count():
        raise DataError(f"labels must be known in every row, found {missing:,} missing: leave those rows out")
    numbers = set(series.unique().to_list()) if series.dtype.is_numeric() else {None}
    binary = series.dtype == pl.Boolean or numbers <= {0, 1}
    labels = inputs.as_labels(series) if binary else inputs.as_names(series, len(series), "classes").to_numpy()
    if len(np.unique(labels)) < 2:
        raise DataError(f"a classifier needs rows of two classes, found {len(np.unique(labels))}: add rows of another")
    named = None if groups is None else inputs.codes(groups, len(series))
    return Target(labels, binary, named, inputs.as_weights(weight, len(series)))


def folds_of(wanted: Target, folds: int, seed: int) -> tuple[list[Split], tuple[str, ...]]:
    """Divide rows into folds, fewer than asked for where classes or groups are too few.

    Rows of classes that are too rare for two folds are always learned from and never judged by.

    Args:
        wanted: labels and groups.
        folds: number of folds.
        seed: seed of the draw.

    Returns:
        The folds, and a sentence for each departure from what was asked for.

    Raises:
        DataError: if not even two folds can be made.
    """
    rare = np.zeros(wanted.y.size, dtype=np.bool_) if wanted.binary else np.isin(wanted.y, _rare(wanted, folds))
    part = wanted.take(np.flatnonzero(~rare))
    made, last = None, None
    for number in range(folds, 1, -1):
        try:
            made = splits.k_fold(part.y, number, seed, part.groups)
            break
        except DataError as error:
            last = error
    if made is None:
        raise last or DataError(f"cross-validation needs at least 2 folds, found {folds}: give a larger number")
    return _learned_from_too(rare, made), _departures(len(made), folds, int(rare.sum()))


def repeats_of(wanted: Target, repeats: int, test_share: float, seed: int) -> tuple[list[Split], tuple[str, ...]]:
    """Divide rows again and again; rows of classes with a single row (or group) are always learned from.

    Args:
        wanted: labels and groups.
        repeats: number of splits.
        test_share: share of the rows that go to each test part.
        seed: seed of the draws.

    Returns:
        The splits, and a sentence for each departure from what was asked for.

    Raises:
        DataError: if the rows cannot be divided.
    """
    rare = np.zeros(wanted.y.size, dtype=np.bool_) if wanted.binary else np.isin(wanted.y, _rare(wanted, 2))
    part = wanted.take(np.flatnonzero(~rare))
    made = splits.repeated(part.y, test_share, repeats, seed, part.groups)
    alone = f"{int(rare.sum()):,} rows of classes with a single row or group are learned from, never judged by"
    return _learned_from_too(rare, made), (alone,) if rare.any() else ()


def metric_of(wanted: Target, metric: str | None) -> str:
    """The metric to tune by: average precision of verdicts, macro F1 of classes where none is named.

    Raises:
        SettingsError: if it does not fit what is told apart.
    """
    if metric is None:
        return "average_precision" if wanted.binary else "macro_f1"
    if not wanted.binary and metric not in OF_CLASSES:
        raise SettingsError(f"several classes are judged by {', '.join(OF_CLASSES)}, found {metric!r}: choose one")
    if wanted.binary:
        try:
            counting.is_ranking(metric)
        except DataError as error:
            raise SettingsError(str(error)) from None
    return metric


def judged(model: BaseEstimator, X: Table, wanted: Target, metric: str) -> tuple[float, Floats | None]:
    """Value of a metric, the higher the better, and the scores of verdicts.

    Args:
        model: a fitted classifier or pipeline.
        X: rows that it has not seen.
        wanted: their labels.
        metric: as :func:`metric_of` returns it.

    Raises:
        DataError: if the model gives no usable scores.
    """
    if not wanted.binary:
        return of_classes(metric, wanted.y, np.asarray(model.predict(X)).astype(str), wanted.weight), None
    scores = abnormality(model, X)
    if counting.is_ranking(metric):
        ranks, _ = counting.ranking(counting.sample(wanted.y, wanted.weight), scores)
        return float(counting.ranking_formula(metric)(ranks)), scores
    decisions = np.asarray(model.predict(X)).astype(np.bool_)
    code = counting.cell_of(wanted.y, decisions)
    value = float(counting.decision_formula(metric)(counting.cells(code, wanted.weight)))
    return (-value if metric in counting.LOWER_IS_BETTER else value), scores


def of_classes(metric: str, y: Labels, decisions: Labels, weight: Weights | None = None) -> float:
    """Value of a metric of decisions between several classes (names as in :data:`OF_CLASSES`).

    Means over classes take in every class that occurs among labels or decisions; one without a right decision counts 0.
    """
    names, codes = np.unique(np.concatenate([y, decisions]), return_inverse=True)
    cells = codes[: y.size] * names.size + codes[y.size :]
    counts = np.bincount(cells, weight, minlength=names.size**2).astype(np.float64)
    return float(class_formula(metric)(counts.reshape(names.size, names.size)))


def class_differences(metric: str, y: Labels, a: Labels, b: Labels, resamples: int, seed: int) -> Floats:
    """Draws of the difference A minus B of a metric of classes: paired bootstrap over the rows (resamples,)."""
    names, codes = np.unique(np.concatenate([y, a, b]), return_inverse=True)
    size, parts = names.size, codes.reshape(3, y.size)
    triples, counts = np.unique(parts, axis=1, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(y.size, counts / y.size, size=resamples).astype(np.float64)
    values = []
    for decisions in triples[1:]:
        holds = np.zeros((triples.shape[1], size**2))
        holds[np.arange(triples.shape[1]), triples[0] * size + decisions] = 1.0
        values.append(class_formula(metric)((drawn @ holds).reshape(resamples, size, size)))
    return np.asarray(values[0] - values[1])


def class_formula(metric: str) -> Callable[[Floats], Floats]:
    """Formula of a metric from counts (..., truth, decision) to values (...)."""
    return {"macro_f1": _macro_f1, "weighted_f1": _weighted_f1, "accuracy": _accuracy, "balanced_accuracy": _balanced}[
        metric
    ]


def _f1_of_classes(counts: Floats) -> tuple[Floats, Floats, Floats]:
    """F1 (0 where no decision was right), rows and presence of each class (..., classes)."""
    right, rows = np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(axis=-1)
    both = rows + counts.sum(axis=-2)
    return np.divide(2 * right, both, out=np.zeros_like(both), where=both > 0), rows, both > 0


def _macro_f1(counts: Floats) -> Floats:
    f1, _, present = _f1_of_classes(counts)
    return np.asarray(f1.sum(axis=-1) / np.maximum(present.sum(axis=-1), 1))


def _weighted_f1(counts: Floats) -> Floats:
    f1, rows, _ = _f1_of_classes(counts)
    return np.asarray((f1 * rows).sum(axis=-1) / rows.sum(axis=-1))


def _accuracy(counts: Floats) -> Floats:
    return np.asarray(np.trace(counts, axis1=-2, axis2=-1) / counts.sum(axis=(-2, -1)))


def _balanced(counts: Floats) -> Floats:
    right, rows = np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(axis=-1)
    recall = np.divide(right, rows, out=np.zeros_like(rows), where=rows > 0)
    return np.asarray(recall.sum(axis=-1) / np.maximum((rows > 0).sum(axis=-1), 1))


def _rare(wanted: Target, folds: int) -> list[str]:
    """Classes with too few rows (or groups) for the folds, as long as two classes remain."""
    units = np.arange(wanted.y.size) if wanted.groups is None else wanted.groups
    names, codes = np.unique(wanted.y, return_inverse=True)
    pairs = np.unique(np.column_stack([codes, units]), axis=0)
    counts = np.bincount(pairs[:, 0], minlength=names.size)
    for least in range(folds, 1, -1):
        if (counts >= least).sum() >= 2:
            return [str(name) for name in names[counts < least]]
    return []


def _learned_from_too(rare: Bools, made: Sequence[Split]) -> list[Split]:
    """Splits of the common rows as splits of all rows: rare ones stand on the training side."""
    common, alone = np.flatnonzero(~rare), np.flatnonzero(rare)
    return [Split(each.name, np.union1d(common[each.train], alone), common[each.test]) for each in made]


def _departures(made: int, folds: int, rare: int) -> tuple[str, ...]:
    found = []
    if made < folds:
        found.append(f"{made} folds in place of {folds}: a class has too few rows or groups")
    if rare:
        found.append(f"{rare:,} rows of classes too rare for {made} folds are learned from, never judged by")
    return tuple(found)
