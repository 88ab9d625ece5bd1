"""Detectors that know the directions in which the training rows vary: principal components and Gaussian mixture."""

import warnings
from typing import Literal, get_args

import numpy as np

from utils.detectors.outliers.base import OutlierDetector
from utils.detectors.outliers.points import drawn_rows
from utils.errors import SettingsError
from utils.evaluation.inputs import Floats
from utils.settings import SEED

Scaling = Literal["none", "range", "deviation"]
Covariance = Literal["full", "tied", "diag", "spherical"]
ROUNDING = 1e-10
"""A residual smaller than this share of its row is nothing but rounding."""

USUAL_COMPONENTS = 10

ROWS_AN_AXIS = 5
"""Distinct rows that a Gaussian must have for each axis; fewer would be learned by heart."""

LEAST_NOISE = 1e-3
"""Least variance outside the subspace, as a share of the mean variance of a feature."""


class _Subspace(OutlierDetector):
    """What both share: scaled features, their mean, and the leading principal axes of the distinct rows by weight."""

    components: int | float | None

    def _check_components(self) -> None:
        value = self.components
        if value is None:
            return
        if isinstance(value, float) and 0 < value < 1:
            return
        if isinstance(value, float):
            wanted = (
                f"components of {self._what} must be a share of the variance above 0 and below 1, or a whole number"
            )
            raise SettingsError(f"{wanted}, found {value!r}: choose such a number")
        self._require_whole("components", value)

    def _learn_axes(self, values: Floats, counts: Floats, scaling: Scaling) -> None:
        """Find the axes; at most one fewer than features, so that a residual is left, and than points."""
        self.scale_ = _scale(values, counts, scaling)
        scaled = values / self.scale_
        self.mean_ = np.average(scaled, axis=0, weights=counts)
        variances, axes = _principal_axes(scaled - self.mean_, counts)
        most = min(values.shape[1], len(values)) - 1
        wanted = _count(variances, self.components)
        self.n_components_ = min(wanted, most, int((variances > 0).sum()))
        self.axes_, self.variances_ = axes[:, : self.n_components_], variances[: self.n_components_]
        total = variances.sum()
        self.explained_ = float(self.variances_.sum() / total) if total > 0 else 1.0
        self.noise_ = _noise(total, total - self.variances_.sum(), values.shape[1], self.n_components_)

    def _project(self, values: Floats) -> tuple[Floats, Floats]:
        """Coordinates on the axes (k, q) and residuals (k, d), in scaled units."""
        centred = values / self.scale_ - self.mean_
        places = centred @ self.axes_
        residual = centred - places @ self.axes_.T
        residual[np.abs(residual) <= ROUNDING * np.abs(centred).max(axis=1, keepdims=True)] = 0.0
        return places, residual


class PrincipalComponents(_Subspace):
    """Distance of a row from the subspace in which training rows vary most; HIGHER = MORE ABNORMAL.

    The score is the length of what is left of a row when it is rebuilt from its principal components, in scaled units.
    Weights count as repeated rows.

    Its contributions are the exact Shapley values of the squared length, from the usual row of training that is most
    like the row, to the row itself. The squared residuals of the features, which are often shown, smear one odd feature
    over all that are correlated with it (Alcala and Qin, Automatica 45, 2009).

    Args:
        components: number of components, or the share of the variance that they must explain (above 0, below 1);
            ``None`` for 10, or half of the features if that is less. At most one fewer than features and than distinct
            rows are used.
        scaling: what features are divided by: ``"none"``, their ``"range"`` or their standard ``"deviation"`` in
            training; constant features by 1.

    Attributes:
        n_components_: components used.
        explained_: share of the variance of training that they explain.
        mean_: mean of the scaled features, shape (d,).
        axes_: orthonormal axes, shape (d, n_components_).
        variances_: variances along them, shape (n_components_,).

    Source:
        Jackson and Mudholkar, "Control procedures for residuals associated with principal component analysis",
        Technometrics 21 (1979).
    """

    def __init__(self, components: int | float | None = None, *, scaling: Scaling = "none") -> None:
        self.components = components
        self.scaling = scaling

    def _check_parameters(self) -> None:
        self._check_components()
        if self.scaling not in get_args(Scaling):
            wanted = f"scaling of {self._what} must be one of {', '.join(get_args(Scaling))}"
            raise SettingsError(f"{wanted}, found {self.scaling!r}: choose one of them")

    def _learn(self, values: Floats, counts: Floats) -> None:
        self._learn_axes(values, counts, self.scaling)

    def _score(self, values: Floats) -> Floats:
        return np.asarray(np.linalg.norm(self._project(values)[1], axis=1))

    def _attribute(self, values: Floats, scores: Floats) -> Floats:
        """What OutlierDetector does, in closed form: for a square it is the Shapley value."""
        usual = self._most_alike(values)
        residuals = self._project(values)[1] + self._project(usual)[1]
        return np.maximum((values - usual) / self.scale_ * residuals, 0.0)


