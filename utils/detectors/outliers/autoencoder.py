"""A dense autoencoder: what a network that has learned to copy usual rows through a narrow layer cannot copy.

Keras trains it; what is kept are plain arrays. A fitted detector scores with numpy alone, is pickled and cloned like
any other and needs no TensorFlow, which is imported when :meth:`Autoencoder.fit` is called and not before.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utils.detectors import networks
from utils.detectors.networks import Aim, Course, Progress, Rows
from utils.detectors.outliers.base import OutlierDetector
from utils.detectors.outliers.points import kept_places
from utils.errors import SettingsError
from utils.evaluation.inputs import Floats
from utils.settings import SEED

SIZES = (128, 64, 8, 64, 128)


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
        learned, held_out = networks.held_out_parts(len(values), generator)
        rows = Rows(scaled.astype(np.float32), counts, learned, held_out, self.batch)
        course = Course(self.epochs, self.patience, self.learning_rate, self.progress)
        found = networks.train(rows, self.sizes, _activations(self.sizes), COPY, course, self.seed, generator)
        self.weights_, self.history_, self.n_epochs_ = found.layers, found.history, found.epoch

    def _score(self, values: Floats) -> Floats:
        return np.asarray(self._attribute(values, values).mean(axis=1))

    def _attribute(self, values: Floats, scores: Floats) -> Floats:
        scaled = (values - self.centre_) / self.scale_
        return np.asarray((scaled - self._copied(scaled)) ** 2)

    def _copied(self, scaled: Floats) -> Floats:
        """What the network makes of scaled rows, shape (n, d)."""
        return networks.forward(np.clip(scaled, self.low_, self.high_), self.weights_, _activations(self.sizes))


def _loss(tf: Any, made: Any, wanted: Any) -> Any:  # noqa: ANN401 - tensors
    return tf.reduce_mean(tf.square(made - wanted))


def _errors(made: NDArray[Any], wanted: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.mean((made - wanted) ** 2, axis=1))


COPY = Aim(_loss, _errors)
"""Mean squared difference between a row and its copy."""


def _activations(sizes: Sequence[int]) -> list[str]:
    """Activation of each layer, the last one included; the narrowest is linear if it is not the only hidden one."""
    narrowest = int(np.argmin(sizes)) if len(sizes) > 1 else None
    return ["linear" if place in (narrowest, len(sizes)) else "relu" for place in range(len(sizes) + 1)]


def _standard(values: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """Mean of each feature, and its standard deviation where that is above 1."""
    mean = np.average(values, axis=0, weights=counts)
    deviation = np.sqrt(np.average((values - mean) ** 2, axis=0, weights=counts))
    return mean, np.maximum(deviation, 1.0)
