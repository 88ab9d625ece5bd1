"""A network with two inputs, the previous events and the next one, that learns from labelled sessions.

Every event of a session, and its end, is a step: a window of the ``width`` tokens before it, and the event itself. The
label belongs to the session, so that each step of an anomalous session is called anomalous, the usual ones too. The
probability of a step is therefore judged as such (:meth:`TwoInput.windows`), and sessions by their most probable step.

Keras trains, once for each DISTINCT window; what is kept are plain arrays, which numpy runs without TensorFlow.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from utils.detectors import novelty
from utils.detectors.networks import HELD_OUT, LAST_RATE, Best, Course, Progress, Rows, best_epoch, quiet_keras
from utils.detectors.next_event.recurrence import Arrays, Cell, Network
from utils.errors import DataError, SettingsError
from utils.evaluation import splits
from utils.evaluation.inputs import Bools, Floats, Values, as_labels, as_series, as_weights, require_both_classes
from utils.features import log_sessions
from utils.features.log_sessions import Codes, Distinct, Ints, Sequences, Vocabulary, Windows
from utils.settings import SEED

STEEPEST = 1.0
"""Longest gradient that a step of training follows (Pascanu, Mikolov and Bengio, ICML 2013)."""

ROWS_AT_A_TIME = 4_096
UNROLLED = 20
"""A window up to so wide is written out step by step in the graph, which runs in half the time."""

SHOWN = 3
LARGEST_SEED = 2**31 - 1
WHOLE = ("width", "units", "embedding", "hidden", "epochs", "batch", "patience")


class TwoInput(BaseEstimator):  # type: ignore[misc]
    """Probability that a step belongs to an anomalous session, and of sessions the highest; HIGHER = MORE ABNORMAL.

    The previous tokens go through an embedding and a recurrent layer, the next one through the same embedding, both
    into a dense layer and one logistic unit.

    Training sees each distinct window in proportion to its weight. Both classes weigh the same in sum (the probability
    is that of balanced classes), and within a class a window that occurs n times weighs ``n ** power``. A tenth of the
    distinct sequences of both classes is held out before windows are cut; training stops when the cross-entropy of
    their windows no longer falls, and the best epoch is kept. The same sessions and seed give the same network in every
    process; no generator or other global state is touched.

    Args:
        events: list column of the events (integers or texts).
        width: tokens before an event that the network sees; begin tokens stand before the first event.
        cell: ``"lstm"`` or ``"gru"``.
        units: of the recurrent layer.
        embedding: numbers that stand for a token.
        hidden: units of the dense layer.
        power: from 0 (every distinct window of a class counts the same) to 1 (by count).
        forgotten: share of the tokens of training that are replaced by the code of unseen events, so that the network
            knows what it may conclude where an event is new.
        epochs: most epochs.
        batch: windows of a step of training.
        learning_rate: of Adam at the beginning; it falls along a cosine to a hundredth.
        patience: epochs without a lower error on held-out windows after which training ends.
        seed: of weights, held-out sequences and batches.
        progress: called after each epoch with its number from 1, the most epochs, and the error on held-out windows; it
            is not kept in pickles.

    Attributes:
        vocabulary_: the event types of training.
        arrays_: weights in the order of Keras: embedding, recurrent layer (3), dense layer (2), logistic unit (2).
        history_: cross-entropy of the held-out windows after each epoch, in nats.
        n_epochs_: number of the epoch that was kept.
        n_windows_: distinct windows that were learned from.
        n_sessions_: sessions of training, by weight.

    Source:
        Two inputs, a window and the event after it, are the form of the earlier system's classifier, whose F1 on
        windows of HDFS_100k was .00. Hochreiter and Schmidhuber, "Long Short-Term Memory", Neural Computation 9 (1997);
        Adam: Kingma and Ba, ICLR 2015; cosine: Loshchilov and Hutter, ICLR 2017.
    """

    def __init__(
        self,
        events: str = "events",
        *,
        width: int = 10,
        cell: Cell = "lstm",
        units: int = 32,
        embedding: int = 8,
        hidden: int = 32,
        power: float = 0.5,
        forgotten: float = 0.01,
        epochs: int = 20,
        batch: int = 256,
        learning_rate: float = 5e-3,
        patience: int = 4,
        seed: int = SEED,
        progress: Progress | None = None,
    ) -> None:
        self.events = events
        self.width = width
        self.cell = cell
        self.units = units
        self.embedding = embedding
        self.hidden = hidden
        self.power = power
        self.forgotten = forgotten
        self.epochs = epochs
        self.batch = batch
        self.learning_rate = learning_rate
        self.patience = patience
        self.seed = seed
        self.progress = progress

    def __getstate__(self) -> dict[str, Any]:
        """The state without the callback, which belongs to the process."""
        return {**super().__getstate__(), "progress": None}

    def fit(self, X: pl.DataFrame, y: Values | None = None, weight: Values | None = None) -> Self:
        """Learn which steps occur in anomalous sessions.

        Args:
            X: one row a session, with a list column of events.
            y: true for an anomaly, shape (n,); rows without a label are left out.
            weight: how many sessions each row stands for, shape (n,); rows of weight 0 are left out.

        Returns:
            The detector itself.

        Raises:
            SettingsError: if a parameter is out of range.
            SchemaError: if the column is missing or holds no lists of integers or texts.
            DataError: if ``y`` is missing, a class has no session, or a weight is no number from 0 on.
        """
        self._check_parameters()
        X, labels, mass = with_labels(X, y, weight, type(self).__name__)
        seen = log_sessions.distinct(X, self.events)
        classes = [np.bincount(seen.inverse, mass * (labels == side), len(seen.counts)) for side in (False, True)]
        self.vocabulary_ = seen.sequences.vocabulary
        self.n_sessions_ = float(mass.sum())
        lessons = _lessons(seen.sequences, np.stack(classes), self._held_out(np.stack(classes)), self.width, self.power)
        self.n_windows_ = len(lessons.learned)
        design = _Design(self.vocabulary_.size, self.width, self.cell, self.units, self.embedding, self.hidden)
        course = Course(self.epochs, self.patience, self.learning_rate, self.progress)
        forgetful = _Forgetful(self.vocabulary_, self.forgotten)
        best = _train(lessons, design, course, self.batch, forgetful, self.seed)
        self.arrays_, self.history_, self.n_epochs_ = best.arrays, best.history, best.epoch
        return self

    def score_samples(self, X: pl.DataFrame) -> Floats:
        """Score sessions by their most probable step; HIGHER = MORE ABNORMAL.

        Args:
            X: n sessions.

        Returns:
            Probabilities, float64, shape (n,).

        Raises:
            SchemaError: if the column is missing or holds events of another kind than in training.
        """
        seen = self._distinct(X)
        if not len(seen.sequences):
            return np.zeros(0)
        cut, probability = self._steps(seen.sequences)
        return np.maximum.reduceat(probability, cut.offsets[:-1])[seen.inverse]

    def windows(self, X: pl.DataFrame, y: Values | None = None) -> pl.DataFrame:
        """Judge every step of every session.

        Args:
            X: n sessions.
            y: true for an anomalous session, shape (n,); ``None`` if nothing is known.

        Returns:
            One row a window, in order: ``session`` (row of ``X``), ``position`` (0 is the first event, the number of
            events the end of the session), ``label`` (of the session; null if not known) and ``probability``.

        Raises:
            SchemaError: as :meth:`score_samples`.
            DataError: if labels are not one a row.
        """
        table, rows = self.distinct_windows(X), pl.DataFrame({"session": np.arange(X.height)})
        labels = pl.Series([None] * X.height, dtype=pl.Boolean) if y is None else as_series(y).cast(pl.Boolean)
        if len(labels) != X.height:
            raise DataError(
                f"labels must be one a row, found {len(labels):,} for {X.height:,} rows: take the same rows"
            )
        rows = rows.with_columns(label=labels, sequence=self._distinct(X).inverse)
        found = rows.join(table, on="sequence", how="left", maintain_order="left_right")
        return found.select("session", "position", "label", "probability")

    def distinct_windows(self, X: pl.DataFrame) -> pl.DataFrame:
        """Judge every step of every DISTINCT sequence, which is all there is to compute.

        Args:
            X: n sessions.

        Returns:
            One row a window: ``sequence`` (number of the distinct sequence, in order of first appearance),
            ``position`` and ``probability``.

        Raises:
            SchemaError: as :meth:`score_samples`.
        """
        cut, probability = self._steps(self._distinct(X).sequences)
        return pl.DataFrame({"sequence": cut.session, "position": cut.position, "probability": probability})

    def explain(self, X: pl.DataFrame) -> list[str]:
        """Say for each session which step makes it suspicious.

        Args:
            X: n sessions.

        Returns:
            n sentences.

        Raises:
            SchemaError: as :meth:`score_samples`.
        """
        seen = self._distinct(X)
        cut, probability = self._steps(seen.sequences)
        bounds = zip(cut.offsets[:-1].tolist(), cut.offsets[1:].tolist(), strict=True)
        worst = [first + int(probability[first:last].argmax()) for first, last in bounds]
        places, tokens = cut.position[worst].tolist(), cut.values(np.array(worst, np.int64))
        found = zip(tokens, places, probability[worst].tolist(), strict=True)
        sentences = [self._sentence(window, place, chance) for window, place, chance in found]
        return [sentences[row] for row in seen.inverse.tolist()]

    def _sentence(self, window: Codes, place: int, chance: float) -> str:
        before = [self._name(code) for code in window[:-1].tolist() if code != self.vocabulary_.begin][-SHOWN:]
        after = f"after {', '.join(before)}" if before else "at the beginning"
        return f"{self._name(int(window[-1]))} {after} (step {place + 1:,}): probability {chance:.3f} of an anomaly"

    def _name(self, code: int) -> str:
        special = {self.vocabulary_.end: "the end of the session", self.vocabulary_.unseen: "an unseen event"}
        return special.get(code) or novelty.event_name(self.vocabulary_, code)

    def _distinct(self, X: pl.DataFrame) -> Distinct:
        check_is_fitted(self)
        return log_sessions.distinct(X, self.events, vocabulary=self.vocabulary_)

    def _steps(self, sequences: Sequences) -> tuple[Windows, Floats]:
        """Windows of sequences and the probability of each."""
        cut = log_sessions.windows(sequences, self.width + 1)
        found = log_sessions.distinct_windows(cut)
        return cut, _probabilities(found.values, self.arrays_, self.cell)[found.inverse]

    def _held_out(self, classes: Floats) -> Bools:
        """Choose the distinct sequences that say when to stop; none where there are too few."""
        sequence, side = np.nonzero(classes.T > 0)
        held = np.zeros(classes.shape[1], dtype=np.bool_)
        try:
            held[sequence[splits.grouped(side, sequence, HELD_OUT, self.seed).test]] = True
        except DataError:
            held[:] = False
        return held

    def _check_parameters(self) -> None:
        for name in WHOLE:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
                wanted = f"{name} of TwoInput must be a whole number from 1 on"
                raise SettingsError(f"{wanted}, found {value!r}: choose such a number")
        if self.cell not in get_args(Cell):
            raise SettingsError(f"cell of TwoInput must be 'lstm' or 'gru', found {self.cell!r}: choose one of them")
        for name, least, most in (("power", 0, 1), ("forgotten", 0, 0.5), ("learning_rate", 1e-9, 1)):
            if not least <= getattr(self, name) <= most:
                wanted = f"{name} of TwoInput must lie between {least} and {most}"
                raise SettingsError(f"{wanted}, found {getattr(self, name)!r}: choose such a number")


@dataclass(frozen=True)
class _Design:
    """The form of a network."""

    codes: int
    width: int
    cell: Cell
    units: int
    embedding: int
    hidden: int


@dataclass(frozen=True, eq=False)
class _Lessons:
    """Distinct windows with their targets.

    Attributes:
        windows: codes, the last column is the next token, shape (m, width + 1).
        target: share of the weight of a window that is anomalous, shape (2, m): learned, held out.
        weight: weight of each, shape (2, m).
        learned: windows that are learned from.
        held_out: windows that say when to stop; the same where nothing could be held out.
    """

    windows: NDArray[np.int32]
    target: NDArray[np.float32]
    weight: Floats
    learned: Ints
    held_out: Ints


@dataclass(frozen=True)
class _Forgetful:
    """Replaces some events by the code of unseen ones."""

    vocabulary: Vocabulary
    share: float

    def __call__(self, windows: NDArray[np.int32], generator: np.random.Generator) -> NDArray[np.int32]:
        unseen = self.vocabulary.unseen
        chosen = (generator.random(windows.shape, np.float32) < self.share) & (windows < unseen)
        return np.where(chosen, np.int32(unseen), windows)


def with_labels(
    X: pl.DataFrame, y: Values | None, weight: Values | None, what: str
) -> tuple[pl.DataFrame, Bools, Floats]:
    """Take the sessions that have a label and a weight.

    Args:
        X: one row a session.
        y: true for an anomaly, null where nothing is known, shape (n,).
        weight: how many sessions each row stands for, shape (n,); 1 by default.
        what: how an error calls the model.

    Returns:
        These rows, their labels and their weights.

    Raises:
        DataError: if labels are missing altogether, not one a row, or a class has no session.
    """
    if y is None:
        raise DataError(f"{what} learns from labels, found none: give y")
    labels, mass = as_series(y), as_weights(weight, X.height)
    if len(labels) != X.height:
        raise DataError(f"labels must be one a row, found {len(labels):,} for {X.height:,} rows: take the same rows")
    weights = np.ones(X.height) if mass is None else mass.astype(np.float64)
    known = labels.is_not_null() & pl.Series(weights > 0)
    found = as_labels(labels.filter(known))
    if not found.size:
        raise DataError(f"{what} needs labelled sessions to learn from, found none in {X.height:,} rows: give some")
    require_both_classes(found, None)
    return X.filter(known), found, weights[known.to_numpy()]


def _lessons(sequences: Sequences, classes: Floats, held: Bools, width: int, power: float) -> _Lessons:
    """Cut distinct sequences that occur so often in each class (2, k) into distinct windows with their weights."""
    cut = log_sessions.windows(sequences, width + 1)
    found = log_sessions.distinct_windows(cut)
    sides = []
    for part in (~held, held if held.any() else ~held):
        mass = (classes * part)[:, cut.session]
        sides.append(
            _balanced([np.bincount(found.inverse, row, len(found.values)).astype(np.float64) for row in mass], power)
        )
    weight = np.stack([normal + anomalous for normal, anomalous in sides])
    target = np.stack([anomalous for _, anomalous in sides]) / np.where(weight > 0, weight, 1.0)
    learned, judged = (np.flatnonzero(row > 0) for row in weight)
    return _Lessons(found.values.astype(np.int32), target.astype(np.float32), weight, learned, judged)


def _balanced(counts: list[Floats], power: float) -> list[Floats]:
    """Weights of windows in two classes: powers of their counts, the same sum in both."""
    raised = [np.where(row > 0, np.power(row, power, where=row > 0, out=np.zeros_like(row)), 0.0) for row in counts]
    return [row / max(row.sum(), 1e-300) for row in raised]


def _train(lessons: _Lessons, design: _Design, course: Course, batch: int, forgetful: _Forgetful, seed: int) -> Best:
    """Train a network until the cross-entropy of held-out windows stops falling."""
    generator = np.random.default_rng(seed)
    with quiet_keras() as keras:
        learner = _Learner(keras, lessons, design, course, batch, seed)
        return best_epoch(
            course,
            lambda: learner.learn(forgetful, generator),
            lambda: _error(lessons, learner.arrays(), design.cell),
            learner.arrays,
        )


def _error(lessons: _Lessons, arrays: Arrays, cell: Cell) -> float:
    """Weighted cross-entropy of the held-out windows, in nats."""
    rows = lessons.held_out
    chance = _probabilities(lessons.windows[rows], arrays, cell).clip(1e-7, 1 - 1e-7)
    target, weight = lessons.target[1, rows], lessons.weight[1, rows]
    losses = -(target * np.log(chance) + (1 - target) * np.log1p(-chance))
    return float(losses @ weight / weight.sum())


def _model(keras: Any, design: _Design, seed: int) -> Any:  # noqa: ANN401 - Keras
    """A Keras model from previous tokens (n, width) and the next (n, 1) to a logit (n, 1), drawn from the seed."""
    seeds = iter((np.random.SeedSequence(seed).generate_state(5) % LARGEST_SEED).tolist())
    drawn = keras.initializers.GlorotUniform
    uniform = keras.initializers.RandomUniform(-0.5, 0.5, seed=next(seeds))
    embedding = keras.layers.Embedding(design.codes, design.embedding, embeddings_initializer=uniform)
    kind = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[design.cell]
    recurrent = kind(
        design.units,
        kernel_initializer=drawn(seed=next(seeds)),
        recurrent_initializer=keras.initializers.Orthogonal(seed=next(seeds)),
        unroll=design.width <= UNROLLED,
    )
    previous, following = (keras.Input((width,), dtype="int32") for width in (design.width, 1))
    both = keras.layers.Concatenate()([recurrent(embedding(previous)), keras.layers.Flatten()(embedding(following))])
    dense = keras.layers.Dense(design.hidden, activation="relu", kernel_initializer=drawn(seed=next(seeds)))(both)
    return keras.Model([previous, following], keras.layers.Dense(1, kernel_initializer=drawn(seed=next(seeds)))(dense))


class _Learner:
    """A Keras model with its optimiser; an epoch is one call into the graph."""

    def __init__(
        self,
        keras: Any,  # noqa: ANN401 - a module
        lessons: _Lessons,
        design: _Design,
        course: Course,
        batch: int,
        seed: int,
    ) -> None:
        import tensorflow as tf  # type: ignore[import-untyped]

        places = np.arange(len(lessons.learned))
        windows = lessons.windows[lessons.learned]
        self._rows = Rows(windows.astype(np.float32), lessons.weight[0, lessons.learned], places, places, batch)
        self._windows, self._target = windows, lessons.target[0, lessons.learned]
        self._model = _model(keras, design, seed)
        falling = keras.optimizers.schedules.CosineDecay(
            course.learning_rate, course.epochs * self._rows.steps, alpha=LAST_RATE
        )
        self._optimizer = keras.optimizers.Adam(falling, global_clipnorm=STEEPEST)
        self._optimizer.build(self._model.trainable_variables)
        self._epoch = tf.function(self._steps_of_an_epoch, autograph=False)

    def learn(self, forgetful: _Forgetful, generator: np.random.Generator) -> None:
        """Learn from windows drawn in proportion to their weight."""
        order = self._rows.order(generator)
        self._epoch(forgetful(self._windows[order], generator), self._target[order])

    def arrays(self) -> Arrays:
        """Weights of the layers in the order of Keras."""
        return [np.array(variable.numpy()) for variable in self._model.trainable_variables]

    def _steps_of_an_epoch(self, windows: Any, target: Any) -> None:  # noqa: ANN401 - tensors
        import tensorflow as tf

        variables, batch = self._model.trainable_variables, self._rows.batch

        def step(number: Any) -> Any:  # noqa: ANN401 - a tensor
            rows = number * batch + tf.range(batch)
            previous, following = tf.gather(windows[:, :-1], rows), tf.gather(windows[:, -1:], rows)
            with tf.GradientTape() as tape:
                logits = self._model([previous, following], training=True)[:, 0]
                loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(tf.gather(target, rows), logits))
            self._optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
            return number + 1

        tf.while_loop(lambda number: number < self._rows.steps, step, [tf.constant(0)])


def _probabilities(windows: NDArray[Any], arrays: Arrays, cell: Cell) -> Floats:
    """What a network says about windows (m, width + 1), with numpy alone, shape (m,)."""
    embedding, *recurrent, dense, bias, last, offset = arrays
    network = Network([embedding, *recurrent, dense, bias], cell)
    chances = [np.zeros(0)]
    for part in _parts(windows):
        state = network.begin(len(part))
        for place in range(part.shape[1] - 1):
            state = network.step(state, part[:, place])
        both = np.concatenate([state[-1][0], embedding[part[:, -1]]], axis=1)
        logit = (np.maximum(both @ dense + bias, 0) @ last + offset)[:, 0]
        chances.append(0.5 + 0.5 * np.tanh(0.5 * logit.astype(np.float64)))
    return np.concatenate(chances)


def _parts(windows: NDArray[Any]) -> Iterator[NDArray[Any]]:
    for first in range(0, len(windows), ROWS_AT_A_TIME):
        yield windows[first : first + ROWS_AT_A_TIME]