class GaussianMixture(_Subspace):
    """Negative logarithm of the density of the training rows; HIGHER = MORE ABNORMAL.

    The density is a mixture of Gaussians on the leading principal axes, times one Gaussian with the same variance in
    all other directions, so that a row outside the subspace is seen too. The variance outside is at least one
    thousandth of the mean variance of a feature. Weights count as repeated rows while there are at most ``most_rows``.

    Args:
        mixtures: Gaussians; fewer where training has fewer than 5 distinct rows an axis for each.
        components: number of principal axes, or the share of the variance that they must explain. At most one fewer
            than features and than distinct rows are used.
        covariance: shape of each Gaussian: ``"full"``, ``"tied"``, ``"diag"`` or ``"spherical"``.
        most_rows: most rows that the mixture is fitted on; of more, so many are drawn.
        seed: seed of that draw and of the starting places.

    Attributes:
        n_components_: principal axes used.
        n_mixtures_: Gaussians used, 0 where there is no axis.
        converged_: whether the last step of the fit changed next to nothing.
        noise_: variance outside the subspace.

    Source:
        McLachlan and Peel, "Finite mixture models" (2000); the density outside the subspace: Moghaddam and Pentland,
        "Probabilistic visual learning for object representation", IEEE TPAMI 19 (1997).
    """

    def __init__(
        self,
        mixtures: int = 32,
        *,
        components: int | float = 30,
        covariance: Covariance = "full",
        most_rows: int = 20_000,
        seed: int = SEED,
    ) -> None:
        self.mixtures = mixtures
        self.components = components
        self.covariance = covariance
        self.most_rows = most_rows
        self.seed = seed

    def _check_parameters(self) -> None:
        self._check_components()
        self._require_whole("mixtures", self.mixtures)
        self._require_whole("most_rows", self.most_rows)
        if self.covariance not in get_args(Covariance):
            wanted = f"covariance of {self._what} must be one of {', '.join(get_args(Covariance))}"
            raise SettingsError(f"{wanted}, found {self.covariance!r}: choose one of them")

    def _learn(self, values: Floats, counts: Floats) -> None:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture as Mixture

        self._learn_axes(values, counts, "none")
        rows = drawn_rows(values, counts, self.most_rows, self.seed)
        self.n_learned_ = len(rows)
        self.n_mixtures_, self.converged_ = 0, True
        if not self.n_components_:
            return
        places = self._project(rows)[0] / np.sqrt(self.variances_)
        places = places if len(places) > 1 else np.repeat(places, 2, axis=0)
        most = len(np.unique(places, axis=0)) // (ROWS_AN_AXIS * self.n_components_)
        self.n_mixtures_ = min(self.mixtures, max(1, most))
        mixture = Mixture(
            self.n_mixtures_,
            covariance_type=self.covariance,
            reg_covar=LEAST_NOISE,
            max_iter=200,
            random_state=self.seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.mixture_ = mixture.fit(places)
        self.converged_ = bool(mixture.converged_)

    def _score(self, values: Floats) -> Floats:
        places, residual = self._project(values)
        outside = values.shape[1] - self.n_components_
        scores = (residual**2).sum(axis=1) / (2 * self.noise_) + 0.5 * outside * np.log(2 * np.pi * self.noise_)
        if self.n_components_:
            scores += 0.5 * np.log(self.variances_).sum()
            scores -= self.mixture_.score_samples(places / np.sqrt(self.variances_))
        return np.asarray(scores)


def _scale(values: Floats, counts: Floats, scaling: Scaling) -> Floats:
    """What each feature is divided by, shape (d,)."""
    if scaling == "range":
        spread = values.max(axis=0) - values.min(axis=0)
    elif scaling == "deviation":
        mean = np.average(values, axis=0, weights=counts)
        spread = np.sqrt(np.average((values - mean) ** 2, axis=0, weights=counts))
    else:
        spread = np.ones(values.shape[1])
    return np.where(spread > 0, spread, 1.0)


def _principal_axes(centred: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """Variances, falling, and the axes as columns: of the covariance, or of the rows where these are fewer."""
    share = counts / counts.sum()
    if len(centred) < centred.shape[1]:
        _, singular, axes = np.linalg.svd(centred * np.sqrt(share)[:, None], full_matrices=False)
        variances, found = singular**2, axes.T
    else:
        variances, found = np.linalg.eigh((centred * share[:, None]).T @ centred)
        variances, found = variances[::-1], found[:, ::-1]
    least = np.finfo(float).eps * len(variances) * max(float(variances[0]), 0.0)
    return np.where(variances > least, variances, 0.0), found


def _count(variances: Floats, components: int | float | None) -> int:
    """How many components are asked for: a number, or the smallest that explain a share of the variance."""
    if components is None:
        return min(USUAL_COMPONENTS, len(variances) // 2)
    if not isinstance(components, float):
        return int(components)
    return int(np.searchsorted(np.cumsum(variances), components * variances.sum()) + 1)


def _noise(total: float, left: float, features: int, components: int) -> float:
    """Mean variance in the directions outside the subspace; 1 where nothing varies."""
    if total <= 0:
        return 1.0
    return float(max(left / (features - components), LEAST_NOISE * total / features))
