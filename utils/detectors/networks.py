"""Networks of dense layers that Keras trains and numpy runs: what the autoencoder and the dense classifier share.

Weights are drawn from a seed, rows of an epoch are drawn by a generator of the caller, and no state of the process is
touched: training gives the same network in every process, and other models of the process are left alone. What is kept
of a network are plain arrays (:func:`forward`): it is pickled like any other estimator and needs no TensorFlow, which
is imported when training begins and not before.
"""

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utils.evaluation.inputs import Floats

Progress = Callable[[int, int, float], None]
Places = NDArray[np.intp]
Singles = NDArray[np.float32]
Layers = list[tuple[Floats, Floats]]

QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}
"""What TensorFlow reads when it is imported: errors only, and the same sums on every processor."""

LEAST_DRAWN = 4_096
"""Rows that an epoch has at least; fewer distinct rows are drawn several times."""

HELD_OUT = 0.1
LEAST_HELD_OUT = 20
"""Fewer distinct rows than this are too few to hold some out; the loss of training then says when to stop."""

LAST_RATE = 0.01
"""Learning rate at the end of training, as a share of that at the beginning."""


@dataclass(frozen=True)
class Aim:
    """What a network is trained for.

    Attributes:
        loss: takes TensorFlow, outputs and targets of a batch as tensors; gives the mean loss as a tensor.
        errors: takes outputs and targets as arrays; gives the error of each row.
    """

    loss: Callable[[Any, Any, Any], Any]
    errors: Callable[[Any, Any], NDArray[Any]]


@dataclass(frozen=True)
class Course:
    """How long and how fast a network learns.

    Attributes:
        epochs: most epochs.
        patience: epochs without a lower error on held-out rows after which training ends.
        learning_rate: at the beginning; it falls along a cosine.
        progress: called after each epoch with its number from 1, the most epochs, and the error on held-out rows.
    """

    epochs: int
    patience: int
    learning_rate: float
    progress: Progress | None = None


@dataclass(frozen=True)
class Best:
    """The weights of the best epoch.

    Attributes:
        arrays: in the order of Keras.
        history: error on held-out rows after each epoch.
        epoch: number of the epoch that was kept.
    """

    arrays: list[Singles]
    history: list[float]
    epoch: int


