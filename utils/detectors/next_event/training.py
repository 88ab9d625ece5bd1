"""Training of next-event networks with Keras; what is kept are plain arrays.

An epoch is one call into a graph. Rows of similar length share a batch, so that little is padded. Weights, order and
dropped units are drawn from one seed, and no state of the process is touched.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utils.detectors.networks import LAST_RATE, Best, Course, best_epoch, quiet_keras
from utils.detectors.next_event.lessons import Lessons
from utils.detectors.next_event.recurrence import Arrays, Cell

SIZE_OF_JUDGED = 512
"""Held-out rows that are judged at a time."""

STEEPEST = 1.0
"""Longest gradient that a step follows (Pascanu, Mikolov and Bengio, ICML 2013)."""


@dataclass(frozen=True)
class Design:
    """The form of a network.

    Attributes:
        unseen: number of event types, and code of those that are not among them.
        cell: kind of the recurrent layers.
        units: of each recurrent layer.
        embedding: numbers that stand for a token; ``None`` for a column each.
        dropout: share of the outputs of each recurrent layer that a step of training leaves out.
    """

    unseen: int
    cell: Cell
    units: tuple[int, ...]
    embedding: int | None
    dropout: float

    @property
    def codes(self) -> int:
        """Number of inputs and of outputs: the event types, the unseen code, and the border of a session."""
        return self.unseen + 2


def train(learned: Lessons, held_out: Lessons, design: Design, course: Course, batch: int, seed: int) -> Best:
    """Train a network until the loss on held-out rows stops falling.

    Args:
        learned: rows to learn from.
        held_out: rows that say when to stop.
        design: form of the network.
        course: how long and how fast.
        batch: rows of a step.
        seed: of weights, order and dropped units.

    Returns:
        The network of the epoch with the lowest loss.

    Source:
        Adam: Kingma and Ba, ICLR 2015; cosine: Loshchilov and Hutter, ICLR 2017.
    """
    generator = np.random.default_rng(seed)
    with quiet_keras() as keras:
        learner = Learner(keras, learned, design, course, batch, seed)
        judge = judge_of(learner.model, held_out, design)
        return best_epoch(course, lambda: learner.learn(generator), judge, learner.arrays)


def network(keras: Any, design: Design, seed: int) -> Any:  # noqa: ANN401 - Keras
    """A Keras model from tokens (n, time) to logits (n, time, codes), its weights drawn from the seed alone."""
    seeds = iter(np.random.SeedSequence(seed).generate_state(2 + 3 * len(design.units)).tolist())
    drawn = keras.initializers.GlorotUniform
    given = keras.Input((None,), dtype="int32")
    if design.embedding is None:
        layer = keras.ops.one_hot(given, design.codes)
    else:
        uniform = keras.initializers.RandomUniform(-0.5, 0.5, seed=next(seeds))
        layer = keras.layers.Embedding(design.codes, design.embedding, embeddings_initializer=uniform)(given)
    kind = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[design.cell]
    for units in design.units:
        state = keras.initializers.Orthogonal(seed=next(seeds))
        layer = kind(
            units, return_sequences=True, kernel_initializer=drawn(seed=next(seeds)), recurrent_initializer=state
        )(layer)
        if design.dropout:
            layer = keras.layers.Dropout(design.dropout, seed=next(seeds))(layer)
    return keras.Model(given, keras.layers.Dense(design.codes, kernel_initializer=drawn(seed=next(seeds)))(layer))


class Learner:
    """A Keras model with its optimiser and its rows; an epoch is one call into the graph."""

    def __init__(
        self,
        keras: Any,  # noqa: ANN401 - a module
        lessons: Lessons,
        design: Design,
        course: Course,
        batch: int,
        seed: int,
    ) -> None:
        import tensorflow as tf  # type: ignore[import-untyped]

        self.model = network(keras, design, seed)
        self._lessons, self._design, self._batch = lessons, design, min(batch, len(lessons))
        falling = keras.optimizers.schedules.CosineDecay(
            course.learning_rate, course.epochs * self.steps, alpha=LAST_RATE
        )
        self._optimizer = keras.optimizers.Adam(falling, global_clipnorm=STEEPEST)
        self._optimizer.build(self.model.trainable_variables)
        self._rows = _constants(tf, lessons)
        self._mean = lessons.wanted / len(lessons)
        self._epoch = tf.function(self._steps_of_an_epoch, autograph=False)

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return -(-len(self._lessons) // self._batch)

    def learn(self, generator: np.random.Generator) -> None:
        """Learn from every row once."""
        self._epoch(self._order(generator))

    def arrays(self) -> Arrays:
        """Weights of the layers in the order of Keras."""
        return [np.asarray(variable) for variable in self.model.trainable_variables]

    def _order(self, generator: np.random.Generator) -> NDArray[np.int32]:
        """Shuffled batches of rows of similar length; -1 fills up the last one."""
        lengths = self._lessons.lengths * (1 + 0.2 * generator.random(len(self._lessons)))
        order = np.full(self.steps * self._batch, -1, np.int32)
        order[: len(lengths)] = np.argsort(lengths, kind="stable")
        return generator.permutation(order.reshape(self.steps, self._batch))

    def _steps_of_an_epoch(self, order: Any) -> None:  # noqa: ANN401 - a tensor
        import tensorflow as tf

        variables = self.model.trainable_variables

        def step(number: Any) -> Any:  # noqa: ANN401 - a tensor
            there = tf.cast(order[number] >= 0, tf.float32)
            given, wanted, mass = _batch(tf, self._rows, tf.maximum(order[number], 0), self._design)
            with tf.GradientTape() as tape:
                losses = _losses(tf, self.model(given, training=True), wanted, mass * there[:, None])
                loss = tf.reduce_sum(losses) / (self._mean * self._batch)
            gradient = tape.gradient(loss, variables)
            self._optimizer.apply_gradients(zip(gradient, variables, strict=True))
            return number + 1

        tf.while_loop(lambda number: number < self.steps, step, [tf.constant(0)])


def judge_of(model: Any, lessons: Lessons, design: Design) -> Callable[[], float]:  # noqa: ANN401 - Keras
    """A function that gives the weighted mean loss of a wanted token, in nats, as the model is when it is called."""
    import tensorflow as tf

    rows = _constants(tf, lessons)
    order = np.argsort(lessons.lengths, kind="stable").astype(np.int32)
    parts = [order[first : first + SIZE_OF_JUDGED] for first in range(0, len(order), SIZE_OF_JUDGED)]

    @tf.function(autograph=False, reduce_retracing=True)  # type: ignore[untyped-decorator]
    def loss(places: Any) -> Any:  # noqa: ANN401 - tensors
        given, wanted, mass = _batch(tf, rows, places, design)
        return tf.reduce_sum(_losses(tf, model(given, training=False), wanted, mass))

    return lambda: sum(float(loss(part)) for part in parts) / lessons.wanted


def _constants(tf: Any, lessons: Lessons) -> tuple[Any, ...]:  # noqa: ANN401 - tensors
    """Rows as tensors; their mean weight is one."""
    kinds = (lessons.tokens, lessons.first.astype(np.int32), lessons.lengths.astype(np.int32))
    return (*map(tf.constant, kinds), tf.constant(lessons.weight.astype(np.float32)))


def _batch(tf: Any, rows: tuple[Any, ...], places: Any, design: Design) -> tuple[Any, Any, Any]:  # noqa: ANN401
    """Given and wanted tokens of some rows, as long as the longest of them, and the weight of each wanted one.

    The end of a session is never given and its beginning never wanted: both are the last of the codes.
    """
    tokens, first, lengths, weight = (tf.gather(part, places) for part in rows)
    width = tf.reduce_max(lengths)
    tokens = tf.minimum(tf.cast(tokens[:, : width + 1], tf.int32), design.codes - 1)
    columns = tf.range(width)[None, :]
    wanted_here = (columns >= first[:, None]) & (columns < lengths[:, None])
    given, wanted = tokens[:, :-1], tokens[:, 1:]
    return given, wanted, tf.where(wanted_here, weight[:, None], 0.0)


def _losses(tf: Any, logits: Any, wanted: Any, mass: Any) -> Any:  # noqa: ANN401 - tensors
    """Weighted negative log-likelihood of each wanted token."""
    return mass * tf.nn.sparse_softmax_cross_entropy_with_logits(wanted, logits)
