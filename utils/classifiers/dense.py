"""A dense network as a classifier: Keras trains it, numpy runs it.

What is kept are plain arrays, so that a fitted network is pickled, scored and explained like any other estimator and
needs no TensorFlow, which is imported when :meth:`DenseClassifier.fit` is called and not before.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError

from utils.detectors import networks
from utils.detectors.networks import Aim, Course, Places, Progress, Rows, Singles
from utils.detectors.outliers.base import as_matrix
from utils.detectors.outliers.points import distinct_points
from utils.errors import DataError, SchemaError, SettingsError
from utils.evaluation.inputs import Floats, Ints, Values, as_series, as_weights
from utils.settings import SEED

SIZES = (128, 64)
WHAT = "DenseClassifier"


class DenseClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Probabilities of two or more classes by a network of rectified dense layers with a softmax on top.

    Give features of comparable spread; what matters is that no tail is left: ranks (``FlowFeatures(scale="quantile")``)
    or logarithms. Columns are standardised here, and values count as far as training reached and no further.

    Each distinct row is learned once for each of its classes, drawn in proportion to its weight. A tenth of them, of
    each class, is held out; training stops when their cross-entropy no longer falls, and the best epoch is kept. The
    same rows and the same seed give the same network in every process; no generator or other global state is touched.

    Args:
        sizes: units of the hidden layers.
        epochs: most epochs.
        batch: rows of a step.
        learning_rate: of Adam at the beginning; it falls along a cosine to a hundredth.
        patience: epochs without a lower error on held-out rows after which training ends.
        seed: seed of weights, held-out rows and batches.
        progress: called after each epoch with its number from 1, the most epochs, and the error on held-out rows; it is
            not kept in pickles.

    Attributes:
        classes_: the classes, sorted (c,).
        layers_: for each layer weights (inputs, units) and biases (units,).
        centre_: subtracted from the features, shape (d,).
        scale_: then they are divided by it, shape (d,).
        low_: smallest value of each scaled feature in training, shape (d,).
        high_: largest, shape (d,).
        history_: cross-entropy of the held-out rows after each epoch, in nats.
        n_epochs_: number of the epoch that was kept.
        n_features_in_: columns of the matrix.

    Source:
        Glorot and Bengio, AISTATS 2010 (weights); Adam: Kingma and Ba, ICLR 2015; cosine: Loshchilov and Hutter, ICLR
        2017; early stopping: Prechelt, "Early stopping - but when?", 1998.
    """

    def __init__(
        self,
        sizes: Sequence[int] = SIZES,
        *,
        epochs: int = 40,
        batch: int = 256,
        learning_rate: float = 3e-3,
        patience: int = 8,
        seed: int = SEED,
        progress: Progress | None = None,
    ) -> None:
        self.sizes = sizes
        self.epochs = epochs
        self.batch = batch
        self.learning_rate = learning_rate
        self.patience = patience
        self.seed = seed
        self.progress = progress

    def __getstate__(self) -> dict[str, Any]:
        """The state without the callback, which belongs to the process."""
        return {**super().__getstate__(), "progress": None}

    def fit(self, X: ArrayLike, y: Values, sample_weight: Values | None = None) -> Self:
        """Learn the classes of rows.

        Args:
            X: rows to learn from, shape (n, d): finite numbers.
            y: class of each row, of any type that can be sorted, shape (n,).
            sample_weight: whole numbers say how many equal rows each row stands for, other numbers how important it is,
                shape (n,). Rows of weight 0 are left out.

        Returns:
            The classifier itself.

        Raises:
            SettingsError: if a parameter is out of range.
            SchemaError: if ``X`` is no matrix of numbers.
            DataError: if it holds NaN or infinity, lengths differ, or there are fewer than two classes.
        """
        self._check_parameters()
        matrix = as_matrix(X, WHAT)
        if not matrix.shape[1]:
            raise SchemaError(f"{WHAT} needs at least one column to learn from, found none: give features")
        weight = as_weights(sample_weight, len(matrix))
        known = np.ones(len(matrix), dtype=np.bool_) if weight is None else weight > 0
        self.classes_, codes = _classes(y, known)
        weight = None if weight is None else weight[known]
        points = distinct_points(np.column_stack([matrix[known], codes]), weight)
        self.n_features_in_ = matrix.shape[1]
        self._learn(points.values[:, :-1], points.values[:, -1].astype(np.int64), points.counts)
        return self

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Probability of each class, shape (n, c), columns in the order of ``classes_``.

        Raises:
            NotFittedError: before :meth:`fit`.
            SchemaError: if ``X`` is no matrix of numbers or has another width than in training.
            DataError: if it holds NaN or infinity.
        """
        if not hasattr(self, "layers_"):
            raise NotFittedError(f"{WHAT} must be fitted before it is used: call fit with labelled rows")
        matrix = as_matrix(X, WHAT)
        if matrix.shape[1] != self.n_features_in_:
            expected = f"{WHAT} was fitted on {self.n_features_in_:,} columns"
            raise SchemaError(f"{expected}, found {matrix.shape[1]:,}: give the features of training in their order")
        scaled = np.clip((matrix - self.centre_) / self.scale_, self.low_, self.high_)
        return np.asarray(np.exp(_log_softmax(networks.forward(scaled, self.layers_, _activations(self.sizes)))))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most probable class of each row, shape (n,).

        Raises:
            NotFittedError: before :meth:`fit`.
            SchemaError: as :meth:`predict_proba`.
            DataError: as :meth:`predict_proba`.
        """
        probabilities = self.predict_proba(X)
        return np.asarray(self.classes_[probabilities.argmax(axis=1)])

    def _check_parameters(self) -> None:
        if not len(self.sizes):
            raise SettingsError(f"sizes of {WHAT} must name a hidden layer, found none: give (128, 64)")
        named = [("sizes", size) for size in self.sizes]
        named += [(name, getattr(self, name)) for name in ("epochs", "batch", "patience")]
        for name, value in named:
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
                wanted = f"{name} of {WHAT} must be a whole number from 1 on"
                raise SettingsError(f"{wanted}, found {value!r}: choose such a number")
        if not 0 < self.learning_rate <= 1:
            wanted = f"learning_rate of {WHAT} must be above 0 and at most 1"
            raise SettingsError(f"{wanted}, found {self.learning_rate!r}: choose such a number")

    def _learn(self, values: Floats, codes: Ints, counts: Floats) -> None:
        """Train on distinct rows (k, d) with their classes (k,) that stand for so many rows (k,)."""
        self.centre_, self.scale_ = _standard(values, counts)
        scaled = (values - self.centre_) / self.scale_
        self.low_, self.high_ = scaled.min(axis=0), scaled.max(axis=0)
        generator = np.random.default_rng(self.seed)
        learned, held_out = _parts(codes, generator)
        targets = np.eye(len(self.classes_), dtype=np.float32)[codes]
        rows = Rows(scaled.astype(np.float32), counts, learned, held_out, self.batch, targets)
        course = Course(self.epochs, self.patience, self.learning_rate, self.progress)
        found = networks.train(rows, self.sizes, _activations(self.sizes), CLASSES, course, self.seed, generator)
        self.layers_, self.history_, self.n_epochs_ = found.layers, found.history, found.epoch


