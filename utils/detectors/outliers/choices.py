"""Which detectors there are, what each works best on, and how much of the training rows it can afford."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from utils.detectors.outliers.autoencoder import Autoencoder
from utils.detectors.outliers.base import OutlierDetector
from utils.detectors.outliers.boundary import OneClassSVM
from utils.detectors.outliers.forest import IsolationForest
from utils.detectors.outliers.neighbours import LocalOutlierFactor, NearestNeighbours
from utils.detectors.outliers.subspace import GaussianMixture, PrincipalComponents
from utils.detectors.outliers.tails import TailProbability

Factory = Callable[[int, int | None], OutlierDetector]


@dataclass(frozen=True)
class Choice:
    """A detector with the settings that did best on validation rows of training.

    Attributes:
        factory: makes a new detector from a seed and the most rows or points that it may keep (``None``: the limit of
            the method).
        description: what the score is, in one line.
        source: where the method was published.
        features: options of :class:`utils.features.flows.FlowFeatures` that suit it.
    """

    factory: Factory
    description: str
    source: str
    features: Mapping[str, Any] = field(default_factory=dict)


def _limit(usual: int, rows: int | None) -> int:
    return usual if rows is None else min(usual, rows)


def _core_distance(seed: int, rows: int | None) -> OutlierDetector:
    from utils.detectors.dbscan import CoreDistance

    return CoreDistance()


DETECTORS: Mapping[str, Choice] = MappingProxyType(
    {
        "NearestNeighbours": Choice(
            lambda seed, rows: NearestNeighbours(1, most_points=_limit(15_000, rows), seed=seed),
            "distance to the nearest distinct point of training",
            "Ramaswamy, Rastogi, Shim, SIGMOD 2000",
        ),
        "LocalOutlierFactor": Choice(
            lambda seed, rows: LocalOutlierFactor(20, most_points=_limit(10_000, rows), seed=seed),
            "how much sparser the surroundings are than those of the neighbours in training",
            "Breunig, Kriegel, Ng, Sander, SIGMOD 2000",
        ),
        "OneClassSVM": Choice(
            lambda seed, rows: OneClassSVM(0.2, narrowness=16.0, most_points=_limit(5_000, rows), seed=seed),
            "distance from the region of training in the space of a Gaussian kernel",
            "Schölkopf, Platt, Shawe-Taylor, Smola, Williamson, Neural Computation 13 (2001)",
        ),
        "IsolationForest": Choice(
            lambda seed, rows: IsolationForest(100, sample=2_048, most_rows=_limit(200_000, rows), seed=seed),
            "how few random cuts set a row apart",
            "Liu, Ting, Zhou, ICDM 2008",
            {"scale": "quantile"},
        ),
        "PrincipalComponents": Choice(
            lambda seed, rows: PrincipalComponents(0.99),
            "what is left of a row when it is rebuilt from its principal components",
            "Jackson and Mudholkar, Technometrics 21 (1979)",
        ),
        "GaussianMixture": Choice(
            lambda seed, rows: GaussianMixture(16, components=20, most_rows=_limit(20_000, rows), seed=seed),
            "negative logarithm of the density of training on its principal axes and outside",
            "McLachlan and Peel (2000); Moghaddam and Pentland, IEEE TPAMI 19 (1997)",
        ),
        "TailProbability": Choice(
            lambda seed, rows: TailProbability("both"),
            "how rare so small or so large values are in training, summed over the features",
            "Li, Zhao, Hu, Botta, Ionescu, Chen, IEEE TKDE 35 (2022)",
        ),
        "Autoencoder": Choice(
            lambda seed, rows: Autoencoder(most_points=_limit(200_000, rows), seed=seed),
            "squared error of a row that a network copies through a narrow layer",
            "Hawkins, He, Williams, Baxter, DaWaK 2002",
        ),
        "CoreDistance": Choice(
            _core_distance,
            "distance to the nearest core point of DBSCAN, in multiples of its radius",
            "Ester, Kriegel, Sander, Xu, KDD 1996",
        ),
    }
)
"""Detectors by name, with settings chosen on training data."""