@dataclass(frozen=True)
class Trained:
    """The best network of a training.

    Attributes:
        layers: for each layer weights (inputs, units) and biases (units,).
        history: error on held-out rows after each epoch.
        epoch: number of the epoch that was kept.
    """

    layers: Layers
    history: list[float]
    epoch: int


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of training and how they are divided.

    Attributes:
        values: scaled rows, shape (n, d).
        counts: how many rows each stands for, shape (n,).
        learned: places of the rows that are learned from.
        held_out: places of the rows that say when to stop.
        batch: rows of a step.
        targets: what the network is to make of each row, shape (n, outputs); the row itself if not given.
    """

    values: Singles
    counts: Floats
    learned: Places
    held_out: Places
    batch: int
    targets: Singles | None = None

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return -(-max(len(self.learned), LEAST_DRAWN) // self.batch)

    @property
    def wanted(self) -> Singles:
        """What the network is to make of each row."""
        return self.values if self.targets is None else self.targets

    def order(self, generator: np.random.Generator) -> NDArray[np.int32]:
        """Draw the rows of an epoch, each as often as its share of the counts says, up to rounding; shuffled.

        Source:
            Systematic sampling: Madow and Madow, Annals of Mathematical Statistics 15 (1944).
        """
        reached = np.cumsum(self.counts[self.learned])
        ticks = (np.arange(self.steps * self.batch) + generator.random()) / (self.steps * self.batch)
        drawn = np.searchsorted(reached, ticks * reached[-1], side="right").clip(0, len(reached) - 1)
        return generator.permutation(drawn).astype(np.int32)


def train(
    rows: Rows, sizes: Sequence[int], activations: Sequence[str], aim: Aim, course: Course, seed: int,
    generator: np.random.Generator,
) -> Trained:  # fmt: skip
    """Train a network until the error on held-out rows stops falling.

    Args:
        rows: what is learned from.
        sizes: units of the hidden layers.
        activations: of each layer, the last one included.
        aim: what the network is trained for.
        course: how long and how fast.
        seed: of the first weights.
        generator: draws the rows of each epoch.

    Returns:
        The network of the epoch with the lowest error.

    Source:
        Adam: Kingma and Ba, ICLR 2015; cosine: Loshchilov and Hutter, ICLR 2017.
    """
    with quiet_keras() as keras:
        network = _Network(keras, rows, sizes, activations, aim, course, seed)
        best = best_epoch(course, lambda: network.learn(rows.order(generator)), network.error, network.weights)
    doubled = [part.astype(np.float64) for part in best.arrays]
    return Trained(list(zip(doubled[::2], doubled[1::2], strict=True)), best.history, best.epoch)


def best_epoch(
    course: Course,
    learn: Callable[[], object],
    error: Callable[[], float],
    weights: Callable[[], list[Singles]],
) -> Best:
    """Train epoch by epoch until the error on held-out rows has not fallen for a while.

    Args:
        course: how long, with which patience, and who is told.
        learn: does one epoch.
        error: of the network as it is, on held-out rows.
        weights: copies those of the network as it is.

    Returns:
        The epoch with the lowest error, the last of equal ones; the first weights if no error was a number.
    """
    best, kept, history = weights(), 0, [np.inf]
    for epoch in range(1, course.epochs + 1):
        learn()
        history.append(error())
        if course.progress is not None:
            course.progress(epoch, course.epochs, history[-1])
        if history[-1] <= min(history):
            best, kept = weights(), epoch
        elif epoch - kept >= course.patience:
            break
    return Best(best, history[1:], kept)


def forward(values: Floats, layers: Layers, activations: Sequence[str]) -> Floats:
    """What a network makes of rows, with numpy alone.

    Args:
        values: scaled rows, shape (n, d).
        layers: weights and biases.
        activations: ``"relu"`` or ``"linear"`` for each layer.

    Returns:
        Outputs of the last layer, shape (n, outputs).
    """
    layer = values
    for (matrix, bias), activation in zip(layers, activations, strict=True):
        layer = layer @ matrix + bias
        if activation == "relu":
            np.maximum(layer, 0.0, out=layer)
    return np.asarray(layer)


def dense_layers(
    keras: Any, features: int, sizes: Sequence[int], activations: Sequence[str], seed: int  # noqa: ANN401 - a module
) -> Any:  # noqa: ANN401 - Keras  # fmt: skip
    """A Keras network of dense layers whose weights are drawn from the seed alone; ``sizes`` include the outputs."""
    seeds = np.random.SeedSequence(seed).generate_state(len(sizes)).tolist()
    layers = [
        keras.layers.Dense(
            size, activation=activation, kernel_initializer=keras.initializers.GlorotUniform(seed=number)
        )
        for size, activation, number in zip(sizes, activations, seeds, strict=True)
    ]
    return keras.Sequential([keras.Input((features,)), *layers])


def held_out_parts(rows: int, generator: np.random.Generator) -> tuple[Places, Places]:
    """Places of the rows to learn from and of those held out; the same where there are few."""
    if rows < LEAST_HELD_OUT:
        return np.arange(rows), np.arange(rows)
    held_out = generator.permutation(rows)[: round(HELD_OUT * rows)]
    return np.setdiff1d(np.arange(rows), held_out), np.sort(held_out)


@contextmanager
def quiet_keras() -> Iterator[Any]:
    """Import Keras on TensorFlow without its banners, and keep both quiet; what was set before is set again."""
    with environment(QUIET):
        import keras  # type: ignore[import-untyped]
        import tensorflow as tf  # type: ignore[import-untyped]
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield keras
    finally:
        logger.setLevel(level)


@contextmanager
def environment(settings: Mapping[str, str]) -> Iterator[None]:
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


class _Network:
    """A Keras model with its optimiser and its rows; an epoch is one call into the graph."""

    def __init__(
        self,
        keras: Any,  # noqa: ANN401 - a module
        rows: Rows,
        sizes: Sequence[int],
        activations: Sequence[str],
        aim: Aim,
        course: Course,
        seed: int,
    ) -> None:
        import tensorflow as tf

        outputs = rows.wanted.shape[1]
        self._model = dense_layers(keras, rows.values.shape[1], (*sizes, outputs), activations, seed)
        falling = keras.optimizers.schedules.CosineDecay(
            course.learning_rate, course.epochs * rows.steps, alpha=LAST_RATE
        )
        self._optimizer = keras.optimizers.Adam(falling)
        self._optimizer.build(self._model.trainable_variables)
        self._values = tf.constant(rows.values[rows.learned])
        self._targets = self._values if rows.targets is None else tf.constant(rows.targets[rows.learned])
        self._others = tf.constant(rows.values[rows.held_out])
        self._wanted = rows.wanted[rows.held_out]
        weight = rows.counts[rows.held_out]
        self._weight = (weight / weight.sum()).astype(np.float32)
        self._batch, self._steps, self._aim = rows.batch, rows.steps, aim
        self._epoch = tf.function(self._steps_of_an_epoch, autograph=False)

    def learn(self, order: NDArray[np.int32]) -> None:
        """Learn from rows in the order given, shape (steps x batch,)."""
        self._epoch(order)

    def error(self) -> float:
        """Mean error of the held-out rows, by weight."""
        made = self._model(self._others, training=False).numpy()
        return float(self._aim.errors(made, self._wanted) @ self._weight)

    def weights(self) -> list[Singles]:
        """Weights and biases of the layers, in turn."""
        found: list[Singles] = self._model.get_weights()
        return found

    def _steps_of_an_epoch(self, order: Any) -> None:  # noqa: ANN401 - a tensor
        import tensorflow as tf

        def step(number: Any) -> Any:  # noqa: ANN401 - a tensor
            places = order[number * self._batch : (number + 1) * self._batch]
            rows = tf.gather(self._values, places)
            wanted = rows if self._targets is self._values else tf.gather(self._targets, places)
            with tf.GradientTape() as tape:
                loss = self._aim.loss(tf, self._model(rows, training=True), wanted)
            variables = self._model.trainable_variables
            self._optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
            return number + 1

        tf.while_loop(lambda number: number < self._steps, step, [tf.constant(0)])