def _loss(tf: Any, made: Any, wanted: Any) -> Any:  # noqa: ANN401 - tensors
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(wanted, made))


def _errors(made: Singles, wanted: Singles) -> NDArray[Any]:
    return np.asarray(-(wanted * _log_softmax(made)).sum(axis=1))


CLASSES = Aim(_loss, _errors)
"""Cross-entropy of the true class."""


def _log_softmax(made: NDArray[Any]) -> NDArray[Any]:
    shifted = made - made.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def _activations(sizes: Sequence[int]) -> list[str]:
    return [*["relu"] * len(sizes), "linear"]


def _classes(y: Values, known: NDArray[np.bool_]) -> tuple[NDArray[Any], Ints]:
    """The classes, sorted, and the place of the class of each row that has a weight.

    Raises:
        DataError: if lengths differ, a class is missing, or there is one class only.
    """
    series = as_series(y)
    if len(series) != len(known) or series.null_count():
        found = f"{len(series):,} classes for {len(known):,} rows, {series.null_count():,} of them missing"
        raise DataError(f"{WHAT} needs the class of each row, found {found}: label all rows or leave some out")
    classes, codes = np.unique(series.filter(pl.Series(known)).to_numpy(), return_inverse=True)
    if len(classes) < 2:
        raise DataError(f"{WHAT} needs rows of two classes, found {len(classes)}: add the others")
    return classes, codes.astype(np.int64)


def _standard(values: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each column; 1 where it does not vary."""
    mean = np.average(values, axis=0, weights=counts)
    deviation = np.sqrt(np.average((values - mean) ** 2, axis=0, weights=counts))
    return mean, np.where(deviation > 0, deviation, 1.0)


def _parts(codes: Ints, generator: np.random.Generator) -> tuple[Places, Places]:
    """Places of the rows to learn from and of those held out, of each class alike; the same where there are few."""
    order = generator.permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    sizes = np.bincount(codes)
    rank = np.arange(len(codes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    held = np.zeros(len(codes), dtype=np.bool_)
    held[order] = rank < np.repeat(np.round(networks.HELD_OUT * sizes), sizes)
    if len(codes) < networks.LEAST_HELD_OUT or not held.any():
        return np.arange(len(codes)), np.arange(len(codes))
    return np.flatnonzero(~held), np.flatnonzero(held)
