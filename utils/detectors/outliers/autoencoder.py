"""A dense autoencoder: what a network that has learned to copy usual rows through a narrow layer cannot copy.

Keras trains it; what is kept are plain arrays. A fitted detector scores with numpy alone, is pickled and cloned like
any other and needs no TensorFlow, which is imported when :meth:`Autoencoder.fit` is called and not before.
"""

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utils.detectors.outliers.base import OutlierDetector
from utils.detectors.outliers.points import Places, kept_places
from utils.errors import SettingsError
from utils.evaluation.inputs import Floats
from utils.settings import SEED

Progress = Callable[[int, int, float], None]
Singles = NDArray[np.float32]

SIZES = (128, 64, 8, 64, 128)
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}
"""What TensorFlow reads when it is imported: errors only, and the same sums on every processor."""

LEAST_DRAWN = 4_096
"""Rows that an epoch has at least; fewer distinct rows are drawn several times."""

HELD_OUT = 0.1
LEAST_HELD_OUT = 20
"""Fewer distinct rows than this are too few to hold some out; the loss of training then says when to stop."""

LAST_RATE = 0.01
"""Learning rate at the end of training, as a share of that at the beginning."""


class Autoencoder(OutlierDetector):
    """Squared error of a row copied by a network with a narrow middle; HIGHER = MORE ABNORMAL.

    The score is the mean squared residual of the features; contributions are exact, the squared residuals themselves.
    Give features of equal scale: logarithms of what has a heavy tail, then standardised (``FlowFeatures()``). Features
    that vary by more than one unit are standardised here. The network reads values within the range of training only,
    so that whatever lies beyond is not copied, and no value makes a score that is no number. The narrowest layer is
    linear, the others are rectified: a rectified narrow layer loses units for good in some seeds.

    Distinct rows are learned from, drawn in proportion to their weights. A tenth of them is held out; training stops
    when the error there has not fallen for ``patience`` epochs, and the best weights are kept. The learning rate falls
    along a cosine. The same seed gives the same network; no global generator is read or set.

    Args:
        sizes: units of the hidden layers, the narrow one in the middle.
        epochs: most passes through the training rows.
        batch: rows of a step.
        learning_rate: at the beginning.
        patience: epochs without a lower error on held-out rows after which training stops.
        most_points: most distinct rows that are learned from; of more, so many are drawn. ``None`` for all.
        seed: seed of weights, held-out rows and batches.
        progress: called after each epoch with its number from 1, the most epochs, and the error on held-out rows; it is
            not kept in pickles.

    Attributes:
        weights_: for each layer weights (inputs, units) and biases (units,).
        centre_: subtracted from the features, shape (d,).
        scale_: then they are divided by it, shape (d,).
        low_: smallest value of each scaled feature in training, shape (d,).
        high_: largest, shape (d,).
        history_: error on held-out rows after each epoch.
        n_epochs_: number of the epoch that was kept.

    Source:
        Hawkins, He, Williams, Baxter, "Outlier detection using replicator neural networks", DaWaK 2002; Adam: Kingma
        and Ba, ICLR 2015; cosine: Loshchilov and Hutter, ICLR 2017.
    """

    def __init__(
        self,
        sizes: Sequence[int] = SIZES,
        *,
        epochs: int = 30,
        batch: int = 256,
        learning_rate: float = 6e-3,
        patience: int = 10,
        most_points: int | None = 200_000,
        seed: int = SEED,
        progress: Progress | None = None,
    ) -> None:
        self.sizes = sizes
        self.epochs = epochs
        self.batch = batch
        self.learning_rate = learning_rate
        self.patience = patience
        self.most_points = most_points
        self.seed = seed
        self.progress = progress

    def __getstate__(self) -> dict[str, Any]:
        """The state without the callback, which belongs to the process."""
        return {**super().__getstate__(), "progress": None}

    def _check_parameters(self) -> None:
        if not len(self.sizes):
            raise SettingsError(f"sizes of {self._what} must name a hidden layer, found none: give (64, 8, 64)")
        for size in self.sizes:
            self._require_whole("sizes", size)
        for name in ("epochs", "batch", "patience"):
            self._require_whole(name, getattr(self, name))
        if self.most_points is not None:
            self._require_whole("most_points", self.most_points)
        if not 0 < self.learning_rate <= 1:
            wanted = f"learning_rate of {self._what} must be above 0 and at most 1"
            raise SettingsError(f"{wanted}, found {self.learning_rate!r}: choose such a number")

    def _learn(self, values: Floats, counts: Floats) -> None:
        places = kept_places(len(values), self.most_points, self.seed)
        values, counts = values[places], counts[places]
        self.n_learned_ = len(values)
        self.centre_, self.scale_ = _standard(values, counts)
        scaled = (values - self.centre_) / self.scale_
        self.low_, self.high_ = scaled.min(axis=0), scaled.max(axis=0)
        generator = np.random.default_rng(self.seed)
        learned, held_out = _parts(len(values), generator)
        rows = _Rows(scaled.astype(np.float32), counts, learned, held_out, self.batch)
        with _quiet_keras() as keras:
            best = self._train(_Network(keras, rows, self), rows, generator)
        kept = [part.astype(np.float64) for part in best]
        self.weights_ = list(zip(kept[::2], kept[1::2], strict=True))

    def _score(self, values: Floats) -> Floats:
        return np.asarray(self._attribute(values, values).mean(axis=1))

    def _attribute(self, values: Floats, scores: Floats) -> Floats:
        scaled = (values - self.centre_) / self.scale_
        return np.asarray((scaled - self._copied(scaled)) ** 2)

    def _copied(self, scaled: Floats) -> Floats:
        """What the network makes of scaled rows, shape (n, d)."""
        layer = np.clip(scaled, self.low_, self.high_)
        for (matrix, bias), activation in zip(self.weights_, _activations(self.sizes), strict=True):
            layer = layer @ matrix + bias
            if activation == "relu":
                np.maximum(layer, 0.0, out=layer)
        return np.asarray(layer)

    def _train(self, network: "_Network", rows: "_Rows", generator: np.random.Generator) -> list[Singles]:
        """Train until the error on held-out rows stops falling; returns the best weights."""
        self.history_: list[float] = []
        best: list[Singles] = network.weights()
        self.n_epochs_ = 0
        for epoch in range(1, self.epochs + 1):
            network.learn(rows.order(generator))
            self.history_.append(network.error())
            if self.progress is not None:
                self.progress(epoch, self.epochs, self.history_[-1])
            if self.history_[-1] <= min(self.history_):
                best, self.n_epochs_ = network.weights(), epoch
            elif epoch - self.n_epochs_ >= self.patience:
                break
        return best


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows of training and how they are divided.

    Attributes:
        values: scaled rows, shape (n, d).
        counts: how many rows each stands for, shape (n,).
        learned: places of the rows that are learned from.
        held_out: places of the rows that say when to stop.
        batch: rows of a step.
    """

    values: Singles
    counts: Floats
    learned: Places
    held_out: Places
    batch: int

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return -(-max(len(self.learned), LEAST_DRAWN) // self.batch)

    def order(self, generator: np.random.Generator) -> NDArray[np.int32]:
        """Draw the rows of an epoch, each as often as its share of the counts says, up to rounding; shuffled.

        Source:
            Systematic sampling: Madow and Madow, Annals of Mathematical Statistics 15 (1944).
        """
        reached = np.cumsum(self.counts[self.learned])
        ticks = (np.arange(self.steps * self.batch) + generator.random()) / (self.steps * self.batch)
        drawn = np.searchsorted(reached, ticks * reached[-1], side="right").clip(0, len(reached) - 1)
        return generator.permutation(drawn).astype(np.int32)


class _Network:
    """A Keras model with its optimiser and its rows; an epoch is one call into the graph."""

    def __init__(self, keras: Any, rows: _Rows, settings: Autoencoder) -> None:  # noqa: ANN401 - a module
        import tensorflow as tf  # type: ignore[import-untyped]

        features = rows.values.shape[1]
        self._model = _dense_layers(keras, features, tuple(settings.sizes), settings.seed)
        falling = keras.optimizers.schedules.CosineDecay(
            settings.learning_rate, settings.epochs * rows.steps, alpha=LAST_RATE
        )
        self._optimizer = keras.optimizers.Adam(falling)
        self._optimizer.build(self._model.trainable_variables)
        self._values = tf.constant(rows.values[rows.learned])
        self._others = tf.constant(rows.values[rows.held_out])
        weight = rows.counts[rows.held_out]
        self._weight = tf.constant((weight / weight.sum()).astype(np.float32))
        self._batch, self._steps = rows.batch, rows.steps
        self._epoch = tf.function(self._steps_of_an_epoch, autograph=False)

    def learn(self, order: NDArray[np.int32]) -> None:
        """Learn from rows in the order given, shape (steps x batch,)."""
        self._epoch(order)

    def error(self) -> float:
        """Mean squared error of the held-out rows, by weight."""
        squares = (self._model(self._others, training=False) - self._others) ** 2
        return float(np.mean(squares, axis=1) @ self._weight.numpy())

    def weights(self) -> list[Singles]:
        """Weights and biases of the layers, in turn."""
        found: list[Singles] = self._model.get_weights()
        return found

    def _steps_of_an_epoch(self, order: Any) -> None:  # noqa: ANN401 - a tensor
        import tensorflow as tf

        def step(number: Any) -> Any:  # noqa: ANN401 - a tensor
            rows = tf.gather(self._values, order[number * self._batch : (number + 1) * self._batch])
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(self._model(rows, training=True) - rows))
            variables = self._model.trainable_variables
            self._optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
            return number + 1

        tf.while_loop(lambda number: number < self._steps, step, [tf.constant(0)])


def _dense_layers(keras: Any, features: int, sizes: tuple[int, ...], seed: int) -> Any:  # noqa: ANN401 - Keras
    """A network of dense layers whose weights are drawn from the seed alone."""
    seeds = np.random.SeedSequence(seed).generate_state(len(sizes) + 1).tolist()
    layers = [
        keras.layers.Dense(
            size, activation=activation, kernel_initializer=keras.initializers.GlorotUniform(seed=number)
        )
        for size, activation, number in zip((*sizes, features), _activations(sizes), seeds, strict=True)
    ]
    return keras.Sequential([keras.Input((features,)), *layers])


def _activations(sizes: Sequence[int]) -> list[str]:
    """Activation of each layer, the last one included; the narrowest is linear if it is not the only hidden one."""
    narrowest = int(np.argmin(sizes)) if len(sizes) > 1 else None
    return ["linear" if place in (narrowest, len(sizes)) else "relu" for place in range(len(sizes) + 1)]


def _standard(values: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """Mean of each feature, and its standard deviation where that is above 1."""
    mean = np.average(values, axis=0, weights=counts)
    deviation = np.sqrt(np.average((values - mean) ** 2, axis=0, weights=counts))
    return mean, np.maximum(deviation, 1.0)


def _parts(rows: int, generator: np.random.Generator) -> tuple[Places, Places]:
    """Places of the rows to learn from and of those held out; the same where there are few."""
    if rows < LEAST_HELD_OUT:
        return np.arange(rows), np.arange(rows)
    held_out = generator.permutation(rows)[: round(HELD_OUT * rows)]
    return np.setdiff1d(np.arange(rows), held_out), np.sort(held_out)


@contextmanager
def _quiet_keras() -> Iterator[Any]:
    """Import Keras on TensorFlow without its banners, and keep both quiet; what was set before is set again."""
    with _environment(QUIET):
        import keras  # type: ignore[import-untyped]
        import tensorflow as tf
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield keras
    finally:
        logger.setLevel(level)


@contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    """Set variables of the environment for a while."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
