"""Numbers that a network needs to copy a row."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utils.classifiers.representations.importance import Narrowing
from utils.detectors.networks import forward
from utils.evaluation.inputs import Floats
from utils.settings import SEED

WIDTH = 64


class AutoencoderCodes(Narrowing):
    """The narrow layer of an autoencoder; labels are not looked at.

    The network is that of :class:`utils.detectors.outliers.Autoencoder`: one rectified layer down, a linear narrow one,
    one rectified layer up. It holds a tenth of the training rows out to know when to stop; test rows are never seen.
    Codes are standardised by those of training, since a network draws them to any size. The same seed gives the same
    codes, also in another process.

    Args:
        size: number of codes.
        width: units of the layers beside the narrow one, at least twice the codes.
        epochs: most passes through the training rows.
        batch: rows of a step.
        learning_rate: at the beginning.
        patience: epochs without a lower error on the held-out tenth after which training stops.
        seed: of weights, held-out rows and batches.

    Attributes:
        network_: the fitted autoencoder.
        centre_: mean of each code in training (size,).
        spread_: its standard deviation, 1 where it is 0 (size,).
        n_features_in_: columns of training.

    Source:
        Hinton and Salakhutdinov, "Reducing the dimensionality of data with neural networks", Science 313 (2006).
    """

    def __init__(
        self,
        size: int = 25,
        *,
        width: int = WIDTH,
        epochs: int = 30,
        batch: int = 256,
        learning_rate: float = 6e-3,
        patience: int = 5,
        seed: int = SEED,
    ) -> None:
        self.size = size
        self.width = width
        self.epochs = epochs
        self.batch = batch
        self.learning_rate = learning_rate
        self.patience = patience
        self.seed = seed

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Learn to copy rows.

        Args:
            X: training rows (n, d): finite numbers of equal scale.
            y: not used.

        Raises:
            SettingsError: if there are not so many columns, or a setting has no meaning.
            SchemaError: if ``X`` is no matrix of numbers.
            DataError: if there is no row, or it holds NaN or infinity.
        """
        matrix = self._learned(X, self.size)
        self.network_ = self._network().fit(matrix)
        raw = self._encoded(matrix)
        spread = raw.std(axis=0)
        self.centre_, self.spread_ = raw.mean(axis=0), np.where(spread > 0, spread, 1.0)
        return self

    def transform(self, X: ArrayLike) -> Floats:
        """Codes of rows (n, size).

        Raises:
            SchemaError: if the matrix has another width than in training.
        """
        return np.asarray((self._encoded(self._matrix(X)) - self.centre_) / self.spread_)

    def inverse_transform(self, Z: ArrayLike) -> Floats:
        """The rows that the network makes of codes (n, d)."""
        layer = np.asarray(Z, dtype=np.float64) * self.spread_ + self.centre_
        scaled = forward(layer, self.network_.weights_[2:], ("relu", "linear"))
        return np.asarray(scaled * self.network_.scale_ + self.network_.centre_)

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """Name the codes."""
        return np.asarray([f"code {place + 1}" for place in range(self.size)], dtype=object)

    def _network(self) -> Any:  # noqa: ANN401 - imported with the first fit
        from utils.detectors.outliers.autoencoder import Autoencoder

        beside = max(self.width, 2 * self.size)
        return Autoencoder(
            (beside, self.size, beside),
            epochs=self.epochs,
            batch=self.batch,
            learning_rate=self.learning_rate,
            patience=self.patience,
            seed=self.seed,
        )

    def _encoded(self, matrix: Floats) -> Floats:
        """Values of the narrow layer, as the network reads rows: within the range of training."""
        scaled = (matrix - self.network_.centre_) / self.network_.scale_
        within = np.clip(scaled, self.network_.low_, self.network_.high_)
        return forward(within, self.network_.weights_[:2], ("relu", "linear"))
